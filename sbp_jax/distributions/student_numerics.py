"""Numerics of the standard Student-t distribution in its inverse degrees of freedom e = 1 / df; e = 0 is the Gaussian.

With W(t) = log(1 + e t^2) / (2 e), the density is c exp(-(1 + e) W) and the tail is, with v(w) = (1 - exp(-2 e w)) / e,

    P(T > t) = c exp(-W) sqrt(e + 1/t^2) kappa,   kappa = integral over w > 0 of exp(-w) / sqrt(1 + v(w) / t^2)

docs/explanation/numerics.md derives the quadrature rules for kappa.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jaxtyping import Array, Float

from sbp_jax.distributions.numerics import expm1_ratio, log1p_ratio
from sbp_jax.distributions.pytrees import pad_rank

# t at which the tail's rule takes over from the density's
SPLIT = 0.5
# step of the trapezoidal rule, smallest and largest w in use
_RULES = {jnp.dtype(jnp.float64): (0.22, 1e-18, 38.0)}
_RULE_DEFAULT = (0.4, 1e-9, 19.0)
# log(Gamma(x + 1/2) / (Gamma(x) sqrt(x))) in powers of 1 / x: DLMF 5.11.8, error 1e-15 for x >= 10
_GAMMA_RATIO = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432, 691 / 180224, -5461 / 425984)
_GAMMA_SHIFT = 10
_NEWTON_STEPS = 6


def exponent(t: Float[Array, "..."], e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return W(t) = log(1 + e t^2) / (2 e); no overflow of t^2 where e t^2 > 1."""
    t, e = jnp.broadcast_arrays(jnp.abs(t), e)
    large = e * t * t > 1
    near = log1p_ratio(2 * e, 0.5 * jnp.where(large, 0.0, t) ** 2)
    t, e = jnp.where(large, t, 1.0), jnp.where(large, e, 1.0)
    far = (2 * jnp.log(t) + jnp.log(e) + jnp.log1p(1 / (e * t) / t)) / (2 * e)
    return jnp.where(large, far, near)


def exponent_rise(a: Float[Array, "..."], b: Float[Array, "..."], e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return W(b) - W(a) for |b| near |a|, from (b - a)(b + a): the difference would cancel."""
    unit = jax.lax.stop_gradient(jnp.where(jnp.abs(a) > 1, jnp.abs(a), 1.0))
    inner, outer = a / unit, b / unit
    return log1p_ratio(2 * e, 0.5 * (outer - inner) * (outer + inner) / ((1 / unit) ** 2 + e * inner * inner))


def log_normalizer(e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return log c = log(Gamma((df + 1) / 2) / (Gamma(df / 2) sqrt(pi df))), without cancellation of log-gammas.

    A series in 2 / df. Where df / 2 is below 10, the recurrence of the gamma function first raises it by 10.
    """
    low = 2 * e * _GAMMA_SHIFT > 1
    x = 0.5 / jnp.where(low, e, 1.0)
    reciprocal = jnp.where(low, 1 / (x + _GAMMA_SHIFT), jnp.where(low, 0.0, 2 * e))
    square = reciprocal * reciprocal
    series = jnp.full_like(square, _GAMMA_RATIO[-1])
    for coefficient in reversed(_GAMMA_RATIO[:-1]):
        series = series * square + coefficient
    ratio = jnp.sqrt((x + _GAMMA_SHIFT) / x)
    for k in range(_GAMMA_SHIFT):
        ratio = ratio * ((x + k) / (x + (k + 0.5)))
    return reciprocal * series + jnp.where(low, jnp.log(ratio), 0.0) - 0.5 * math.log(2 * math.pi)


def mean_exponent(e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return E[(1 + e) W(T)] = (x + 1/2) (psi(x + 1/2) - psi(x)) with x = df / 2; 1/2 at e = 0.

    The recurrence of the digamma function raises x by 10; each step adds a positive term
    1 / (2 (x + k) (x + k + 1/2)). The rest is the derivative of the series of `log_normalizer`. All terms are written
    in r = 1 / x, so that e = 0 needs no special case.
    """
    r = 2 * e
    reciprocal = r / (1 + _GAMMA_SHIFT * r)
    square = reciprocal * reciprocal
    coefficients = [-(2 * m + 1) * c for m, c in enumerate(_GAMMA_RATIO)]
    series = jnp.full_like(square, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        series = series * square + coefficient
    total = (0.5 + reciprocal * series) / (1 + _GAMMA_SHIFT * r)
    for k in range(_GAMMA_SHIFT):
        total = total + 0.5 * r / (1 + k * r) / (1 + (k + 0.5) * r)
    return (1 + 0.5 * r) * total


def log_density(t: Float[Array, "..."], e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return log c - (1 + e) W(t)."""
    return log_normalizer(e) - (1 + e) * exponent(t, e)


def log_tail(t: Float[Array, "..."], e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return log P(T > t) for finite t >= 0."""
    return _log_tail(*jnp.broadcast_arrays(t, e))


@jax.custom_jvp
def _log_tail(t, e):
    return _tail_by_quadrature(t, e)


@_log_tail.defjvp
def _log_tail_jvp(primals, tangents):
    t, e = primals
    value = _log_tail(t, e)
    _, in_e = jax.jvp(lambda e: _tail_by_quadrature(t, e), (e,), (tangents[1],))
    return value, in_e - hazard(t, e) * tangents[0]


def hazard(t: Float[Array, "..."], e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the density over P(T > t) for finite t >= 0: 1 / ((e t + 1 / t) kappa) beyond 1/2, no cancellation."""
    far = t > SPLIT
    outer, inner = jnp.where(far, t, SPLIT), jnp.where(far, 0.0, t)
    weights, w = tail_rule(t.ndim, t.dtype)
    kappa = jnp.sum(weights / jnp.sqrt(1 + ((1 / outer) ** 2)[..., None] * widening(w, e)), axis=-1)
    near = jnp.exp(log_density(inner, e)) / (0.5 - central(inner, e))
    return jnp.where(far, 1 / ((e * outer + 1 / outer) * kappa), near)


def _tail_by_quadrature(t, e):
    far = t > SPLIT
    outer = jnp.where(far, t, SPLIT)
    tail, _ = beyond(exponent(outer, e), (1 / outer) ** 2, e)
    return jnp.where(far, tail, _within(jnp.where(far, 0.0, t), e))


def tail_quantile(mass: Float[Array, "..."], e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the t >= 0 with P(T > t) = mass in (0, 1/2]; inf, without gradient, where it overflows.

    Newton's method on log P(T > t) in the variable z with z^2 / 2 = W(t), in which every tail is nearly Gaussian: 6
    steps converge to rounding for df >= 0.05 and every mass. Derivatives use the implicit function theorem.
    """
    return _tail_quantile(*jnp.broadcast_arrays(mass, e))


@jax.custom_jvp
def _tail_quantile(mass, e):
    log_mass = jnp.log(mass)

    def step(_, z):
        t = _point(z, e)
        far = t > SPLIT
        tail, kappa = beyond(0.5 * z * z, jnp.where(far, 1 / jnp.where(far, t, 1.0) ** 2, 1.0), e)
        t = jnp.where(far, 0.0, t)
        within = _within(t, e)
        # -d log P / dz: z / kappa beyond SPLIT, the hazard times dt / dz = z exp(e z^2) / t below it
        speed = jnp.where(t > 0, z / jnp.where(t > 0, t, 1.0), 1.0) * jnp.exp(jnp.where(far, 0.0, e * z * z))
        slope = jnp.where(far, z / kappa, jnp.exp(log_density(t, e) - within) * speed)
        moved = z + (jnp.where(far, tail, within) - log_mass) / slope
        return jnp.where(moved > 0, moved, 0.0)

    return _point(jax.lax.fori_loop(0, _NEWTON_STEPS, step, jnp.abs(ndtri(mass))), e)


@_tail_quantile.defjvp
def _tail_quantile_jvp(primals, tangents):
    mass, e = primals
    t = _tail_quantile(mass, e)
    finite = jnp.isfinite(t)
    at = jnp.where(finite, t, 1.0)
    _, in_e = jax.jvp(lambda e: _log_tail(at, e), (e,), (tangents[1],))
    return t, jnp.where(finite, (in_e - tangents[0] / mass) / hazard(at, e), 0.0)


def beyond(rise, r, e):
    """Return log P(T > t) and kappa, from W(t) and r = 1 / t^2."""
    weights, w = tail_rule(rise.ndim, rise.dtype)
    kappa = jnp.sum(weights / jnp.sqrt(1 + r[..., None] * widening(w, e)), axis=-1)
    return log_normalizer(e) - rise + 0.5 * jnp.log(e + r) + jnp.log(kappa), kappa


def central(t, e):
    """Return the integral of the density over [0, t], t <= 1/2."""
    x, weights = interval_rule(t)
    return t * jnp.sum(weights * jnp.exp(log_density(x, e[..., None])), axis=-1)


def _within(t, e):
    return jnp.log1p(-2 * central(t, e)) - math.log(2)


def _point(z, e):
    """t with W(t) = z^2 / 2."""
    size = e * z * z
    large = size > 1
    near = jnp.sqrt(2 * expm1_ratio(2 * e, jnp.where(large, 0.0, 0.5 * z * z)))
    far = jnp.exp(0.5 * size) * jnp.sqrt(-jnp.expm1(-jnp.where(large, size, 1.0)) / jnp.where(large, e, 1.0))
    return jnp.where(large, far, near)


def widening(w, e):
    """Return v(w) = (1 - exp(-2 e w)) / e, with the nodes along the last axis."""
    return 2 * expm1_ratio(-2 * e[..., None], w)


def tail_rule(ndim, dtype):
    """Return weights times exp(-w) and nodes w of the tail's rule, with `ndim` leading axes."""
    step, smallest, largest = _RULES.get(jnp.dtype(dtype), _RULE_DEFAULT)
    s = step * np.arange(-round(8 / step), round(8 / step))
    w = np.exp(s - 0.1 * np.exp(-s))
    weights = step * w * (1 + 0.1 * np.exp(-s)) * np.exp(-w)
    in_range = (w > smallest) & (w < largest)
    return pad_rank(weights[in_range].astype(dtype), ndim, 1), pad_rank(w[in_range].astype(dtype), ndim, 1)


def interval_rule(t):
    """Return nodes [..., 20] in [0, t] and weights that sum to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    unit = pad_rank((0.5 + 0.5 * nodes).astype(t.dtype), t.ndim, 1)
    return t[..., None] * unit, pad_rank((0.5 * weights).astype(t.dtype), t.ndim, 1)
