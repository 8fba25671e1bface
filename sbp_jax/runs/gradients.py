"""Check gradients against 50-digit arithmetic: for all parameterizations, for a run's raw outputs, at the truth."""

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
    """Return the rows of all cells of the grid, in both precisions."""
    rows: list[Row] = []
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype is np.float64):
            points = list(cells(dtype))
            with tqdm(total=len(points), desc=np.dtype(dtype).name, unit="cell") as bar:
                rows += check(points, dtype, tick=bar.update)
    return rows


def at_the_truth() -> list[Row]:
    """Return a row for each start, parameterization and objective, on whether training from the truth stays there."""
    with jax.enable_x64(True):
        return [measure(case) for case in tqdm(list(cases()), desc="started at the truth", unit="case")]


def of_a_run(path: Path, count: int) -> list[Row]:
    """Return the rows for the raw outputs of a trained network on its test plays.

    Raises:
        InputError: the run has no SBP head, its objective has no 50-digit reference, there are no plays, or it
            predicts counts of a series, whose cells have a different width in every window.
    """
    run = load_run(path)
    head = run.model.head
    if not isinstance(head, SplicedBinnedParetoHead):
        raise InputError(f"{path}: expected a run with an SBP head, got {type(head).__name__}")
    if run.config.training.objective not in LOSSES:
        raise InputError(
            f"{path}: trained with the objective {run.config.training.objective}; expected {', '.join(LOSSES)}"
        )
    plays = next((p for p in (run.plays(split) for split in ("test", "validation", "train")) if len(p)), None)
    if plays is None:
        raise InputError(f"{run.dataset}: has no plays")
    plays = plays.select(np.arange(min(count, len(plays))))
    raw, outcomes = np.asarray(run.raw_outputs(plays)), plays.outcome
    if plays.unit is not None:  # the head predicts windows in units of their location and scale
        if run.config.training.objective in ("interval", "censored"):
            raise InputError(
                f"{path}: trained with {run.config.training.objective} on windows of a series, whose cells differ in "
                f"width on the scale of the window; expected a run with the objective exact or pointwise"
            )
        outcomes = (plays.outcome - plays.info["location"]) / plays.info["scale"]
    rows: list[Row] = []
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype is np.float64):
            name = run.config.head.parameterization
            points = [
                Cell(name, "trained network", head, r.astype(dtype), float(y), bool(censored))
                for r, y, censored in zip(raw, outcomes, plays.censored, strict=True)
            ]
            with tqdm(total=len(points), desc=np.dtype(dtype).name, unit="play") as bar:
                rows += check(points, dtype, run.config.training.objective, bar.update)
    return rows
