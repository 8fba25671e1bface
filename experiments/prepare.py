"""Tracking files, or lists of plays, to a prepared data set: python -m experiments.prepare SOURCE... --out DIR."""

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from experiments.cli import main, move, parse
from sbp_jax.data import dataset
from sbp_jax.errors import InputError
from sbp_jax.reporting.quality import quality_page

REJECTED = 3


@dataclass(frozen=True)
class Options:
    """Read tracking files of any known format, or lists of plays alone, and write a data set with its quality report.

    Attributes:
        sources: folders or files (CSV, TSV, parquet), told apart by their columns.
        out: folder of the data set; the same files and options find it done there.
        strict: exit with code 3 if any play was rejected.
        malformed: a damaged play is left out and counted ("reject"), or stops the reading ("stop").
        outcome: "yards" as the league counts, "net_yards" (an interception is its return), or a numeric column of the
            list of plays.
        extras: further features of the players by name: receiver_separation_yards, target_defenders,
            rusher_distance_yards, quarterback_speed_yps, time_since_snap_s.
        seed: decides which game goes to train, validation and test.
        fractions: shares of the games for train, validation and test.
        min_frames: least frames (10 Hz) from snap to release.
        max_frames: most frames.
        tracking: the sources have tracking; without, they are lists of plays alone.
        results: of the plays kept: C complete, I incomplete, IN intercepted; of lists of plays also S sack, R run.
        situation: numeric columns of the list of plays that are static features too, such as air_yards.
        test_seasons: seasons whose games are the test, instead of a share of all games.
        beam: an Apache Beam pipeline with these options does the work: runner=DirectRunner on this machine,
            runner=FlinkRunner flink_master=HOST:8081 on a cluster.
    """

    sources: Annotated[tuple[str, ...], tyro.conf.Positional]
    out: Path
    strict: bool = False
    malformed: Literal["stop", "reject"] = "reject"
    outcome: str = "yards"
    extras: tuple[str, ...] = ()
    seed: int = 0
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    min_frames: int = 5
    max_frames: int = 120
    tracking: bool = True
    results: tuple[str, ...] = ("C", "I", "IN")
    situation: tuple[str, ...] = ()
    test_seasons: tuple[int, ...] = ()
    beam: tuple[str, ...] | None = None


def command(words: list[str]) -> None:
    """Prepare, print the report, draw its page; exit code 3 with `--strict` where plays were rejected."""
    options = parse(Options, words, "scripts/prepare_data.py")
    if not options.sources:
        raise InputError("expected folders or files of tracking data, or lists of plays, first")
    fields = dataset.PrepareConfig.__dataclass_fields__
    config = dataset.PrepareConfig(**{name: getattr(options, name) for name in fields})
    with tqdm(desc="prepare", unit=" plays") as bar:
        flags = None if options.beam is None else [f"--{option}" for option in options.beam]
        prepared = dataset.prepare(options.sources, options.out, config, partial(move, bar), flags)
    page = options.out / "report.png"
    if not page.exists():
        quality_page(page, json.loads((options.out / dataset.REPORT).read_text()))
    print((options.out / dataset.SUMMARY).read_text())
    sizes = ", ".join(f"{name} {count:,}" for name, count in prepared.plays.items())
    print(f"{options.out}: {sizes} plays; {dataset.REPORT}, {dataset.SUMMARY}, {page.name}")
    if options.strict and prepared.reading.rejected:
        print(f"strict: rejected {prepared.reading.reasons()}", file=sys.stderr)
        sys.exit(REJECTED)


if __name__ == "__main__":
    main(command)
