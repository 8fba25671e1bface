"""Definition of a capability: draws of a known distribution, a measurement of a fitted approach, a fixed criterion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from experiments.capabilities.approaches import Fitted, Lacking, Sample, State
from sbp_jax.evaluation.detectors import SIDES

LEVELS = np.linspace(0.1, 0.9, 9)
BASE_ERROR, MODE_SHARE, MASS_ERROR = 0.03, 0.5, 1e-3
WATCHED, WATCHED_ERROR = 0.01, 0.2  # probability beyond the time-varying threshold, and its maximum error
LEARNT, LEARNT_ERROR = 0.05, 0.2  # the same for the learned threshold; the tails of SBP begin there
EXTREME, EXTREME_ERROR = 1e-3, 0.25
FARTHEST, END_ERROR = 1e-6, 0.1
CELLS, NODES, OUTSIDE = 500, 64, 1e-5  # cells and nodes per cell of the quadrature; probability outside, per side
MODE = 3.0  # distance of the mixture's modes from zero


class Measured(NamedTuple):
    """Whether an approach meets a criterion, and the measurement as text."""

    can: bool
    text: str


@dataclass(frozen=True)
class Probe:
    """The measurement of one capability.

    Attributes:
        name: name of the capability.
        data: description of the sample.
        sample: the draws.
        criterion: description of the condition that the measurement must meet.
        figures: description of the measured quantities.
        truth: the same quantities of the true distribution.
        measure: function of an approach fitted to the sample, and of the sample.
    """

    name: str
    data: str
    sample: Sample
    criterion: str
    figures: str
    truth: str
    measure: Callable[[Fitted, Sample], Measured]

    def __call__(self, fitted: Fitted) -> Measured:
        """Return the measurement; without the quantity, an approach fails and the reason replaces the value."""
        try:
            return self.measure(fitted, self.sample)
        except Lacking as reason:
            return Measured(False, str(reason))


def _skewed(u: np.ndarray) -> np.ndarray:
    """An exponential lower half of scale 1/2 and a generalized Pareto upper half of shape 1/4 and scale 1."""
    lower, upper = 0.5 * np.log(np.minimum(2 * u, 1.0)), 4 * (np.minimum(2 * (1 - u), 1.0) ** -0.25 - 1)
    return np.where(u < 0.5, lower, upper)


def _two_peaks(u: np.ndarray) -> np.ndarray:
    return np.where(u < 0.5, stats.norm.ppf(2 * u % 1) - MODE, stats.norm.ppf(2 * u % 1) + MODE)


MOVING = Sample((State(0.0, stats.norm(0.0, 1.0).ppf), State(10.0, stats.norm(10.0, 3.0).ppf)))
SKEWED = Sample((State(2 / 3 - 1 / 4, _skewed),))
SHAPES = Sample(
    (
        State(0.0, stats.norm().ppf),
        State(0.0, stats.t(4, scale=np.sqrt(0.5)).ppf),
        State(0.0, stats.expon(-1.0).ppf),
    )
)
TWO_PEAKS = Sample((State(0.0, _two_peaks),))
ENDING = Sample((State(0.4, stats.beta(2, 3).ppf),))


def true(sample: Sample, level: float) -> np.ndarray:
    """Return the quantile of each state's distribution, [S]."""
    return np.array([float(state.draw(np.asarray(level))) for state in sample.states])


def numbers(values: np.ndarray) -> str:
    """Return the numbers as comma-separated text."""
    return ", ".join(f"{value:.3g}" for value in np.ravel(values))


def _errors(quantiles: np.ndarray, sample: Sample, level: float) -> np.ndarray:
    """Errors of quantiles as shares of the true quantile's distance from the mean, [S]."""
    right = true(sample, level)
    return np.abs(quantiles - right) / np.abs(right - sample.means)


def _base(fitted: Fitted, sample: Sample) -> Measured:
    y = np.stack([state.draw(LEVELS) for state in sample.states])
    error = float(np.abs(fitted.cdf(y) - LEVELS).max())
    return Measured(error <= BASE_ERROR, f"{error:.3f}")


def _watched(fitted: Fitted, sample: Sample) -> Measured:
    upper = fitted.beyond(WATCHED, "upper")
    errors = _errors(upper, sample, 1 - WATCHED)
    return Measured(bool((errors <= WATCHED_ERROR).all()), f"{numbers(upper)} (apart by {upper[1] - upper[0]:.3g})")


def _learnt(fitted: Fitted, sample: Sample) -> Measured:
    start, slope, end = fitted.descent(LEARNT)
    can = bool((np.abs(slope) > 0).all() and (_errors(end, sample, 1 - LEARNT) <= LEARNT_ERROR).all())
    return Measured(can, f"{numbers(start[:1])} → {numbers(end)} (slope {numbers(slope)})")


def _tails(fitted: Fitted, sample: Sample) -> Measured:
    """Both extreme quantiles in every state."""
    extremes = {side: fitted.beyond(EXTREME, side) for side in SIDES}
    errors = [_errors(extremes["upper"], sample, 1 - EXTREME), _errors(extremes["lower"], sample, EXTREME)]
    text = "; ".join(numbers(np.array(pair)) for pair in zip(extremes["lower"], extremes["upper"], strict=True))
    return Measured(bool((np.array(errors) <= EXTREME_ERROR).all()), text)


def _peaks(fitted: Fitted, sample: Sample) -> Measured:
    # averaged around each point, to smooth the noise of single bins
    around = np.linspace(-0.25, 0.25, 21)
    low, valley, high = (float(fitted.density((at + around)[None]).mean()) for at in (-MODE, 0.0, MODE))
    share = valley / min(low, high) if min(low, high) > 0 else np.inf
    return Measured(share < MODE_SHARE, f"{share:.2f}")


def _end(fitted: Fitted, sample: Sample) -> Measured:
    (end,) = fitted.beyond(FARTHEST, "upper")
    low, high = true(sample, 0.0)[0], true(sample, 1.0)[0]
    return Measured(bool(abs(end - high) <= END_ERROR * (high - low)), f"{end:.3g}")


def _mass(fitted: Fitted, sample: Sample) -> Measured:
    knots = np.array([true(sample, level)[0] for level in np.linspace(OUTSIDE, 1 - OUTSIDE, CELLS + 1)])
    width = np.diff(knots)
    nodes = knots[:-1, None] + width[:, None] * (np.arange(NODES) + 0.5) / NODES
    inside = fitted.density(nodes.reshape(1, -1)).reshape(CELLS, NODES).mean(axis=1) * width
    levels = fitted.cdf(knots[None])[0]
    mass = float(levels[0] + inside.sum() + 1 - levels[-1])
    gap = float(np.abs(inside - np.diff(levels)).sum())
    can = abs(mass - 1) <= MASS_ERROR and gap <= MASS_ERROR  # False for NaN
    return Measured(can, f"{mass:.4f}; {gap:.4f}")


def _pairs(sample: Sample) -> str:
    pairs = np.stack([true(sample, EXTREME), true(sample, 1 - EXTREME)], axis=1)
    return "; ".join(numbers(pair) for pair in pairs)


PROBES = (
    Probe(
        "models the base",
        "Two states of the input, Gaussian of mean 0 and deviation 1 and of mean 10 and deviation 3.",
        MOVING,
        f"the probability below each of the nine true deciles of both states is wrong by at most {BASE_ERROR}",
        "largest error of a probability",
        "0",
        _base,
    ),
    Probe(
        "time-varying threshold",
        "As above: mean and deviation differ between the states.",
        MOVING,
        f"the threshold that is exceeded with probability {WATCHED} is wrong in each state by at most "
        f"{WATCHED_ERROR:.0%} of its distance from that state's mean",
        "thresholds in both states",
        f"{numbers(true(MOVING, 1 - WATCHED))} (apart by {np.diff(true(MOVING, 1 - WATCHED))[0]:.3g}, the means by 10)",
        _watched,
    ),
    Probe(
        "threshold learnt by gradient",
        "As above; the start is the distribution of both states together.",
        MOVING,
        f"the loss's gradient moves the threshold that is exceeded with probability {LEARNT}, in both states, and "
        f"the descent ends, in each state, with an error of at most {LEARNT_ERROR:.0%} of the true one's distance from "
        "the mean",
        "threshold: start → end in both states (slopes at the start)",
        numbers(true(MOVING, 1 - LEARNT)),
        _learnt,
    ),
    Probe(
        "asymmetric tails",
        "Lower half exponential of scale 1/2, upper half generalized Pareto of shape 1/4 and scale 1.",
        SKEWED,
        f"both quantiles that the outcome lies beyond with probability {EXTREME} are wrong by at most "
        f"{EXTREME_ERROR:.0%} of their distance from the mean",
        "lower, upper quantile",
        _pairs(SKEWED),
        _tails,
    ),
    Probe(
        "higher-order non-stationarity",
        "Three states of mean 0 and deviation 1: Gaussian, Student-t of 4 degrees of freedom, exponential.",
        SHAPES,
        f"as for asymmetric tails, in each of the three states; {EXTREME} on either side",
        "lower, upper quantile of each state",
        _pairs(SHAPES),
        _tails,
    ),
    Probe(
        "multimodal",
        f"An equal mixture of Gaussians of deviation 1 around {-MODE:g} and {MODE:g}.",
        TWO_PEAKS,
        f"the density around 0 is below {MODE_SHARE:g} of the lower one of those around {-MODE:g} and {MODE:g}",
        "density around 0 / around a mode",
        f"{2 * stats.norm.pdf(MODE) / (stats.norm.pdf(0) + stats.norm.pdf(2 * MODE)):.2f}",
        _peaks,
    ),
    Probe(
        "bounded tails",
        "A Beta(2, 3) distribution, which ends at 1.",
        ENDING,
        f"the quantile exceeded with probability {FARTHEST:g} lies within {END_ERROR:.0%} of the range from the end",
        "quantile",
        f"{true(ENDING, 1 - FARTHEST)[0]:.3g}, the end 1",
        _end,
    ),
    Probe(
        "exact density",
        "As for asymmetric tails.",
        SKEWED,
        f"quadrature of the density over {CELLS} cells, with the cdf's tails outside, is 1 within {MASS_ERROR:g}; its "
        f"differences to those of the cdf, added up over the cells, are at most {MASS_ERROR:g}",
        "mass; added differences",
        "1; 0",
        _mass,
    ),
)
