"""The distribution of an outcome that is known."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.cells import Sums, boundary
from sbp_jax.distributions.pytrees import compiled, pad_rank, register, set_parameters


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Deterministic(Distribution):
    """Point mass at v: P(Y = v) = 1. The dominating measure is counting measure on v.

    `log_prob` is 0 at v and -inf elsewhere, without gradient in y or v; `crps` is |y - v|. Quantiles and draws are v,
    with gradient 1 in v.

    Args:
        value: v, [...], in the unit of the outcome; the distribution has its batch shape. An infinite value gives NaN.
    """

    value: Float[Array, "..."]

    def __init__(self, value: ArrayLike) -> None:
        set_parameters(self, value=value)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> jnp.dtype:
        return self.value.dtype

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 0 at v, -inf elsewhere."""
        (y,) = self._outcomes(y)
        return self._where(y == pad_rank(self.value, y.ndim), 0.0, -jnp.inf, y)

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 1 where y >= v, 0 elsewhere."""
        (y,) = self._outcomes(y)
        return self._where(y >= pad_rank(self.value, y.ndim), 1.0, 0.0, y)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 1 where y < v, 0 elsewhere."""
        (y,) = self._outcomes(y)
        return self._where(y < pad_rank(self.value, y.ndim), 1.0, 0.0, y)

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 0 where y >= v, -inf elsewhere."""
        (y,) = self._outcomes(y)
        return self._where(y >= pad_rank(self.value, y.ndim), 0.0, -jnp.inf, y)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 0 where y < v, -inf elsewhere."""
        (y,) = self._outcomes(y)
        return self._where(y < pad_rank(self.value, y.ndim), 0.0, -jnp.inf, y)

    @compiled
    def cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 1 where y > v, 0 elsewhere."""
        (y,) = self._outcomes(y)
        return self._where(y > pad_rank(self.value, y.ndim), 1.0, 0.0, y)

    @compiled
    def log_cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 0 where y > v, -inf elsewhere."""
        (y,) = self._outcomes(y)
        return self._where(y > pad_rank(self.value, y.ndim), 0.0, -jnp.inf, y)

    @compiled
    def log_survival_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 0 where y <= v, -inf elsewhere."""
        (y,) = self._outcomes(y)
        return self._where(y <= pad_rank(self.value, y.ndim), 0.0, -jnp.inf, y)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return 0 where low < v <= high, -inf elsewhere."""
        low, high = self._outcomes(low, high)
        value = pad_rank(self.value, low.ndim)
        return self._where((low < value) & (value <= high), 0.0, -jnp.inf, low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """Return v, shape `batch_shape`."""
        return self._known(self.value)

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return 0, shape `batch_shape`."""
        return self._known(jnp.zeros_like(self.value))

    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """Length of the part above v."""
        return self._length(high, low, False)

    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """Length of the part below v."""
        return self._length(low, high, True)

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        length = self._length(near, far, upper)
        return length, 0.5 * length * length

    def _knots(self, ndim: int) -> list[Array]:
        return [pad_rank(self.value, ndim)]

    def _breaks(self, ndim: int) -> list[Array]:
        return self._knots(ndim)

    @property
    def _has_atoms(self) -> bool:
        return True

    def _atom_below(self, y: Array) -> Array:
        value = pad_rank(self.value, y.ndim)
        return jnp.where(value <= y, value, -jnp.inf)

    def _cell_areas(self, near: Array, step: Array, length: Array, upper: bool) -> Sums:
        """Cells whose midpoints are before v."""
        before = boundary((1 if upper else -1) * (pad_rank(self.value, near.ndim) - near), step)
        before = jnp.where(before > 0, jnp.where(before < length, before, length), 0.0)
        return before, before, 0.5 * before * before

    def _length(self, near, far, upper):
        """Length of [near, far] before v; infinite for an infinite near."""
        sign = 1 if upper else -1
        value = pad_rank(self.value, near.ndim)
        some = (sign * (value - near) > 0) & (near != far)
        end = jnp.where(sign * (far - value) < 0, far, value)
        return jnp.where(some, sign * (end - jnp.where(some, near, 0.0)), 0.0)

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        return pad_rank(self.value, mass.ndim) + 0 * mass

    @functools.partial(jax.jit, static_argnums=2)
    def _draw(self, key, sample_shape):
        return jnp.broadcast_to(self.mean(), (*sample_shape, *self.batch_shape))

    def _missing(self) -> Bool[Array, "..."]:
        return ~jnp.isfinite(self.value)

    def _where(self, condition, inside, outside, *ys):
        value = jnp.where(condition, jnp.asarray(inside, self.dtype), jnp.asarray(outside, self.dtype))
        return self._known(value, *ys)
