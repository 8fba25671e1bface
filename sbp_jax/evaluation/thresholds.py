"""Where a tail begins: mean excess, stability of the fitted parameters, and PP and QQ points with bands.

Intervals and bands are pointwise and treat the observations as independent. A lower tail is the upper tail of the
negated sample; thresholds are returned in the data's unit and sign.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.special import betainccinv, betaincinv, ndtri

from sbp_jax.distributions.shifted import centered
from sbp_jax.errors import InputError
from sbp_jax.evaluation.exceedances import Tail, Vector, check_level, shape_interval
from sbp_jax.evaluation.tails import FittedTail, Interval, fit_tail, mean_ranks, sample, sign


@dataclass(frozen=True)
class MeanExcess:
    """Mean distance beyond each threshold (mean residual life).

    Attributes:
        thresholds: [rows], in the data's unit and sign.
        mean: mean excess; NaN where no observation lies beyond.
        interval: normal interval of the mean; NaN where fewer than two observations lie beyond.
        count: number of observations beyond.
    """

    thresholds: Float[np.ndarray, " rows"]
    mean: Float[np.ndarray, " rows"]
    interval: Interval
    count: Int[np.ndarray, " rows"]


@dataclass(frozen=True)
class ParameterStability:
    """Parameters fitted beyond each of several thresholds; under the model, both are constant up to sampling error.

    Attributes:
        thresholds: [rows], in the data's unit and sign.
        mass: fraction of the sample beyond.
        count: number of observations beyond.
        shape: xi.
        shape_interval: by profile likelihood.
        shape_delta: by the normal approximation.
        scale: beta, in the data's unit.
        modified_scale: beta - xi t, with t the threshold of the upper tail (of the negated sample for a lower tail).
        modified_scale_interval: by the delta method.
    """

    thresholds: Float[np.ndarray, " rows"]
    mass: Float[np.ndarray, " rows"]
    count: Int[np.ndarray, " rows"]
    shape: Float[np.ndarray, " rows"]
    shape_interval: Interval
    shape_delta: Interval
    scale: Float[np.ndarray, " rows"]
    modified_scale: Float[np.ndarray, " rows"]
    modified_scale_interval: Interval


@dataclass(frozen=True)
class Points:
    """Points of a PP or QQ plot; under the distribution each lies within its band with probability `level`.

    Tied observations, which rounding produces, are one point at their mean rank.

    Attributes:
        expected: [count], from the innermost outward.
        observed: [count], in the same order.
        band: pointwise, from the Beta distribution of order statistics.
    """

    expected: Float[np.ndarray, " count"]
    observed: Float[np.ndarray, " count"]
    band: Interval


def mean_excess(
    y: Vector, thresholds: Real[np.ndarray, " rows"], level: float = 0.95, tail: Tail = "upper"
) -> MeanExcess:
    """Return the sample's mean excess e(t) = E[Y - t | Y > t] over each threshold (Davison and Smith 1990).

    Under a generalized Pareto distribution with xi < 1 beyond t_0, e(t) = (beta + xi (t - t_0)) / (1 - xi), a line.

    Args:
        y: sample [size].
        thresholds: t [rows], in the data's unit.
        level: level of the normal interval mean +- z s / sqrt(count).
        tail: for "lower" the mean of t - Y over Y < t.

    Raises:
        InputError: a sample or a threshold that is not finite.
    """
    check_level(level)
    values, signed = sample(y, tail), sign(tail) * np.asarray(thresholds, np.float64)
    if not np.isfinite(signed).all():
        raise InputError("thresholds: expected finite numbers")
    mean, error = np.full(len(signed), np.nan), np.full(len(signed), np.nan)
    count = len(values) - np.searchsorted(values, signed, side="right")
    for row, (threshold, beyond) in enumerate(zip(signed, count, strict=True)):
        excesses = values[len(values) - beyond :] - threshold
        if beyond > 0:
            mean[row] = np.mean(excesses)
        if beyond > 1:
            error[row] = ndtri((1 + level) / 2) * np.std(excesses, ddof=1) / np.sqrt(beyond)
    return MeanExcess(sign(tail) * signed, mean, Interval(mean - error, mean + error), count)


def parameter_stability(
    y: Vector, tail_masses: Real[np.ndarray, " rows"], level: float = 0.95, tail: Tail = "upper"
) -> ParameterStability:
    """Return shape and modified scale fitted beyond the threshold of each tail mass (Coles 2001, section 4.3.4).

    If excesses over t_0 follow a generalized Pareto distribution, so do those over any t > t_0, with the same xi and
    with beta_t = beta + xi (t - t_0), so that beta_t - xi t is also constant.

    Args:
        y: sample [size].
        tail_masses: fractions beyond the thresholds [rows]; see `tails.tail_masses`.
        level: level of the intervals.
        tail: side.

    Returns:
        One row for each tail mass; intervals are NaN where the fit is not regular (shape <= -1/2).

    Raises:
        InputError: as in `tails.fit_tail`; it names the first tail mass that leaves too few observations.
    """
    check_level(level)
    z = ndtri((1 + level) / 2)
    tails = [fit_tail(y, float(mass), tail) for mass in np.asarray(tail_masses)]
    likelihood = [shape_interval(each.fit, each.excesses, level) for each in tails]
    shape = np.array([each.fit.shape for each in tails])
    scale = np.array([each.fit.scale for each in tails])
    signed = np.array([sign(tail) * each.threshold for each in tails])
    covariance = np.array([each.fit.covariance for each in tails]).reshape(-1, 2, 2)
    gradient = np.stack([-signed, np.ones(len(signed))], axis=-1)
    shape_error = z * np.sqrt(covariance[:, 0, 0])
    modified = scale - shape * signed
    modified_error = z * np.sqrt(np.einsum("ri,rij,rj->r", gradient, covariance, gradient))
    return ParameterStability(
        sign(tail) * signed,
        np.array([each.mass for each in tails]),
        np.array([each.count for each in tails], int),
        shape,
        Interval(np.array([low for low, _ in likelihood]), np.array([high for _, high in likelihood])),
        Interval(shape - shape_error, shape + shape_error),
        scale,
        modified,
        Interval(modified - modified_error, modified + modified_error),
    )


def pp_points(residuals: Vector, level: float = 0.95) -> Points:
    """Return probabilities 1 - exp(-a) of sorted residuals against their uniform expectation, i / (count + 1).

    Args:
        residuals: a = -log S [count] >= 0, in any order: of a fitted tail (`FittedTail.residuals`), of a conditional
            distribution's tail (`exceedance_residuals`), or -log(1 - PIT) of any PIT; inf beyond the support.
        level: level of the band between quantiles of Beta(i, count + 1 - i). The band ignores that a fit to the same
            sample narrows the scatter, so for fitted tails it is too wide.
    """
    observed, expected, low, high = _ordered(residuals, level)
    return Points(-np.expm1(-expected), -np.expm1(-observed), Interval(-np.expm1(-low), -np.expm1(-high)))


def qq_points(residuals: Vector, level: float = 0.95) -> Points:
    """Return sorted residuals against their expected exponential quantiles, -log(1 - i / (count + 1)).

    Args:
        residuals: as in `pp_points`.
        level: as in `pp_points`; the band has the same quantiles on the exponential scale.
    """
    observed, expected, low, high = _ordered(residuals, level)
    return Points(expected, observed, Interval(low, high))


def quantile_points(tail: FittedTail, level: float = 0.95) -> Points:
    """Return the QQ points of a fitted tail in the data's unit and sign: the distribution's quantiles and the sample's.

    Args:
        tail: from `tails.fit_tail`.
        level: as in `pp_points`.
    """
    expected, low, high = _plotting(tail.excesses, level)
    near, far = tail.place(tail.fit.quantile(low)), tail.place(tail.fit.quantile(high))
    band = Interval(near, far) if tail.tail == "upper" else Interval(far, near)
    return Points(tail.place(tail.fit.quantile(expected)), tail.place(np.unique(tail.excesses)), band)


def exceedance_residuals(
    distribution: Any, y: Real[np.ndarray, " n"], tail_mass: float, tail: Tail = "upper"
) -> Float[np.ndarray, " exceedances"]:
    """Return residuals of outcomes in one tail of their predictions: a = log tail_mass - log S(y) where positive.

    Under calibrated continuous predictions they are standard exponential for distributions of any shape, and about
    n tail_mass of them remain. For a discrete outcome, first add a uniform number of the width of its grid (the
    randomized PIT of Czado, Gneiting and Held 2009).

    Args:
        distribution: any distribution of this project, batch shape [n] or [].
        y: outcomes [n].
        tail_mass: predictive probability beyond which an outcome counts, in (0, 1).
        tail: "lower" uses log F instead of log S.

    Returns:
        Residuals in the order of the outcomes; inf for an outcome beyond the end of its distribution's support.

    Raises:
        InputError: an outcome is NaN.
    """
    if not 0 < tail_mass < 1:
        raise InputError(f"tail_mass: expected a probability in (0, 1), got {tail_mass}")
    if np.isnan(y).any():
        raise InputError("y: expected numbers, got NaN; remove missing values first")
    distribution, outcomes, _ = centered(distribution, y)
    upper = sign(tail) > 0
    log_beyond = distribution.log_survival_function(outcomes) if upper else distribution.log_cdf(outcomes)
    residuals = np.log(tail_mass) - np.asarray(log_beyond, np.float64)
    return residuals[residuals > 0]


def _ordered(residuals: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct residuals in order, their expectations, and the band, all as -log of the probability beyond."""
    values = np.sort(np.asarray(residuals, np.float64))
    if values.ndim != 1 or len(values) == 0 or not (values >= 0).all():
        raise InputError("residuals: expected at least one, none of them negative or NaN")
    return np.unique(values), *_plotting(values, level)


def _plotting(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected position and band of each distinct value of an increasing sample, as -log of the probability beyond."""
    check_level(level)
    rank = mean_ranks(values)
    after = len(values) + 1 - rank
    # The i-th smallest of uniform numbers is Beta(i, after); the probability beyond it is Beta(after, i).
    low, high = (-np.log(inverse(after, rank, (1 - level) / 2)) for inverse in (betainccinv, betaincinv))
    return -np.log(after / (len(values) + 1)), low, high
