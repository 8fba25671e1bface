"""The distribution of an outcome clipped to bounds."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.base import Distribution, broadcast_to
from sbp_jax.distributions.cells import Sums, boundary, joined
from sbp_jax.distributions.pytrees import Constant, broadcast_batch, compiled, is_traced, pad_rank, register, set_fields
from sbp_jax.errors import InputError


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Censored(Distribution):
    """Distribution of Y = min(max(X, low), high): that of X between the bounds, with an atom at each bound.

        P(Y = low) = P(X <= low)    P(Y = high) = P(X >= high)    P(Y <= y) = F(y) for low <= y < high, 1 for y >= high

    The dominating measure is Lebesgue measure plus counting measure at the bounds: `log_prob` is a log-density between
    the bounds and a log-probability at them. With a `Quantized` base, the measure counts the grid points and the
    bounds, and every `log_prob` is a log-probability: values for the two kinds of base are not comparable. A bound that
    is not on the base's grid still has an atom, with probability P(X >= high) or P(X <= low).

    Every method is exact if the base's methods are. Gradients flow into the bounds: the derivative of the mean with
    respect to `high` is P(X > high).

    Args:
        base: distribution of X, batch shape [...].
        low: lower bound, in the unit of the outcome; None or -inf for no bound.
        high: upper bound; None or inf for no bound. Elements of an array may be infinite. Numbers become constants of
            the distribution; arrays and traced values become leaves of the pytree. The batch shape is the broadcast
            shape of all three.
    Raises:
        InputError: shapes do not broadcast, low >= high where neither is traced, or a Python or NumPy bound is NaN.
            JAX arrays are not checked for NaN; invalid bounds that are not checked give NaN.

    Example:
        >>> yards = Censored(Quantized(Normal(5.3, 9.0)), high=12.0)
        >>> yards.log_prob(12.0)  # log P(X >= 12) = log P(touchdown)
        >>> yards.pit_bounds(12.0)  # (P(Y < 12), 1)
    """

    base: Distribution
    low: Constant | Float[Array, "..."] | None
    high: Constant | Float[Array, "..."] | None

    def __init__(
        self, base: Distribution, low: ArrayLike | Constant | None = None, high: ArrayLike | Constant | None = None
    ) -> None:
        if not isinstance(base, Distribution):
            raise InputError(f"base must be a distribution of sbp_jax, got {type(base).__name__}")
        low, high = checked_bound("low", low, base), checked_bound("high", high, base)
        known = [np.asarray(x) for x in (low, high) if x is not None and not is_traced(x)]
        shapes = {name: x.shape for name, x in (("low", low), ("high", high)) if x is not None}
        batch = broadcast_batch(base=base.batch_shape, **shapes)
        if len(known) == 2 and not np.all(known[0] < known[1]):
            raise InputError(f"low must be below high, got low {known[0].tolist()} and high {known[1].tolist()}")

        def wide(bound):
            return bound if bound is None or isinstance(bound, Constant) else jnp.broadcast_to(bound, batch)

        set_fields(self, base=broadcast_to(base, batch), low=wide(low), high=wide(high))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.base.batch_shape

    @property
    def dtype(self) -> jnp.dtype:
        return self.base.dtype

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log f(y) between the bounds, log P(X <= low), log P(X >= high) at them; -inf, no gradient, outside."""
        (y,) = self._outcomes(y)
        low, high = self._bounds(y.ndim)
        at = self.base._at_grid(y)
        on_low, on_high = (at == self.base._at_grid(b) for b in (low, high))
        on_low, on_high = on_low & jnp.isfinite(low), on_high & jnp.isfinite(high)
        inside = (at > low) & (at < high) & ~on_low & ~on_high
        value = self.base.log_prob(jnp.where(inside, y, self._inner(low, high)))
        value = jnp.where(inside, value, -jnp.inf)
        if self.low is not None:
            value = jnp.where(on_low, self.base.log_cdf(jnp.where(jnp.isfinite(low), low, 0.0)), value)
        if self.high is not None:
            value = jnp.where(on_high, self.base.log_survival_left(jnp.where(jnp.isfinite(high), high, 0.0)), value)
        return self._known(value, y)

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(Y <= y): 0 where y < low, 1 where y >= high."""
        return self._between(y, self.base.cdf, 0.0, 1.0, False)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(Y > y): 1 where y < low, 0 where y >= high."""
        return self._between(y, self.base.survival_function, 1.0, 0.0, False)

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y <= y)."""
        return self._between(y, self.base.log_cdf, -jnp.inf, 0.0, False)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y > y)."""
        return self._between(y, self.base.log_survival_function, 0.0, -jnp.inf, False)

    @compiled
    def cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(Y < y): 0 where y <= low, 1 where y > high."""
        return self._between(y, self.base.cdf_left, 0.0, 1.0, True)

    @compiled
    def log_cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y < y)."""
        return self._between(y, self.base.log_cdf_left, -jnp.inf, 0.0, True)

    @compiled
    def log_survival_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Y >= y)."""
        return self._between(y, self.base.log_survival_left, 0.0, -jnp.inf, True)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return log P(low < Y <= high): the base's value, with an end at or beyond a bound moved to infinity."""
        low, high = self._outcomes(low, high)
        least, most = self._bounds(low.ndim)
        below, above = self._is_below(low, least), ~self._is_below(high, most)
        some = (low < high) & self._is_below(low, most) & ~self._is_below(high, least)
        start = jnp.where(some, jnp.where(below, -jnp.inf, low), 0.0)
        stop = jnp.where(some, jnp.where(above, jnp.inf, high), 1.0)
        value = self.base.interval_log_prob(start, stop)
        return self._known(jnp.where(some, value, -jnp.inf), low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """Return c plus the integral of 1 - F from c to high, minus that of F from low to c; c is the median of Y."""
        center, (above, _), (below, _) = self._halves()
        value = center + above - below
        for bound, tail in self._tails_at_bounds():
            value = value + _shifted(bound, tail)
        return self._known(value)

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return the variance of Y.

        2 times the integrals of |x - c| (1 - F) from c to high and of |x - c| F from low to c, minus (mean - c)^2.
        """
        center, (above, second_above), (below, second_below) = self._halves()
        second = 2 * (second_above + second_below)
        finite = jnp.isfinite(second)
        shift = jnp.where(finite, above, 0.0) - jnp.where(finite, below, 0.0)
        value = jnp.where(finite, second - shift * shift, second)
        mean = jax.lax.stop_gradient(jnp.where(finite, center + shift, 0.0))
        for bound, tail in self._tails_at_bounds():
            known = jnp.where(jnp.isfinite(bound), bound, mean)
            value = value + jnp.where(finite, 2 * (known - mean) * _shifted(bound, tail), 0.0)
        return self._known(value)

    def _tails_at_bounds(self):
        """Each given bound and the base's probability beyond it, a function of the bound."""
        low, high = self._bounds(len(self.batch_shape))
        upper = [] if self.high is None else [(high, self.base.survival_function)]
        return upper if self.low is None else [*upper, (low, self.base.cdf)]

    def _halves(self):
        """The median between the bounds, and the integral of T and its moment above and below it, without gradient.

        Gradients with respect to the bounds use closed forms, because a median beyond a bound leaves no window to
        differentiate.
        """
        ndim = len(self.batch_shape)
        low, high = jax.lax.stop_gradient(self._bounds(ndim))
        center = jax.lax.stop_gradient(jnp.broadcast_to(self.base.median(), self.batch_shape))
        center = jnp.where(jnp.isfinite(center), center, 0.0)
        center = jnp.where(center < low, low, jnp.where(center > high, high, center))
        low, high = jnp.broadcast_to(low, center.shape), jnp.broadcast_to(high, center.shape)
        return center, self.base._tail_areas(center, high, True), self.base._tail_areas(center, low, False)

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        """Length before the first bound going outward, where T is 1, and the base's areas up to the other bound."""
        low, high = self._bounds(near.ndim)
        near, far, low, high = jnp.broadcast_arrays(near, far, low, high)
        start, stop = (jnp.where(x < low, low, jnp.where(x > high, high, x)) for x in (near, far))
        sign = 1 if upper else -1
        first, moment = self.base._tail_areas(start, stop, upper)
        passed = jnp.where(sign * (far - start) < 0, far, start)
        before = jnp.where(sign * (passed - near) > 0, sign * (passed - near), 0.0)
        shift = jnp.where(before > 0, before * jnp.where(before > 0, first, 0.0), 0.0)
        return before + first, 0.5 * before * before + moment + shift

    def _knots(self, ndim: int) -> list[Array]:
        """The base's knots, clipped to the bounds."""
        low, high = self._bounds(ndim)
        knots = [jnp.where(k < low, low, jnp.where(k > high, high, k)) for k in self.base._knots(ndim)]
        inner = knots or [self._inner(low, high)]
        first = [] if self.low is None else [jnp.where(jnp.isfinite(low), low, inner[0])]
        last = [] if self.high is None else [jnp.where(jnp.isfinite(high), high, inner[-1])]
        return [*first, *knots, *last]

    def _breaks(self, ndim: int) -> list[Array]:
        low, high = self._bounds(ndim)
        points = [jnp.where(x < low, low, jnp.where(x > high, high, x)) for x in self.base._breaks(ndim)]
        bounds = [bound for bound, given in ((low, self.low), (high, self.high)) if given is not None]
        return points + bounds

    @property
    def _has_atoms(self) -> bool:
        return True

    def _atom_below(self, y: Array) -> Array:
        low, high = self._bounds(y.ndim)
        atom = self.base._atom_below(y)
        atom = jnp.where(atom > low, atom, -jnp.inf)
        return jnp.where(y >= high, high, jnp.where(y >= low, jnp.where(atom > low, atom, low), -jnp.inf))

    def _cell_areas(self, near: Array, step: Array, length: Array, upper: bool) -> Sums:
        """Cells with midpoints before the first bound, where T is 1, and the base's cells up to the other bound."""
        sign = 1 if upper else -1
        first, last = self._bounds(near.ndim)[::sign]
        start, stop = (boundary(jnp.where(jnp.isfinite(b), sign * (b - near), 0.0), step) for b in (first, last))
        start = jnp.where(jnp.isfinite(first) & (start > 0), jnp.where(start < length, start, length), 0.0)
        stop = jnp.where(jnp.isfinite(last) & (stop < length), jnp.where(stop > start, stop, start), length)
        sums = self.base._cell_areas(near + sign * start, step, stop - start, upper)
        return joined((start, start, 0.5 * start * start), (start, sums))

    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """The base's area between the bounds, plus the length above the upper bound."""
        start, stop, least, most = self._clipped(low, high)
        del least
        beyond = jnp.where(high > most, high - jnp.where(low > most, low, most), 0.0)
        return self.base._squared_cdf_area(start, stop) + jnp.where(low < high, beyond, 0.0)

    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """The base's area between the bounds, plus the length below the lower bound."""
        start, stop, least, _ = self._clipped(low, high)
        before = jnp.where(low < least, jnp.where(high < least, high, least) - low, 0.0)
        return self.base._squared_survival_area(start, stop) + jnp.where(low < high, before, 0.0)

    def _clipped(self, low, high):
        least, most = self._bounds(low.ndim)
        low, high, least, most = jnp.broadcast_arrays(low, high, least, most)
        start, stop = (jnp.where(x < least, least, jnp.where(x > most, most, x)) for x in (low, high))
        return start, stop, least, most

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        return self._clip(self.base._quantile(mass, upper))

    @functools.partial(jax.jit, static_argnums=2)
    def _draw(self, key, sample_shape):
        """Draws of the base, clipped to the bounds; a clipped draw has the gradient of its bound."""
        return self._clip(self.base._draw(key, sample_shape))

    @compiled
    def _clip(self, x):
        low, high = self._bounds(x.ndim)
        value = jnp.where(x < low, low, jnp.where(x > high, high, x))
        return self._known(jnp.where(jnp.isnan(x), x, value))

    def _missing(self) -> Bool[Array, "..."]:
        low, high = self._bounds(len(self.batch_shape))
        # NaN bounds compare false
        return self.base._missing() | ~(low < high)

    def _bounds(self, ndim):
        """The bounds in the base's dtype with `ndim` axes, infinite where there is none."""

        def values(bound, default):
            if bound is None:
                return jnp.full((1,) * ndim, default, self.dtype)
            return pad_rank(np.asarray(bound).astype(self.dtype) if isinstance(bound, Constant) else bound, ndim)

        return values(self.low, -jnp.inf), values(self.high, jnp.inf)

    def _inner(self, low, high):
        """A finite point between the bounds, a stand-in for outcomes outside."""
        return jnp.where(jnp.isfinite(low), low, jnp.where(jnp.isfinite(high), high, 0.0))

    def _is_below(self, y, bound):
        """y < bound, except where both are the same grid point up to rounding."""
        return self.base._at_grid(y) < self.base._at_grid(bound)

    def _between(self, y, method, below, above, left):
        """`method` of the base between the bounds, `below` and `above` elsewhere; `left` selects left limits."""
        (y,) = self._outcomes(y)
        low, high = self._bounds(y.ndim)
        if left:
            is_below, is_above = ~self._is_below(low, y), self._is_below(high, y)
        else:
            is_below, is_above = self._is_below(y, low), ~self._is_below(y, high)
        outside = is_below | is_above | jnp.isnan(y)
        value = method(jnp.where(outside, self._inner(low, high), y))
        return self._known(jnp.where(is_below, below, jnp.where(is_above, above, value)), y)

    def _at_grid(self, y: Array) -> Array:
        return self.base._at_grid(y)


def checked_bound(name: str, bound: Any, base: Distribution) -> Constant | Array | None:
    """Return a number as a constant, an array or traced value as a leaf; InputError if a concrete bound is NaN."""
    if bound is None or isinstance(bound, Constant):
        return bound
    if not is_traced(bound) and not isinstance(bound, jax.Array):
        array = np.asarray(bound, dtype=np.float64)
        if np.any(np.isnan(array)):
            raise InputError(f"{name} must not be NaN, got {array.tolist()}")
        if array.ndim == 0:
            return Constant(array)
    return jnp.asarray(bound).astype(base.dtype)


def _shifted(bound, tail):
    """0, whose derivative in the bound is P(X beyond the bound) where the bound is finite."""
    finite = jnp.isfinite(bound)
    bound = jnp.where(finite, bound, 0.0)
    return jnp.where(finite, jax.lax.stop_gradient(tail(bound)) * (bound - jax.lax.stop_gradient(bound)), 0.0)
