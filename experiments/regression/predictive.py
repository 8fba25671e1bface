"""Predictive distributions of all models behind one interface, and their metrics.

CRPS and threshold-weighted CRPS are exact for distributions that compute them. All others are approximated by the same
rule: the piecewise linear cdf through the quantiles at the probabilities `LEVELS`, whose scores are computed exactly.
For normal, Student-t, GPD and log-normal distributions, the relative error is below 4e-4.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from scipy.stats import genpareto

# dense in both tails: from 1e-6 to 1 - 1e-6, equally spaced on the logit scale
LEVELS = expit(np.linspace(-1.0, 1.0, 801) * np.log(1e6))
TAIL = 0.9  # probability in the training outcomes of the threshold of the upper tail's CRPS
EXTREMES = (0.99, 0.999)  # probabilities of the extreme quantiles
METRICS = ("nll", "crps", "twcrps", *(f"{name}_{p}" for p in EXTREMES for name in ("coverage", "quantile_score")))
Tail = tuple[np.ndarray, np.ndarray]  # scale and shape of a generalized Pareto distribution, [N] each


class Predictive:
    """Predictive distributions of N outcomes."""

    def logs(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log P(Y <= y) and log P(Y > y), [N] each."""
        raise NotImplementedError

    def quantile(self, levels: np.ndarray) -> np.ndarray:
        """Return the quantiles at probabilities [K], [N, K]."""
        raise NotImplementedError

    def cell_log_prob(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return log P(low < Y <= high), [N], from the nearer tail; -inf where the probability is zero."""
        (below_low, above_low), (below_high, above_high) = self.logs(low), self.logs(high)
        upper = below_low > np.log(0.5)
        larger, smaller = np.where(upper, above_low, below_high), np.where(upper, above_high, below_low)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(larger > smaller, larger + np.log1p(-np.exp(smaller - larger)), -np.inf)

    def crps(self, y: np.ndarray, threshold: float = -np.inf) -> np.ndarray:
        """Return the integral over x >= threshold of (F(x) - 1{x >= y})^2, [N], by the rule of this module."""
        return grid_crps(self.quantile(LEVELS), LEVELS, y, threshold)


def grid_crps(values: np.ndarray, levels: np.ndarray, y: np.ndarray, threshold: float = -np.inf) -> np.ndarray:
    """Return the CRPS of piecewise linear cdfs above a threshold, [N].

    Args:
        values: quantiles [N, K], nondecreasing along K; equal values are an atom.
        levels: their probabilities [K], increasing; mass beyond the first and the last is at those points.
        y: outcomes [N].
        threshold: lower end of the integral.

    Example:
        >>> grid_crps(np.array([[0.0, 1.0]]), np.array([0.0, 1.0]), np.array([0.0]))  # uniform
        array([0.33333333])
    """
    y, end, high = np.maximum(y, threshold), values[:, 1:], levels[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(end > values[:, :-1], np.diff(levels) / np.diff(values, axis=1), 0.0)
    start = np.clip(threshold, values[:, :-1], end)
    low = levels[:-1] + rate * (start - values[:, :-1])
    at = np.clip(y[:, None], start, end)
    middle = low + rate * (at - start)
    below = (at - start) * (low**2 + low * middle + middle**2)
    above = (end - at) * ((1 - middle) ** 2 + (1 - middle) * (1 - high) + (1 - high) ** 2)
    first, last = np.maximum(values[:, 0], threshold), np.maximum(values[:, -1], threshold)
    return (below + above).sum(1) / 3 + np.maximum(first - y, 0.0) + np.maximum(y - last, 0.0)


@dataclass(frozen=True)
class Frozen(Predictive):
    """A frozen distribution of scipy with parameters [N, 1]."""

    dist: Any

    def logs(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.dist.logcdf(y[:, None])[:, 0], self.dist.logsf(y[:, None])[:, 0]

    def quantile(self, levels: np.ndarray) -> np.ndarray:
        return self.dist.ppf(levels)

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """Return a draw of each outcome, [N]."""
        return self.dist.rvs(random_state=generator)[:, 0]


@dataclass(frozen=True)
class LogScale(Predictive):
    """max(exp(Z) - shift, 0), where Z has the distribution `base`: mass below zero is an atom at zero."""

    base: Predictive
    shift: float

    def logs(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        below, above = self.base.logs(np.log(np.maximum(np.maximum(y, 0.0) + self.shift, 1e-300)))
        return np.where(y >= 0, below, -np.inf), np.where(y >= 0, above, 0.0)

    def quantile(self, levels: np.ndarray) -> np.ndarray:
        # exp(300) stands for larger values, whose squares would not be finite
        return np.maximum(np.exp(np.minimum(self.base.quantile(levels), 300.0)) - self.shift, 0.0)


@dataclass(frozen=True)
class ZeroAdjusted(Predictive):
    """0 with probability `zero` [N], otherwise a positive outcome with the distribution `base`."""

    zero: np.ndarray
    base: Frozen

    def logs(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        above = np.where(y >= 0, np.log1p(-self.zero) + self.base.logs(np.maximum(y, 0.0))[1], 0.0)
        with np.errstate(divide="ignore"):
            return np.log1p(-np.exp(above)), above

    def quantile(self, levels: np.ndarray) -> np.ndarray:
        zero = self.zero[:, None]
        return np.where(levels <= zero, 0.0, self.base.quantile(np.maximum(levels - zero, 0.0) / (1 - zero)))

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """Return a draw of each outcome, [N]."""
        return np.where(generator.random(len(self.zero)) < self.zero, 0.0, self.base.draw(generator))


@dataclass(frozen=True)
class Quantiles(Predictive):
    """A piecewise linear cdf through quantiles, with generalized Pareto tails where given.

    Attributes:
        levels: probabilities [K], increasing.
        values: quantiles [N, K], nondecreasing along K.
        lower, upper: tails beyond the first and the last quantile; without a tail, the mass is at that quantile.
    """

    levels: np.ndarray
    values: np.ndarray
    lower: Tail | None = None
    upper: Tail | None = None

    def logs(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count, row = len(self.levels), np.arange(len(y))
        right = (self.values <= y[:, None]).sum(1)
        i = np.clip(right, 1, count - 1)
        low, high = self.values[row, i - 1], self.values[row, i]
        below = _log_mass(self.lower, self.levels[0], self.values[:, 0] - y)
        above = _log_mass(self.upper, 1 - self.levels[-1], y - self.values[:, -1])
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.clip(np.where(high > low, (y - low) / (high - low), 1.0), 0.0, 1.0)
            inside = self.levels[i - 1] + np.diff(self.levels)[i - 1] * weight
            outside = [right == 0, right == count]
            log_cdf = np.select(outside, [below, np.log1p(-np.exp(above))], np.log(inside))
            return log_cdf, np.select(outside, [np.log1p(-np.exp(below)), above], np.log1p(-inside))

    def quantile(self, levels: np.ndarray) -> np.ndarray:
        right = np.clip(np.searchsorted(self.levels, levels), 1, len(self.levels) - 1)
        low, high = self.levels[right - 1], self.levels[right]
        weight = (np.clip(levels, self.levels[0], self.levels[-1]) - low) / (high - low)
        result = self.values[:, right - 1] + weight * (self.values[:, right] - self.values[:, right - 1])
        ends = ((self.lower, self.levels[0], levels, -1), (self.upper, 1 - self.levels[-1], 1 - levels, 1))
        for tail, mass, beyond, sign in ends:
            if tail is not None:
                out = beyond < mass
                result[:, out] += sign * genpareto.isf(beyond[out] / mass, tail[1][:, None], scale=tail[0][:, None])
        return result


def _log_mass(tail: Tail | None, mass: float, excess: np.ndarray) -> np.ndarray:
    """Log-probability beyond an excess over the end of the quantiles, which have `mass` beyond them."""
    if tail is None:
        return np.full(len(excess), -np.inf)
    return np.log(mass) + genpareto.logsf(np.maximum(excess, 0.0), tail[1], scale=tail[0])


@dataclass(frozen=True)
class Ours(Predictive):
    """A distribution of sbp_jax with batch shape [N], which has exact scores."""

    dist: Any

    def quantile(self, levels: np.ndarray) -> np.ndarray:
        # from the nearer tail: in float32, 1 - 0.999 has few digits
        return np.stack([_array(self.dist.icdf(p) if p <= 0.5 else self.dist.isf(1 - p)) for p in levels.tolist()], 1)

    def cell_log_prob(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return _array(self.dist.interval_log_prob(low.astype(np.float32), high.astype(np.float32)))

    def crps(self, y: np.ndarray, threshold: float = -np.inf) -> np.ndarray:
        y = y.astype(np.float32)
        return _array(self.dist.crps(y) if threshold == -np.inf else self.dist.twcrps(y, np.full_like(y, threshold)))


def _array(values: Any) -> np.ndarray:
    return np.asarray(values, np.float64)


def scores(dist: Predictive, y: np.ndarray, threshold: float, width: float) -> dict[str, float | None]:
    """Return the `METRICS` of predictive distributions, means over the outcomes y [N].

    `nll`, in nats, is the negative log-probability of cells of the given width around the outcomes; None if a cell has
    probability 0. `crps`, `twcrps` above the threshold, and `quantile_score_P` for each P in `EXTREMES` are in the unit
    of y. `coverage_P` is the fraction of outcomes at or below the P-quantile.
    """
    nll = -float(np.mean(dist.cell_log_prob(y - width / 2, y + width / 2)))
    values = {"nll": nll if np.isfinite(nll) else None, "crps": float(np.mean(dist.crps(y)))}
    values["twcrps"] = float(np.mean(dist.crps(y, threshold)))
    for p, at in zip(EXTREMES, dist.quantile(np.array(EXTREMES)).T, strict=True):
        values[f"coverage_{p}"] = float(np.mean(y <= at + 1e-6 * np.abs(at)))  # an atom in float32 covers itself
        values[f"quantile_score_{p}"] = float(np.mean(((y <= at) - p) * (at - y)))
    return values
