"""The distribution of an outcome rounded to a grid."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.pytrees import Constant, broadcast_batch, compiled, is_traced, pad_rank, register, set_fields
from sbp_jax.errors import InputError

# a point within this many rounding errors of a grid point counts as that grid point
_ULPS = 4


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Quantized(Distribution):
    """Distribution of Y, the point of the grid origin + k width (k an integer) nearest to X, where X has cdf F.

        P(Y = y) = F(y + width / 2) - F(y - width / 2)        P(Y <= y) = F(k(y) + width / 2)

    where k(y) is the largest grid point at most y. The dominating measure is counting measure on the grid. TensorFlow
    Probability's QuantizedDistribution rounds up instead: there, Y is the smallest integer at or above X.

    Every method is exact: `log_prob` is the log-probability, computed from the nearer tail of the base, `icdf` is the
    generalized inverse of `cdf`, and mean, variance, `crps` and `twcrps` are sums over any number of grid points,
    without a grid in memory (see `cells`). A point within four rounding errors of a grid point counts as that grid
    point. Where the grid is finer than the spacing of floats, a point's probability is density times width.

    Args:
        base: distribution of X without atoms, batch shape [...].
        width: distance between grid points, positive, in the unit of the outcome. A number becomes a constant of the
            distribution; a traced value or an array whose shape broadcasts to [...] becomes a leaf of the pytree.
        origin: any grid point; a constant or leaf like `width`.
    Raises:
        InputError: a Python or NumPy width is not positive and finite, such an origin is not finite, or an array does
            not broadcast to the base's batch shape. JAX arrays are not checked; a width that is not positive gives NaN.

    Example:
        >>> d = Quantized(Normal(5.3, 2.0))
        >>> d.log_prob(5.0)  # log P(4.5 < X <= 5.5)
        >>> d.log_prob(5.5)  # -inf
    """

    base: Distribution
    width: Constant | Float[Array, "..."]
    origin: Constant | Float[Array, "..."]

    def __init__(
        self, base: Distribution, width: ArrayLike | Constant = 1.0, origin: ArrayLike | Constant = 0.0
    ) -> None:
        if not isinstance(base, Distribution):
            raise InputError(f"base must be a distribution of sbp_jax, got {type(base).__name__}")
        set_fields(
            self,
            base=base,
            width=grid_parameter("width", width, base, positive=True),
            origin=grid_parameter("origin", origin, base, positive=False),
        )

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.base.batch_shape

    @property
    def dtype(self) -> jnp.dtype:
        return self.base.dtype

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y = y), from the nearer tail of the base; -inf with zero gradient off the grid."""
        (y,) = self._outcomes(y)
        width, _ = self._grid(y.ndim)
        index, on_grid = self._index(y)
        below, above = self._half(y, index, -1), self._half(y, index, 1)
        apart = on_grid & (above > below)
        at = jnp.where(on_grid, y, 0.0)
        mass = self.base.interval_log_prob(jnp.where(apart, below, 0.0), jnp.where(apart, above, width))
        dense = self.base.log_prob(jnp.where(apart, 0.0, at)) + jnp.log(width)
        return self._known(jnp.where(on_grid, jnp.where(apart, mass, dense), -jnp.inf), y)

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(Y <= y), with a step at every grid point and constant in between."""
        (y,) = self._outcomes(y)
        return self._known(self.base.cdf(self._upper_end(y)), y)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(Y > y), accurate in the upper tail."""
        (y,) = self._outcomes(y)
        return self._known(self.base.survival_function(self._upper_end(y)), y)

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y <= y)."""
        (y,) = self._outcomes(y)
        return self._known(self.base.log_cdf(self._upper_end(y)), y)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y > y)."""
        (y,) = self._outcomes(y)
        return self._known(self.base.log_survival_function(self._upper_end(y)), y)

    @compiled
    def cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(Y < y)."""
        (y,) = self._outcomes(y)
        return self._known(self.base.cdf(self._lower_end(y)), y)

    @compiled
    def log_cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y < y)."""
        (y,) = self._outcomes(y)
        return self._known(self.base.log_cdf(self._lower_end(y)), y)

    @compiled
    def log_survival_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y >= y)."""
        (y,) = self._outcomes(y)
        return self._known(self.base.log_survival_function(self._lower_end(y)), y)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return log P(low < Y <= high), the base's value over the cells of the grid points in between."""
        low, high = self._outcomes(low, high)
        start, stop = self._upper_end(low), self._upper_end(high)
        some = stop > start
        value = self.base.interval_log_prob(jnp.where(some, start, 0.0), jnp.where(some, stop, 1.0))
        return self._known(jnp.where(some, value, -jnp.inf), low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """Return c + width times (the sum of P(Y > g) over midpoints g above c minus that of P(Y < g) below c).

        c is a grid point. Infinite where the base's mean is; NaN (undefined) where both sums are infinite.
        """
        center, (above, _), (below, _) = self._halves()
        return self._known(center + above - below)

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return 2 width times the sum of |g - c| P(Y beyond g) over midpoints g, minus (mean - c)^2.

        Infinite where the base's variance is.
        """
        _, (above, second_above), (below, second_below) = self._halves()
        second = 2 * (second_above + second_below)
        finite = jnp.isfinite(second)
        shift = jnp.where(finite, above, 0.0) - jnp.where(finite, below, 0.0)
        return self._known(jnp.where(finite, second - shift * shift, second))

    def _halves(self):
        """The largest grid point at most the median, and the integral of T and its moment above and below it."""
        ndim = len(self.batch_shape)
        median = jax.lax.stop_gradient(self.base.median())
        median = jnp.where(jnp.isfinite(median), median, 0.0)
        center = self._point(median, self._index(median)[0])
        endless = jnp.full((1,) * ndim, jnp.inf, self.dtype)
        return center, *(self._tail_areas(center, sign * endless, sign > 0) for sign in (1, -1))

    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        return self._areas(high, low, False)[1]

    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        return self._areas(low, high, True)[1]

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        first, _, moment = self._areas(near, far, upper)
        return first, moment

    def _areas(self, near, far, upper):
        """Integrals of T, T^2 and |x - near| T from near out to far: a partial cell, full cells, a partial cell."""
        near, far = jnp.broadcast_arrays(near, far)
        sign = 1 if upper else -1
        boundless = jnp.isinf(near)
        at = jnp.where(boundless, 0.0, near)
        endless = jnp.isinf(far)
        end = jnp.where(endless | boundless, at, far)
        width, _ = self._grid(at.ndim)
        (near_index, on_near), (far_index, on_far) = self._index(at), self._index(end)
        # the grid points at or beyond near, and at or before far
        inner = jnp.where(on_near, near_index, near_index + 1) if upper else near_index
        outer = far_index if upper else jnp.where(on_far, far_index, far_index + 1)
        start, stop = self._point(at, inner), self._point(end, outer)
        one = ~endless & (sign * (stop - start) < 0)
        first_end = jnp.where(one, end, start)
        length = jnp.where(one | boundless, 0.0, sign * (stop - start))
        length = jnp.where(endless & ~boundless, jnp.inf, length)
        tail = self.base.survival_function if upper else self.base.cdf
        before, after = tail(jnp.stack([self._half(at, inner, -sign), self._half(end, outer, sign)]))
        near_part = sign * (first_end - at)
        far_part = jnp.where(one | endless, 0.0, sign * (end - stop))
        cells = self.base._cell_areas(start, width, length, upper)
        distance = sign * (start - at)
        gone = jnp.where(one | endless, 0.0, sign * (stop - at))
        cell_first, cell_square, cell_moment = (jnp.where(length > 0, x, 0.0) for x in cells)
        shift = jnp.where(distance > 0, distance * jnp.where(distance > 0, cell_first, 0.0), 0.0)
        first = before * near_part + cell_first + after * far_part
        square = before * before * near_part + cell_square + after * after * far_part
        moment = 0.5 * before * near_part * near_part + (cell_moment + shift)
        moment = moment + after * (far_part * gone + 0.5 * far_part * far_part)
        # with near infinite, T is 1 outward from one infinity and 0 beyond the other
        outside = boundless & (jnp.where(upper, near, -near) < 0) & (near != far)
        return tuple(jnp.where(boundless, jnp.where(outside, jnp.inf, 0.0), value) for value in (first, square, moment))

    @compiled
    def icdf(self, q: ArrayLike) -> Float[Array, "..."]:
        """Return the least grid point whose cdf is at least q, up to four rounding errors; zero gradient.

        `icdf(cdf(y))` is y where the cdf increases. For arguments and edge cases see `Distribution.icdf`.
        """
        (q,) = self._outcomes(q)
        slack = 1 - _ULPS * float(jnp.finfo(self.dtype).eps)
        return self._stepped_down(super().icdf(q), q, lambda half: self.base.cdf(half) >= q * slack)

    @compiled
    def isf(self, s: ArrayLike) -> Float[Array, "..."]:
        """Return the least grid point with survival function at most s, up to four rounding errors; zero gradient."""
        (s,) = self._outcomes(s)
        slack = 1 + _ULPS * float(jnp.finfo(self.dtype).eps)
        return self._stepped_down(super().isf(s), s, lambda half: self.base.survival_function(half) <= s * slack)

    def _stepped_down(self, y, p, enough):
        """y, or the grid point below it if that already satisfies `enough`.

        A probability p above 1/2 has the precision of its own side, but its quantile comes from the other tail.
        """
        inside = (p > 0.5) & (p < 1) & jnp.isfinite(y)
        at = jnp.where(inside, y, 0.0)
        index = self._index(at)[0] - 1
        moved = inside & enough(self._half(at, index, 1)) & ~self._fine(at)
        return jax.lax.stop_gradient(jnp.where(moved, self._point(at, index), y))

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        """The least grid point whose cdf is at least `mass` (`upper`: whose survival function is at most `mass`).

        The grid point nearest to the base's quantile, corrected by one step where rounding missed it.
        """
        mass = jax.lax.stop_gradient(mass)
        upper = jnp.broadcast_to(upper, mass.shape)
        x = jax.lax.stop_gradient(self.base._quantile(mass, upper))
        finite = jnp.isfinite(x)
        at = jnp.where(finite, x, 0.0)
        width, origin = self._grid(at.ndim)
        ratio = (at - origin) / width
        fine = jnp.abs(ratio) * float(jnp.finfo(self.dtype).eps) > 0.25
        index = jnp.ceil(jnp.where(fine, 0.0, ratio) - 0.5)
        base, slack = jax.lax.stop_gradient(self.base), _ULPS * float(jnp.finfo(self.dtype).eps)

        half = jnp.stack([self._half(at, index - 1, 1), self._half(at, index, 1)])
        below, above = base.cdf(half), base.survival_function(half)
        # the quantile of 0 is the least point with positive probability
        # compiled programs may round the same cdf differently by an ulp or two
        wanted = mass[None]
        enough = jnp.where(wanted > 0, below >= wanted * (1 - slack), below > 0)
        before, there = jnp.where(upper[None], above <= wanted * (1 + slack), enough)
        index = jnp.where(before, index - 1, jnp.where(there, index, index + 1))
        point = jnp.where(fine, at, origin + index * width)
        return jax.lax.stop_gradient(jnp.where(finite, point, x))

    @compiled
    def _rounded(self, x):
        """The grid point nearest to x."""
        width, origin = self._grid(x.ndim)
        finite = jnp.isfinite(x)
        at = jnp.where(finite, x, 0.0)
        ratio = (at - origin) / width
        fine = jnp.abs(ratio) * float(jnp.finfo(self.dtype).eps) > 0.25
        point = jnp.where(fine, at, origin + jnp.round(jnp.where(fine, 0.0, ratio)) * width)
        return jax.lax.stop_gradient(jnp.where(finite, point, x))

    @functools.partial(jax.jit, static_argnums=2)
    def _draw(self, key, sample_shape):
        """Draws of the base, rounded: their gradient is zero."""
        return self._rounded(self.base._draw(key, sample_shape))

    def _missing(self) -> Bool[Array, "..."]:
        missing = self.base._missing()
        for value in (self.width, self.origin):
            missing = missing if isinstance(value, Constant) else missing | jnp.isnan(value)
        return missing if isinstance(self.width, Constant) else missing | ~(self.width > 0)

    def _grid(self, ndim):
        """Width and origin in the dtype of the base with `ndim` axes."""

        def values(x):
            return pad_rank(np.asarray(x).astype(self.dtype) if isinstance(x, Constant) else x, ndim)

        width, origin = values(self.width), values(self.origin)
        return (width if isinstance(self.width, Constant) else jnp.where(width > 0, width, 1.0)), origin

    def _index(self, y):
        """Index of the largest grid point at most y, and whether y equals that point up to rounding; no gradient."""
        y = jax.lax.stop_gradient(y)
        width, origin = jax.lax.stop_gradient(self._grid(y.ndim))
        finite = jnp.isfinite(y)
        ratio = (jnp.where(finite, y, 0.0) - origin) / width
        ratio = jnp.where(jnp.isfinite(ratio), ratio, 0.0)
        nearest = jnp.round(ratio)
        size = jnp.where(jnp.abs(nearest) > jnp.abs(origin / width), jnp.abs(nearest), jnp.abs(origin / width))
        on_grid = finite & (jnp.abs(ratio - nearest) <= _ULPS * float(jnp.finfo(y.dtype).eps) * size)
        return jnp.where(on_grid, nearest, jnp.floor(ratio)), on_grid

    def _point(self, y, index):
        """The grid point with that index, near y; y itself where the grid is finer than the dtype's spacing."""
        width, origin = self._grid(y.ndim)
        return jnp.where(self._fine(y), y, origin + index * width)

    def _half(self, y, index, sign):
        """The end, on the side of `sign`, of the cell with that index; an infinite y stays infinite."""
        width, origin = self._grid(y.ndim)
        fine = self._fine(y) | jnp.isinf(y)
        return jnp.where(fine, y + sign * 0.5 * width, origin + (index + sign * 0.5) * width)

    def _fine(self, y):
        width, origin = self._grid(y.ndim)
        ratio = (jnp.where(jnp.isfinite(y), y, 0.0) - origin) / width
        return jnp.abs(ratio) * float(jnp.finfo(y.dtype).eps) > 0.25

    def _upper_end(self, y):
        """The point x of the base with P(Y <= y) = F(x)."""
        return self._half(y, self._index(y)[0], 1)

    def _lower_end(self, y):
        """The point x of the base with P(Y < y) = F(x)."""
        index, on_grid = self._index(y)
        return self._half(y, jnp.where(on_grid, index - 1, index), 1)

    @property
    def _has_atoms(self) -> bool:
        return True

    def _atom_below(self, y: Array) -> Array:
        return jnp.where(jnp.isfinite(y), self._point(y, self._index(y)[0]), y)

    def _at_grid(self, y: Array) -> Array:
        index, on_grid = self._index(y)
        return jnp.where(on_grid, self._point(y, index), y)


def grid_parameter(name: str, value: Any, base: Distribution, positive: bool) -> Constant | Array:
    """Return a grid's width or origin: a number as a constant, an array or traced value as a leaf of the batch shape.

    Raises:
        InputError: as in `Quantized`.
    """
    if isinstance(value, Constant):
        return value
    expected = "a positive finite number" if positive else "a finite number"
    if not is_traced(value) and not isinstance(value, jax.Array):
        array = np.asarray(value, dtype=np.float64)
        if not (np.all(np.isfinite(array)) and (not positive or np.all(array > 0))):
            raise InputError(f"{name} must be {expected}, got {array.tolist()}")
        if array.ndim == 0:
            return Constant(array)
    array = jnp.asarray(value).astype(base.dtype)
    if broadcast_batch(base=base.batch_shape, **{name: array.shape}) != base.batch_shape:
        raise InputError(f"{name} {array.shape}: expected to broadcast to the base's {base.batch_shape}")
    return jnp.broadcast_to(array, base.batch_shape)
