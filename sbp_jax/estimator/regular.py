"""Forecasts for evaluation in other packages: quantiles and samples of series that are given as regular arrays.

Each lead has its own distribution, and samples of different leads are independent. That is valid for scores of each
time, such as quantile losses and the CRPS, but not for scores of sums over times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float64

from sbp_jax.data.series.reading import Series
from sbp_jax.distributions.base import Distribution
from sbp_jax.errors import InputError
from sbp_jax.estimator.forecaster import SBPForecaster
from sbp_jax.estimator.histories import History, Origins


@dataclass(frozen=True, eq=False)
class Regular:
    """A series at successive steps of its grid.

    Attributes:
        values: float64 [T]; NaN where missing.
        times: seconds since 1970 [T], or None if the forecaster was fitted on numbers as times.
        id: id of the series; for a series that was not in `fit`, the deviation is that of its own values.
    """

    values: np.ndarray
    times: np.ndarray | None = None
    id: Any = ""


def horizon(model: SBPForecaster) -> tuple[int, int]:
    """Return the number of leads of a fitted forecaster and the first one; InputError unless they are consecutive."""
    model._check_fitted()
    steps = model.leads_.steps
    if steps != tuple(range(steps[0], steps[0] + len(steps))):
        raise InputError(f"lead: expected consecutive leads, as with horizon=24, to evaluate forecasts, got {steps}")
    return len(steps), steps[0]


def distributions_after(model: SBPForecaster, entries: Sequence[Regular]) -> Distribution:
    """Return the distributions after the end of each series, batch shape [series, leads].

    Raises:
        InputError: the forecaster is not fitted, or a series is too short, ends with a missing value, or has steps that
            differ from those of `fit`.
    """
    model._check_fitted()
    parts = []
    for number, entry in enumerate(entries):
        history = _history(model, entry, f"series {entry.id!r}" if entry.id != "" else f"series number {number}")
        parts.append(Origins.of(entry.id, history, model._context, model._leads(), model._yearly, latest=True))
        if not len(parts[-1]):
            raise InputError(
                f"series {entry.id!r}: {history.observed(model._context)} of the last {model._context} steps are "
                f"observed, at least {-(-model._context // 2)} are needed"
            )
    return model._forecast(Origins.concatenate(parts)).distribution


def quantiles(dist: Distribution, levels: Sequence[float]) -> Float64[np.ndarray, "levels series leads"]:
    """Return the quantiles of distributions [series, leads]."""
    return np.stack([np.asarray(dist.icdf(level), np.float64) for level in levels])


def samples(dist: Distribution, count: int, seed: int) -> Float64[np.ndarray, "draws series leads"]:
    """Return independent draws of each distribution."""
    return np.asarray(dist.sample(jax.random.key(seed), (count,)), np.float64)


def _history(model: SBPForecaster, entry: Regular, label: str) -> History:
    fitted = model._observations.histories
    known = fitted.get(entry.id)
    own = (known or next(iter(fitted.values()))).series
    values = np.asarray(entry.values, np.float64)
    if not len(values) or not np.isfinite(values[-1]):
        raise InputError(f"{label}: expected a series that ends with a finite value")
    if own.dated != (entry.times is not None):
        expected = "dates" if own.dated else "numbers"
        raise InputError(f"{label}: expected {expected} as times, as in fit")
    times = np.arange(len(values), dtype=np.float64) if entry.times is None else np.asarray(entry.times, np.float64)
    step = float(np.median(np.diff(times))) if len(times) > 1 else own.step
    # numbers count steps, whatever their unit was in fit
    if own.dated and not 0.7 < step / own.step < 1.4:
        raise InputError(f"{label}: expected steps of about {own.step:g} seconds, as in fit, got {step:g}")
    seen = np.isfinite(values)
    observed = values[seen]
    wall = times[seen] if own.dated else None
    series = Series(
        str(entry.id), times[seen], observed, step, own.dated, 0, np.flatnonzero(seen), own.period, wall=wall
    )
    deviation = known.deviation if known is not None else float(np.mean(np.abs(observed - np.median(observed))))
    if not deviation > 0:
        raise InputError(f"{label}: a constant series, every value is {observed[0]:g}")
    return History(series, deviation)
