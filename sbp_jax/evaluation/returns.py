"""Return levels of a fitted tail, exceeded once in m observations on average, with two kinds of intervals.

With tail mass tau and generalized Pareto excesses over t: x_m = t + beta expm1(xi v) / xi, v = log(m tau) (Coles 2001,
section 4.3.3). Both intervals account for the uncertainty of the shape, the scale and the tail mass.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real
from scipy.special import chdtri, ndtri

from sbp_jax.errors import InputError
from sbp_jax.evaluation.exceedances import check_level, hazard_derivatives, log_likelihood_derivatives, root
from sbp_jax.evaluation.tails import FittedTail, Interval, mean_ranks

MAX_STEPS = 60  # of Newton's method
LOG_THRESHOLD = -30.0  # log excess in units of beta at which a level counts as the threshold itself


@dataclass(frozen=True)
class ReturnLevels:
    """Levels exceeded once in m observations on average; for a lower tail, levels undercut.

    Attributes:
        periods: m, observations [rows].
        levels: in the data's unit and sign [rows].
        delta: normal interval by the delta method.
        profile: profile-likelihood interval, which may be asymmetric and is asymmetric far out.
        point_periods: plotting positions (size + 1) / rank of the distinct observations in the tail, ranked from the
            outside, with the mean rank for ties [distinct].
        point_levels: those observations, outermost last.
    """

    periods: Float[np.ndarray, " rows"]
    levels: Float[np.ndarray, " rows"]
    delta: Interval
    profile: Interval
    point_periods: Float[np.ndarray, " distinct"]
    point_levels: Float[np.ndarray, " distinct"]


def return_levels(tail: FittedTail, periods: Real[np.ndarray, " rows"], level: float = 0.95) -> ReturnLevels:
    """Return the level exceeded on average once in m observations, for each m.

    The profile likelihood of a level x is the likelihood of the excesses times the binomial likelihood of their number,
    maximized over (xi, beta); the tail mass follows from x as tau = 1 / (m S(x - t)). The interval ends at the
    threshold, inside which the tail is not defined.

    Args:
        tail: from `tails.fit_tail`.
        periods: m [rows], each more than 1 / tail mass.
        level: level of the intervals.

    Returns:
        Levels; both intervals are NaN where the fit is not regular (shape <= -1/2).

    Raises:
        InputError: a period too short for its level to lie beyond the threshold.
    """
    check_level(level)
    m = np.asarray(periods, np.float64)
    if not (np.isfinite(m) & (m * tail.mass > 1)).all():
        raise InputError(f"periods: expected more than {1 / tail.mass:g} observations, the reciprocal of the tail mass")
    fit, beyond = tail.fit, np.log(m * tail.mass)
    excess = fit.quantile(beyond)
    ratio, slope = _expm1_ratio(fit.shape * beyond)
    gradient = np.stack(
        [fit.scale * beyond**2 * slope, beyond * ratio, fit.scale * np.exp(fit.shape * beyond) / tail.mass], axis=-1
    )
    covariance = np.zeros((3, 3))
    covariance[:2, :2] = fit.covariance
    covariance[2, 2] = tail.mass * (1 - tail.mass) / tail.size
    deviation = np.sqrt(np.einsum("ri,ij,rj->r", gradient, covariance, gradient))
    half = ndtri((1 + level) / 2) * deviation
    ends = np.full((len(m), 2), np.nan)
    if fit.is_regular:
        ends[:] = [_bounds(tail, *row, level) for row in zip(m, excess, deviation, strict=True)]
    rank = tail.count + 1 - mean_ranks(tail.excesses)
    return ReturnLevels(
        m,
        tail.place(excess),
        _interval(tail, excess - half, excess + half),
        _interval(tail, ends[:, 0], ends[:, 1]),
        (tail.size + 1) / rank,
        tail.place(np.unique(tail.excesses)),
    )


def _interval(tail: FittedTail, near: np.ndarray, far: np.ndarray) -> Interval:
    low, high = (near, far) if tail.tail == "upper" else (far, near)
    return Interval(tail.place(low), tail.place(high))


def _expm1_ratio(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """h(s) = expm1(s) / s and its derivative, by the series sum s^j / (j + 2) / j! where it cancels."""
    safe = np.where(np.abs(s) < 1, 1.0, s)
    term, series = np.ones_like(s), np.full_like(s, 0.5)
    for j in range(1, 22):
        term = term * np.where(np.abs(s) < 1, s, 0.0) / j
        series += term / (j + 2)
    value = np.where(s == 0, 1.0, np.expm1(s) / np.where(s == 0, 1.0, s))
    return value, np.where(np.abs(s) < 1, series, (np.exp(safe) - np.expm1(safe) / safe) / safe)


def _bounds(tail: FittedTail, period: float, excess: float, deviation: float, level: float) -> tuple[float, float]:
    """Profile-likelihood interval of the excess of a return level."""
    drop = float(chdtri(1, 1 - level)) / 2
    step = float(np.log1p(np.sqrt(drop / 2) * deviation / excess))
    start = float(np.log(excess / tail.fit.scale))
    near, far = (_end(tail, period, start, direction * step, drop) for direction in (-1, 1))
    return tail.fit.scale * near, tail.fit.scale * far


def _end(tail: FittedTail, period: float, start: float, step: float, drop: float) -> float:
    """Walk out from the estimate in the log of the excess until the profile has dropped; excesses in units of beta.

    Each maximization starts from the previous maximum, so that Newton's method never starts far away.
    """
    z = tail.excesses / tail.fit.scale
    point, at = np.array([tail.fit.shape, 0.0]), start
    peak = _joint(tail, z, period, start)(point)[0]

    def shortfall(log_excess: float) -> float:
        nonlocal point, at
        value, point = _maximize(_joint(tail, z, period, log_excess), point, log_excess - at)
        at = log_excess
        return peak - value - drop

    inner = outer = start
    while shortfall(outer) < 0:
        if outer < LOG_THRESHOLD:
            return 0.0
        inner, outer = outer, outer + step
    return float(np.exp(root(shortfall, inner, outer)))


Joint = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]


def _joint(tail: FittedTail, z: np.ndarray, period: float, log_excess: float) -> Joint:
    """Log-likelihood of (xi, log beta) with the tail mass that makes exp(log_excess) the return level, and derivatives.

    log tau = -log m + a(xi, x / beta), and the binomial part is count log tau + (size - count) log(1 - tau).
    """
    rest = tail.size - tail.count
    x = np.exp([log_excess])

    def value(point: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        shape, log_scale = float(point[0]), float(point[1])
        nothing = -np.inf, np.zeros(2), np.zeros((2, 2))
        if abs(log_scale) > 100 or 1 + shape * float(x[0]) * np.exp(-log_scale) <= 0:
            return nothing
        total, gradient, hessian = log_likelihood_derivatives(shape, log_scale, z)
        a, da, dda = (each[..., 0] for each in hazard_derivatives(shape, log_scale, x))
        log_mass = float(a) - float(np.log(period))
        if not np.isfinite(total) or log_mass >= 0:
            return nothing
        odds = 1 / np.expm1(-log_mass)
        first, second = tail.count - rest * odds, -rest * odds * (1 + odds)
        total += tail.count * log_mass + rest * float(np.log(-np.expm1(log_mass)))
        return total, gradient + first * da, hessian + first * dda + second * np.outer(da, da)

    return value


def _maximize(joint: Joint, start: np.ndarray, shift: float) -> tuple[float, np.ndarray]:
    """Newton's method with a ridge where the function is not concave, halving steps that do not increase it."""
    point, (value, gradient, hessian) = max(
        ((each, joint(each)) for each in (start, start + np.array([0.0, shift]))), key=lambda pair: pair[1][0]
    )
    for _ in range(MAX_STEPS):
        values, vectors = np.linalg.eigh(-hessian)
        curvature = np.maximum(np.abs(values), 1e-8 * np.abs(values).max())
        direction = vectors @ ((vectors.T @ gradient) / curvature)
        gain = float(gradient @ direction)
        if not gain > 1e-10:
            break
        size, trial = 1.0, joint(point + direction)
        while trial[0] < value + 1e-4 * size * gain and size > 1e-12:
            size /= 2
            trial = joint(point + size * direction)
        if trial[0] <= value:
            break
        point, (value, gradient, hessian) = point + size * direction, trial
    return value, point
