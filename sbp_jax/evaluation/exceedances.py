"""The generalized Pareto distribution of excesses over a threshold, fitted by maximum likelihood in float64.

For excess z > 0, shape xi, scale beta and u = z / beta: log g(z) = -log beta - (1 + xi) a and S(z) = exp(-a), with
hazard a = log1p(xi u) / xi (u at xi = 0), as in Pickands (1975).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from jaxtyping import Float, Real
from numpy.polynomial.polynomial import polyval
from scipy.optimize import brentq
from scipy.special import chdtri

from sbp_jax.errors import InputError

Tail = Literal["upper", "lower"]
Vector = Real[np.ndarray, " size"]
MIN_EXCESSES = 10  # excesses of a fit: with fewer, the likelihood of two parameters is nearly uninformative
MIN_RATIO = 1e-100  # times the mean: an excess that is zero up to rounding would pull the scale toward it

# log1p(x) / x = sum (-x)^j / (j + 1); the columns are its coefficients and those of its first two derivatives.
_TERMS = np.arange(18)
_SIGNED = (-1.0) ** _TERMS / (_TERMS + 1)
_SERIES = np.stack([_SIGNED[:16], (_TERMS * _SIGNED)[1:17], (_TERMS * (_TERMS - 1) * _SIGNED)[2:18]], axis=-1)


@dataclass(frozen=True)
class ParetoFit:
    """A fitted generalized Pareto distribution.

    Attributes:
        shape: xi, at least -1.
        scale: beta, in the unit of the excesses.
        log_likelihood: nats, at the maximum.
        covariance: covariance of (shape, scale) [2, 2], the inverse of the observed information; NaN where
            shape <= -1/2, where the estimate is not asymptotically normal (Smith 1985).
        count: number of excesses.
    """

    shape: float
    scale: float
    log_likelihood: float
    covariance: Float[np.ndarray, "2 2"]
    count: int

    @property
    def is_regular(self) -> bool:
        """Whether normal and chi-squared approximations hold: shape > -1/2 and positive definite information."""
        return bool(np.isfinite(self.covariance).all())

    def hazard(self, excesses: Real[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Return a = -log S(z) for excesses z >= 0, standard exponential under the fit; inf at the support's end."""
        u = np.asarray(excesses, np.float64) / self.scale
        if self.shape == 0:
            return u
        with np.errstate(divide="ignore"):
            return np.log1p(np.maximum(self.shape * u, -1.0)) / self.shape

    def quantile(self, hazard: Real[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Return the excess z with -log S(z) = hazard: beta expm1(xi a) / xi."""
        a = np.asarray(hazard, np.float64)
        return self.scale * (a if self.shape == 0 else np.expm1(self.shape * a) / self.shape)


def fit_pareto(excesses: Vector) -> ParetoFit:
    """Fit a generalized Pareto distribution to excesses by maximum likelihood, over all shapes xi >= -1.

    With theta = xi / beta, the maximum over xi at fixed theta is xi(theta) = mean log1p(theta z) (Grimshaw 1993), which
    leaves one dimension. The profile is searched over the full interval that can contain a maximum, from the end of the
    support at the largest excess to Grimshaw's upper bound; every local maximum is refined, and the best one wins. For
    xi < -1 the likelihood is unbounded. At xi = -1 its supremum is the uniform distribution on [0, max z]; where no
    interior maximum exceeds it, the fit is this boundary solution. For xi <= -1/2 the maximum is still returned, but it
    is not asymptotically normal: its covariance is NaN.

    Args:
        excesses: z [n] > 0, in any unit.

    Raises:
        InputError: fewer than 10 excesses, all equal, or one that is not a positive finite number or is below 1e-100
            of the mean.
    """
    z = np.asarray(excesses, np.float64)
    if z.ndim != 1 or len(z) < MIN_EXCESSES:
        raise InputError(f"excesses: expected at least {MIN_EXCESSES} numbers, got {z.size}")
    if not (np.isfinite(z) & (z > 0)).all():
        raise InputError(f"excesses: expected positive finite numbers, got {z[~(np.isfinite(z) & (z > 0))][0]}")
    if z.min() == z.max():
        raise InputError(f"excesses: all {len(z)} equal {z[0]}; a distribution cannot be fitted to a constant")
    unit = float(np.mean(z))
    if z.min() < MIN_RATIO * unit:
        raise InputError(f"excesses: {z.min()} is a rounded zero compared with the mean {unit:g}")
    w = z / unit
    shape, scale, best = -1.0, float(w.max()), -float(np.log(w.max()))
    for theta in _stationary(w):
        xi = float(np.mean(np.log1p(theta * w)))
        beta = float(np.mean(w * _ratio(theta * w)[0]))
        if xi > -1 and -np.log(beta) - 1 - xi > best:
            shape, scale, best = xi, beta, -float(np.log(beta)) - 1 - xi
    covariance = _covariance(shape, scale, w) * np.outer([1, unit], [1, unit])
    return ParetoFit(shape, scale * unit, len(z) * (best - float(np.log(unit))), covariance, len(z))


def shape_interval(fit: ParetoFit, excesses: Vector, level: float = 0.95) -> tuple[float, float]:
    """Return the profile-likelihood interval of the shape.

    In it, twice the log-likelihood ratio, maximized over the scale, is below the chi-squared quantile.

    Args:
        fit: fit of these excesses.
        excesses: z [n].
        level: level of the interval, in (0, 1).

    Returns:
        Lower and upper end; the lower end is -1 where the profile stays above the bound; NaN if the fit is not regular.
    """
    check_level(level)
    if not fit.is_regular:
        return float("nan"), float("nan")
    w = np.asarray(excesses, np.float64) / fit.scale
    peak = _profile(fit.shape, w)
    drop = float(chdtri(1, 1 - level)) / 2
    step = float(np.sqrt(fit.covariance[0, 0] * 2 * drop))

    def excess(xi: float) -> float:
        return peak - _profile(xi, w) - drop

    low = inner = fit.shape
    while excess(low) < 0 and low > -1:
        inner, low = low, max(low - step, -1.0)
    if excess(low) >= 0:
        low = root(excess, low, inner)
    high = inner = fit.shape
    while excess(high) < 0:
        inner, high = high, high + step
    return low, root(excess, inner, high)


def hazard_derivatives(
    shape: float, log_scale: float, z: Float[np.ndarray, "*n"]
) -> tuple[Float[np.ndarray, "*n"], Float[np.ndarray, "2 *n"], Float[np.ndarray, "2 2 *n"]]:
    """Return the hazard a(xi, z / beta), its gradient and Hessian in (xi, log beta); 1 + xi z / beta must be positive.

    With g(x) = log1p(x) / x: a = u g(xi u), da/dxi = u^2 g', d2a/dxi2 = u^3 g''; da/dlog beta = -u / (1 + xi u).
    """
    u = z * np.exp(-log_scale)
    x = shape * u
    value, first, second = _ratio(x)
    by_scale = u / (1 + x)
    cross = by_scale**2
    gradient = np.stack([u**2 * first, -by_scale])
    hessian = np.stack([np.stack([u**3 * second, cross]), np.stack([cross, by_scale / (1 + x)])])
    return u * value, gradient, hessian


def log_likelihood_derivatives(
    shape: float, log_scale: float, z: Float[np.ndarray, " n"]
) -> tuple[float, Float[np.ndarray, "2"], Float[np.ndarray, "2 2"]]:
    """Return the log-likelihood of excesses, its gradient and Hessian in (xi, log beta); -inf beyond the support."""
    if shape < -1 or 1 + min(shape, 0.0) * float(np.max(z)) * np.exp(-log_scale) <= 0:
        return -np.inf, np.zeros(2), np.zeros((2, 2))
    a, da, dda = (np.sum(each, axis=-1) for each in hazard_derivatives(shape, log_scale, z))
    gradient = -(1 + shape) * da - np.array([a, len(z)])
    hessian = -(1 + shape) * dda - np.array([[2 * da[0], da[1]], [da[1], 0.0]])
    return float(-len(z) * log_scale - (1 + shape) * a), gradient, hessian


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the zero of a function that changes sign between low and high, to about 1e-13."""
    return cast(float, brentq(function, low, high, xtol=1e-13))


def check_level(level: float) -> None:
    """Reject a level of an interval outside (0, 1)."""
    if not 0 < level < 1:
        raise InputError(f"level: expected a probability in (0, 1), got {level}")


def _ratio(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """g(x) = log1p(x) / x for x > -1, and its first two derivatives, by a series where they cancel."""
    small = np.abs(x) < 0.1
    safe = np.where(small, 1.0, x)
    value = np.log1p(safe) / safe
    first = (1 / (1 + safe) - value) / safe
    second = -(1 / (1 + safe) ** 2 + 2 * first) / safe
    if small.any():
        value[small], first[small], second[small] = polyval(x[small], _SERIES)
    return value, first, second


def _stationary(w: np.ndarray) -> list[float]:
    """Local maxima theta of the profile of excesses of mean one.

    The search runs over phi = log(1 + theta max w). In phi the profile, a mean over excesses of functions that vary on
    a scale of about one unit, is sampled every quarter. Below phi = -23 only shapes within 1e-9 n of -1 are left.
    """
    most, least = float(w.max()), float(w.min())
    bound = np.log(2 * (1 - least)) - 2 * np.log(least) + np.log(most)
    grid = np.arange(-23.0, np.logaddexp(0.0, bound) + 0.5, 0.25)

    def slope(phi: float) -> float:
        theta = np.expm1(phi) / most
        value, first, _ = _ratio(theta * w)
        return float(-np.mean(w**2 * first) / np.mean(w * value) - np.mean(w / (1 + theta * w)))

    slopes = np.array([slope(phi) for phi in grid])
    tops = np.flatnonzero((slopes[:-1] > 0) & (slopes[1:] <= 0))
    return [float(np.expm1(root(slope, grid[k], grid[k + 1])) / most) for k in tops]


def _covariance(shape: float, scale: float, w: np.ndarray) -> np.ndarray:
    """Inverse of the observed information in (shape, scale), NaN where it is not informative."""
    nothing = np.full((2, 2), np.nan)
    if shape <= -0.5:
        return nothing
    information = -log_likelihood_derivatives(shape, float(np.log(scale)), w)[2]
    if not (information[0, 0] > 0 and np.linalg.det(information) > 0):
        return nothing
    return np.linalg.inv(information) * np.outer([1, scale], [1, scale])


def _profile(shape: float, w: np.ndarray) -> float:
    """Log-likelihood at a fixed shape >= -1, maximized over the scale.

    Its derivative in log beta is n ((1 + xi) mean(w / (beta + xi w)) - 1), which falls as beta grows: one root. With
    beta = max(-xi, 0) max(w) + rest, the support ends at the largest excess if rest = 0, and the root lies between
    rest = (1 + xi) max(w) / n (for xi < 0) and (1 + xi) mean(w).
    """
    most = float(w.max())
    if shape == -1:
        return -len(w) * float(np.log(most))
    floor = max(-shape, 0.0) * most
    inner = shape * w + floor if shape >= 0 else -shape * (most - w)

    def slope(log_rest: float) -> float:
        return (1 + shape) * float(np.mean(w / (np.exp(log_rest) + inner))) - 1

    high = float(np.log((1 + shape) * np.mean(w))) + 1e-9
    low = high - np.log(len(w) * np.mean(w) / most)
    while slope(low) < 0:
        low -= 1
    log_scale = float(np.log(floor + np.exp(root(slope, low, high))))
    return log_likelihood_derivatives(shape, log_scale, w)[0]
