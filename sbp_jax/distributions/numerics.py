"""Elementary functions whose naive forms give a wrong value or gradient; each docstring names the failure it avoids."""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# Value of |x| below which a Taylor series replaces the closed form, and the number of terms. Cancellation gives the
# closed forms of the derivatives a relative error of about 2 eps / |x|; that of the truncated series is |x|**terms.
_SERIES = {jnp.dtype(jnp.float64): (0.02, 10)}
_SERIES_DEFAULT = (0.1, 9)


def log1p_ratio(xi: Float[Array, "..."], u: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return log(1 + xi u) / xi, with its limit u at xi = 0.

    The naive form is 0/0 at xi = 0. Its derivative in xi, a difference of nearly equal terms divided by xi, is wrong by
    25 % in float32 where |xi u| = 1e-6. Both the value and the derivatives use a series where |xi u| is small.

    Args:
        xi: any real number.
        u: number with 1 + xi u > 0; same rank as `xi`.

    Returns:
        The ratio, broadcast; infinite where 1 + xi u = 0; NaN outside the domain: mask `u` before the call. It is
        finite where xi u overflows. A derivative that overflows is the largest float, so that multiplying it by zero
        gives zero.
    """
    return _log1p_ratio(*jnp.broadcast_arrays(xi, u))


@jax.custom_jvp
def _log1p_ratio(xi, u):
    x = xi * u
    small, x_small, terms = _split(x)
    series = _polynomial(x_small, [(-1) ** n / (n + 1) for n in range(terms)])
    huge = jnp.isinf(x)
    logarithm = jnp.where(huge, _log_abs(xi, huge) + _log_abs(u, huge), jnp.log1p(jnp.where(small | huge, 1.0, x)))
    return jnp.where(small, u * series, logarithm / jnp.where(small, 1.0, xi))


def _log_abs(x, where):
    return jnp.log(jnp.abs(jnp.where(where, x, 1.0)))


@_log1p_ratio.defjvp
def _log1p_ratio_jvp(primals, tangents):
    xi, u = primals
    dxi, du = tangents
    x = xi * u
    small, x_small, terms = _split(x)
    value = _log1p_ratio(xi, u)
    slope = 1 / (1 + x)
    series = u * u * _polynomial(x_small, [(-1) ** (n + 1) * (n + 1) / (n + 2) for n in range(terms)])
    # u / (1 + x) is 1 / xi where x overflows
    inner = jnp.where(jnp.isinf(x), 1 / jnp.where(jnp.isinf(x), xi, 1.0), u * slope)
    closed = (jnp.where(small, 1.0, inner) - jnp.where(small, 1.0, value)) / jnp.where(small, 1.0, xi)
    return value, saturated(jnp.where(small, series, closed)) * dxi + saturated(slope) * du


def expm1_ratio(xi: Float[Array, "..."], v: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return (exp(xi v) - 1) / xi, with its limit v at xi = 0; the inverse of `log1p_ratio` in its second argument.

    The naive form is 0/0 at xi = 0, and its derivative in xi loses digits to cancellation where |xi v| is small. Both
    the value and the derivatives use a series there.

    Args:
        xi: any real number.
        v: finite number; same rank as `xi`.
    Returns:
        The ratio, broadcast; infinite where exp(xi v) overflows.
    """
    return _expm1_ratio(*jnp.broadcast_arrays(xi, v))


@jax.custom_jvp
def _expm1_ratio(xi, v):
    x = xi * v
    small, x_small, terms = _split(x)
    series = _polynomial(x_small, [1 / math.factorial(n + 1) for n in range(terms)])
    return jnp.where(small, v * series, jnp.expm1(jnp.where(small, 1.0, x)) / jnp.where(small, 1.0, xi))


@_expm1_ratio.defjvp
def _expm1_ratio_jvp(primals, tangents):
    xi, v = primals
    dxi, dv = tangents
    x = xi * v
    small, x_small, terms = _split(x)
    value = _expm1_ratio(xi, v)
    slope = jnp.exp(x)
    series = v * v * _polynomial(x_small, [(n + 1) / math.factorial(n + 2) for n in range(terms)])
    # (v exp(x) - value) / xi with the common factor pulled out: no inf - inf where exp(x) overflows
    xi_safe = jnp.where(small, 1.0, xi)
    x_safe = jnp.where(small, 1.0, x)
    rising = slope * (x_safe + jnp.expm1(-jnp.abs(x_safe)))
    closed = jnp.where(x_safe > 0, rising, jnp.where(slope > 0, x_safe * slope, 0.0) - jnp.expm1(x_safe))
    return value, saturated(jnp.where(small, series, closed / xi_safe / xi_safe)) * dxi + saturated(slope) * dv


def quotient(z: Float[Array, "..."], scale: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return z / scale for scale > 0, with the largest float instead of inf in the value and the derivatives.

    The naive derivative in the scale overflows long before the quotient does, and inf times a factor of zero is NaN.
    """
    return _quotient(*jnp.broadcast_arrays(z, scale))


@jax.custom_jvp
def _quotient(z, scale):
    return saturated(z / scale)


@_quotient.defjvp
def _quotient_jvp(primals, tangents):
    z, scale = primals
    value = _quotient(z, scale)
    return value, saturated(1 / scale) * tangents[0] - saturated(value / scale) * tangents[1]


def saturated(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return x with infinities replaced by the largest float of the same sign; NaN stays NaN."""
    largest = float(jnp.finfo(x.dtype).max)
    return jnp.where(jnp.isinf(x), jnp.sign(x) * largest, x)


def log1mexp(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return log(1 - exp(-x)) for x >= 0, following Maechler (2012), "Accurately computing log(1 - exp(-|a|))".

    The naive form loses all digits where x is small or large, and its gradient is NaN at x = 0 and x = inf.

    Returns:
        The logarithm; -inf with zero gradient where x <= 0, and 0 with zero gradient at x = inf.
    """
    return _log1mexp(x)


@jax.custom_jvp
def _log1mexp(x):
    positive = x > 0
    x = jnp.where(positive, x, 1.0)
    near = x < math.log(2)
    value = jnp.where(
        near, jnp.log(-jnp.expm1(-jnp.where(near, x, 0.5))), jnp.log1p(-jnp.exp(-jnp.where(near, 1.0, x)))
    )
    return jnp.where(positive, value, -jnp.inf)


@_log1mexp.defjvp
def _log1mexp_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    positive = x > 0
    slope = 1 / jnp.expm1(jnp.where(positive, x, 1.0))
    return _log1mexp(x), jnp.where(positive, slope, 0.0) * dx


def log1p_shortfall(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return x - log(1 + x) >= 0 for x >= -1; inf at -1.

    Where |x| is small, cancellation gives the naive form a relative error of 2 eps / |x|; a series replaces it there.
    """
    return _log1p_shortfall(x)


@jax.custom_jvp
def _log1p_shortfall(x):
    small, x_small, terms = _split(x)
    series = _polynomial(x_small, [(-1) ** n / (n + 2) for n in range(terms)])
    return jnp.where(small, x * x_small * series, x - jnp.log1p(jnp.where(small, 1.0, x)))


@_log1p_shortfall.defjvp
def _log1p_shortfall_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _log1p_shortfall(x), saturated(x / (1 + x)) * dx


def safe_log(p: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return log p; -inf with zero gradient for p <= 0, where the naive gradient is inf, and NaN after masking."""
    positive = p > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, p, 1.0)), -jnp.inf)


def log_sum(*terms: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the log of the sum of exp(terms).

    Where all terms are -inf, the result is -inf with zero gradient; the gradient of `jnp.logaddexp` is NaN there.
    """
    peak = jax.lax.stop_gradient(functools.reduce(jnp.maximum, terms))
    peak = jnp.where(jnp.isfinite(peak), peak, 0.0)
    return safe_log(sum((jnp.exp(each - peak) for each in terms), jnp.zeros_like(peak))) + peak


def term(tau, value):
    """Return tau times value, and 0 where tau is 0, whatever the value; an infinite value has no gradient."""
    finite = (tau > 0) & jnp.isfinite(value)
    return jnp.where(finite, tau * jnp.where(finite, value, 0.0), jnp.where(tau > 0, value, 0.0))


def log_term(tau, value):
    """Return log tau plus value, and -inf with zero gradient where tau is 0."""
    return jnp.where(tau > 0, safe_log(tau) + jnp.where(tau > 0, value, 0.0), -jnp.inf)


def _split(x):
    """Return the mask of the series, its argument (0 elsewhere, to keep powers finite), and its number of terms."""
    limit, terms = _SERIES.get(x.dtype, _SERIES_DEFAULT)
    small = jnp.abs(x) < limit
    return small, jnp.where(small, x, 0.0), terms


def _polynomial(x, coefficients):
    """Evaluate a polynomial by Horner's rule; the coefficients are in order of increasing powers."""
    total = jnp.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def standardize(
    y: Float[Array, "..."], loc: Float[Array, "..."], scale: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Bool[Array, "..."]]:
    """Return (y - loc) / scale, set to 0 where it is not finite, and the mask of finite values.

    The derivative of the plain quotient has scale^2 in its denominator, which underflows: NaN at a scale of 1e-30.
    """
    y, loc, scale = jnp.broadcast_arrays(y, loc, scale)
    finite = jax.lax.stop_gradient(jnp.isfinite((y - loc) / scale))
    return _standardize(jnp.where(finite, y, 0.0), jnp.where(finite, loc, 0.0), jnp.where(finite, scale, 1.0)), finite


@jax.custom_jvp
def _standardize(y, loc, scale):
    return (y - loc) / scale


@_standardize.defjvp
def _standardize_jvp(primals, tangents):
    (_, _, scale), (dy, dloc, dscale) = primals, tangents
    z = _standardize(*primals)
    return z, (dy - dloc) / scale - z * (dscale / scale)


def lambert_w(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the Lambert W function of z >= 0, the w >= 0 with w exp(w) = z, accurate to rounding.

    Take two steps of the fourth-order iteration of Fritsch, Shafer and Crowley (1973) from an approximation within 3 %.
    The residual log(z / w) - w loses no digits for tiny or huge z. The derivative is exp(-w) / (1 + w).

    Returns:
        w; 0 with slope 1 at 0, inf at inf, NaN for z < 0.
    """
    return _lambert_w(z)


@jax.custom_jvp
def _lambert_w(z):
    inside = (z > 0) & (z < jnp.inf)
    at = jnp.where(inside, z, 1.0)
    logarithm = jnp.log1p(at)
    w = logarithm * (1 - jnp.log1p(logarithm) / (2 + logarithm))
    for _ in range(2):
        residual = jnp.log(at / w) - w
        q = 2 * (1 + w) * (1 + w + 2 / 3 * residual)
        w = w * (1 + residual / (1 + w) * (q - residual) / (q - 2 * residual))
    return jnp.where(inside, w, jnp.where(z >= 0, z, jnp.nan))


@_lambert_w.defjvp
def _lambert_w_jvp(primals, tangents):
    (z,), (dz,) = primals, tangents
    w = _lambert_w(z)
    large = (w > 1) & (w < jnp.inf)
    slope = jnp.where(large, w / jnp.where(large, z, 1.0), jnp.exp(-w)) / (1 + w)
    return w, slope * dz
