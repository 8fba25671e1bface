"""Integrals of the standard Student-t tail and of its square, in the notation of `student_numerics`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sbp_jax.distributions.numerics import expm1_ratio
from sbp_jax.distributions.student_numerics import (
    SPLIT,
    beyond,
    central,
    exponent,
    exponent_rise,
    interval_rule,
    log_density,
    log_normalizer,
    log_tail,
    tail_rule,
    widening,
)

Integral = Callable[[Array, Array], Array]


def squared_survival_area(
    low: Float[Array, "..."], high: Float[Array, "..."], first: Integral, second: Integral
) -> Float[Array, "..."]:
    """Integral of (1 - F)^2 over [low, high] for a law symmetric about 0.

    Args:
        low: start, may be infinite.
        high: end, at least `low`, may be infinite.
        first: integral of the tail P(T > x) over a finite [a, b] with a >= 0.
        second: integral of its square over [a, b] with a >= 0, where b may be infinite.
    """
    right = second(jnp.where(low > 0, low, 0.0), jnp.where(high > 0, high, 0.0))
    start, stop = jnp.where(high > 0, 0.0, -high), jnp.where(low > 0, 0.0, -low)
    endless, empty = jnp.isinf(stop), jnp.isinf(start)
    a, b = (jnp.where(endless, 0.0, x) for x in (start, stop))
    # (1 - P)^2 on the left, from the length and the two integrals
    left = b - a - 2 * first(a, b) + second(a, b)
    return _positive(right) + jnp.where(empty, 0.0, jnp.where(endless, jnp.inf, _positive(left)))


def tail_area(a: Float[Array, "..."], b: Float[Array, "..."], e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Integral of P(T > x) over [a, b], 0 <= a <= b finite: x P by parts, and the integral of x f in closed form."""
    start, near = exponent(a, e), b < 2 * a
    rise = jnp.where(near, exponent_rise(a, jnp.where(near, b, a), e), exponent(b, e) - start)
    moment = jnp.exp(log_normalizer(e) - (1 - e) * start) * expm1_ratio(e - 1, rise)
    at_a, at_b = log_tail(a, e), log_tail(b, e)
    return (b - a) * jnp.exp(at_b) + a * jnp.exp(at_a) * jnp.expm1(at_b - at_a) + moment


def squared_tail(a: Float[Array, "..."], b: Float[Array, "..."], e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Integral of P(T > x)^2 over [a, b], 0 <= a <= b of one rank, b may be infinite; inf where b is and e >= 2.

    By parts, and with the substitution of the tail, every integral is a single one of positive terms (see `_anchored`
    and `remaining`), so that far tails keep their digits.
    """
    return _squared_tail(*jnp.broadcast_arrays(a, b, e))


@jax.custom_jvp
def _squared_tail(a, b, e):
    return _squared_by_quadrature(a, b, e)


@_squared_tail.defjvp
def _squared_tail_jvp(primals, tangents):
    a, b, e = primals
    value, in_e = jax.jvp(lambda e: _squared_by_quadrature(a, b, e), (e,), (tangents[2],))
    in_e = jnp.where(jnp.isfinite(value), in_e, 0.0)
    finite = jnp.isfinite(b)
    at_a = jnp.exp(2 * log_tail(jnp.where(jnp.isfinite(a), a, 0.0), e))
    at_b = jnp.where(finite, jnp.exp(2 * log_tail(jnp.where(finite, b, 0.0), e)), 0.0)
    return value, in_e + at_b * tangents[1] - jnp.where(jnp.isfinite(a), at_a, 0.0) * tangents[0]


def _squared_by_quadrature(a, b, e):
    split = jnp.full_like(a, SPLIT)
    inner = _central_square(jnp.where(b < split, b, split), e) - _central_square(jnp.where(a < split, a, split), e)
    a, b = jnp.where(a > split, a, split), jnp.where(b > split, b, split)
    endless, empty = jnp.isinf(b), ~(a < b)
    low, high = jnp.where(empty, split, a), jnp.where(endless | empty, 2 * split, b)
    heavy = e > 0.25
    # light tails: what remains beyond each end
    light = jnp.where(heavy, 0.25, e)
    rest = jnp.where(endless, 0.0, remaining(high, light))
    outer_light = remaining(low, light) - rest
    # heavy tails: the leading power in closed form, which alone diverges, and the rest beyond each end
    stout = jnp.where(heavy, e, 1.0)
    start = exponent(low, stout)
    near = high < 2 * low
    rise = jnp.where(near, exponent_rise(low, jnp.where(near, high, low), stout), exponent(high, stout) - start)
    converges = stout < 2
    whole = jnp.where(converges, 1 / jnp.where(converges, 2 - stout, 1.0), jnp.inf)
    power = jnp.where(endless, whole, expm1_ratio(stout - 2, rise))
    leading_power = 2 * jnp.sqrt(stout) * jnp.exp(2 * log_normalizer(stout) - (2 - stout) * start) * power
    rest = jnp.where(endless, 0.0, _anchored(high, stout))
    outer_heavy = leading_power + _anchored(low, stout) - rest
    return inner + jnp.where(empty, 0.0, jnp.where(heavy, outer_heavy, outer_light))


def remaining(t, e):
    """Integral of P(T > x)^2 over x > t for t >= 1/2 and e <= 1/4: P^2 t / kappa^2 times

        e / (2 - e) + integral of 2 (exp(-k w) - e) / k exp(-w) d - (integral of exp(-w) d)^2

    with k = 1 - e and d(w) = 1 - 1 / sqrt(1 + v(w) / t^2): free of the cancellation of
    order t^2 between t P^2 and the first moment times P.
    """
    weights, w = tail_rule(t.ndim, t.dtype)
    r, e_w = (1 / t) ** 2, e[..., None]
    rv = r[..., None] * widening(w, e)
    root = jnp.sqrt(1 + rv)
    weighted = weights * rv / (root * (1 + root))
    log_probability, kappa = beyond(exponent(t, e), r, e)
    mixed = jnp.sum(weighted * (jnp.exp(-(1 - e_w) * w) - e_w), axis=-1) / (1 - e)
    bracket = e / (2 - e) + 2 * mixed - jnp.sum(weighted, axis=-1) ** 2
    return jnp.exp(2 * log_probability) * t * (bracket / kappa**2)


def _anchored(t, e):
    """The same for e > 1/4, without its leading power 2 c^2 sqrt(e) exp(-(2 - e) W) / (2 - e): P^2 t times

        2 / kappa^2 integral of exp(-w) (1 - exp(-k w)) / k (1 / sqrt(1 + v / t^2) - g) - 1

    with g the limit of that root at w = inf, and P(T > x)^2 for e >= 2 understood by continuation in e.
    """
    weights, w = tail_rule(t.ndim, t.dtype)
    r, e_w = (1 / t) ** 2, e[..., None]
    root = jnp.sqrt(1 + r[..., None] * widening(w, e))
    g = jnp.sqrt(e / (e + r))[..., None]
    falls = e_w < 1
    # exp(-2 e w) (1 - exp(-k w)) / k, with exponents that never grow
    decay = jnp.exp(-jnp.where(falls, 2 * e_w, 1 + e_w) * w) * expm1_ratio(jnp.where(falls, e_w - 1, 1 - e_w), w)
    part = jnp.sum(weights * decay / (root * (1 + g * root)), axis=-1) * (r / (e + r))
    log_probability, kappa = beyond(exponent(t, e), r, e)
    return jnp.exp(2 * log_probability) * t * (2 * part / kappa**2 - 1)


def _central_square(t, e):
    """Integral of P(T > x)^2 over [0, t], t <= 1/2: by parts t P^2 + 2 m P + 2 times the integral of m f.

    Here m(x) = c (1 - exp(-(1 - e) W(x))) / (1 - e) is the integral of x f over [0, x].
    """
    x, weights = interval_rule(t)
    e_x = e[..., None]

    def moment(x, e):
        return jnp.exp(log_normalizer(e)) * expm1_ratio(e - 1, exponent(x, e))

    probability = 0.5 - central(t, e)
    rest = t * jnp.sum(weights * moment(x, e_x) * jnp.exp(log_density(x, e_x)), axis=-1)
    return t * probability**2 + 2 * moment(t, e) * probability + 2 * rest


def _positive(area):
    """An area that is not negative but for rounding, with the gradient of the area itself."""
    return area + jax.lax.stop_gradient(jnp.where(area < 0, -area, 0.0))
