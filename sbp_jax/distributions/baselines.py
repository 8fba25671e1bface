"""Baseline distributions behind the same interface."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.gaussian_areas import tail_areas
from sbp_jax.distributions.location import LocationScale
from sbp_jax.distributions.numerics import log1mexp, standardize
from sbp_jax.distributions.pytrees import check_positive, compiled, pad_rank, register, set_parameters
from sbp_jax.distributions.student_areas import remaining, squared_survival_area

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
# beyond this z the asymptotic log Phi(-z) = log phi(z) - log z is exact to rounding
_FAR = 1e8


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Normal(LocationScale):
    """Gaussian with mean `loc` and standard deviation `scale`; z = (y - loc) / scale, and phi and Phi are standard.

    An outcome so far from loc that z overflows counts as infinite.

    Args:
        loc: [...], in the unit of the outcome.
        scale: [...], positive, in the unit of the outcome. Device arrays are not checked; results are NaN where one is
            not positive.

    Raises:
        InputError: the two shapes do not broadcast, or a Python or NumPy scale is not positive.
    """

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]

    def __init__(self, loc: ArrayLike, scale: ArrayLike) -> None:
        check_positive(scale, "scale")
        set_parameters(self, loc=loc, scale=scale)

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return -z^2 / 2 - log scale - log(2 pi) / 2 with z = (y - loc) / scale."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        return self._known(jnp.where(finite, log_density(z) - jnp.log(pad_rank(self.scale, y.ndim)), -jnp.inf), y)

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Phi(z)."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        return self._known(jnp.where(finite, ndtr(z), jnp.where(self._above(y), 1.0, 0.0)), y)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Phi(-z)."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        return self._known(jnp.where(finite, ndtr(-z), jnp.where(self._above(y), 0.0, 1.0)), y)

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log Phi(z)."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        return self._known(jnp.where(finite, log_cdf(z), jnp.where(self._above(y), 0.0, -jnp.inf)), y)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log Phi(-z)."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        return self._known(jnp.where(finite, log_cdf(-z), jnp.where(self._above(y), -jnp.inf, 0.0)), y)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return log(Phi(b) - Phi(a)), from the nearer tail or, for a narrow interval, by quadrature of the density.

        With h = b - a and midpoint m, Phi(b) - Phi(a) = phi(m) times the integral of exp(-m t - t^2 / 2) over
        [-h/2, h/2]. Where h (1 + |m|) < 1, twelve Gauss-Legendre nodes give it to machine precision, whereas the
        difference of log-cdfs would lose digits. -inf with zero gradient where low >= high.
        """
        low, high = self._outcomes(low, high)
        ordered = high > low
        z_low, low_finite = self._standardize(low)
        z_high, high_finite = self._standardize(high)
        # z_high - z_low would lose digits of a narrow interval far from loc
        width, width_finite = standardize(high, low, pad_rank(self.scale, low.ndim))
        middle = 0.5 * z_low + 0.5 * z_high
        narrow = ordered & low_finite & high_finite & width_finite & (width * (1 + jnp.abs(middle)) < 1)
        h, m = jnp.where(narrow, width, 0.5), jnp.where(narrow, middle, 0.0)
        nodes, weights = np.polynomial.legendre.leggauss(12)
        t = 0.5 * h[..., None] * pad_rank(nodes.astype(self.dtype), h.ndim, 1)
        ratio = jnp.sum(
            pad_rank(0.5 * weights.astype(self.dtype), h.ndim, 1) * jnp.exp(-t * (m[..., None] + 0.5 * t)), axis=-1
        )
        value_narrow = log_density(m) + jnp.log(h) + jnp.log(ratio)

        wide = ordered & ~narrow
        log_below, log_above = (
            # the mass below the upper end and below the lower end, and the mirror image
            (self._log_cdf_at(high, 1), self._log_cdf_at(low, 1)),
            (self._log_cdf_at(low, -1), self._log_cdf_at(high, -1)),
        )
        flip = log_above[0] < log_below[0]
        log_near, log_far = (jnp.where(flip, above, below) for below, above in zip(log_below, log_above, strict=True))
        some = wide & (log_near > log_far)
        near, far = jnp.where(some, log_near, 0.0), jnp.where(some, log_far, -1.0)
        value_wide = near + log1mexp(near - far)
        value = jnp.where(narrow, value_narrow, jnp.where(some, value_wide, -jnp.inf))
        return self._known(value, low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """loc."""
        return self._known(self.loc)

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return scale^2."""
        return self._known(self.scale**2)

    @compiled
    def entropy(self) -> Float[Array, "..."]:
        """Return log scale + log(2 pi e) / 2."""
        return self._known(jnp.log(self.scale) + (_HALF_LOG_TWO_PI + 0.5))

    @compiled
    def mode(self) -> Float[Array, "..."]:
        """Return loc."""
        return self._known(self.loc)

    @compiled
    def crps(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return scale (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)): Gneiting and Raftery (2007), equation 21."""
        (y,) = self._outcomes(y)
        z, finite = self._standardize(y)
        value = z * (ndtr(z) - ndtr(-z)) + 2 * jnp.exp(log_density(z)) - 1 / math.sqrt(math.pi)
        return self._known(jnp.where(finite, pad_rank(self.scale, y.ndim) * value, jnp.inf), y)

    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """The indefinite integral is scale (z Phi^2 + 2 Phi phi - Phi(sqrt(2) z) / sqrt(pi))."""
        return self._area(-self._ends(high), -self._ends(low), low, high)

    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """The mirror image; beyond one scale from loc, where that form cancels, by the rule of `student_areas`."""
        return self._area(self._ends(low), self._ends(high), low, high)

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        sign = 1 if upper else -1
        first, moment = tail_areas(sign * self._ends(near), sign * self._ends(far))
        return self._scaled(first), self._scaled(self._scaled(moment))

    def _knots(self, ndim: int) -> list[Array]:
        """loc, from which the cdf flattens on both sides."""
        return [pad_rank(self.loc, ndim)]

    def _area(self, start, stop, low, high):
        return self._known(self._scaled(standard_squared_survival_area(start, stop)), low, high)

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        inside = mass > 0
        z = jnp.where(inside, ndtri(jnp.where(inside, mass, 0.5)), -jnp.inf)
        return self._known(self._placed(jnp.where(upper, -z, z)), mass)

    def _log_cdf_at(self, y, sign):
        """log Phi(sign z)."""
        z, finite = self._standardize(y)
        return jnp.where(finite, log_cdf(sign * z), jnp.where(self._above(y) == (sign > 0), 0.0, -jnp.inf))


def log_density(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return log phi(z)."""
    return -0.5 * z * z - _HALF_LOG_TWO_PI


def log_cdf(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return log Phi(z) for every finite z: the gradient of JAX's version is NaN where z^2 overflows."""
    far = z < -_FAR
    outer = jnp.where(far, z, -_FAR)
    inner = jnp.where(far, 0.0, z)
    return jnp.where(
        far, log_density(outer) - jnp.log(-outer), jax.scipy.special.log_ndtr(jnp.where(inner < _FAR, inner, _FAR))
    )


def tail_area(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the integral of Phi(-x) over a finite [a, b]: x Phi(-x) - phi(x) at the ends."""
    return _first_integral(b) - _first_integral(a)


def _first_integral(x):
    """x Phi(-x) - phi(x), with its limits 0 and x far out, where the derivative of the product would overflow."""
    near = jnp.abs(x) < _FAR
    inner = jnp.where(near, x, 0.0)
    return jnp.where(near, inner * ndtr(-inner) - jnp.exp(log_density(inner)), jnp.where(x > 0, 0.0, x))


def standard_squared_survival_area(low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the integral of Phi(-x)^2 over [low, high]; either end may be infinite."""
    return squared_survival_area(low, high, tail_area, lambda a, b: _squared_beyond(a) - _squared_beyond(b))


@jax.custom_jvp
def _squared_beyond(t):
    """Integral of Phi(-x)^2 over x > t >= 0; 0 at infinity."""
    near, finite = t < 1, t < _FAR
    z = jnp.where(near, -t, 0.0)
    closed = z * ndtr(z) ** 2 + 2 * ndtr(z) * jnp.exp(log_density(z)) - ndtr(math.sqrt(2) * z) / math.sqrt(math.pi)
    far = remaining(jnp.where(near | ~finite, 1.0, t), jnp.zeros_like(t))
    return jnp.where(near, closed, jnp.where(finite, far, 0.0))


@_squared_beyond.defjvp
def _squared_beyond_jvp(primals, tangents):
    return _squared_beyond(*primals), -(ndtr(-primals[0]) ** 2) * tangents[0]
