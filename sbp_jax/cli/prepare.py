"""Prepare a data set from tracking files, or from lists of plays: sbp prepare SOURCE... --out FOLDER."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sbp_jax.cli.flags import parse
from sbp_jax.cli.terminal import new_folder
from sbp_jax.data.prepared.config import PrepareConfig
from sbp_jax.errors import InputError

REJECTED = 3


@dataclass(frozen=True, kw_only=True)
class Options(PrepareConfig):
    """Read tracking files of any known format, or lists of plays alone, and write a data set with its quality report.

    Attributes:
        sources: folders or files (CSV, TSV, parquet), recognized by their columns.
        out: folder of the data set; a complete one from the same files and options is reused.
        strict: exit with code 3 if any play was rejected.
        malformed: leave out and count a malformed play ("drop"), or stop at it with an error ("raise").
        beam: use an Apache Beam pipeline with these options: runner=DirectRunner on this machine, or
            runner=FlinkRunner flink_master=HOST:8081 on a cluster.
    """

    sources: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE...")]
    out: Path
    strict: bool = False
    malformed: Literal["raise", "drop"] = "drop"
    beam: tuple[str, ...] | None = None


def command(words: list[str]) -> None:
    """Prepare a data set, print the report and draw its page; exit with code 3 for `--strict` and rejected plays."""
    options = parse(Options, words, "sbp prepare")
    if not options.sources:
        raise InputError("expected folders or files of tracking data, or lists of plays, first")
    out = new_folder(options.out)
    import json
    from functools import partial

    from tqdm import tqdm

    from sbp_jax.data.prepared import dataset
    from sbp_jax.data.prepared.build import prepare
    from sbp_jax.reporting.quality import quality_page
    from sbp_jax.runs.datasets import move

    names = (field.name for field in fields(PrepareConfig))
    config = PrepareConfig(**{name: getattr(options, name) for name in names})
    with tqdm(desc="prepare", unit=" plays") as bar:
        flags = None if options.beam is None else [f"--{option}" for option in options.beam]
        prepared = prepare(options.sources, out, config, partial(move, bar), flags)
    page = out / "report.png"
    if not page.exists():
        quality_page(page, json.loads((out / dataset.REPORT).read_text(encoding="utf-8")))
    print((out / dataset.SUMMARY).read_text(encoding="utf-8"))
    sizes = ", ".join(f"{name} {count:,}" for name, count in prepared.plays.items())
    print(f"{out}: {sizes} plays; {dataset.REPORT}, {dataset.SUMMARY}, {page.name}")
    if options.strict and prepared.reading.rejected:
        print(f"strict: rejected {prepared.reading.reasons()}", file=sys.stderr)
        sys.exit(REJECTED)
