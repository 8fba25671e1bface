"""One tail of a sample: its threshold, its excesses and the generalized Pareto distribution fitted to them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real

from sbp_jax.errors import InputError
from sbp_jax.evaluation.exceedances import MIN_EXCESSES, ParetoFit, Tail, Vector, fit_pareto


@dataclass(frozen=True)
class Interval:
    """Lower and upper ends of intervals, one per row of the corresponding table."""

    low: Float[np.ndarray, " rows"]
    high: Float[np.ndarray, " rows"]


@dataclass(frozen=True)
class FittedTail:
    """The part of a sample beyond a threshold, and the distribution of its excesses.

    A lower tail is the upper tail of the negated sample: excesses are positive on both sides.

    Attributes:
        tail: "upper" or "lower".
        threshold: threshold in the unit and sign of the data.
        excesses: distances beyond the threshold, increasing [count].
        size: number of observations in the sample.
        fit: generalized Pareto distribution of the excesses.
    """

    tail: Tail
    threshold: float
    excesses: Float[np.ndarray, " count"]
    size: int
    fit: ParetoFit

    @property
    def count(self) -> int:
        """Number of observations beyond the threshold."""
        return len(self.excesses)

    @property
    def mass(self) -> float:
        """Fraction of the sample beyond the threshold."""
        return self.count / self.size

    @property
    def residuals(self) -> Float[np.ndarray, " count"]:
        """-log S of each excess under the fit, increasing: standard exponential if the fit is the truth."""
        return self.fit.hazard(self.excesses)

    def place(self, excesses: Real[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Return the points at these distances beyond the threshold, in the unit and sign of the data."""
        return self.threshold + sign(self.tail) * np.asarray(excesses, np.float64)


def fit_tail(y: Vector, tail_mass: float, tail: Tail = "upper") -> FittedTail:
    """Fit a generalized Pareto distribution to the most extreme fraction of a sample on one side.

    The threshold lies midway between two adjacent distinct values, where the fraction beyond it is nearest to
    `tail_mass`. For integers it is a half-integer, so that excesses are 0.5, 1.5, ... as before rounding.

    Args:
        y: sample [size], in any unit and order.
        tail_mass: fraction beyond the threshold, in (0, 1).
        tail: side.

    Raises:
        InputError: fewer than 10 values beyond the threshold, all of them equal, or a sample that is not finite.
    """
    values = sample(y, tail)
    threshold = _threshold(values, tail_mass)
    excesses = values[values > threshold] - threshold
    if len(excesses) < MIN_EXCESSES:
        raise InputError(
            f"tail_mass: {tail_mass:g} of {len(values)} observations leaves {len(excesses)} beyond the {tail} threshold"
            f" {sign(tail) * threshold:g}; at least {MIN_EXCESSES} are needed"
        )
    if excesses[0] == excesses[-1]:
        raise InputError(
            f"tail_mass: {tail_mass:g} leaves {len(excesses)} values beyond the {tail} threshold that all equal"
            f" {sign(tail) * (threshold + excesses[0]):g}; a distribution cannot be fitted to a constant"
        )
    return FittedTail(tail, sign(tail) * threshold, excesses, len(values), fit_pareto(excesses))


def threshold_at(y: Vector, tail_mass: float, tail: Tail = "upper") -> float:
    """Return the threshold of `fit_tail`: midway between two distinct values, with about `tail_mass` beyond it."""
    return sign(tail) * _threshold(sample(y, tail), tail_mass)


def tail_masses(
    y: Vector, tail: Tail = "upper", largest: float = 0.3, fewest: int = 2 * MIN_EXCESSES, number: int = 30
) -> Float[np.ndarray, " rows"]:
    """Return tail masses for diagnostics, decreasing in equal ratios; each is the fraction beyond a distinct threshold.

    Args:
        y: sample [size].
        tail: side.
        largest: the first tail mass, in (0, 1).
        fewest: minimum number of observations beyond the last threshold.
        number: maximum number of tail masses; fewer if ties leave fewer thresholds, none if `largest` leaves too few.
    """
    values = sample(y, tail)
    if len(values) * largest < fewest:
        return np.zeros(0)
    targets = np.geomspace(largest, fewest / len(values), number)
    thresholds = {_threshold(values, float(mass)) for mass in targets}
    counts = [len(values) - np.searchsorted(values, threshold) for threshold in thresholds if threshold < values[-1]]
    return np.array(sorted((n / len(values) for n in counts if n >= fewest and values[-n] < values[-1]), reverse=True))


def sample(y: Vector, tail: Tail) -> Float[np.ndarray, " size"]:
    """Return the sample in increasing order, negated for the lower tail; InputError unless all numbers are finite."""
    values = np.sort(sign(tail) * np.asarray(y, np.float64))
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError("y: expected one axis of finite numbers; remove missing values first")
    if len(values) < MIN_EXCESSES or values[0] == values[-1]:
        raise InputError(f"y: expected at least {MIN_EXCESSES} numbers that are not all equal, got {len(values)}")
    return values


def sign(tail: Tail) -> float:
    """Return 1 for the upper tail, -1 for the lower tail."""
    if tail not in ("upper", "lower"):
        raise InputError(f"tail: expected 'upper' or 'lower', got {tail!r}")
    return 1.0 if tail == "upper" else -1.0


def mean_ranks(ordered: Float[np.ndarray, " count"]) -> Float[np.ndarray, " distinct"]:
    """Return the rank, from 1, of each distinct value of an increasing sample; ties share their mean rank."""
    _, first, count = np.unique(ordered, return_index=True, return_counts=True)
    return first + (count + 1) / 2


def _threshold(values: np.ndarray, tail_mass: float) -> float:
    """The midpoint of two adjacent distinct values of an increasing sample."""
    if not 0 < tail_mass < 1:
        raise InputError(f"tail_mass: expected a fraction in (0, 1), got {tail_mass}")
    steps = np.flatnonzero(np.diff(values) > 0)
    beyond = len(values) - 1 - steps
    k = steps[np.argmin(np.abs(beyond - tail_mass * len(values)))]
    return float(values[k] + (values[k + 1] - values[k]) / 2)
