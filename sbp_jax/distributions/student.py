"""The Student-t baseline, behind the same interface."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.location import LocationScale
from sbp_jax.distributions.numerics import log1mexp, log1p_ratio, standardize
from sbp_jax.distributions.pytrees import check_positive, compiled, pad_rank, register, set_parameters
from sbp_jax.distributions.student_areas import squared_survival_area, squared_tail, tail_area, tail_areas
from sbp_jax.distributions.student_numerics import (
    log_density,
    log_normalizer,
    log_tail,
    mean_exponent,
    tail_quantile,
)

# df from which the distribution counts as Gaussian, and |t| from which its square may overflow
_GAUSSIAN_FROM = _FAR = 1e15


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class StudentT(LocationScale):
    """Student's t with `df` degrees of freedom about `loc`, in units of `scale`; df = inf is the Gaussian.

        density   f(y) = c (1 + t^2 / df)^(-(df + 1) / 2) / scale,   t = (y - loc) / scale
        c = Gamma((df + 1) / 2) / (Gamma(df / 2) sqrt(pi df))

    The cdf has no closed form: fixed quadrature rules, differentiable in every parameter, leave a relative error of
    1e-15 in float64 and 3e-9 in float32 before rounding, for df >= 0.1 (see `student_numerics`).
    A df of 1e15 or more counts as infinite, and so does an outcome so far from loc that t overflows (t = 1e15 for
    infinite df).

    Args:
        df: degrees of freedom, [...], positive.
        loc: [...], in the unit of the outcome.
        scale: [...], positive, in the unit of the outcome; not the standard deviation. Device arrays are not checked;
            results are NaN where df or scale is not positive.

    Raises:
        InputError: the three shapes do not broadcast, or a Python or NumPy df or scale is not positive.
    """

    df: Float[Array, "..."]
    loc: Float[Array, "..."]
    scale: Float[Array, "..."]

    def __init__(self, df: ArrayLike, loc: ArrayLike, scale: ArrayLike) -> None:
        check_positive(df, "df")
        check_positive(scale, "scale")
        set_parameters(self, df=df, loc=loc, scale=scale)

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log c - (df + 1) / 2 log(1 + t^2 / df) - log scale."""
        (y,) = self._outcomes(y)
        t, finite = self._standardize(y)
        value = log_density(t, self._inverse(y.ndim)) - jnp.log(pad_rank(self.scale, y.ndim))
        return self._known(jnp.where(finite, value, -jnp.inf), y)

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(T <= t), computed from the nearer tail."""
        (y,) = self._outcomes(y)
        above, log_beyond = self._nearer_tail(y)
        return self._known(jnp.where(above, -jnp.expm1(log_beyond), jnp.exp(log_beyond)), y)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(T > t), computed from the nearer tail."""
        (y,) = self._outcomes(y)
        above, log_beyond = self._nearer_tail(y)
        return self._known(jnp.where(above, jnp.exp(log_beyond), -jnp.expm1(log_beyond)), y)

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(T <= t)."""
        (y,) = self._outcomes(y)
        above, log_beyond = self._nearer_tail(y)
        return self._known(jnp.where(above, jnp.log1p(-jnp.exp(log_beyond)), log_beyond), y)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(T > t)."""
        (y,) = self._outcomes(y)
        above, log_beyond = self._nearer_tail(y)
        return self._known(jnp.where(above, log_beyond, jnp.log1p(-jnp.exp(log_beyond))), y)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return log P(low < Y <= high), by 20 Gauss-Legendre nodes if narrow, else from the nearer tail.

        An interval is narrow if the log-density changes by less than about 4 and the width is below 1.5 times the
        distance sqrt(df + m^2) from its midpoint m to the density's complex singularities: there the rule's error is
        below 1e-15, and a difference of cdfs would lose digits. -inf with zero gradient where low >= high.
        """
        low, high = self._outcomes(low, high)
        loc, scale, e = pad_rank(self.loc, low.ndim), pad_rank(self.scale, low.ndim), self._inverse(low.ndim)
        ordered = high > low
        a, a_finite = self._standardize(low)
        b, b_finite = self._standardize(high)
        width, width_finite = standardize(high, low, scale)
        bounded = ordered & a_finite & b_finite & width_finite
        h, m = jnp.where(bounded, width, 1.0), jnp.where(bounded, 0.5 * a + 0.5 * b, 0.0)
        unit = jax.lax.stop_gradient(jnp.where(jnp.abs(m) > 1, jnp.abs(m), 1.0))
        size, middle = h / unit, m / unit
        around = (1 / unit) ** 2 + e * middle * middle
        narrow = bounded & (e * size * size < 2.25 * around) & (size * (1 + e) * jnp.abs(middle) < 4 * around)
        narrow &= size * size * (1 + e) < 16 * around
        h, size = jnp.where(narrow, h, 1e-3), jnp.where(narrow, size, 1e-3)
        m, middle, around = (jnp.where(narrow, x, other) for x, other in ((m, 0.0), (middle, 0.0), (around, 1.0)))
        nodes, weights = (pad_rank(x.astype(self.dtype), h.ndim, 1) for x in np.polynomial.legendre.leggauss(20))
        step = 0.5 * size[..., None] * nodes
        rise = log1p_ratio(2 * e[..., None], 0.5 * step * (2 * middle[..., None] + step) / around[..., None])
        inside = jnp.sum(0.5 * weights * jnp.exp(-(1 + e[..., None]) * rise), axis=-1)
        value_narrow = log_density(m, e) + jnp.log(h) + jnp.log(inside)

        wide = ordered & ~narrow
        # the interval (near, far) or its mirror image, so that its larger part is above 0
        top, bottom = jnp.where(b_finite, b, jnp.inf), jnp.where(a_finite, a, -jnp.inf)
        top, bottom = (
            jnp.where(~b_finite & (high < loc), -jnp.inf, top),
            jnp.where(~a_finite & (low > loc), jnp.inf, bottom),
        )
        mirrored = jnp.where(wide, bottom, 0.0) < jnp.where(wide, -top, 0.0)
        near, far = jnp.where(mirrored, -top, bottom), jnp.where(mirrored, -bottom, top)
        near, far = jnp.where(wide, near, 0.0), jnp.where(wide, far, 1.0)
        straddles = near < 0
        log_near, log_far = _log_beyond(jnp.where(straddles, -near, near), e), _log_beyond(far, e)
        outside = jnp.exp(log_near) + jnp.exp(log_far)
        between = jnp.where(
            straddles, jnp.log1p(-jnp.where(straddles, outside, 0.0)), _log_difference(log_near, log_far)
        )
        value = jnp.where(narrow, value_narrow, jnp.where(wide, between, -jnp.inf))
        return self._known(value, low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """Return loc for df > 1; NaN, being undefined, for df <= 1."""
        return self._known(jnp.where(self.df > 1, self.loc, jnp.nan))

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return scale^2 df / (df - 2) for df > 2, inf for 1 < df <= 2; NaN, being undefined, for df <= 1."""
        finite = self.df > 2
        df = jnp.where(finite & (self.df < jnp.inf), self.df, 4.0)
        ratio = jnp.where(self.df < jnp.inf, df / (df - 2), 1.0)
        value = jnp.where(finite, self.scale**2 * ratio, jnp.where(self.df > 1, jnp.inf, jnp.nan))
        return self._known(value)

    @compiled
    def entropy(self) -> Float[Array, "..."]:
        """Return log scale - log c + (df + 1) / 2 (psi((df + 1) / 2) - psi(df / 2)), psi the digamma function.

        The last term is E[(df + 1) / 2 log(1 + T^2 / df)], computed from sums of positive terms: the difference of two
        digamma functions loses digits as df grows.
        """
        e = self._inverse(len(self.batch_shape))
        return self._known(jnp.log(self.scale) - log_normalizer(e) + mean_exponent(e))

    @compiled
    def mode(self) -> Float[Array, "..."]:
        """Return loc."""
        return self._known(self.loc)

    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        return self._area(low, high, -1)

    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """By parts, as single integrals of positive terms; infinite over an unbounded tail for df <= 1/2."""
        return self._area(low, high, 1)

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        sign = 1 if upper else -1
        first, moment = tail_areas(sign * self._ends(near), sign * self._ends(far), self._inverse(near.ndim))
        return self._scaled(first), self._scaled(self._scaled(moment))

    def _knots(self, ndim: int) -> list[Array]:
        """loc, from which the cdf flattens on both sides."""
        return [pad_rank(self.loc, ndim)]

    def _area(self, low, high, sign):
        e = self._inverse(low.ndim)
        low_t, high_t = (sign * self._ends(y) for y in (low, high)[::sign])
        area = squared_survival_area(
            low_t, high_t, lambda a, b: tail_area(a, b, e), lambda a, b: squared_tail(a, b, e[None])
        )
        return self._known(self._scaled(area), low, high)

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        """By Newton's method on the logarithm of the tail, to rounding; see `student_numerics`."""
        inside = mass > 0
        t = jnp.where(inside, tail_quantile(jnp.where(inside, mass, 0.25), self._inverse(mass.ndim)), jnp.inf)
        return self._known(self._placed(jnp.where(upper, t, -t)), mass)

    def _missing(self) -> Bool[Array, "..."]:
        return super()._missing() | ~(self.df > 0)

    def _inverse(self, ndim):
        """1 / df, set to 0 from the largest finite df on, and to 1 where df is not positive."""
        df = pad_rank(self.df, ndim)
        gaussian = df >= _GAUSSIAN_FROM
        return jnp.where(gaussian, 0.0, 1 / jnp.where((df > 0) & ~gaussian, df, 1.0))

    def _standardize(self, y):
        """t, set to 0 where it counts as infinite, and the mask of finite values."""
        t, finite = super()._standardize(y)
        finite &= (pad_rank(self.df, y.ndim) < _GAUSSIAN_FROM) | (jnp.abs(t) < _FAR)
        return jnp.where(finite, t, 0.0), finite

    def _nearer_tail(self, y):
        """Whether t > 0, and the log of the probability beyond |t|."""
        t, finite = self._standardize(y)
        above = jnp.where(finite, t > 0, self._above(y))
        value = log_tail(jnp.where(t > 0, t, -t), self._inverse(y.ndim))
        return above, jnp.where(finite, value, -jnp.inf)


def _log_beyond(t, e):
    """log P(T > t) for t >= 0 or infinite."""
    finite = t < jnp.inf
    return jnp.where(finite, log_tail(jnp.where(finite, t, 0.0), e), -jnp.inf)


def _log_difference(log_near, log_far):
    """log(exp(log_near) - exp(log_far)); -inf where both are -inf."""
    some = log_near > log_far
    near, far = jnp.where(some, log_near, 0.0), jnp.where(some, log_far, -1.0)
    return jnp.where(some, near + log1mexp(near - far), -jnp.inf)
