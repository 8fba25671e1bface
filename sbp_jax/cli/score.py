"""Score quarterbacks with a trained run: sbp score RUN [--by season] [--split "down = 3"].

RUN is the folder of a run, or one written by sbp crossfit, where each play is scored by a network that never saw its
game.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sbp_jax.cli.flags import parse
from sbp_jax.cli.terminal import output_folder
from sbp_jax.data.prepared.splits import Of
from sbp_jax.errors import InputError

RELIABLE = 0.3  # below this reliability, most of the difference between two groups is chance


@dataclass(frozen=True)
class Options:
    """Score quarterbacks; write plays and leaderboard as CSV and parquet to RUN/scores, replacing earlier ones.

    Attributes:
        run: folder of a run, as printed by sbp train, or of a cross-fitting.
        by: groups to score: play, drive, game, season or career, and columns of the plays ("season down").
        split: which plays: an SQL condition on their columns, or one of pressure, clean, quick, extended, late, deep,
            short, first_down, third_down, red_zone, ahead, tied, behind, home, away, two_minutes.
        min_plays: leave out groups with fewer plays.
        of: which of the run's plays: all, or those of a split; "held-out" is validation and test, the plays without
            influence on the gradients. By default all plays of a cross-fitting, and held-out plays of a run.
        source: files of other plays to score instead, on the scale fixed with the run's own plays.
        join: CSV, TSV or parquet files of other ratings, joined by the columns that they share with the leaderboard.
        bootstraps: resamples of the games for the bootstrap intervals; 0 for none.
        refit: fit the league again instead of using RUN/scores/league.json.
        out: folder for the results; by default RUN/scores.
        top: number of rows to print.
        trust: import your own head, encoder or objective if the run's configuration names one.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    by: tuple[str, ...] = ("career",)
    split: str = ""
    min_plays: int = 1
    of: Of | None = None
    source: tuple[str, ...] = ()
    join: tuple[Path, ...] = ()
    bootstraps: int = 1000
    refit: bool = False
    out: Path | None = None
    top: int = 40
    trust: bool = False


def command(args: list[str]) -> None:
    """Score the plays of a target, print the leaderboard and write it."""
    options = parse(Options, args, "sbp score")
    for name in ("min_plays", "top"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name.replace('_', '-')}: expected at least 1, got {getattr(options, name)}")
    if not 0 <= options.bootstraps <= 100_000:
        raise InputError(f"--bootstraps: expected 0 to 100,000, got {options.bootstraps}")
    import numpy as np

    from sbp_jax.data.readers.tables import read_file
    from sbp_jax.reporting.tables import leaderboard_table
    from sbp_jax.runs.score import FOLDER, open_target, score
    from sbp_jax.scoring.aggregation import group_columns
    from sbp_jax.scoring.join import joined

    _, level = group_columns(options.by)
    target = open_target(options.run, trust=options.trust)
    folder = output_folder(options.out or target.path / FOLDER)
    scores = score(
        target,
        by=options.by,
        split=options.split,
        of=options.of,
        source=options.source,
        min_plays=options.min_plays,
        bootstraps=options.bootstraps,
        refit=options.refit,
    )
    plays, board, notes = scores.plays, scores.leaderboard, list(scores.notes)
    for path in options.join:
        board, note = joined(board, read_file(path), path)
        notes.append(note)
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (("plays", plays), ("leaderboard", board)):
        frame.write_csv(folder / f"{name}.csv")
        frame.write_parquet(folder / f"{name}.parquet")
    print(leaderboard_table(board, options.top))
    for line in notes:
        print(line)
    print(f"{len(plays):,} plays, {len(board):,} groups of the level {level}; written to {folder}")
    if (unreliable := np.mean(board["reliability"].to_numpy() < RELIABLE)) >= 0.5:
        print(
            f"note: {unreliable:.0%} of the groups have a reliability below {RELIABLE:g}: too few plays to rank "
            "them; read their intervals instead of their ranks"
        )
