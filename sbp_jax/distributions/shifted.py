"""Distributions so far from zero that float32 does not distinguish their outcomes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from sbp_jax.distributions.base import Distribution, Key, broadcast_to
from sbp_jax.distributions.pytrees import broadcast_batch, is_traced, register, set_fields
from sbp_jax.errors import InputError

_PARTS = 3  # of float32, whose sum holds every digit of a float64 number


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Shifted(Distribution):
    """The distribution of Y = shift + X, where X has distribution `base` and the shift is in float64.

    Around 5,400,000, adjacent float32 numbers differ by 0.5. Every method therefore subtracts the shift from outcomes
    in float64, on the host, and calls the method of the base. Locations such as quantiles are float64 NumPy arrays.
    Methods do not work inside `jit`, `grad` or `vmap`: use `base` there, at `dist.centered(y)`.

    Args:
        base: the distribution of X, batch shape [...].
        shift: numbers in the unit of the outcome. The batch shape is the broadcast shape of `base` and `shift`.

    Raises:
        InputError: the shift is traced, or does not broadcast against the base; every method rejects traced outcomes.

    Example:
        >>> dist = Shifted(Normal(0.0, 0.01), 5_400_000.0)
        >>> float(dist.median()), float(dist.cdf(5_400_000.01))  # doctest: +SKIP
        (5400000.0, 0.841)
    """

    base: Distribution
    _parts: Float[Array, "*batch parts"]

    def __init__(self, base: Distribution, shift: ArrayLike) -> None:
        if is_traced(shift):
            raise InputError("shift: expected numbers known when the distribution is built, got a traced array")
        shift = np.asarray(shift, np.float64)
        batch = broadcast_batch(base=base.batch_shape, shift=shift.shape)
        parts, remainder = [], np.broadcast_to(shift, batch)
        for _ in range(_PARTS):
            parts.append(remainder.astype(np.float32))
            remainder = remainder - parts[-1]
        set_fields(self, base=broadcast_to(base, batch), _parts=jax.numpy.asarray(np.stack(parts, axis=-1)))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Broadcast shape of the base and the shift."""
        return self.base.batch_shape

    @property
    def dtype(self) -> Any:
        """Float type of probabilities and scores; locations are float64."""
        return self.base.dtype

    @property
    def shift(self) -> np.ndarray:
        """The shift, float64 `batch_shape`."""
        if is_traced(self._parts):
            raise InputError("a Shifted distribution has no methods inside jit, grad or vmap; use its base")
        return np.asarray(np.sum(np.asarray(self._parts, np.float64), axis=-1))

    def centered(self, y: ArrayLike) -> np.ndarray:
        """Return y - shift, subtracted in float64, in the base's dtype."""
        if is_traced(y):
            raise InputError("a Shifted distribution takes no traced outcomes; use its base on y - shift")
        return np.asarray(np.asarray(y, np.float64) - self.shift, self.dtype)

    def _plus_shift(self, x: Array) -> np.ndarray:
        return np.asarray(self.shift + np.asarray(x, np.float64))

    def log_prob(self, y: ArrayLike) -> Any:
        """Return the log-density, or the log-probability of an atom, of `centered(y)` under the base."""
        return self.base.log_prob(self.centered(y))

    def cdf(self, y: ArrayLike) -> Any:
        """Return P(Y <= y)."""
        return self.base.cdf(self.centered(y))

    def log_cdf(self, y: ArrayLike) -> Any:
        """Return log P(Y <= y)."""
        return self.base.log_cdf(self.centered(y))

    def survival_function(self, y: ArrayLike) -> Any:
        """Return P(Y > y)."""
        return self.base.survival_function(self.centered(y))

    def log_survival_function(self, y: ArrayLike) -> Any:
        """Return log P(Y > y)."""
        return self.base.log_survival_function(self.centered(y))

    def cdf_left(self, y: ArrayLike) -> Any:
        """Return P(Y < y)."""
        return self.base.cdf_left(self.centered(y))

    def log_cdf_left(self, y: ArrayLike) -> Any:
        """Return log P(Y < y)."""
        return self.base.log_cdf_left(self.centered(y))

    def log_survival_left(self, y: ArrayLike) -> Any:
        """Return log P(Y >= y)."""
        return self.base.log_survival_left(self.centered(y))

    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Any:
        """Return log P(low < Y <= high)."""
        return self.base.interval_log_prob(self.centered(low), self.centered(high))

    def prob(self, low: ArrayLike, high: ArrayLike) -> Any:
        """Return P(low < Y <= high)."""
        return self.base.prob(self.centered(low), self.centered(high))

    def crps(self, y: ArrayLike) -> Any:
        """Return the continuous ranked probability score, that of `centered(y)` under the base."""
        return self.base.crps(self.centered(y))

    def twcrps(self, y: ArrayLike, threshold: ArrayLike, end: ArrayLike = np.inf) -> Any:
        """Return the threshold-weighted CRPS between `threshold` and `end`, both in the unit of y."""
        return self.base.twcrps(*(self.centered(each) for each in (y, threshold, end)))

    def mean(self) -> Any:
        """Return the mean, float64."""
        return self._plus_shift(self.base.mean())

    def variance(self) -> Any:
        """Return the variance, that of the base."""
        return self.base.variance()

    def entropy(self) -> Any:
        """Return the entropy, that of the base."""
        return self.base.entropy()

    def mode(self) -> Any:
        """Return the mode, float64."""
        return self._plus_shift(self.base.mode())

    def median(self) -> Any:
        """Return the median, float64."""
        return self._plus_shift(self.base.median())

    def icdf(self, q: ArrayLike) -> Any:
        """Return the quantile of probability q, float64."""
        return self._plus_shift(self.base.icdf(q))

    def isf(self, s: ArrayLike) -> Any:
        """Return the quantile of survival probability s, float64."""
        return self._plus_shift(self.base.isf(s))

    def sample(self, key: Key, sample_shape: Sequence[int] = ()) -> Any:
        """Return draws [*sample_shape, ...], float64."""
        return self._plus_shift(self.base.sample(key, sample_shape))

    @property
    def _has_atoms(self) -> bool:
        return self.base._has_atoms

    def _squared_cdf_area(self, low, high):
        return self.base._squared_cdf_area(low, high)

    def _squared_survival_area(self, low, high):
        return self.base._squared_survival_area(low, high)

    def _quantile(self, mass, upper):
        raise InputError("a Shifted distribution cannot be the base of another; put its base there")

    def _tail_areas(self, near, far, upper):
        return self.base._tail_areas(near, far, upper)


def centered(dist: Distribution, y: ArrayLike) -> tuple[Distribution, np.ndarray, np.ndarray | float]:
    """Return a distribution that works inside `jit`, the outcomes in its dtype, and the shift subtracted from both.

    The shift is 0 except for `Shifted`.
    """
    if isinstance(dist, Shifted):
        return dist.base, dist.centered(y), dist.shift
    return dist, np.asarray(y, dist.dtype), 0.0
