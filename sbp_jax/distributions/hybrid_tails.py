"""One generalized Pareto tail of a hybrid distribution, in units of the scale and measured outward."""

import dataclasses
import math

import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.baselines import standard_squared_survival_area, tail_area
from sbp_jax.distributions.gaussian_areas import tail_areas
from sbp_jax.distributions.numerics import lambert_w, log1mexp
from sbp_jax.distributions.pareto import GeneralizedPareto


@dataclasses.dataclass(frozen=True)
class Tail:
    """Junction r, distribution of the excess over r, and `body`, the Gaussian probability Phi(r) below r.

    For a missing tail, r is infinite and `body` is 0, and so is the tail's probability.
    """

    r: Array
    dist: GeneralizedPareto
    body: Array
    exists: bool

    def split(self, z: Float[Array, "..."]) -> tuple[Bool[Array, "..."], Float[Array, "..."]]:
        """Return whether z is in this tail, and its excess over the junction (0 outside)."""
        inside = z > self.r
        return inside, jnp.where(inside, z - jnp.where(inside, self.r, 0.0), 0.0)


def tail_of(xi: Float[Array, "..."]) -> Tail:
    """Return the tail of shape xi > -1: r exp(r^2 / 2) = (1 + xi) / sqrt(2 pi), scale sqrt(2 pi) exp(r^2 / 2)."""
    xi = jnp.where(xi > -1, xi, 0.0)
    squared = lambert_w((1 + xi) ** 2 / (2 * math.pi))
    r = jnp.sqrt(squared)
    return Tail(r, GeneralizedPareto(xi, math.sqrt(2 * math.pi) * jnp.exp(0.5 * squared)), ndtr(r), True)


def no_tail(ndim: int, dtype: jnp.dtype) -> Tail:
    """Return the missing tail, with `ndim` axes."""
    zero = jnp.zeros((1,) * ndim, dtype)
    return Tail(zero + jnp.inf, GeneralizedPareto(zero, zero + 1), zero, False)


def log_interval(
    tail: Tail, start: Float[Array, "..."], stop: Float[Array, "..."], width: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Return the excess distribution's log-probability between start and stop; -inf where it has no mass.

    width = stop - start. By threshold stability the excess over start is again generalized Pareto, so only `width` is
    subtracted.
    """
    beyond, excess = tail.split(start)
    reached, end = tail.split(stop)
    endless = jnp.isinf(excess)
    excess = jnp.where(endless, 0.0, excess)
    log_survival = tail.dist.log_survival_function(excess)
    inside = reached & ~endless & (log_survival > -jnp.inf)
    # the distribution's support may end before `start`
    scale = jnp.where(inside, tail.dist.scale + tail.dist.shape * excess, 1.0)
    remaining = GeneralizedPareto(jnp.broadcast_to(tail.dist.shape, scale.shape), jnp.where(scale > 0, scale, 1.0))
    length = jnp.where(inside, jnp.where(beyond, width, end), 1.0)
    value = jnp.where(inside, log_survival, 0.0) + log1mexp(remaining.cumulative_hazard(length))
    return jnp.where(inside, value, -jnp.inf)


def outward_quantile(near: Tail, far: Tail, weight: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the point with probability weight / gamma beyond it on the side of `near`."""
    in_near = (weight < 1) & near.exists
    left = near.body + far.body - weight
    in_far = (left < 0) & far.exists
    in_body = ~(in_near | in_far)
    outside = (weight <= 0) & in_near
    hazard = jnp.where(outside, jnp.inf, -jnp.log(jnp.where(in_near & ~outside, weight, 0.5)))
    inner = jnp.where(in_body, weight - near.body, 0.5)
    body = jnp.where(inner > 0, -ndtri(jnp.where(inner > 0, inner, 0.5)), jnp.inf)
    across = far.dist.excess_at(-jnp.log1p(jnp.where(in_far, left, -0.5)))
    outer = jnp.where(in_near, near.r, 0.0) + near.dist.excess_at(hazard)
    across = -(jnp.where(in_far, far.r, 0.0) + across)
    return jnp.where(in_near, outer, jnp.where(in_far, across, body))


def squared_cdf_area(
    lower: Tail, upper: Tail, log_total: Array, low: Float[Array, "..."], high: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Return the integral of F^2 over [low, high], by a closed form on each piece; either end may be infinite.

    F is S_l / gamma in the lower tail, (Phi(r_l) + Phi(z)) / gamma in the body and 1 - S_u / gamma in the upper tail.
    """
    _, a = lower.split(-high)
    _, b = lower.split(-low)
    # divide by gamma before adding, so that only the area itself may overflow
    inverse_gamma = jnp.exp(-log_total)
    square = inverse_gamma * inverse_gamma
    total = square * lower.dist.survival_area(2, a, b) if lower.exists else jnp.zeros_like(low)
    # a body without an upper tail is integrated as 1 - Phi(-z) / gamma above its middle
    junction = upper.r if upper.exists else jnp.zeros_like(upper.r)
    start, stop = (jnp.where(z < -lower.r, -lower.r, jnp.where(z > junction, junction, z)) for z in (low, high))
    total = total + square * standard_squared_survival_area(-stop, -start)
    if lower.exists:
        part = lower.body * inverse_gamma
        total = total + part * part * (stop - start) + 2 * part * inverse_gamma * tail_area(-stop, -start)
    a, b = (jnp.where(z > junction, z - junction, 0.0) for z in (low, high))
    endless, empty = jnp.isinf(b), jnp.isinf(a)
    a, b = jnp.where(endless, 0.0, a), jnp.where(endless, 0.0, b)
    if upper.exists:
        first, second = upper.dist.survival_area(1, a, b), upper.dist.survival_area(2, a, b)
    else:
        first, second = tail_area(a, b), standard_squared_survival_area(a, b)
    part = b - a - 2 * inverse_gamma * first + square * second
    return total + jnp.where(empty, 0.0, jnp.where(endless, jnp.inf, part))


def tail_areas_between(
    behind: Tail, ahead: Tail, inverse_gamma: Array, low: Float[Array, "..."], high: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Return the integrals of T and (z - low) T over [low, high], low finite, where T is the probability beyond z.

    T is 1 - S / gamma in the tail behind, (Phi(r) + Phi(-z)) / gamma in the body with r the junction ahead, and
    S / gamma in the tail ahead. `inverse_gamma` is 1 / gamma.
    """
    first = moment = jnp.zeros_like(low + high)
    reach = jnp.zeros_like(first)
    if behind.exists:
        _, far = behind.split(-low)
        _, near = behind.split(-high)
        reach = far - near
        area, about = behind.dist.survival_area(1, near, far), behind.dist.survival_moment(near, far)
        first = reach - inverse_gamma * area
        moment = 0.5 * reach * reach - inverse_gamma * (reach * area - about)
    start, stop = (jnp.where(z < -behind.r, -behind.r, z) for z in (low, high))
    if ahead.exists:
        start, stop = (jnp.where(z > ahead.r, ahead.r, z) for z in (start, stop))
    length = jnp.where(stop > start, stop - start, 0.0)
    area, about = tail_areas(start, stop)
    if ahead.exists:
        area, about = area + ahead.body * length, about + 0.5 * ahead.body * length * length
    area, about = inverse_gamma * area, inverse_gamma * about
    distance = jnp.where(start > low, start - low, 0.0)
    first, moment = first + area, moment + about + distance * area
    if ahead.exists:
        _, near = ahead.split(low)
        _, far = ahead.split(high)
        area, about = ahead.dist.survival_area(1, near, far), ahead.dist.survival_moment(near, far)
        distance = jnp.where(ahead.r > low, ahead.r - low, 0.0)
        shift = jnp.where(distance > 0, distance * jnp.where(distance > 0, area, 0.0), 0.0)
        first, moment = first + inverse_gamma * area, moment + inverse_gamma * (about + shift)
    return first, moment
