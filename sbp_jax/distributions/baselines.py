"""Distributions to compare with, behind the same interface."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr, ndtr, ndtri
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.base import (
    Distribution,
    broadcast_batch,
    check_positive,
    compiled,
    float_dtype,
    keep_nan,
    leading,
    register,
    set_fields,
)
from sbp_jax.distributions.numerics import log1mexp

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Normal(Distribution):
    """Gaussian with mean `loc` and standard deviation `scale`.

    Args:
        loc: [...], in the unit of the outcome.
        scale: [...], positive, in the unit of the outcome.
    Raises:
        InputError: the shapes of the two do not broadcast, or a Python or NumPy scale is not positive.
    """

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]

    def __init__(self, loc: ArrayLike, scale: ArrayLike) -> None:
        check_positive(scale, "scale")
        dtype = float_dtype(loc, scale)
        mu, sigma = jnp.asarray(loc, dtype=dtype), jnp.asarray(scale, dtype=dtype)
        batch = broadcast_batch(loc=mu.shape, scale=sigma.shape)
        set_fields(self, loc=jnp.broadcast_to(mu, batch), scale=jnp.broadcast_to(sigma, batch))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.loc.shape

    @property
    def dtype(self) -> jnp.dtype:
        return self.loc.dtype

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """-z^2 / 2 - log scale - log(2 pi) / 2 with z = (y - loc) / scale."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        return keep_nan(y, jnp.where(finite, _log_density(z) - jnp.log(leading(self.scale, y.ndim)), -jnp.inf))

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Phi(z)."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        return keep_nan(y, jnp.where(finite, ndtr(z), jnp.where(y > 0, 1.0, 0.0)))

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Phi(-z)."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        return keep_nan(y, jnp.where(finite, ndtr(-z), jnp.where(y > 0, 0.0, 1.0)))

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """log Phi(z)."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        return keep_nan(y, jnp.where(finite, log_ndtr(z), jnp.where(y > 0, 0.0, -jnp.inf)))

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """log Phi(-z)."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        return keep_nan(y, jnp.where(finite, log_ndtr(-z), jnp.where(y > 0, -jnp.inf, 0.0)))

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """log(Phi(b) - Phi(a)), from the nearer tail; a narrow interval by Gauss-Legendre quadrature of the density.

        With h = b - a and m the middle, Phi(b) - Phi(a) = phi(m) times the integral of exp(-m t - t^2 / 2) over
        [-h/2, h/2]: where h (1 + |m|) < 1 twelve nodes give it to machine precision, and the difference of log-cdfs
        would lose digits. -inf with zero gradient where low >= high.
        """
        low, high = self._outcomes(low, high)
        loc, scale = leading(self.loc, low.ndim), leading(self.scale, low.ndim)
        ordered = high > low
        finite = ordered & jnp.isfinite(low) & jnp.isfinite(high)
        a, b = jnp.where(finite, low, loc), jnp.where(finite, high, loc + scale)
        width, middle = (b - a) / scale, (0.5 * (a - loc) + 0.5 * (b - loc)) / scale
        narrow = finite & (width * (1 + jnp.abs(middle)) < 1)
        h, m = jnp.where(narrow, width, 0.5), jnp.where(narrow, middle, 0.0)
        nodes, weights = np.polynomial.legendre.leggauss(12)
        t = 0.5 * h[..., None] * leading(nodes.astype(self.dtype), h.ndim, 1)
        ratio = jnp.sum(
            leading(0.5 * weights.astype(self.dtype), h.ndim, 1) * jnp.exp(-t * (m[..., None] + 0.5 * t)), axis=-1
        )
        value_narrow = _log_density(m) + jnp.log(h) + jnp.log(ratio)

        wide = ordered & ~narrow
        z_low, low_finite = self._standardize(jnp.where(wide, low, loc))
        z_high, high_finite = self._standardize(jnp.where(wide, high, loc + scale))
        flip = jnp.where(low_finite, z_low, -1.0) + jnp.where(high_finite, z_high, 1.0) > 0
        near, near_finite = jnp.where(flip, -z_low, z_high), jnp.where(flip, low_finite, high_finite)
        far, far_finite = jnp.where(flip, -z_high, z_low), jnp.where(flip, high_finite, low_finite)
        log_near = jnp.where(near_finite, log_ndtr(near), 0.0)
        log_far = jnp.where(far_finite, log_ndtr(far), -jnp.inf)
        value_wide = log_near + log1mexp(log_near - log_far)
        value = jnp.where(narrow, value_narrow, jnp.where(wide, value_wide, -jnp.inf))
        return keep_nan(low, keep_nan(high, value))

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """loc."""
        return self.loc

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """scale^2."""
        return self.scale**2

    @compiled
    def crps(self, y: ArrayLike) -> Float[Array, "..."]:
        """scale (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)): Gneiting and Raftery (2007), equation 21."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        value = z * (ndtr(z) - ndtr(-z)) + 2 * jnp.exp(_log_density(z)) - 1 / math.sqrt(math.pi)
        return keep_nan(y, jnp.where(finite, leading(self.scale, y.ndim) * value, jnp.inf))

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        inside = mass > 0
        z = jnp.where(inside, ndtri(jnp.where(inside, mass, 0.5)), -jnp.inf)
        return leading(self.loc, mass.ndim) + leading(self.scale, mass.ndim) * jnp.where(upper, -z, z)

    def _standardize(self, y):
        """(y - loc) / scale with infinite outcomes replaced by loc, and where y is finite."""
        finite = jnp.isfinite(y)
        loc = leading(self.loc, y.ndim)
        return (jnp.where(finite, y, loc) - loc) / leading(self.scale, y.ndim), finite


def _log_density(z):
    return -0.5 * z * z - _HALF_LOG_TWO_PI
