"""The generalized Pareto distribution of excesses over a threshold."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.cells import Sums, boundary, cell_areas, joined
from sbp_jax.distributions.numerics import expm1_ratio, log1mexp, log1p_ratio, quotient, saturated, term
from sbp_jax.distributions.pytrees import check_positive, compiled, pad_rank, register, set_parameters


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class GeneralizedPareto(Distribution):
    """Generalized Pareto distribution of an excess z >= 0 with shape xi (any real number) and scale beta > 0.

    With u = z / beta and the cumulative hazard a = log(1 + xi u) / xi (its limit at xi = 0 is u):

        density   g(z) = exp(-(1 + xi) a) / beta        survival   S(z) = exp(-a)

    Special cases: xi = 0 exponential; xi = -1 uniform on [0, beta]. Support: [0, inf) for xi >= 0 and [0, -beta / xi]
    for xi < 0; outside it the log-density is -inf with zero gradient. If z / beta overflows, the largest
    float is used. Source: Pickands (1975); Coles (2001), 4.2.

    Args:
        shape: xi, [...].
        scale: beta, [...], in the unit of the outcome. Device arrays are not checked; results are NaN where one is not
            positive.
    Raises:
        InputError: the two shapes do not broadcast, or a Python or NumPy scale is not positive.
    """

    shape: Float[Array, "..."]
    scale: Float[Array, "..."]

    def __init__(self, shape: ArrayLike, scale: ArrayLike) -> None:
        check_positive(scale, "scale")
        set_parameters(self, shape=shape, scale=scale)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.shape.shape

    @property
    def dtype(self) -> jnp.dtype:
        return self.shape.dtype

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log g(y) = -log beta - (1 + xi) a.

        -inf with zero gradient for y < 0 and beyond the end of the support. At the end itself, the limit from inside:
        -inf for -1 < xi < 0, -log beta for xi = -1, inf for xi < -1.
        """
        (z,) = self._outcomes(y)
        xi, beta = self._parameters(z)
        inside, _, hazard = self._hazard(z)
        log_beta = jnp.log(beta)
        at_end = jnp.where(xi > -1, -jnp.inf, jnp.where(xi == -1, -log_beta, jnp.inf))
        value = jnp.where(inside, -log_beta - (1 + xi) * hazard, -jnp.inf)
        value = jnp.where((xi < 0) & (xi * quotient(jnp.where(jnp.isinf(z), 0.0, z), beta) == -1), at_end, value)
        return self._known(value, z)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log S(y) = -a; 0 for y <= 0 and -inf from the end of the support on, both with zero gradient."""
        (z,) = self._outcomes(y)
        return self._known(-self.cumulative_hazard(z), z)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return S(y) = exp(-a)."""
        return jnp.exp(self.log_survival_function(y))

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return G(y) = -expm1(-a)."""
        return -jnp.expm1(self.log_survival_function(y))

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log G(y) = log1mexp(a); -inf with zero gradient for y <= 0."""
        (z,) = self._outcomes(y)
        return self._known(log1mexp(self.cumulative_hazard(z)), z)

    @compiled
    def cumulative_hazard(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return a = -log S(y): 0 for y <= 0, inf from the end of the support on."""
        (z,) = self._outcomes(y)
        inside, beyond, hazard = self._hazard(z)
        return self._known(jnp.where(inside, hazard, jnp.where(beyond, jnp.inf, 0.0)), z)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return log(S(low) - S(high)), by threshold stability: an excess over `low` is again generalized Pareto.

            S(low) - S(high) = exp(-a(low)) G(high - low; xi, beta + xi low)

        which avoids subtracting nearly equal numbers. -inf with zero gradient for an interval without mass.
        """
        low, high = self._outcomes(low, high)
        start = jnp.where(low >= 0, low, 0.0)
        inside, _, hazard = self._hazard(start)
        inside &= high > start
        remaining = self._beyond(start, inside)
        width = jnp.where(inside, high - jnp.where(inside, start, 0.0), 0.0)
        value = jnp.where(inside, log1mexp(remaining.cumulative_hazard(width)) - hazard, -jnp.inf)
        return self._known(value, low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """Return beta / (1 - xi) for xi < 1, else inf."""
        finite = self.shape < 1
        return self._known(jnp.where(finite, self.scale / (1 - jnp.where(finite, self.shape, 0.0)), jnp.inf))

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return beta^2 / ((1 - xi)^2 (1 - 2 xi)) for xi < 1/2, else inf; inf without gradient where it overflows."""

        def closed(xi, beta):
            return (beta / (1 - xi)) ** 2 / (1 - 2 * xi)

        light = self.shape < 0.5
        finite = light & jnp.isfinite(closed(jnp.where(light, self.shape, 0.0), self.scale))
        value = closed(jnp.where(finite, self.shape, 0.0), jnp.where(finite, self.scale, 1.0))
        return self._known(jnp.where(finite, value, jnp.inf))

    @compiled
    def entropy(self) -> Float[Array, "..."]:
        """Return log beta + xi + 1, for every xi."""
        return self._known(jnp.log(self.scale) + self.shape + 1)

    @compiled
    def mode(self) -> Float[Array, "..."]:
        """Return 0 for xi >= -1 (at -1 the density is constant on the support), else the end -beta / xi of the support.

        For xi < -1 the density is infinite at that end.
        """
        at_end = self.shape < -1
        return self._known(jnp.where(at_end, self.scale / -jnp.where(at_end, self.shape, -1.0), 0.0))

    @compiled
    def integrated_survival(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the integral of S from 0 to y, 0 for y < 0; the mean at infinity."""
        (z,) = self._outcomes(y)
        return self._known(self.survival_area(1, jnp.zeros_like(z), jnp.where(z > 0, z, 0.0)), z)

    @compiled
    def integrated_squared_survival(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the integral of S^2 from 0 to y, 0 for y < 0; beta / (2 - xi) at infinity for xi < 2, else inf."""
        (z,) = self._outcomes(y)
        return self._known(self.survival_area(2, jnp.zeros_like(z), jnp.where(z > 0, z, 0.0)), z)

    def survival_area(self, power: int, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the integral of S^power over [low, high]; 0 <= low <= high have the same rank, either may be infinite.

        By threshold stability and dz = beta exp(xi a) da, with a the hazard of high - low at scale beta + xi low:

            S(low)^power (beta + xi low) expm1((xi - power) a) / (xi - power)

        without cancellation at any low, and smooth at xi = power. Infinite for high = inf where xi >= power.
        """
        xi, _ = self._parameters(low)
        inside, _, hazard = self._hazard(low)
        remaining = self._beyond(low, inside)
        width = jnp.where(inside, jnp.where(jnp.isinf(high), jnp.inf, high - jnp.where(inside, low, 0.0)), 0.0)
        ahead = remaining.cumulative_hazard(width)
        ended = jnp.isinf(ahead)
        part = expm1_ratio(xi - power, jnp.where(ended, 0.0, ahead))
        converges = xi < power
        start = jnp.exp(-power * hazard) * remaining.scale
        area = start * jnp.where(ended, 1 / jnp.where(converges, power - xi, 1.0), saturated(part))
        area = jnp.where(ended | (area < width), area, width)  # S <= 1; the product may overflow for large xi
        return jnp.where(inside, jnp.where(ended & ~converges, jnp.inf, area), 0.0)

    def survival_moment(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the integral of (z - low) S over [low, high]; 0 <= low <= high of equal rank, either may be infinite.

        With sigma the scale at low, a the hazard of high - low there and E(k) = expm1(k a) / k, it is

            S(low) sigma^2 (E(2 xi - 1) - E(xi - 1)) / xi
            = S(low) sigma^2 (E(2 xi - 1) - E(xi) exp((xi - 1) a)) / (1 - xi)

        in the form that does not cancel at this xi, or by quadrature over a short window (see `_window`). Infinite for
        high = inf where xi >= 1/2.
        """
        xi, _ = self._parameters(low)
        inside, hazard, remaining, width, short = self._window(low, high)
        part = jnp.where(short, width, 0.0)
        nodes, weights, within = _quadrature(remaining, part)
        near = part * (part * jnp.sum(weights * nodes * jnp.exp(-within), axis=0))

        long = inside & ~short
        ahead = remaining.cumulative_hazard(jnp.where(long, width, 0.0))
        ended = long & jnp.isinf(ahead)
        a = jnp.where(ended, 1.0, ahead)
        far = jnp.abs(xi) > 0.5
        k = jnp.where(far, xi, 1.0)
        by_size = (expm1_ratio(2 * k - 1, a) - expm1_ratio(k - 1, a)) / k
        k = jnp.where(far, 0.0, xi)
        by_parts = (expm1_ratio(2 * k - 1, a) - expm1_ratio(k, a) * jnp.exp((k - 1) * a)) / (1 - k)
        converges = xi < 0.5
        k = jnp.where(converges, xi, 0.0)
        value = jnp.where(ended, 1 / ((1 - k) * (1 - 2 * k)), saturated(jnp.where(far, by_size, by_parts)))
        start = jnp.where(inside, jnp.exp(-hazard), 0.0)
        value = jnp.where(long, start * remaining.scale * value * remaining.scale, start * near)
        return jnp.where(ended & ~converges, jnp.inf, value)

    def _window(self, low, high):
        """Whether low is inside the support, its hazard, the excess distribution over low, high - low, and `short`.

        A window is short if the hazard rises by less than 1 / (1 + |xi|) over it: there closed forms cancel, and twelve
        Gauss-Legendre nodes reach 1e-16.
        """
        xi, _ = self._parameters(low)
        inside, _, hazard = self._hazard(low)
        remaining = self._beyond(low, inside)
        width = jnp.where(inside, jnp.where(jnp.isinf(high), jnp.inf, high - jnp.where(inside, low, 0.0)), 0.0)
        return inside, hazard, remaining, width, remaining.cumulative_hazard(width) * (1 + jnp.abs(xi)) < 1

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        """Integrals of S over the part above 0, plus the length below 0; downward, of 1 - S without cancellation."""
        if upper:
            before = jnp.where(near < 0, jnp.where(far < 0, far, 0.0) - near, 0.0)
            low, high = jnp.where(near > 0, near, 0.0), jnp.where(far > 0, far, 0.0)
            first, moment = self.survival_area(1, low, high), self.survival_moment(low, high)
            return before + first, 0.5 * before * before + moment + before * jnp.where(before > 0, first, 0.0)
        low, high = jnp.where(far > 0, far, 0.0), jnp.where(near > 0, near, 0.0)
        inside, hazard, remaining, width, short = self._window(low, high)
        part = jnp.where(inside & short, width, 0.0)
        nodes, weights, within = _quadrature(remaining, part)
        value = weights * -jnp.expm1(-(within + hazard[None]))
        narrow = part * jnp.sum(value, axis=0), part * (part * jnp.sum((1 - nodes) * value, axis=0))
        width = high - low
        first, moment = self.survival_area(1, low, high), self.survival_moment(low, high)
        wide = width - first, 0.5 * width * width - (width * first - moment)
        first, moment = (jnp.where(inside & short, a, b) for a, b in zip(narrow, wide, strict=True))
        return first, moment

    def _knots(self, ndim: int) -> list[Array]:
        return [jnp.zeros((1,) * ndim, self.dtype)]

    def _cell_areas(self, near: Array, step: Array, length: Array, upper: bool) -> Sums:
        """The cells below 0, where S is 1, and those above it."""
        if upper:
            before = boundary(-near, step)
            before = jnp.where(before > 0, jnp.where(before < length, before, length), 0.0)
            sums = self.excess_cells(near + before + 0.5 * step, step, length - before)
            return joined((before, before, 0.5 * before * before), (before, sums))
        # from the innermost cell above 0 outward, in the opposite direction
        inside = boundary(near, step)
        inside = jnp.where(inside > 0, jnp.where(inside < length, inside, length), 0.0)
        sums = self.excess_cells(near - inside + 0.5 * step, step, inside)
        return complement(sums, inside, jnp.ones_like(step))

    def excess_cells(self, start: Array, step: Array, length: Array) -> Sums:
        """Return the sums of `cells` for S over a window of that length or inf; its first midpoint is start >= 0."""
        xi, beta = self._parameters(start)
        # no cell beyond the end of the support, near which S is not smooth: direct terms cover the last cells
        end = boundary(jnp.where(xi < 0, beta / -jnp.where(xi < 0, xi, -1.0), jnp.inf) - start + 0.5 * step, step)
        end = jnp.where(end > 0, end, 0.0)
        length = jnp.where(length < end, length, end)

        def excess(distance):
            return pad_rank(start, distance.ndim) + (distance - pad_rank(0.5 * step, distance.ndim))

        def areas(low, high):
            some = high > low
            low, high = (jnp.where(some, excess(jnp.where(some, d, 0.0)), 0.0) for d in (low, high))
            return self.survival_area(1, low, high), self.survival_area(2, low, high), self.survival_moment(low, high)

        return cell_areas(lambda d: self.survival_function(excess(d)), areas, (), step, length)

    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """Integral of (1 - S)^2 = 1 - 2 S + S^2 over the part above 0."""
        low, high = jnp.where(low > 0, low, 0.0), jnp.where(high > 0, high, 0.0)
        endless = jnp.isinf(high)
        high = jnp.where(endless, low, high)
        area = high - low - 2 * self.survival_area(1, low, high) + self.survival_area(2, low, high)
        return jnp.where(endless, jnp.inf, area)

    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """The length below 0, where S is 1, plus the area above it."""
        negative = jnp.where(high < 0, high, 0.0) - jnp.where(low < 0, low, 0.0)
        return negative + self.survival_area(2, jnp.where(low > 0, low, 0.0), jnp.where(high > 0, high, 0.0))

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        above = jnp.where(mass > 0, -jnp.log(jnp.where(mass > 0, mass, 1.0)), jnp.inf)
        return self.excess_at(jnp.where(upper, above, -jnp.log1p(-mass)))

    def excess_at(self, hazard: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the excess with cumulative hazard a: beta expm1(xi a) / xi; the end of the support where a is inf."""
        xi, beta = self._parameters(hazard)
        finite = jnp.isfinite(hazard)
        end = jnp.where(xi < 0, beta / -jnp.where(xi < 0, xi, -1.0), jnp.inf)
        return jnp.where(finite, beta * expm1_ratio(xi, jnp.where(finite, hazard, 0.0)), end)

    def _missing(self) -> Bool[Array, "..."]:
        """A scale that is not positive is invalid."""
        return super()._missing() | ~(self.scale > 0)

    def _beyond(self, low, inside):
        """The distribution of the excess over `low`, by threshold stability; scale 1 where `low` is outside the
        support."""
        xi, beta = self._parameters(low)
        return GeneralizedPareto(xi, jnp.where(inside, saturated(beta + xi * jnp.where(inside, low, 0.0)), 1.0))

    def _parameters(self, z):
        return pad_rank(self.shape, z.ndim), pad_rank(self.scale, z.ndim)

    def _hazard(self, z):
        """Masks of z inside the support and beyond its upper end, and the hazard inside (0 elsewhere)."""
        xi, beta = self._parameters(z)
        finite = (z >= 0) & (z < jnp.inf)
        u = quotient(jnp.where(finite, z, 0.0), beta)
        # compare the product: with a fused multiply-add, 1 + xi u > 0 may hold where the rounded product is already -1
        inside = finite & (xi * u > -1)
        return inside, (z > 0) & ~inside, log1p_ratio(xi, jnp.where(inside, u, 0.0))


def _quadrature(remaining, width):
    """Gauss-Legendre nodes and weights on [0, 1] along the leading axis, and the hazard at the nodes of [0, width]."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    shape = (12, *(1,) * width.ndim)
    nodes = jnp.asarray(0.5 + 0.5 * nodes, width.dtype).reshape(shape)
    return (
        nodes,
        jnp.asarray(0.5 * weights, width.dtype).reshape(shape),
        remaining.cumulative_hazard(width[None] * nodes),
    )


def complement(sums: Sums, length: Array, mass: Array) -> Sums:
    """Return the sums of `cells` of 1 - mass S toward the threshold, from those of S away from it over one window."""
    first, square, moment = mass * sums[0], mass * mass * sums[1], mass * sums[2]
    return length - first, length - 2 * first + square, 0.5 * length * length - (length * first - moment)


def tail_cells(
    tails: Sequence[GeneralizedPareto],
    masses: Sequence[Array],
    thresholds: Sequence[Array],
    step: Float[Array, "..."],
    length: Float[Array, "..."],
) -> tuple[tuple[Array, Sums], tuple[Array, Sums]]:
    """Return the sums of `cells` in the tail behind and in the tail ahead, in a window outward from a point.

    T is 1 - mass S before the first threshold and mass S beyond the second.

    Args:
        tails: distributions of the excesses, behind and ahead; `masses` and `thresholds` have the same order.
        masses: probabilities of the tails, with the rank of `step`.
        thresholds: their distances outward from the point, increasing, with the rank of `step`.
        step, length: as in `cell_areas`.
    Returns:
        The distance at which the cells behind end with their sums, and the distance from which the cells ahead begin
        with theirs, whose moment is about that distance.
    """
    first, last = thresholds
    start, stop = (boundary(t, step) for t in thresholds)
    start = jnp.where(start > 0, jnp.where(start < length, start, length), 0.0)
    stop = jnp.where(stop > start, jnp.where(stop < length, stop, length), start)
    # excess of the midpoints nearest to both thresholds; one call for both tails
    innermost = jnp.where(start > 0, first - start + 0.5 * step, 0.0)
    outermost = jnp.where(length > stop, stop + 0.5 * step - last, 0.0)
    excess, window, steps = (
        jnp.stack(jnp.broadcast_arrays(x, y)) for x, y in ((innermost, outermost), (start, length - stop), (step, step))
    )
    shapes, scales = zip(*((pad_rank(t.shape, step.ndim), pad_rank(t.scale, step.ndim)) for t in tails), strict=True)
    both = GeneralizedPareto(jnp.stack(shapes), jnp.stack(scales)).excess_cells(excess, steps, window)
    (behind, once), (square, twice), (about, moment) = both
    nearest = complement((behind, square, about), start, masses[0])
    tau = masses[1]
    return (start, nearest), (stop, (term(tau, once), tau * term(tau, twice), term(tau, moment)))
