"""Distributions so far from zero that float32 cannot tell their outcomes apart."""

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

_PARTS = 3  # float32 numbers whose sum is a float64 number, digit for digit


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Shifted(Distribution):
    """The distribution of Y = shift + X, where X has distribution `base` and the shift is a float64 number.

    Around 5,400,000 adjacent float32 numbers differ by 0.5. The shift is therefore subtracted from outcomes in float64,
    on the host, before a method of the base sees them, and locations such as quantiles are float64 NumPy arrays.
    Methods do not work inside `jit`, `grad` or `vmap`: use `base` there, on `dist.centered(y)`.

    Args:
        base: the distribution of X, batch shape [...].
        shift: numbers in the unit of the outcome. The batch shape is the broadcast shape of both.

    Raises:
        InputError: the shift is traced, or does not broadcast against the base; in every method, a traced argument.

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
        parts, rest = [], np.broadcast_to(shift, batch)
        for _ in range(_PARTS):
            parts.append(rest.astype(np.float32))
            rest = rest - parts[-1]
        set_fields(self, base=broadcast_to(base, batch), _parts=jax.numpy.asarray(np.stack(parts, axis=-1)))

    @property
    def batch_shape(self) -> tuple[int, ...]:
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

    def _placed(self, x: Array) -> np.ndarray:
        return np.asarray(self.shift + np.asarray(x, np.float64))

    def log_prob(self, y: ArrayLike) -> Any:
        return self.base.log_prob(self.centered(y))

    def cdf(self, y: ArrayLike) -> Any:
        return self.base.cdf(self.centered(y))

    def log_cdf(self, y: ArrayLike) -> Any:
        return self.base.log_cdf(self.centered(y))

    def survival_function(self, y: ArrayLike) -> Any:
        return self.base.survival_function(self.centered(y))

    def log_survival_function(self, y: ArrayLike) -> Any:
        return self.base.log_survival_function(self.centered(y))

    def cdf_left(self, y: ArrayLike) -> Any:
        return self.base.cdf_left(self.centered(y))

    def log_cdf_left(self, y: ArrayLike) -> Any:
        return self.base.log_cdf_left(self.centered(y))

    def log_survival_left(self, y: ArrayLike) -> Any:
        return self.base.log_survival_left(self.centered(y))

    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Any:
        return self.base.interval_log_prob(self.centered(low), self.centered(high))

    def prob(self, low: ArrayLike, high: ArrayLike) -> Any:
        return self.base.prob(self.centered(low), self.centered(high))

    def crps(self, y: ArrayLike) -> Any:
        return self.base.crps(self.centered(y))

    def twcrps(self, y: ArrayLike, threshold: ArrayLike, end: ArrayLike = np.inf) -> Any:
        return self.base.twcrps(*(self.centered(each) for each in (y, threshold, end)))

    def mean(self) -> Any:
        return self._placed(self.base.mean())

    def variance(self) -> Any:
        return self.base.variance()

    def entropy(self) -> Any:
        return self.base.entropy()

    def mode(self) -> Any:
        return self._placed(self.base.mode())

    def median(self) -> Any:
        return self._placed(self.base.median())

    def icdf(self, q: ArrayLike) -> Any:
        return self._placed(self.base.icdf(q))

    def isf(self, s: ArrayLike) -> Any:
        return self._placed(self.base.isf(s))

    def sample(self, key: Key, sample_shape: Sequence[int] = ()) -> Any:
        return self._placed(self.base.sample(key, sample_shape))

    def _squared_cdf_area(self, low, high):
        return self.base._squared_cdf_area(low, high)

    def _squared_survival_area(self, low, high):
        return self.base._squared_survival_area(low, high)

    def _quantile(self, mass, upper):
        raise InputError("a Shifted distribution cannot be the base of another; put its base there")

    def _tail_areas(self, near, far, upper):
        return self.base._tail_areas(near, far, upper)


def centered(dist: Distribution, y: ArrayLike) -> tuple[Distribution, np.ndarray, np.ndarray | float]:
    """Return a distribution that works inside `jit`, its outcomes in its own dtype, and the shift of both.

    The shift is 0 for every distribution but `Shifted`.
    """
    if isinstance(dist, Shifted):
        return dist.base, dist.centered(y), dist.shift
    return dist, np.asarray(y, dist.dtype), 0.0
