"""Gaussian body with generalized Pareto tails, matched in density value and slope: Carreau and Bengio (2009)."""

import abc
import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.baselines import Normal, log_cdf, log_density
from sbp_jax.distributions.hybrid_tails import (
    Tail,
    log_interval,
    no_tail,
    outward_quantile,
    squared_cdf_area,
    tail_areas_between,
    tail_of,
)
from sbp_jax.distributions.location import LocationScale
from sbp_jax.distributions.numerics import log_sum, safe_log, standardize
from sbp_jax.distributions.pytrees import check_positive, compiled, pad_rank, register, set_parameters
from sbp_jax.errors import InputError


class _Hybrid(LocationScale):
    """Common base of both variants, which differ only in their tails.

    Let r = sqrt(W) at each junction, that is r exp(r^2 / 2) = (1 + xi) / sqrt(2 pi), and let the tail's scale, in units
    of the body's, be b = sqrt(2 pi) exp(r^2 / 2). There both densities are phi(r) = 1 / b and both logarithmic slopes
    are -r. Each tail has probability 1 / gamma; the body has the Gaussian probability between the junctions over gamma.
    """

    @abc.abstractmethod
    def _shapes(self) -> tuple[Array | None, Array | None]:
        """Shapes of the lower and upper tails; None for a missing tail."""

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log f(y); -inf with zero gradient beyond the end of a tail with negative shape."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        lower, upper, log_total = self._parts(y.ndim)
        (in_lower, below), (in_upper, above) = lower.split(-z), upper.split(z)
        body = log_density(jnp.where(in_lower | in_upper, 0.0, z))
        value = jnp.where(in_lower, lower.dist.log_prob(below), jnp.where(in_upper, upper.dist.log_prob(above), body))
        value = value - log_total - jnp.log(pad_rank(self.scale, y.ndim))
        return self._known(jnp.where(finite, value, -jnp.inf), y)

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return F(y), to full precision in the lower tail."""
        (y,) = self._outcomes(y)
        log_below, log_above = self._log_sides(y)
        return self._known(jnp.where(log_below < log_above, jnp.exp(log_below), -jnp.expm1(log_above)), y)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 1 - F(y), to full precision in the upper tail."""
        (y,) = self._outcomes(y)
        log_below, log_above = self._log_sides(y)
        return self._known(jnp.where(log_above < log_below, jnp.exp(log_above), -jnp.expm1(log_below)), y)

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log F(y): log S_l - log gamma in the lower tail, log1p(-S_u / gamma) in the upper."""
        (y,) = self._outcomes(y)
        return self._known(self._log_sides(y)[0], y)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log(1 - F(y)): log1p(-S_l / gamma) in the lower tail, log S_u - log gamma in the upper."""
        (y,) = self._outcomes(y)
        return self._known(self._log_sides(y)[1], y)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return log P(low < Y <= high), summed over tails and body, each without cancellation."""
        low, high = self._outcomes(low, high)
        loc, scale = pad_rank(self.loc, low.ndim), pad_rank(self.scale, low.ndim)
        lower, upper, log_total = self._parts(low.ndim)
        start, stop = self._ends(low), self._ends(high)
        width, finite = standardize(high, low, scale)
        width = jnp.where(finite, width, jnp.where(high > low, jnp.inf, 0.0))
        in_lower, in_upper = stop < -lower.r, start > upper.r
        # an end inside the body is unchanged: a narrow interval keeps the digits of its width
        first = jnp.where(start < -lower.r, loc - scale * _finite(lower.r), low)
        last = jnp.where(stop > upper.r, loc + scale * _finite(upper.r), high)
        inside = ~(in_lower | in_upper)
        body = Normal(loc, scale).interval_log_prob(jnp.where(inside, first, loc), jnp.where(inside, last, loc))
        parts = [
            body,
            log_interval(lower, -stop, -start, width),
            log_interval(upper, start, stop, width),
        ]
        total = log_sum(*parts)
        value = jnp.where(total > -jnp.inf, total - log_total, -jnp.inf)
        return self._known(value, low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """Return loc + scale / gamma (phi(r_l) - phi(r_u) - (r_l + E_l) + (r_u + E_u)).

        E = b / (1 - xi) is the mean of a tail. Infinite where a tail has xi >= 1; NaN, being undefined, where both do.
        """
        mean, beyond = self._standard_mean()
        return self._known(jnp.where(beyond == 0, self.loc + self.scale * mean, beyond))

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return scale^2 times the variance of the standard distribution; inf where a tail has xi >= 1/2."""
        lower, upper, log_total = self._parts(len(self.batch_shape))
        second, finite = jnp.zeros_like(self.loc), jnp.full(self.batch_shape, True)
        # integral of z^2 phi over the body, 1 - P(beyond) - r phi(r) on each side
        second = second + 1
        for tail in (lower, upper):
            if not tail.exists:
                continue
            variance, mean = tail.dist.variance(), tail.dist.mean()
            has = jnp.isfinite(variance)
            finite &= has
            outer = (tail.r + jnp.where(has, mean, 0.0)) ** 2 + jnp.where(has, variance, 0.0)
            second = second + outer - ndtr(-tail.r) - tail.r * jnp.exp(log_density(tail.r))
        mean, _ = self._standard_mean()
        scale = jnp.where(jnp.isfinite(self.scale**2), self.scale, jnp.inf)
        finite &= scale < jnp.inf
        scale = jnp.where(finite, scale, 1.0)
        return self._known(jnp.where(finite, scale**2 * (second * jnp.exp(-log_total) - mean * mean), jnp.inf))

    @compiled
    def entropy(self) -> Float[Array, "..."]:
        """Return log scale + log gamma plus 1 / gamma times the sum of

        1 + xi + log b                                  for each tail, with scale b in units of the body's
        P log(2 pi) / 2 + (P - sum of r phi(r)) / 2     for the body, with Gaussian probability P between junctions r
        """
        lower, upper, log_total = self._parts(len(self.batch_shape))
        mass, moment, tails = jnp.ones_like(self.loc), jnp.zeros_like(self.loc), jnp.zeros_like(self.loc)
        for tail in (lower, upper):
            if tail.exists:
                mass = mass - ndtr(-tail.r)
                moment = moment + tail.r * jnp.exp(log_density(tail.r))
                tails = tails + tail.dist.entropy()
        body = 0.5 * math.log(2 * math.pi) * mass + 0.5 * (mass - moment)
        return self._known(jnp.log(self.scale) + log_total + (tails + body) * jnp.exp(-log_total))

    @compiled
    def mode(self) -> Float[Array, "..."]:
        """Return loc: the junctions lie beyond it, and the density falls in both tails."""
        return self._known(self.loc)

    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        lower, upper, log_total = self._parts(low.ndim)
        area = squared_cdf_area(lower, upper, log_total, self._ends(low), self._ends(high))
        return self._known(self._scaled(area), low, high)

    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """Closed forms, piece by piece; infinite over an unbounded tail with xi >= 2."""
        lower, upper, log_total = self._parts(low.ndim)
        area = squared_cdf_area(upper, lower, log_total, -self._ends(high), -self._ends(low))
        return self._known(self._scaled(area), low, high)

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        """T is S / gamma in the tail ahead, the Gaussian part in the body, and 1 - S / gamma in the tail behind."""
        parts = self._parts(near.ndim)
        behind, ahead = parts[:2][:: 1 if upper else -1]
        sign = 1 if upper else -1
        low, high = sign * self._ends(near), sign * self._ends(far)
        first, moment = tail_areas_between(behind, ahead, jnp.exp(-parts[2]), low, high)
        return self._scaled(first), self._scaled(self._scaled(moment))

    def _knots(self, ndim: int) -> list[Array]:
        """The junctions; loc is within a scale of them."""
        lower, upper, _ = self._parts(ndim)
        loc, scale = pad_rank(self.loc, ndim), pad_rank(self.scale, ndim)
        return [loc + sign * scale * tail.r for tail, sign in ((lower, -1), (upper, 1)) if tail.exists]

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        lower_tail, upper_tail, log_total = self._parts(mass.ndim)
        weight = mass * jnp.exp(log_total)
        below = outward_quantile(lower_tail, upper_tail, weight)
        above = outward_quantile(upper_tail, lower_tail, weight)
        return self._known(self._placed(jnp.where(upper, above, -below)), mass)

    def _standard_mean(self):
        """The mean for loc 0 and scale 1 without infinite tail means, and the sum of those (0 if there are none)."""
        lower, upper, log_total = self._parts(len(self.batch_shape))
        total = beyond = jnp.zeros_like(self.loc)
        for tail, sign in ((lower, -1.0), (upper, 1.0)):
            if tail.exists:
                mean = tail.dist.mean()
                finite = jnp.isfinite(mean)
                total = total + sign * (tail.r + jnp.where(finite, mean, 0.0) - jnp.exp(log_density(tail.r)))
                beyond = beyond + jnp.where(finite, 0.0, sign * jnp.inf)
        return total * jnp.exp(-log_total), beyond

    def _parts(self, ndim: int) -> tuple[Tail, Tail, Array]:
        """The lower and the upper tail with `ndim` axes, and log gamma."""
        lower, upper = (
            no_tail(ndim, self.dtype) if shape is None else tail_of(pad_rank(shape, ndim)) for shape in self._shapes()
        )
        return lower, upper, jnp.log(1 + lower.body + upper.body)

    def _missing(self) -> Bool[Array, "..."]:
        missing = super()._missing()
        for shape in self._shapes():
            missing = missing if shape is None else missing | ~(shape > -1)
        return missing

    def _log_sides(self, y):
        """log F and log(1 - F)."""
        lower, upper, log_total = self._parts(y.ndim)
        z, finite = self._standardize(y)
        above = self._above(y)
        sides = []
        for near, far, sign in ((lower, upper, 1), (upper, lower, -1)):
            (in_near, excess), (in_far, beyond) = near.split(-sign * z), far.split(sign * z)
            inner = jnp.where(in_near | in_far, 0.0, z)
            body = log_sum(safe_log(near.body), log_cdf(sign * inner)) - log_total
            outer = near.dist.log_survival_function(excess) - log_total
            rest = jnp.log1p(-far.dist.survival_function(beyond) * jnp.exp(-log_total))
            value = jnp.where(in_near, outer, jnp.where(in_far, rest, body))
            sides.append(jnp.where(finite, value, jnp.where(above == (sign > 0), 0.0, -jnp.inf)))
        return sides


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class HybridPareto(_Hybrid):
    """Gaussian up to a junction alpha, generalized Pareto beyond, the density continuous in value and slope.

        density   f(y) = phi((y - loc) / scale) / (scale gamma) for y <= alpha, g(y - alpha; xi, beta) / gamma beyond
        alpha = loc + scale sqrt(W),   beta = scale (1 + xi) / sqrt(W),   gamma = 1 + Phi(sqrt(W))

    with W Lambert's function at (1 + xi)^2 / (2 pi). The median lies in the tail, whose probability is 1 / gamma > 1/2.
    An outcome so far from loc that (y - loc) / scale overflows counts as infinite. Source: Carreau and Bengio (2009).

    Args:
        loc: of the Gaussian, [...], in the unit of the outcome.
        scale: of the Gaussian, [...], positive, in the unit of the outcome.
        shape: xi of the tail, [...], above -1: at -1 the density could not have slope 0 at its junction. Device arrays
            are not checked; results are NaN where scale or shape is outside its range.
    Raises:
        InputError: the shapes do not broadcast, or a Python or NumPy scale or shape is outside its range.
    """

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]
    shape: Float[Array, "..."]

    def __init__(self, loc: ArrayLike, scale: ArrayLike, shape: ArrayLike) -> None:
        _set_checked(self, loc=loc, scale=scale, shape=shape)

    def _shapes(self):
        return None, self.shape


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class TwoTailedHybridPareto(_Hybrid):
    """Gaussian between two junctions, generalized Pareto beyond each, the density continuous in value and slope.

    Like `HybridPareto`, with a mirrored tail below loc - scale sqrt(W_l), and
    gamma = 1 + Phi(sqrt(W_l)) + Phi(sqrt(W_u)).

    Args:
        loc: of the Gaussian, [...], in the unit of the outcome.
        scale: of the Gaussian, [...], positive, in the unit of the outcome.
        lower_shape: xi of the lower tail, [...], above -1.
        upper_shape: xi of the upper tail, [...], above -1.
    Raises:
        InputError: the shapes do not broadcast, or a Python or NumPy scale or shape is outside its range.
    """

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]
    lower_shape: Float[Array, "..."]
    upper_shape: Float[Array, "..."]

    def __init__(self, loc: ArrayLike, scale: ArrayLike, lower_shape: ArrayLike, upper_shape: ArrayLike) -> None:
        _set_checked(self, loc=loc, scale=scale, lower_shape=lower_shape, upper_shape=upper_shape)

    def _shapes(self):
        return self.lower_shape, self.upper_shape


def _set_checked(dist: _Hybrid, **parameters: ArrayLike) -> None:
    """Check the parameters and set them as fields."""
    check_positive(parameters["scale"], "scale")
    for name, value in parameters.items():
        if name.endswith("shape") and not isinstance(value, jax.Array) and not np.all(np.asarray(value) > -1):
            raise InputError(f"{name} must be above -1, got {np.asarray(value).tolist()}")
    set_parameters(dist, **parameters)


def _finite(r):
    """A junction, or 0 for a missing tail: inf has a gradient in the scale even where it is not selected."""
    return jnp.where(jnp.isfinite(r), r, 0.0)
