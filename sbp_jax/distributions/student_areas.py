"""Integrals of the standard Student-t tail and of its square, in the notation of `student_numerics`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
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
# 1 / df above which the leading power of the squared tail is split off
_HEAVY = 0.25


def squared_survival_area(
    low: Float[Array, "..."], high: Float[Array, "..."], first: Integral, second: Integral
) -> Float[Array, "..."]:
    """Return the integral of (1 - F)^2 over [low, high] for a distribution symmetric about 0.

    Args:
        low: start, may be infinite.
        high: end, at least `low`, may be infinite.
        first: integral of the tail P(T > x) over a finite [a, b] with a >= 0.
        second: integral of the squared tail over [a, b] with a >= 0, where b may be infinite; called with an extra
            axis.
    """
    start, stop = jnp.where(high > 0, 0.0, -high), jnp.where(low > 0, 0.0, -low)
    endless, empty = jnp.isinf(stop), jnp.isinf(start)
    a, b = (jnp.where(endless, 0.0, x) for x in (start, stop))
    # both sides in one call: each copy of the quadrature is compiled separately
    right, square = second(jnp.stack([jnp.where(low > 0, low, 0.0), a]), jnp.stack([jnp.where(high > 0, high, 0.0), b]))
    # (1 - P)^2 on the left, from the length and the two integrals
    left = b - a - 2 * first(a, b) + square
    return _positive(right) + jnp.where(empty, 0.0, jnp.where(endless, jnp.inf, _positive(left)))


def tail_area(a: Float[Array, "..."], b: Float[Array, "..."], e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the integral of P(T > x) over [a, b], 0 <= a <= b finite: x P by parts plus the integral of x f."""
    start, near = exponent(a, e), b < 2 * a
    rise = jnp.where(near, exponent_rise(a, jnp.where(near, b, a), e), exponent(b, e) - start)
    moment = jnp.exp(log_normalizer(e) - (1 - e) * start) * expm1_ratio(e - 1, rise)
    at_a, at_b = log_tail(a, e), log_tail(b, e)
    return (b - a) * jnp.exp(at_b) + a * jnp.exp(at_a) * jnp.expm1(at_b - at_a) + moment


def squared_tail(a: Float[Array, "..."], b: Float[Array, "..."], e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the integral of P(T > x)^2 over [a, b]; 0 <= a <= b have the same rank, and b may be infinite.

    inf where b is inf and e >= 2. By parts, and with the substitution of the tail, every integral is a single integral
    (see `remaining`) without cancellation, so that far tails keep full precision.
    """
    return _squared_tail(*jnp.broadcast_arrays(a, b, e))


@jax.custom_jvp
def _squared_tail(a, b, e):
    return _squared_by_quadrature(a, b, e)


@_squared_tail.defjvp
def _squared_tail_jvp(primals, tangents):
    a, b, e = primals
    value, diverges = _squared_tail(a, b, e), jnp.isinf(b) & (e >= 2)
    safe_e = jnp.where(diverges, 1.0, e)
    _, in_e = jax.jvp(lambda e: _squared_by_quadrature(a, b, e), (safe_e,), (jnp.where(diverges, 0.0, tangents[2]),))
    finite = jnp.isfinite(b)
    at_a = jnp.exp(2 * log_tail(jnp.where(jnp.isfinite(a), a, 0.0), e))
    at_b = jnp.where(finite, jnp.exp(2 * log_tail(jnp.where(finite, b, 0.0), e)), 0.0)
    return value, in_e + at_b * tangents[1] - jnp.where(jnp.isfinite(a), at_a, 0.0) * tangents[0]


def _squared_by_quadrature(a, b, e):
    split = jnp.full_like(a, SPLIT)
    before = _central_square(jnp.stack([jnp.where(a < split, a, split), jnp.where(b < split, b, split)]), e[None])
    a, b = jnp.where(a > split, a, split), jnp.where(b > split, b, split)
    endless, empty = jnp.isinf(b), ~(a < b)
    low = jnp.where(empty, split, a)
    high = jnp.where(endless | empty, low, b)
    heavy = e > _HEAVY
    beyond_low, beyond_high = remaining(jnp.stack([low, high]), e[None])
    rest = beyond_low - jnp.where(endless, 0.0, beyond_high)
    # the leading power of a heavy tail, the only divergent term, from one end to the other
    stout = jnp.where(heavy, e, 1.0)
    start = exponent(low, stout)
    near = high < 2 * low
    rise = jnp.where(near, exponent_rise(low, jnp.where(near, high, low), stout), exponent(high, stout) - start)
    converges = stout < 2
    total = jnp.where(converges, 1 / jnp.where(converges, 2 - stout, 1.0), jnp.inf)
    power = jnp.where(endless, total, expm1_ratio(stout - 2, rise))
    power = 2 * jnp.sqrt(stout) * jnp.exp(2 * log_normalizer(stout) - (2 - stout) * start) * power
    return before[1] - before[0] + jnp.where(empty, 0.0, jnp.where(heavy, rest + power, rest))


def remaining(t: Float[Array, "..."], e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the integral of P(T > x)^2 over x > t for t >= 1/2 and e <= 1/4: P^2 t / kappa^2 times

        e / (2 - e) + integral of 2 (exp(-k w) - e) / k exp(-w) d - (integral of exp(-w) d)^2

    with k = 1 - e and d(w) = 1 - 1 / sqrt(1 + v(w) / t^2): free of the cancellation of order t^2 between t P^2 and the
    first moment times P. For e > 1/4 it excludes the leading power 2 c^2 sqrt(e) exp(-(2 - e) W) / (2 - e), and is
    P^2 t times

        2 / kappa^2 integral of exp(-w) (1 - exp(-k w)) / k (1 / sqrt(1 + v / t^2) - g) - 1

    with g the limit of that root at w = inf. By continuation it also holds for e >= 2, where the integral diverges.
    """
    t, e = jnp.broadcast_arrays(t, e)
    weights, w = tail_rule(t.ndim, t.dtype)
    r, heavy = (1 / t) ** 2, e > _HEAVY
    rv = r[..., None] * widening(w, e)
    root = jnp.sqrt(1 + rv)
    log_probability, kappa = beyond(exponent(t, e), r, e)

    light = jnp.where(heavy, _HEAVY, e)
    weighted = weights * rv / (root * (1 + root))
    mixed = jnp.sum(weighted * (jnp.exp(-(1 - light[..., None]) * w) - light[..., None]), axis=-1) / (1 - light)
    of_light = (light / (2 - light) + 2 * mixed - jnp.sum(weighted, axis=-1) ** 2) / kappa**2

    stout = jnp.where(heavy, e, 1.0)
    g, k = jnp.sqrt(stout / (stout + r))[..., None], 1 - stout[..., None]
    # exp(-2 e w) (1 - exp(-k w)) / k, with exponents that never grow
    decay = jnp.exp(-jnp.where(k > 0, 2 - 2 * k, 2 - k) * w) * expm1_ratio(jnp.where(k > 0, -k, k), w)
    part = jnp.sum(weights * decay / (root * (1 + g * root)), axis=-1) * (r / (stout + r))
    of_heavy = 2 * part / kappa**2 - 1
    return jnp.exp(2 * log_probability) * t * jnp.where(heavy, of_heavy, of_light)


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
    """An area clipped at 0 against rounding errors, with the gradient of the area itself."""
    return area + jax.lax.stop_gradient(jnp.where(area < 0, -area, 0.0))


def tail_areas(low: Array, high: Array, e: Array) -> tuple[Array, Array]:
    """Return the integrals of P(T > x) and (x - low) P(T > x) over [low, high]; low is finite, high may be infinite.

    For infinite high, inf where 1 / e <= 1, or <= 2 for the second.
    """
    low, high, e = jnp.broadcast_arrays(low, high, e)
    middle = jnp.where(high < 0, high, 0.0)
    behind = jnp.where(low < 0, middle - low, 0.0)
    start = jnp.where(low > 0, low, 0.0)
    stop = jnp.where(high > start, high, start)
    # the mirrored window below 0, and the window above 0
    a, b = jnp.stack([jnp.where(low < 0, -middle, 0.0), start]), jnp.stack([jnp.where(low < 0, -low, 0.0), stop])
    (mirrored, first), (about, moment) = _first(a, b, e[None]), _moment(a, b, e[None])
    shift = jnp.where(behind > 0, behind * jnp.where(behind > 0, first, 0.0), 0.0)
    return behind - mirrored + first, 0.5 * behind * behind - (behind * mirrored - about) + (moment + shift)


def _first(a, b, e):
    """Integral of P(T > x) over [a, b], 0 <= a <= b, b may be infinite."""
    endless, light = jnp.isinf(b), e < 1
    safe_e = jnp.where(light, e, 0.5)
    total = jnp.exp(log_normalizer(safe_e) - (1 - safe_e) * exponent(a, safe_e)) / (1 - safe_e)
    total = total - a * jnp.exp(log_tail(a, safe_e))
    return jnp.where(endless, jnp.where(light, total, jnp.inf), tail_area(a, jnp.where(endless, a, b), e))


def _moment(a, b, e):
    """Integral of (x - a) P(T > x) over [a, b]: twelve Gauss-Legendre nodes on pieces that grow with the distance.

    The ends of the pieces start at the tail's decay length at a and grow fourfold, up to a million scales. Beyond, the
    tail is a power.
    """
    decay = jnp.where(a > 1, jnp.where(e < 1, e, 1.0) * a + 1 / jnp.where(a > 1, a, 1.0), 1.0)
    decay = jax.lax.stop_gradient(decay)
    ends = jnp.asarray(_MOMENT_ENDS, a.dtype).reshape(-1, *(1,) * a.ndim) * decay[None]
    width = jnp.where(b > a, b - a, 0.0)
    ends = jnp.where(ends < width[None], ends, width[None])
    length = (ends[1:] - ends[:-1])[:, None]
    nodes, weights = np.polynomial.legendre.leggauss(12)
    shape = (1, 12, *(1,) * a.ndim)
    distance = ends[:-1, None] + length * jnp.asarray(0.5 + 0.5 * nodes, a.dtype).reshape(shape)
    value = jnp.exp(log_tail(a[None, None] + distance, e[None, None]))
    within = jnp.sum(length * jnp.asarray(0.5 * weights, a.dtype).reshape(shape) * distance * value, axis=(0, 1))
    # beyond: x^(1 - df) and x^-df from x = start
    gone = ends[-1]
    start, some = a + gone, width > gone
    start = jnp.where(some, start, 1.0)
    df = 1 / jnp.where(e > 0, e, 1.0)
    rise = jnp.log(jnp.where(some & jnp.isfinite(b), b, start) / start)
    endless = some & jnp.isinf(b)

    def power(order):
        converges = df > order
        closed = jnp.where(converges, 1 / jnp.where(converges, df - order, 1.0), jnp.inf)
        return jnp.where(endless, closed, expm1_ratio(order - df, rise))

    at = jnp.where(some & (e > 0), jnp.exp(log_tail(start, e)), 0.0) * start
    present = at > 0
    first, second = (jnp.where(present, power(order), 0.0) for order in (1, 2))
    beyond = at * (start * second) - jnp.where(jnp.isfinite(second), a * at * jnp.where(present, first, 0.0), 0.0)
    return within + beyond


# ends of the pieces in units of the tail's decay at the start
_MOMENT_ENDS = (0.0, 0.75, 1.5, 2.5, 4.0, 6.0, 9.0, 14.0, *(14.0 * 4.0**k for k in range(1, 9)))
