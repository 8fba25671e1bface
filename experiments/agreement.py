"""Account for every play of some files: python -m experiments.agreement TRACKING... --outcomes FILE...

Accepted plays are compared with the lists of outcomes, which are read here without the reader, and recorded speeds with
those derived from the positions.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import tyro
from tqdm import tqdm

from sbp_jax.cli.flags import parse, run
from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.files import Place
from sbp_jax.data.readers.formats import Table, find_tables, read_table
from sbp_jax.data.readers.kinematics import FRAME_S, VELOCITY_WINDOW, trailing_slope
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.rows import read_rows
from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tables import cast_columns
from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.errors import InputError
from sbp_jax.reporting.tables import markdown
from sbp_jax.runs import provenance

# explanations of the reasons for excluding a play
EXPLANATIONS = {
    "no snap": "no ball_snap, snap_direct or automatic event: kicks, and plays dead before the snap",
    "no release": "no pass_forward or pass_shovel after the snap: runs, sacks, kicks, spikes",
    "not a pass": "a run or a sack according to the list",
    "nullified": "nullified by a penalty",
    "no passer": "no player of the offense that shows the side",
    "duplicate copy": "a second copy of the play in the files",
}
RESULTS = ("result", "outcome", "passResult", "pass_result")
YARDS = ("yards_gained", "yards", "prePenaltyPlayResult", "offensePlayResult", "playResult")
_CENTERED = 5  # frames to either side of a smoothing over a second


@dataclass(frozen=True)
class Options:
    """Account for every play of tracking files, and compare outcomes and speeds with the files.

    Attributes:
        sources: tracking files or folders, with the lists next to them or in --outcomes.
        outcomes: lists with gameId, playId, a result and yards, in addition to those among the sources.
        out: folder for the tables.
    """

    sources: Annotated[tuple[Path, ...], tyro.conf.Positional]
    outcomes: tuple[Path, ...] = ()
    out: Path = Path("experiments/results/agreement")


def account(table: Table, outcomes: tuple[Place, ...], listed: pl.DataFrame) -> dict[str, Any]:
    """Read one tracking file; return counts by reason, plays that agree with the lists, and differences in speed.

    A file with descriptions of the plays is read by them alone; the lists then check the parsed text.
    """
    described = table.layout is not None and "description" in table.layout.present(table.columns)
    report, chunks = ReadReport(), []
    for chunk in read_tracking([table.path, *(() if described else outcomes)], Rules(malformed="drop")):
        report = report + chunk.report
        chunks.append(chunk.plays)
    plays = pl.concat(chunks)
    both = plays.join(listed, left_on=PLAY, right_on=["gameId", "playId"], how="left")
    agree = (both["result"] == both["listed_result"]) & (both["yards"] == both["listed_yards"])
    return {
        "file": table.path.name,
        "outcomes": "description" if described else "list",
        "format": ", ".join(plays["format"].unique().sort()),
        "read": report.read,
        "kept": report.kept,
        "rejected": report.rejected,
        "repaired": report.repaired,
        "listed": int(both["listed_result"].is_not_null().sum()),
        "agree": int(agree.fill_null(value=False).sum()),
        **speeds(table),
    }


def _listed(file: Place) -> pl.DataFrame:
    table = read_table(Table(file, "plays", ()))
    result, yards = (next((c for c in names if c in table.columns), "") for names in (RESULTS, YARDS))
    if not result or not yards or not {"gameId", "playId"} <= set(table.columns):
        expected = " and ".join(f"one of {', '.join(names)}" for names in (RESULTS, YARDS))
        raise InputError(f"{file}: expected the columns gameId, playId, {expected}")
    table = cast_columns(table, file, {"gameId": "gameId", "playId": "playId"}, {yards: yards}, [result])
    # as the league counts: an incompletion gains nothing
    gain = pl.when(pl.col(result) == "C").then(yards).otherwise(0.0)
    return table.select("gameId", "playId", listed_result=result, listed_yards=gain)


def speeds(table: Table) -> dict[str, float]:
    """Return the median length, in yards per second, of recorded minus derived velocity over all rows of players.

    `trailing`: derived like the features, from this frame and those before; `centered`: from the frames on both sides;
    `second`: the same, averaged over a second.
    """
    lengths: dict[str, list[np.ndarray]] = {"trailing": [], "centered": [], "second": []}
    key = [*PLAY, "player_id"]
    for rows in read_rows(table):
        rows = rows.filter(~pl.col("is_ball"), pl.col("x").is_finite(), pl.col("s").is_finite())
        rows = rows.unique([*key, "clock"], keep="first").sort(*key, "clock")
        track = rows.select(pl.struct(key).rle_id()).to_series().to_numpy()
        places, clock = rows.select("x", "y").to_numpy(), rows["clock"].to_numpy()
        angle = np.deg2rad(rows["dir"].to_numpy())
        given = rows["s"].to_numpy()[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
        trailing = trailing_slope(places, clock, track, VELOCITY_WINDOW)
        lengths["trailing"].append(np.linalg.norm(given - trailing, axis=1))
        for name, smooth in (("centered", 0), ("second", _CENTERED)):
            lengths[name].append(_difference(given, places, clock, track, smooth))
    return {f"{name}_yps": float(np.nanmedian(np.concatenate(values))) for name, values in lengths.items()}


def _difference(given: np.ndarray, places: np.ndarray, clock: np.ndarray, track: np.ndarray, smooth: int) -> np.ndarray:
    """Length of recorded velocity minus the mean of centered differences over `smooth` frames to either side."""
    reach = 1 + smooth
    middle = np.arange(reach, len(places) - reach)
    first, last = middle - reach, middle + reach
    middle = middle[(track[first] == track[last]) & (clock[last] - clock[first] == 2 * reach)]
    lags = range(-smooth, smooth + 1)
    total = sum(places[middle + lag + 1] - places[middle + lag - 1] for lag in lags)
    return np.linalg.norm(given[middle] - total / (len(lags) * 2 * FRAME_S), axis=1)


def tables(rows: list[dict[str, Any]]) -> str:
    """Return the accounts as Markdown tables."""
    header = ["file", "format", "plays read", "kept", "outcome from", "in the lists", "agree with the lists"]
    names = ("file", "format", "read", "kept", "outcomes", "listed")
    cells = [[*(r[name] for name in names), f"{r['agree']} ({r['agree'] / r['kept']:.0%})"] for r in rows]
    rejected = [(r["file"], *item) for r in rows for item in r["rejected"].items()]
    reasons = [[file, reason, count, EXPLANATIONS.get(reason, "")] for file, reason, count in rejected]
    repairs = [[r["file"], kind, f"{count:,}"] for r in rows for kind, count in r["repaired"].items()]
    pace = [[r["file"], *(f"{r[f'{name}_yps']:.2f}" for name in ("trailing", "centered", "second"))] for r in rows]
    return "\n\n".join(
        [
            "## Plays and outcomes",
            markdown(header, cells),
            "## Excluded",
            markdown(["file", "reason", "plays", "explanation"], reasons),
            "## Repaired or noted",
            markdown(["file", "kind", "rows or plays"], repairs),
            "## Velocities from positions against recorded ones\n\nMedian length of the difference, in yards per "
            "second. Trailing: derived like the features, from the past alone; centered: from both neighbors; over a "
            "second: the mean of eleven centered ones, future and past.",
            markdown(["file", "trailing", "centered", "over a second"], pace),
        ]
    )


def command(words: list[str]) -> None:
    """Read every tracking file, print the account and write it."""
    options = parse(Options, words, "python -m experiments.agreement", folder="out")
    files = find_tables(list(options.sources))
    outcomes = (*options.outcomes, *(table.path for table in files if table.role == "plays"))
    if not outcomes:
        raise InputError("--outcomes: no list of outcomes among the files; expected gameId, playId, result and yards")
    tracking = [table for table in files if table.role == "tracking"]
    listed = pl.concat([_listed(file) for file in outcomes])
    rows = [account(table, outcomes, listed) for table in tqdm(tracking, desc="agreement", unit=" files")]
    heading = provenance.heading("Every play of real files", "experiments.agreement", words)
    print(provenance.write_page(options.out, "agreement", [heading, tables(rows)], rows))


if __name__ == "__main__":
    run(command, sys.argv[1:])
