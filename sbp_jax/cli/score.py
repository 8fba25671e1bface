"""Score quarterbacks with a trained run: python -m experiments.score RUN [--by season] [--split "down = 3"].

RUN is a run's folder, or one of experiments.crossfit, whose plays are each scored by a network that never saw the game.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import tyro

from sbp_jax.cli.flags import parse
from sbp_jax.data.readers.columns import read_file
from sbp_jax.errors import InputError
from sbp_jax.reporting.leaderboard import leaderboard_table
from sbp_jax.runs.score import FOLDER, GAIN, Of, Target, league_of, open_target, score_plays
from sbp_jax.scoring import aggregate
from sbp_jax.scoring.aggregation import BOOTSTRAPS, group_columns
from sbp_jax.scoring.ratings import rate, sums
from sbp_jax.scoring.splits import SPLITS, select_plays

RELIABLE = 0.3  # below it most of a difference between two groups is chance
RATINGS = ("passer_rating", "any_a", "completion_percentage", "cpoe", "success_over_expectation", "epa_per_play")


@dataclass(frozen=True)
class Options:
    """Passing score by quarterback; writes plays and leaderboard as CSV and parquet into RUN/scores, over earlier ones.

    Attributes:
        run: folder of a run as experiments.train printed it, or of a cross-fitting.
        by: what is scored: play, drive, game, season, career, and columns of the plays beside it ("season down").
        split: which plays: a condition in SQL on their columns, or one of pressure, clean, quick, extended, late, deep,
            short, first_down, third_down, red_zone, ahead, tied, behind, home, away, two_minutes.
        min_plays: groups with fewer plays are left out.
        of: which of the run's plays: all, or those of a split; "held-out" is validation and test, the plays that no
            gradient came from. All by default of a cross-fitting, held-out of a run.
        source: files of other plays to score instead, on the scale fixed with the run's own.
        join: CSV, TSV or parquet files of further ratings, joined by the columns that they share with the leaderboard.
        bootstraps: resamples of the games for the bootstrap intervals; 0 for none.
        refit: fix the league anew instead of taking RUN/scores/league.json.
        out: folder of what is written; by default RUN/scores.
        top: rows printed.
    """

    run: Annotated[Path, tyro.conf.Positional]
    by: tuple[str, ...] = ("career",)
    split: str = ""
    min_plays: int = 1
    of: Of | None = None
    source: tuple[str, ...] = ()
    join: tuple[Path, ...] = ()
    bootstraps: int = BOOTSTRAPS
    refit: bool = False
    out: Path | None = None
    top: int = 40


def rated(plays: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """The ratings before ours of each group, those that the plays' columns allow."""
    if GAIN not in plays.columns or "result" not in plays.columns:
        return plays.select(columns).unique()
    table = rate(sums(plays.drop("score"), columns))
    return table.select(*columns, *(name for name in RATINGS if name in table.columns))


def joined(board: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, str]:
    """The leaderboard with the columns of a file, by those that both have, and what became of the file's rows.

    Raises:
        InputError: the two share no column to join by, a key comes twice, or no row joins; the line has the file, the
            keys and how many rows there are.
    """
    table = read_file(path)
    groups = board.columns[: board.columns.index("plays")]
    keys = [name for name in table.columns if name in groups]
    if not keys:
        raise InputError(
            f"{path}: expected a column to join by, one of {', '.join(groups)}; it has {', '.join(table.columns)}"
        )
    further = [name for name in table.columns if name not in groups]
    if not further:
        raise InputError(f"{path}: has no column beside {', '.join(table.columns)}, which the leaderboard has")
    there = [name for name in further if name in board.columns]
    if there:
        raise InputError(f"{path}: {there[0]}: the leaderboard has a column of that name; give it another")
    nested = [name for name in table.columns if table.schema[name].is_nested() or table.schema[name] == pl.Binary]
    if nested:
        raise InputError(f"{path}: {nested[0]}: expected numbers or text, got {table.schema[nested[0]]}")
    if table.is_empty():
        raise InputError(f"{path}: has no rows")
    told = table.select(*(_as_key(path, table[name], board.schema[name]) for name in keys), *further)
    twice = told.filter(pl.struct(keys).is_duplicated())
    if len(twice):
        first = ", ".join(f"{name} {twice[name][0]!r}" for name in keys)
        raise InputError(
            f"{path}: {len(twice)} of {len(table)} rows share their {', '.join(keys)} with another ({first})"
        )
    count = len(told.join(board, on=keys, how="semi"))
    if not count:
        example = ", ".join(f"{name} {table[name][0]!r}" for name in keys)
        ours = ", ".join(f"{name} {board[name][0]!r}" for name in keys)
        raise InputError(
            f"{path}: none of its {len(table)} rows joins by {', '.join(keys)}: its first has {example}, the "
            f"leaderboard's {ours}"
        )
    lost = told.join(board, on=keys, how="anti")
    names = "; ".join(" ".join(map(str, row)) for row in lost.select(keys).head(5).iter_rows())
    said = f"{path.name}: {count} of {len(told)} rows joined by {', '.join(keys)}"
    said += f"; not in the leaderboard: {names}{' ...' if len(lost) > 5 else ''}" if len(lost) else ""
    return board.join(told, on=keys, how="left", maintain_order="left"), said


def _as_key(path: Path, values: pl.Series, kind: Any) -> pl.Series:
    """A column in the type of the leaderboard's, by which it joins; InputError where that would be other values."""
    wrong = f"{path}: {values.name}: expected {kind} as in the leaderboard, got such as {values[0]!r}"
    if values.dtype != pl.String and values.dtype.is_numeric() != kind.is_numeric():
        raise InputError(wrong)
    try:
        cast = values.cast(kind)
    except pl.exceptions.PolarsError:
        raise InputError(wrong) from None
    if values.dtype.is_numeric() and not (cast.cast(pl.Float64) == values.cast(pl.Float64)).all():
        raise InputError(wrong)
    return cast


def command(args: list[str]) -> None:
    """Score the plays of a target, print the leaderboard and write it."""
    options = parse(Options, args, "python -m experiments.score")
    for name in ("min_plays", "top"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name.replace('_', '-')}: expected at least 1, got {getattr(options, name)}")
    if not 0 <= options.bootstraps <= 100_000:
        raise InputError(f"--bootstraps: expected 0 to 100,000, got {options.bootstraps}")
    columns, level = group_columns(options.by)
    target = open_target(options.run)
    of = options.of or ("all" if target.cross else "held-out")
    plays, board, said = scored(target, options, of, columns)
    for path in options.join:
        board, found = joined(board, path)
        said.append(found)
    folder = options.out or target.path / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (("plays", plays), ("leaderboard", board)):
        frame.write_csv(folder / f"{name}.csv")
        frame.write_parquet(folder / f"{name}.parquet")
    print(leaderboard_table(board, options.top))
    for line in said:
        print(line)
    print(f"{len(plays):,} plays, {len(board):,} groups of the level {level}; written to {folder}")
    if (unsure := np.mean(board["reliability"].to_numpy() < RELIABLE)) >= 0.5:
        print(
            f"note: {unsure:.0%} of the groups have a reliability below {RELIABLE:g}: their plays hardly tell them "
            "apart, and their intervals say more than their order"
        )


def scored(
    target: Target, options: Options, of: Of, columns: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """The plays of the split, the leaderboard, and sentences on the league and the split."""
    every = score_plays(target, of, options.source)
    whose = f"plays of {', '.join(options.source)}" if options.source else f"{of} plays of {target.path}"
    # later plays are judged by the league that was there before
    league, new = league_of(target, lambda: score_plays(target, of) if options.source else every, options.refit)
    said = [
        f"Scored: {whose}.",
        f"League {'fixed now' if new else 'as fixed before'} on {league.counted:,} plays; variance of a play's score: "
        f"{league.passers:.4f} is between passers, {league.games:.4f} between their games, {league.plays:.3f} within.",
    ]
    chosen, centre = every, None
    if options.split:
        chosen = select_plays(every, options.split)
        centre = float(chosen["score"].cast(pl.Float64).mean())  # pyright: ignore[reportArgumentType]
        condition = SPLITS.get(options.split, options.split)
        said.append(
            f"Split {condition}: {len(chosen):,} of {len(every):,} plays; the league's mean score on them is "
            f"{centre:+.3f}."
        )
    for name in columns:
        if name in chosen.columns and chosen[name].null_count():
            said.append(f"{chosen[name].null_count():,} plays have no {name}: they are a group of their own.")
    board = aggregate(chosen, options.by, league, centre, options.min_plays, options.bootstraps)
    if options.min_plays > 1:
        left = chosen.select(columns).n_unique() - len(board)
        said.append(f"Left out: {left:,} groups of fewer than {options.min_plays} plays.")
    board = board.join(rated(chosen, columns), on=columns, how="left", nulls_equal=True, maintain_order="left")
    return chosen, board, said
