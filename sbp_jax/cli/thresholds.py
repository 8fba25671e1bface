"""Diagnose where the tail of a sample begins and how heavy it is: sbp thresholds FILE --column yards."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sbp_jax.cli.flags import parse
from sbp_jax.cli.terminal import output_folder


@dataclass(frozen=True)
class Options:
    """Diagnose the thresholds of one column: mean excess, parameter stability, return levels, PP and QQ plots.

    Attributes:
        file: a CSV, TSV or parquet file with one observation per row.
        column: name of the numeric column; required unless there is only one.
        tail: side to examine.
        tail_mass: share of the observations beyond the threshold.
        level: confidence level of the intervals and bands.
        out: folder for the results; by default runs/thresholds/FILE-COLUMN.
    """

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    column: str | None = None
    tail: Literal["upper", "lower", "both"] = "upper"
    tail_mass: float = 0.05
    level: float = 0.95
    out: Path | None = None


def command(args: list[str]) -> None:
    """Diagnose the tails of a column, write figures and tables, and print the summary."""
    options = parse(Options, args, "sbp thresholds")
    import polars as pl

    from sbp_jax.data.readers.tables import read_column
    from sbp_jax.evaluation.exceedances import Tail
    from sbp_jax.reporting.thresholds import tail_page
    from sbp_jax.runs.tail_diagnosis import diagnose, page, summary, tables

    column = read_column(options.file, options.column)
    label = re.sub(r"[^\w.-]+", "_", f"{options.file.stem}-{column.name}")
    folder = output_folder(options.out or Path("runs/thresholds") / label)
    sides: list[Tail] = ["lower", "upper"] if options.tail == "both" else [options.tail]
    diagnoses = [diagnose(column.values, side, options.tail_mass, options.level) for side in sides]
    folder.mkdir(parents=True, exist_ok=True)
    parts = [tables(each) for each in diagnoses]
    frames = {name: pl.concat([part[name] for part in parts]) for name in parts[0]}
    for name, frame in frames.items():
        frame.write_csv(folder / f"{name}.csv")
    for each in diagnoses:
        tail_page(folder / f"{each.tail.tail}.png", page(each, column.name, options.level))
    text = summary(column, options.file, frames, options.tail_mass, options.level)
    (folder / "summary.md").write_text(text + "\n", encoding="utf-8")
    print(f"{text}\n\nFigures and tables written to {folder}")
