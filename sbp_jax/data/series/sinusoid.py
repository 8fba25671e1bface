"""The series of the method's public demo, from its definition, and the true distribution of each of its values.

It is a sinusoid with a period of 100 steps and amplitude 1 about a level of 5. Added are the negative part of one
Student-t noise and the positive part of another (ten degrees of freedom, scale 0.25): with probability 1/4 both are
zero, and the value lies exactly on the sinusoid. Fifteen percent of the values have a spike, half of them down and half
up, with a generalized Pareto magnitude of shape 1/50 and 1/25. Source: the notebook published with the method's code
(GluonTS, nursery, spliced_binned_pareto).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.signal import fftconvolve
from scipy.stats import genpareto, t

STEPS_PER_CYCLE, LEVEL = 100, 5.0
_FREEDOM, _NOISE = 10, 0.25
_SPIKES = ((0.075, -1, 1 / 50), (0.075, 1, 1 / 25))  # probability, direction, shape
# grid of the distribution, up to where the remaining mass is 1e-12
_STEP, _LOW, _HIGH = 1e-3, -40.0, 60.0


def sinusoid(count: int) -> np.ndarray:
    """Return the center of each value, float64 [count]."""
    return np.sin(np.linspace(0.0, 2 * np.pi * count / STEPS_PER_CYCLE, count)) + LEVEL


def draw(count: int, seed: int) -> np.ndarray:
    """Return a series of `count` values, float64 [count]; the same for the same seed."""
    random = np.random.default_rng(seed)
    lower, upper = (random.standard_t(_FREEDOM, count) * _NOISE for _ in range(2))
    values = sinusoid(count) + np.minimum(lower, 0.0) + np.maximum(upper, 0.0)
    places = random.permutation(count)
    for fraction, direction, shape in _SPIKES:
        indices, places = np.split(places, [round(fraction * count)])
        values[indices] += direction * genpareto(shape).rvs(len(indices), random_state=random)
    return values


@dataclass(frozen=True, eq=False)
class TrueDistribution:
    """Distribution of values given their centers, which are known.

    It is computed on a grid of step 0.001, by convolution of the exact probabilities of the cells.

    Attributes:
        middle: centers of the values, float64 [N].
    """

    middle: np.ndarray

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y <= y) [N], including the atom on the sinusoid."""
        return self._at(y, _grid()[1])

    def cdf_below(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y < y) [N]."""
        mass, cdf = _grid()[:2]
        return self._at(y, cdf - mass)

    def probability(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return P(low <= Y < high) [N]."""
        return self.cdf_below(high) - self.cdf_below(low)

    def median(self) -> np.ndarray:
        """Return the medians [N]."""
        place = int(np.searchsorted(_grid()[1], 0.5))
        return self.middle + _LOW + _STEP * place

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Return the continuous ranked probability scores [N]."""
        _, _, below, above = _grid()
        return self._at(y, below) + self._at(y, above)

    def _at(self, y: np.ndarray, values: np.ndarray) -> np.ndarray:
        place = np.round((np.asarray(y, np.float64) - self.middle - _LOW) / _STEP).astype(np.int64)
        return values[np.clip(place, 0, len(values) - 1)]


@cache
def _grid() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of value minus center, on the grid: mass, cdf, and the integrals of F^2 up to and of (1 - F)^2 from each cell."""
    points = np.arange(round((_HIGH - _LOW) / _STEP) + 1)
    zero = round(-_LOW / _STEP)

    def cells(dist) -> np.ndarray:
        """Mass of the cell around each point, from the distribution's cdf; the end cells include the tails."""
        edges = _LOW + _STEP * (points[:-1] + 0.5)
        return np.diff(dist(edges), prepend=0.0, append=1.0)

    # each has half of its mass at 0
    lower = cells(lambda x: np.where(x < 0, t.cdf(x / _NOISE, _FREEDOM), 1.0))
    upper = cells(lambda x: np.where(x < 0, 0.0, t.cdf(x / _NOISE, _FREEDOM)))
    noise = _convolved(lower, upper, zero)
    mass = (1 - sum(weight for weight, _, _ in _SPIKES)) * noise
    for weight, direction, shape in _SPIKES:
        spike = genpareto(shape)
        jump = cells(spike.cdf if direction > 0 else lambda x, spike=spike: spike.sf(-x))
        mass = mass + weight * _convolved(noise, jump, zero)
    cdf = np.cumsum(mass)
    cdf /= cdf[-1]
    mass = np.diff(cdf, prepend=0.0)
    squares, squared_tails = cdf**2 * _STEP, (1 - cdf) ** 2 * _STEP
    below = np.cumsum(squares) - squares
    above = np.cumsum(squared_tails[::-1])[::-1]
    return mass, cdf, below, above


def _convolved(one: np.ndarray, other: np.ndarray, zero: int) -> np.ndarray:
    """Masses of the sum of two independent variables on the grid."""
    return np.maximum(fftconvolve(one, other)[zero : zero + len(one)], 0.0)
