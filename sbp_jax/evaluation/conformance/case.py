"""A test case and its distribution in float64 NumPy, typed from the formulas, independent of both implementations."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

BINS = 100


@dataclass(frozen=True, eq=False)
class Case:
    """A Spliced Binned-Pareto distribution.

    Numbers are rounded to float32 unless `double`, so that a float32 implementation gets the same inputs.

    Attributes:
        logits: [K].
        ends: first and last edge, with K bins of equal width between them.
        shapes: (xi_l, xi_u).
        scales: (beta_l, beta_u).
        tail: tail mass of each side.
        double: measure in float64 instead of float32.
    """

    logits: np.ndarray
    ends: tuple[float, float]
    shapes: tuple[float, float] = (0.2, 0.3)
    scales: tuple[float, float] = (1.5, 2.5)
    tail: float = 0.05
    double: bool = False

    @classmethod
    def uneven(cls, width: float = 1.0, double: bool = False) -> "Case":
        """Return a case with 100 bins of the given width, a bell with ripples; the scales grow with the width."""
        k = np.arange(BINS)
        logits = -0.5 * ((k - 45) / 14) ** 2 + 0.4 * np.sin(1.7 * k)
        return cls(logits, (-40 * width, 60 * width), scales=(1.5 * width, 2.5 * width), double=double)

    @classmethod
    def peaked(cls) -> "Case":
        """Return a case with all the mass in one bin: the other bins underflow in float32."""
        return cls(np.where(np.arange(BINS) == 40, 200.0, 0.0), (-40.0, 60.0))

    def with_shape(self, xi: float) -> "Case":
        """Return the same case with both shapes replaced."""
        return replace(self, shapes=(xi, xi))

    @property
    def dtype(self) -> type:
        return np.float64 if self.double else np.float32

    def rounded(self, value: object) -> np.ndarray:
        """Return a number as the implementation gets it, in float64."""
        return np.asarray(value, self.dtype).astype(np.float64)

    @cached_property
    def edges(self) -> np.ndarray:
        return self.rounded(np.linspace(*self.ends, len(self.logits) + 1))

    @cached_property
    def mass(self) -> np.ndarray:
        """Probability of each bin of the full histogram, [K]."""
        logits = self.rounded(self.logits)
        weight = np.exp(logits - logits.max())
        return weight / weight.sum()

    @cached_property
    def thresholds(self) -> tuple[float, float]:
        """(t_l, t_u)."""
        tail = float(self.rounded(self.tail))
        below = np.concatenate([[0.0], np.cumsum(self.mass)])
        above = np.concatenate([[0.0], np.cumsum(self.mass[::-1])])
        width = np.diff(self.edges)
        k = int(np.searchsorted(below[1:-1], tail, side="right"))
        j = int(np.searchsorted(above[1:-1], tail, side="right"))
        low = self.edges[k] + width[k] * (tail - below[k]) / self.mass[k]
        high = self.edges[-1 - j] - width[-1 - j] * (tail - above[j]) / self.mass[-1 - j]
        return float(low), float(high)

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """Return log f(y) for shapes above zero."""
        t_l, t_u = self.thresholds
        index = np.clip(np.searchsorted(self.edges, y, side="right") - 1, 0, len(self.mass) - 1)
        body = np.log(self.mass[index]) - np.log(np.diff(self.edges)[index])
        return np.where(y < t_l, self._tail(0, t_l - y)[0], np.where(y > t_u, self._tail(1, y - t_u)[0], body))

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Return F(y) for shapes above zero."""
        t_l, t_u = self.thresholds
        body = np.interp(y, self.edges, np.concatenate([[0.0], np.cumsum(self.mass)]))
        lower, upper = np.exp(self._tail(0, t_l - y)[1]), -np.expm1(self.log_survival(y))
        return np.where(y < t_l, lower, np.where(y > t_u, upper, body))

    def log_survival(self, y: np.ndarray) -> np.ndarray:
        """Return log(1 - F(y)) in the upper tail."""
        return self._tail(1, y - self.thresholds[1])[1]

    def moments(self) -> tuple[float, float]:
        """Return mean and variance, for shapes below 1/2."""
        t_l, t_u = self.thresholds
        tail = float(self.rounded(self.tail))
        knots = self._knots()
        middle, length = (knots[1:] + knots[:-1]) / 2, np.diff(knots)
        weight = length * np.exp(self.log_density(middle))
        xi, beta = self.rounded(self.shapes), self.rounded(self.scales)
        center = np.array([t_l, t_u]) + np.array([-1, 1]) * beta / (1 - xi)
        mean = float(weight @ middle + tail * center.sum())
        within = weight @ ((middle - mean) ** 2 + length**2 / 12)
        spread = beta**2 / ((1 - xi) ** 2 * (1 - 2 * xi))
        return mean, float(within + tail * np.sum((center - mean) ** 2 + spread))

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return points and weights that integrate a density of this form over the real line.

        In the body, the midpoint of each piece of a bin, exact for a step function. In a tail, Gauss-Legendre nodes in
        the cumulative hazard, where the integrand exp(-a) is the same for every shape; the mass beyond a = 40 is less
        than 1e-17.
        """
        t_l, t_u = self.thresholds
        knots = self._knots()
        a, weight = _panels(0.0, 40.0, 40)
        points, weights = [(knots[1:] + knots[:-1]) / 2], [np.diff(knots)]
        xi, beta = self.rounded(self.shapes), self.rounded(self.scales)
        for start, sign, shape, scale in ((t_l, -1, xi[0], beta[0]), (t_u, 1, xi[1], beta[1])):
            points.append(start + sign * scale * np.expm1(shape * a) / shape)
            weights.append(weight * scale * np.exp(shape * a))
        return np.concatenate(points), np.concatenate(weights)

    def fine_nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return points and weights that integrate functions with steps at the thresholds and at eighths of a bin.

        Between the ends of the bins, the midpoints of 64 parts of each eighth, split at the thresholds too; beyond
        them Gauss-Legendre nodes in the logarithm of the excess.
        """
        t_l, t_u = self.thresholds
        parts = 8 * 64
        ends = self.edges[:-1, None] + np.diff(self.edges)[:, None] * np.arange(parts) / parts
        knots = np.unique(np.concatenate([ends.ravel(), self.edges[-1:], [t_l, t_u]]))
        points, weights = [(knots[1:] + knots[:-1]) / 2], [np.diff(knots)]
        log_excess, weight = _panels(-12.0, 25.0, 60)
        for start, sign, scale in ((self.edges[0], -1, self.scales[0]), (self.edges[-1], 1, self.scales[1])):
            points.append(start + sign * scale * np.exp(log_excess))
            weights.append(weight * scale * np.exp(log_excess))
        return np.concatenate(points), np.concatenate(weights)

    def body(self) -> tuple[np.ndarray, np.ndarray]:
        """Return both ends of the middle half of every bin that lies entirely in the body."""
        t_l, t_u = self.thresholds
        low, high = self.edges[:-1], self.edges[1:]
        inside = (low > t_l) & (high < t_u)
        low, high = low[inside], high[inside]
        return self.rounded(low + (high - low) / 4), self.rounded(high - (high - low) / 4)

    def outcomes(self) -> np.ndarray:
        """Return outcomes in both tails and at the midpoint of every bin of the body; none at an edge or threshold."""
        t_l, t_u = self.thresholds
        low, high = self.body()
        excess = np.geomspace(0.5, 200.0, 25) * self.rounded(self.scales)[:, None]
        return self.rounded(np.concatenate([t_l - excess[0][::-1], (low + high) / 2, t_u + excess[1]]))

    def _knots(self) -> np.ndarray:
        t_l, t_u = self.thresholds
        return np.concatenate([[t_l], self.edges[(self.edges > t_l) & (self.edges < t_u)], [t_u]])

    def _tail(self, side: int, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-density at an excess z and log-probability beyond it; z below zero counts as zero."""
        xi, beta = float(self.rounded(self.shapes[side])), float(self.rounded(self.scales[side]))
        hazard = np.log1p(xi * np.maximum(z, 0.0) / beta) / xi
        log_tail = np.log(self.rounded(self.tail))
        return log_tail - np.log(beta) - (1 + xi) * hazard, log_tail - hazard


def pareto_log_density(xi: np.ndarray, beta: float, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Return log g(z) = -log beta - (1 + xi) a and its derivative in xi, for any |xi z / beta| < 1 or xi > 0.

    With u = z / beta, a = log(1 + xi u) / xi = u (1 - xi u / 2 + (xi u)^2 / 3 - ...), and a' is its derivative: the
    series where |xi u| < 0.02, the closed forms elsewhere.
    """
    xi = np.asarray(xi, np.float64)
    u = z / beta
    near = np.abs(xi * u) < 0.02
    far = np.where(near, 1.0, xi)
    hazard_far = np.log1p(far * u) / far
    slope_far = (u / (1 + far * u) - hazard_far) / far
    powers = np.arange(12)
    series = np.where(near, -xi * u, 0.0)[..., None] ** powers
    hazard_near = u * np.sum(series / (powers + 1), axis=-1)
    slope_near = -(u**2) * np.sum(series * (powers + 1) / (powers + 2), axis=-1)
    hazard, slope = np.where(near, hazard_near, hazard_far), np.where(near, slope_near, slope_far)
    return -np.log(beta) - (1 + xi) * hazard, -hazard - (1 + xi) * slope


def _panels(start: float, stop: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eight-point Gauss-Legendre rules on each of `count` equal panels."""
    x, w = np.polynomial.legendre.leggauss(8)
    half = (stop - start) / count / 2
    centers = start + half * (2 * np.arange(count) + 1)
    return (centers[:, None] + half * x).ravel(), np.tile(half * w, count)
