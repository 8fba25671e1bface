"""Contents of a run's HTML report: leaderboards, quarterbacks, calibration, training, and plays to watch."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import polars as pl

from sbp_jax.data.plays import FEATURES, Sequences
from sbp_jax.data.prepared.splits import Of
from sbp_jax.data.readers.rules import LEAGUE_YARDS, in_yards
from sbp_jax.data.readers.tables import read_file
from sbp_jax.errors import InputError
from sbp_jax.reporting.report import calibration, encode_densities, encode_positions
from sbp_jax.runs.run import Run
from sbp_jax.runs.score import Target, parts_of
from sbp_jax.scoring import League, aggregate
from sbp_jax.scoring.ratings import rated
from sbp_jax.scoring.splits import SPLITS, select_plays
from sbp_jax.training.outcome import Outcome

_PLAYS_BYTES = 2.0e6  # maximum size of the plays to watch
_FRAME_BYTES, _PLAY_BYTES = 270, 400  # approximate size of a frame, and of a play without frames
# column of a leaderboard -> label and digits; the first five come first in the page's table
COLUMNS = {
    "plays": ("Plays", 0),
    "games": ("Games", 0),
    "passing_score": ("Passing score", 1),
    "passing_low": ("", 1),
    "passing_high": ("", 1),
    "score": ("Mean normal score", 3),
    "reliability": ("Reliability", 2),
    "passer_rating": ("Passer rating", 1),
    "any_a": ("ANY/A", 2),
    "completion_percentage": ("Completions, %", 1),
    "cpoe": ("CPOE, %", 1),
    "success_over_expectation": ("Success over expectation, %", 1),
    "epa_per_play": ("EPA/play", 3),
}
_STRATA = ("season", "quarter", "down")


def leaderboards(plays: pl.DataFrame, league: League, passers: pl.Series) -> list[dict[str, Any]]:
    """Return leaderboards for all seasons and for each one, with every split that the plays' columns support."""
    has_seasons = "season" in plays.columns and plays["season"].null_count() < len(plays)
    seasons = sorted(plays["season"].drop_nulls().unique()) if has_seasons else []
    boards = []
    for season, (split, _) in itertools.product(["", *seasons], {"": "", **SPLITS}.items()):
        subset = plays if season == "" else plays.filter(pl.col("season") == season)
        try:
            subset = select_plays(subset, split) if split else subset
        except InputError:  # there is no such column, or no play
            continue
        center = float(np.mean(subset["score"].to_numpy()))
        by = ("career",) if season == "" else ("season",)
        board = aggregate(subset, by, league, center if split else None, bootstraps=0)
        keys = ["passer_id", "passer"]
        board = board.join(rated(subset, keys), on=keys, how="left").filter(
            pl.col("passer_id").is_in(passers.implode())
        )
        for name in COLUMNS:
            if name not in board.columns:
                board = board.with_columns(pl.lit(None, pl.Float64).alias(name))
        rows = [[str(row[0]), *row[1:]] for row in board.select("passer_id", *COLUMNS).iter_rows()]
        boards.append({"season": str(season), "split": split, "rows": rows, "center": center})
    return boards


def plays_to_watch(
    target: Target, of: Of, plays: pl.DataFrame, passers: pl.Series, count: int | None
) -> tuple[dict[int, dict[str, list[int]]], list[dict[str, Any]]]:
    """Return the best and the worst plays of each quarterback, as positions in a list, and that list."""
    if count == 0:
        return {int(passer): {"best": [], "worst": []} for passer in passers}, []
    frames = 1.0
    if target.data.tracking and "time_to_throw" in plays.columns:
        frames += 10 * float(np.mean(plays["time_to_throw"].fill_null(0).to_numpy()))
    size = _PLAY_BYTES + _FRAME_BYTES * frames
    capacity = int(_PLAYS_BYTES / size / max(2 * len(passers), 1))
    count = min(max(capacity, 1), 10) if count is None else count
    ranking = plays.filter(pl.col("passer_id").is_in(passers.implode())).sort("score", "row", descending=[True, False])
    best = ranking.group_by("passer_id", maintain_order=True).head(count)
    worst = ranking.reverse().group_by("passer_id", maintain_order=True).head(count)
    keys = ["game_id", "play_id"]
    selection = pl.concat([best, worst]).unique(keys, maintain_order=True)
    index = {row: i for i, row in enumerate(selection.select(keys).iter_rows())}
    lists: dict[int, dict[str, list[int]]] = {int(passer): {"best": [], "worst": []} for passer in passers}
    for kind, subset in (("best", best), ("worst", worst)):
        for passer, game, play in subset.select("passer_id", *keys).iter_rows():
            lists[passer][kind].append(index[game, play])
    rows = {row[:2]: row[2] for row in selection.select(*keys, pl.struct(pl.all()).alias("all")).iter_rows()}
    entries: list[dict[str, Any]] = [{} for _ in index]
    for run, sequences in parts_of(target, of):
        ids = zip(sequences.game_id.tolist(), sequences.play_id.tolist(), strict=True)
        positions = [i for i, key in enumerate(ids) if key in index]
        if not positions:
            continue
        subset = sequences.select(np.array(positions))
        for number, play in enumerate(_unfolded(run, subset)):
            key = int(subset.game_id[number]), int(subset.play_id[number])
            entries[index[key]] = {**_facts(rows[key]), **play}
    return lists, entries


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    facts = {name: row.get(name) for name in ("season", "week", "down", "distance", "outcome", "median", "pit")}
    return {**facts, "passer": str(row["passer_id"]), "to_goal": row.get("yards_to_goal")}


def grid_of(run: Run) -> np.ndarray:
    """Return the outcomes at which the page shows a distribution: about 80 points over the bins."""
    return grid_points(run.config.head.low, run.config.head.high, run.outcome)


def grid_points(low: float, high: float, outcome: Outcome) -> np.ndarray:
    """Return about 80 equally spaced outcomes from low to high, integers if the outcome is an integer.

    The grid of gains in yards has every integer, but no gains beyond 60 yards, which are rare.
    """
    if outcome.in_yards and outcome.integer:
        return np.arange(max(int(low) - 5, -20), min(int(high), 60) + 1, dtype=float)
    if not outcome.integer:
        return np.linspace(low, high, 81)
    first, last = int(np.floor(low)), int(np.ceil(high))
    return np.arange(first, last + 1, max(1, round((last - first) / 80)), dtype=float)


def _unfolded(run: Run, plays: Sequences) -> list[dict[str, Any]]:
    """The positions of each play, its distribution at every frame, and summary numbers of that distribution."""
    latent: Any = run.model.head(jnp.asarray(run.raw_outputs_by_frame(plays)))
    dist, grid = run.outcome.distribution(latent, plays), grid_of(run)
    step = float(grid[1] - grid[0])
    edges = np.append(grid - step / 2, grid[-1] + step / 2).astype(np.float32)
    cdf = np.stack([np.asarray(dist.cdf(jnp.asarray(edge))) for edge in edges], axis=-1)
    mass, medians = np.diff(cdf, axis=-1), np.asarray(dist.median())
    ends = [np.asarray(end) for end in latent.thresholds()] if run.config.head.kind == "sbp" else None
    has_players = bool(plays.present.any())
    unfolded = []
    for i in range(len(plays)):
        begin, end = plays.offsets[i], plays.offsets[i + 1]
        n = int(end - begin)
        density, peak = encode_densities(mass[i, :n])
        spots, present = plays.frames[begin:end, :, :2], plays.present[begin:end]
        play = {"count": n, "density": density, "peak": peak, "medians": np.round(medians[i, :n], 2)}
        if ends is not None:
            play |= {"lower": np.round(ends[0][i, :n], 2), "upper": np.round(ends[1][i, :n], 2)}
        play["reach"] = max(float(plays.outcome[i]), 0.0)
        if has_players:
            play["frames"] = encode_positions(spots, present)
            play["reach"] = max(play["reach"], float(spots[..., FEATURES.index("x")][present].max(initial=0.0)))
        unfolded.append(play)
    return unfolded


def page_data(
    target: Target,
    plays: pl.DataFrame,
    league: League,
    boards: list[dict[str, Any]],
    shown: dict[int, dict[str, list[int]]],
    watched: list[dict[str, Any]],
    min_plays: int,
    tables: Sequence[Path],
) -> dict[str, Any]:
    """Return the contents of the page for `write_report`.

    Args:
        target: run or cross-fitting.
        plays: its scored plays, see `score_plays`.
        league: scale of the passing scores.
        boards: result of `leaderboards`.
        shown, watched: result of `plays_to_watch`.
        min_plays: quarterbacks with fewer plays are not in the boards.
        tables: files with additional tables.
    """
    run, data = target.runs[0], target.data
    splits = {"": {"name": "all plays", "condition": "", "text": "All plays."}}
    splits |= {
        name: {"name": name.replace("_", " "), "condition": text, "text": f"Plays with {text}."}
        for name, text in SPLITS.items()
        if any(board["split"] == name for board in boards)
    }
    is_in_yards = in_yards(data.outcome)
    places = {name: 1 + position for position, name in enumerate(COLUMNS)}
    rows = [row for board in boards for row in board["rows"]]
    columns = [name for name, position in places.items() if any(row[position] is not None for row in rows)]
    for each in boards:
        each["rows"] = [[row[0], *(row[places[name]] for name in columns)] for row in each["rows"]]
    scorer = "one network"
    if target.cross:
        scorer = f"{len(target.runs)} networks, each play by one that was not trained on its game"
    viewer = f"The distribution of {data.outcome} as the play unfolds."
    if data.tracking and not run.config.training.per_frame:
        viewer += (
            " This run was trained on the frame of the release alone: its distributions at earlier frames are not "
            "calibrated (train with --training.per-frame for that)."
        )
    return {
        "title": f"Passing scores: {target.path.name}",
        "about": (
            f"{len(plays):,} plays scored by {scorer}. A play's rank in the distribution that an average quarterback "
            "would face is its PIT; a passing score of 74.5 is the league average, 91.2 one standard deviation above "
            f"it. The league is fixed on {league.counted:,} plays."
        ),
        "columns": [{"key": name, "label": COLUMNS[name][0], "digits": COLUMNS[name][1]} for name in columns],
        "boards": boards,
        "seasons": list(dict.fromkeys(board["season"] for board in boards)),
        "splits": splits,
        "least": min_plays,
        "passers": _passers(plays, league, shown),
        "plays": watched,
        "grid": grid_of(run),
        "outcome": "yards gained" if data.outcome == LEAGUE_YARDS else data.outcome.replace("_", " "),
        "unit": "yards" if is_in_yards else data.outcome,
        "digits": 0 if run.integer else 2,
        "calibration": calibration(plays, _strata(plays)),
        "training": [
            {"name": f"fold {k}" if target.cross else each.path.name}
            | {name: each.metrics[name].to_list() for name in ("epoch", "training_loss", "validation_loss")}
            for k, each in enumerate(target.runs)
        ],
        "config": [
            [f"{part}.{name}", str(value)]
            for part, values in dataclasses.asdict(run.config).items()
            for name, value in values.items()
        ],
        "tables": [_table(path) for path in tables],
        "notes": {"viewer": viewer},
    }


def _passers(plays: pl.DataFrame, league: League, lists: dict[int, dict[str, list[int]]]) -> list[dict[str, Any]]:
    has_seasons = "season" in plays.columns and plays["season"].null_count() < len(plays)
    seasons = ["season"] if has_seasons else []
    selection = plays.filter(pl.col("passer_id").is_in(list(lists)))
    games = aggregate(selection, ("game", *seasons), league, bootstraps=0)
    weeks = selection.select(
        "game_id", week=pl.col("week") if "week" in selection.columns else pl.lit(None, pl.Int64)
    ).unique("game_id")
    games = games.join(weeks, on="game_id", how="left").sort("game_id")
    season = pl.col("season") if has_seasons else pl.lit(None, pl.Int64).alias("season")
    table = games.select("passer_id", season, "week", "plays", "passing_score", "passing_low", "passing_high")
    by_passer = {
        key[0]: [row[1:] for row in part.iter_rows()] for key, part in table.group_by("passer_id", maintain_order=True)
    }
    passers = []
    for (passer,), part in selection.sort("passer_id").group_by("passer_id", maintain_order=True):
        places = np.histogram(part["pit"].to_numpy(), bins=10, range=(0, 1))[0]
        entry = {"id": str(passer), "name": part["passer"][0], "games": by_passer[passer], "places": places}
        passers.append({**entry, **lists[int(passer)]})  # pyright: ignore[reportArgumentType]
    return sorted(passers, key=lambda each: each["name"])


def _strata(plays: pl.DataFrame) -> dict[str, pl.Series]:
    strata = {name: plays[name] for name in _STRATA if name in plays.columns}
    breakpoints = {"distance": [3, 7, 10], "yards_to_goal": [10, 20, 50], "time_to_throw": [2.0, 2.5, 3.0, 4.0]}
    units = {"distance": "to go", "yards_to_goal": "yards to goal", "time_to_throw": "seconds to throw"}
    for name, breaks in breakpoints.items():
        if name in plays.columns and plays[name].null_count() < len(plays):
            labels = [
                f"to {breaks[0]:g}",
                *(f"{a:g} to {b:g}" for a, b in itertools.pairwise(breaks)),
                f"over {breaks[-1]:g}",
            ]
            value = plays[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            stratum = pl.Series(np.array(labels)[np.digitize(value, breaks, right=True) % len(labels)])
            strata[units[name]] = (
                pl.select(pl.when(pl.Series(np.isfinite(value))).then(stratum)).to_series().cast(pl.Enum(labels))
            )
    if "pressure" in plays.columns:
        strata["pressure"] = plays["pressure"]
    return {name: series for name, series in strata.items() if series.null_count() < len(series)}


def _table(path: Path) -> dict[str, Any]:
    table = read_file(path)
    if "arm" in table.columns:  # training runs of a grid: show the means over seeds
        numbers = [name for name in table.columns if table.schema[name].is_float()]
        table = table.group_by("arm", maintain_order=True).agg(pl.col(numbers).mean())
    rows = [
        [f"{v:.4g}" if isinstance(v, float) else "" if v is None else str(v) for v in row]
        for row in table.head(200).iter_rows()
    ]
    return {"title": path.stem, "header": table.columns, "rows": rows}
