"""Gradients against 50 digits, of every parameterization and regime or of a run's raw outputs, and at the truth."""

from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from sbp_jax.distributions.heads import SplicedBinnedParetoHead
from sbp_jax.errors import InputError
from sbp_jax.evaluation.consistency import cases, measure
from sbp_jax.evaluation.gradients import LOSSES, Cell, Row, cells, check
from sbp_jax.runs.run import load_run


def of_the_grid() -> list[Row]:
    """Rows of both precisions over the whole grid."""
    rows: list[Row] = []
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype is np.float64):
            points = list(cells(dtype))
            with tqdm(total=len(points), desc=np.dtype(dtype).name, unit="cell") as bar:
                rows += check(points, dtype, tick=bar.update)
    return rows


def at_the_truth() -> list[Row]:
    """Return a row for each start, parameterization and objective: does training from the truth stay there?"""
    with jax.enable_x64(True):
        return [measure(case) for case in tqdm(list(cases()), desc="started at the truth", unit="case")]


def of_a_run(path: Path, count: int) -> list[Row]:
    """Rows of the raw outputs that a trained network gives for its test plays.

    Raises:
        InputError: no SBP head, an objective that 50 digits do not know, or no plays.
    """
    run = load_run(path)
    head = run.model.head
    if not isinstance(head, SplicedBinnedParetoHead):
        raise InputError(f"{path}: expected a run with an SBP head, got {type(head).__name__}")
    if run.config.training.objective not in LOSSES:
        raise InputError(
            f"{path}: was trained by the objective {run.config.training.objective}; 50 digits know {', '.join(LOSSES)}"
        )
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
