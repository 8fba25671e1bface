"""Check gradients: python -m experiments.gradients [--run RUN] [--plays 8] [--out FOLDER]; exit code 1 on a miss."""

import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import polars as pl
from tqdm import tqdm

from sbp_jax.cli.flags import parse
from sbp_jax.distributions.heads import SplicedBinnedParetoHead
from sbp_jax.errors import InputError
from sbp_jax.evaluation.gradients import Cell, Row, cells, check
from sbp_jax.reporting import gradients as figures
from sbp_jax.runs import provenance
from sbp_jax.runs.run import load_run

PROGRAM = "python -m experiments.gradients"


@dataclass(frozen=True)
class Options:
    """Autodiff against 50 digits in both precisions: every parameterization and regime, or a trained network's outputs.

    Attributes:
        run: folder of a trained run; its own raw outputs and objective are checked.
        plays: how many of the run's test plays.
        out: folder for the table, the rows and the figure; with --run RUN/gradients unless named.
    """

    run: Path | None = None
    plays: int = 8
    out: Path | None = None


def of_the_law() -> list[Row]:
    """Rows of both precisions over the whole grid."""
    rows: list[Row] = []
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype is np.float64):
            points = list(cells(dtype))
            with tqdm(total=len(points), desc=np.dtype(dtype).name, unit="cell") as bar:
                rows += check(points, dtype, tick=bar.update)
    return rows


def of_a_run(path: Path, count: int) -> list[Row]:
    """Rows of the raw outputs that a trained network gives for its test plays.

    Raises:
        InputError: no SBP head, another objective than exact or interval, or no plays.
    """
    run = load_run(path)
    head = run.model.head
    if not isinstance(head, SplicedBinnedParetoHead):
        raise InputError(f"{path}: expected a run with an SBP head, got {type(head).__name__}")
    plays = next((p for p in (run.plays(split) for split in ("test", "validation", "train")) if len(p)), None)
    if plays is None:
        raise InputError(f"{run.dataset}: holds no plays")
    plays = plays.select(np.arange(min(count, len(plays))))
    raw = np.asarray(run.raw_outputs(plays))
    rows: list[Row] = []
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype is np.float64):
            name = run.config.head.parameterization
            points = [
                Cell(name, "trained network", head, r.astype(dtype), float(y))
                for r, y in zip(raw, plays.yards, strict=True)
            ]
            with tqdm(total=len(points), desc=np.dtype(dtype).name, unit="play") as bar:
                rows += check(points, dtype, run.config.training.objective, bar.update)
    return rows


def command(args: list[str]) -> None:
    """Check, print the table, write the results; exit code 1 if a bound is missed."""
    options = parse(Options, args, PROGRAM)
    if options.plays < 1:
        raise InputError(f"plays: expected at least 1, got {options.plays}")
    rows = of_the_law() if options.run is None else of_a_run(options.run, options.plays)
    default = Path("experiments/results/gradients") if options.run is None else options.run / "gradients"
    out = options.out or default
    out.mkdir(parents=True, exist_ok=True)
    missed = [row for row in rows if not row["ratio"] <= 1]
    frame = pl.DataFrame(rows)
    frame.write_parquet(out / "gradients.parquet")
    figures.draw(out / "gradients.png", rows)
    allowed = sum(row["allowance"] for row in rows)
    summary = (
        f"{len(rows)} numbers, {len(missed)} beyond their bound; at {allowed} of them rounding the inputs (raw "
        "outputs, outcome, shapes, scales) moves the answer by more than the bound: ten times that movement is allowed."
    )
    text = [
        provenance.heading("Gradient check", "experiments.gradients", args),
        "Autodiff of the loss in every raw output and the outcome against 50 digits. Bounds, relative to "
        "max(1, |value|): values 5e-6 in float32 and 1e-12 in float64, derivatives 1e-4 and 1e-9.",
        summary,
        figures.table(rows),
        "![error over bound](gradients.png)",
    ]
    (out / "gradients.md").write_text("\n\n".join(text) + "\n")
    print(f"{figures.table(rows)}\n\n{summary}\nwritten to {out}: gradients.md, gradients.parquet, gradients.png")
    if missed:
        for row in sorted(missed, key=lambda r: -r["ratio"])[:20]:
            print(
                f"missed: {row['parameterization']}, {row['regime']}, {row['precision']}, {row['quantity']}: "
                f"{row['value']:.9g}, exact {row['exact']:.9g}, error / bound {row['ratio']:.3g}",
                file=sys.stderr,
            )
        sys.exit(1)
