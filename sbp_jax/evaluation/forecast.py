"""From the distribution to an integer forecast, or to its figures where outcomes are no whole numbers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.errors import InputError
from sbp_jax.evaluation.metrics import IntegerForecast, Metrics, pp_error_between

# No play gains or loses more than the field is long.
YARDS = np.arange(-100, 111)


@jax.jit
def _cdf(distribution: Any, y: jax.Array) -> jax.Array:
    return distribution.cdf(y)


@jax.jit
def _at_outcomes(distribution: Any, y: jax.Array) -> tuple[jax.Array, ...]:
    half = jnp.asarray(0.5, y.dtype)
    beyond = distribution.log_survival_function(y - half)
    within = distribution.interval_log_prob(y - half, y + half)
    return within, beyond, distribution.cdf(y - half), distribution.cdf(y + half)


def integer_forecast(
    distribution: Any, y: np.ndarray, limit: np.ndarray | None = None, grid: np.ndarray = YARDS, cells: int = 65536
) -> IntegerForecast:
    """The integer forecasts that distributions of batch shape [N] imply for the outcomes y [N].

    Args:
        distribution: any of this project's, batch shape [N] or [].
        y: integer outcomes.
        limit: [N], where the goal line stops a gain: the mass beyond counts as mass at it; inf or None, nowhere.
        grid: consecutive integers that hold all but a negligible mass.
        cells: values of the cdf computed at once, to bound the memory.
    """
    y = np.asarray(y, np.float32)
    limit = np.full(len(y), np.inf) if limit is None else np.asarray(limit, np.float64)
    within, beyond, below, at = (np.asarray(a, np.float64) for a in _at_outcomes(distribution, jnp.asarray(y)))
    log_prob, at = np.where(y >= limit, beyond, within), np.where(y >= limit, 1.0, at)
    edges = jnp.asarray(grid + 0.5, jnp.float32)
    # The outcomes' axis goes last, where it broadcasts against the batch shape.
    cdf = np.empty((len(grid), len(y)))
    step = max(1, cells // max(len(y), 1))
    for k in range(0, len(grid), step):
        rows = slice(k, k + step)
        points = jnp.broadcast_to(edges[rows, None], (len(grid[rows]), len(y)))
        cdf[rows] = np.asarray(_cdf(distribution, points))
    cdf = np.where(grid[:, None] >= limit, 1.0, cdf)
    return IntegerForecast(np.asarray(grid), cdf.T, log_prob, below, at)


@jax.jit
def _of_counts(distribution: Any, y: jax.Array) -> tuple[jax.Array, ...]:
    half = jnp.asarray(0.5, y.dtype)
    within = distribution.interval_log_prob(y - half, y + half)
    return within, distribution.cdf(y - half), distribution.cdf(y + half), distribution.crps(y), distribution.median()


def evaluate_counts(distribution: Any, y: np.ndarray, unit: np.ndarray | float = 1.0) -> Metrics:
    """All figures of distributions of batch shape [N] for whole outcomes y [N] of any size.

    The NLL and the PP error are those of the integer forecast, as of `integer_forecast`; the CRPS is that of the
    distribution itself and the median is rounded, so that no grid has to hold the outcomes.

    Args:
        distribution: any of this project's, batch shape [N].
        y: whole outcomes.
        unit: [N] or one for all, in which CRPS and error are told, so that outcomes of different size count alike.

    Raises:
        InputError: there is no outcome, or one is no whole number.
    """
    y = np.asarray(y, np.float32)
    if len(y) == 0 or not np.all(y == np.round(y)):
        raise InputError(f"y: expected whole numbers, at least one, got {len(y)}")
    log_prob, below, at, crps, median = (np.asarray(a, np.float64) for a in _of_counts(distribution, jnp.asarray(y)))
    return Metrics(
        nll=float(-np.mean(log_prob)),
        crps=float(np.mean(crps / unit)),
        mae=float(np.mean(np.abs(y - np.round(median)) / unit)),
        pp=pp_error_between(below, at),
    )


@jax.jit
def _figures(distribution: Any, y: jax.Array) -> tuple[jax.Array, ...]:
    return distribution.log_prob(y), distribution.cdf(y), distribution.crps(y), distribution.median()


def evaluate_continuous(distribution: Any, y: np.ndarray) -> Metrics:
    """All figures of distributions of batch shape [N] for outcomes y [N] as they are, no whole numbers presumed.

    They are no rivals of those of `evaluate(integer_forecast(...))`: a density is no probability.

    Raises:
        InputError: there is no outcome, or one is not finite.
    """
    y = np.asarray(y, np.float32)
    if len(y) == 0 or not np.all(np.isfinite(y)):
        raise InputError(f"y: expected finite outcomes, at least one, got {len(y)}")
    log_prob, cdf, crps, median = (np.asarray(a, np.float64) for a in _figures(distribution, jnp.asarray(y)))
    return Metrics(
        nll=float(-np.mean(log_prob)),
        crps=float(np.mean(crps)),
        mae=float(np.mean(np.abs(y - median))),
        pp=pp_error_between(cdf, cdf),
    )
