"""Scores and metrics of predictive distributions on outcomes, the same for every kind of distribution."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.distributions import Shifted
from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.shifted import centered
from sbp_jax.errors import InputError
from sbp_jax.evaluation.metrics import Metrics, OutcomeScores

_ROWS = 8192  # rows scored per call, to bound memory


@jax.jit
def _scores(dist: Distribution, y: jax.Array) -> tuple[jax.Array, ...]:
    return dist.log_prob(y), dist.crps(y), dist.median(), *dist.pit_bounds(y)


def score_outcomes(dist: Distribution, y: np.ndarray) -> OutcomeScores:
    """Score outcomes under their predictive distributions.

    Choose the distribution by the type of outcome: `Quantized` for integers, `Censored` for a bounded outcome. The log
    score is then a log-probability at each atom, and no grid of outcomes is needed.

    Args:
        dist: any distribution of this project, batch shape [N] or [].
        y: outcomes [N].

    Returns:
        The scores, float64 [N] each.

    Raises:
        InputError: no outcomes, an outcome that is not finite, or a different number of distributions.
    """
    dist, y, shift = centered(dist, y)
    count = len(y)
    if count == 0 or not np.all(np.isfinite(y)):
        raise InputError(f"y: expected finite outcomes, at least one, got {count}")
    if dist.batch_shape not in ((), (count,)):
        raise InputError(f"y: expected outcomes for batch shape {dist.batch_shape}, got {count}")
    rows = -(-count // -(-count // _ROWS))  # nearly equal parts: one program for all of them
    parts = []
    for end in [*range(rows, count, rows), count]:
        # the last part starts early enough to have as many rows as the others; rows scored already are dropped
        begin, fresh = end - rows, end - len(parts) * rows
        part = dist if dist.batch_shape == () else dist[begin:end]
        values = _scores(part, jnp.asarray(y[begin:end]))
        parts.append([np.broadcast_to(np.asarray(each, np.float64), (rows,))[-fresh:] for each in values])
    scores = OutcomeScores(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    return replace(scores, median=scores.median + shift)


def evaluate(dist: Distribution, y: np.ndarray, unit: np.ndarray | float = 1.0) -> Metrics:
    """Return the metrics of predictive distributions, evaluated on their outcomes.

    Args:
        dist: distribution of the outcomes as observed, batch shape [N] or []; see `score_outcomes`.
        y: outcomes [N].
        unit: divisor of CRPS and absolute error, in the unit of the outcomes; [N] or one for all.

    Raises:
        InputError: as in `score_outcomes`.

    Example:
        >>> evaluate(Quantized(Normal(jnp.zeros(3), 4.0)), np.array([-1.0, 0.0, 2.0])).mae
        1.0
    """
    dtype = np.float64 if isinstance(dist, Shifted) else dist.dtype
    return Metrics.of(score_outcomes(dist, y), np.asarray(y, dtype), unit)
