"""The distribution in 50 digits, typed from its documented formulas: plain, slow and independent of `distributions`.

Importing it sets mpmath to 50 digits, and raises an InputError without the extra `check`.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sbp_jax.errors import needs

needs("check")
import mpmath as mp  # noqa: E402

mp.mp.dps = 50
INF = mp.inf


def exact(x: object) -> Any:
    """Return the exact value of a NumPy or JAX scalar, without going through decimals."""
    return mp.mpf(float(np.asarray(x)))


def derivative(function, at):
    """Return the central difference with step 1e-17 at 50 digits: about 33 digits are correct."""
    h = mp.mpf(10) ** -17
    return (function(at + h) - function(at - h)) / (2 * h)


def log1p_ratio(xi, u):
    """Return log(1 + xi u) / xi, u at xi = 0."""
    return u if xi == 0 else mp.log1p(xi * u) / xi


def expm1_ratio(xi, v):
    """Return (exp(xi v) - 1) / xi, v at xi = 0."""
    return v if xi == 0 else mp.expm1(xi * v) / xi


@dataclass
class Pareto:
    """Generalized Pareto distribution of an excess."""

    xi: Any
    beta: Any

    def end(self):
        return -self.beta / self.xi if self.xi < 0 else INF

    def log_prob(self, z):
        if z < 0 or z > self.end():
            return -INF
        return -mp.log(self.beta) - (1 + self.xi) * log1p_ratio(self.xi, z / self.beta)

    def survival(self, z):
        if z <= 0:
            return mp.mpf(1)
        if z >= self.end():
            return mp.mpf(0)
        return mp.exp(-log1p_ratio(self.xi, z / self.beta))

    def cdf(self, z):
        return 1 - self.survival(z)

    def isf(self, s):
        return self.beta * expm1_ratio(self.xi, -mp.log(s))

    def mean(self):
        return self.beta / (1 - self.xi) if self.xi < 1 else INF

    def variance(self):
        return self.beta**2 / ((1 - self.xi) ** 2 * (1 - 2 * self.xi)) if self.xi < 0.5 else INF

    def integral(self, power, start, stop):
        """Integrate S^power from start to stop by quadrature in the hazard a: dz = beta exp(xi a) da."""

        def hazard(z):
            return -mp.log(self.survival(z)) if self.survival(z) > 0 else INF

        if start >= self.end():
            return mp.mpf(0)
        a, b = hazard(start), hazard(stop) if stop < INF else INF
        if b == INF:
            b = a + 250 / (power - max(self.xi, mp.mpf(0)))
        points = [a + (b - a) * mp.mpf(k) / 8 for k in range(9)]
        return mp.quad(lambda t: self.beta * mp.exp((self.xi - power) * t), points)


@dataclass
class Spliced:
    """Spliced Binned-Pareto distribution; the same names as the package's methods."""

    logits: list[Any]
    edges: list[Any]
    lower: Pareto
    upper: Pareto
    tau_l: Any
    tau_u: Any

    def __post_init__(self):
        peak = max(self.logits)
        weights = [mp.exp(x - peak) for x in self.logits]
        total = mp.fsum(weights)
        self.p = [w / total for w in weights]
        self.before = [mp.fsum(self.p[:k]) for k in range(len(self.p) + 1)]
        self.after = [mp.fsum(self.p[k:]) for k in range(len(self.p) + 1)]
        self.t_l = self.body_quantile(self.tau_l)
        self.t_u = self.body_isf(self.tau_u)

    def body_quantile(self, q):
        if q == 0:
            return self.edges[0]
        k = next((k for k in range(len(self.p)) if self.before[k + 1] >= q), len(self.p) - 1)
        return self.edges[k] + (q - self.before[k]) / self.p[k] * (self.edges[k + 1] - self.edges[k])

    def body_isf(self, s):
        if s == 0:
            return self.edges[-1]
        k = next((k for k in reversed(range(len(self.p))) if self.after[k] >= s), 0)
        return self.edges[k + 1] - (s - self.after[k + 1]) / self.p[k] * (self.edges[k + 1] - self.edges[k])

    def bin(self, y):
        return max(k for k in range(len(self.p)) if k == 0 or self.edges[k] <= y)

    def body_log_prob(self, y):
        k = self.bin(y)
        return mp.log(self.p[k]) - mp.log(self.edges[k + 1] - self.edges[k])

    def log_prob(self, y):
        if y < self.t_l:
            return mp.log(self.tau_l) + self.lower.log_prob(self.t_l - y) if self.tau_l else -INF
        if y > self.t_u:
            return mp.log(self.tau_u) + self.upper.log_prob(y - self.t_u) if self.tau_u else -INF
        return self.body_log_prob(y)

    def composite(self, y, t_l, t_u):
        total = self.body_log_prob(y)
        if y < t_l:
            total += mp.log(self.tau_l) + self.lower.log_prob(t_l - y)
        if y > t_u:
            total += mp.log(self.tau_u) + self.upper.log_prob(y - t_u)
        return total

    def cdf(self, y):
        if y < self.t_l:
            return self.tau_l and self.tau_l * self.lower.survival(self.t_l - y)
        if y > self.t_u:
            return 1 - (self.tau_u and self.tau_u * self.upper.survival(y - self.t_u))
        k = self.bin(y)
        return self.before[k] + self.p[k] * (y - self.edges[k]) / (self.edges[k + 1] - self.edges[k])

    def survival(self, y):
        if y < self.t_l:
            return 1 - self.cdf(y)
        if y > self.t_u:
            return self.tau_u and self.tau_u * self.upper.survival(y - self.t_u)
        k = self.bin(y)
        return self.after[k + 1] + self.p[k] * (self.edges[k + 1] - y) / (self.edges[k + 1] - self.edges[k])

    def icdf(self, q):
        if q < self.tau_l:
            return self.t_l - self.lower.isf(q / self.tau_l)
        if 1 - q < self.tau_u:
            return self.t_u + self.upper.isf((1 - q) / self.tau_u)
        return self.body_quantile(q)

    def log_interval(self, low, high):
        probability = self.cdf(high) - self.cdf(low)
        return mp.log(probability) if probability > 0 else -INF

    def knots(self, *extra):
        inner = [e for e in self.edges if self.t_l < e < self.t_u]
        return sorted({self.t_l, self.t_u, *inner, *(x for x in extra if self.t_l < x < self.t_u)})

    def body_moment(self, function):
        """Integrate function(y) f(y) between the thresholds; exact for polynomials of low degree."""
        total = mp.mpf(0)
        for a, b in pairwise(self.knots()):
            k = self.bin((a + b) / 2)
            density = self.p[k] / (self.edges[k + 1] - self.edges[k])
            total += density * mp.quad(function, [a, b], method="gauss-legendre", maxdegree=2)
        return total

    def mean(self):
        total = self.body_moment(lambda y: y)
        total += self.tau_l * (self.t_l - self.lower.mean()) if self.tau_l else 0
        return total + (self.tau_u * (self.t_u + self.upper.mean()) if self.tau_u else 0)

    def variance(self):
        mean = self.mean()
        total = self.body_moment(lambda y: (y - mean) ** 2)
        if self.tau_l:
            total += self.tau_l * (self.lower.variance() + (self.t_l - self.lower.mean() - mean) ** 2)
        if self.tau_u:
            total += self.tau_u * (self.upper.variance() + (self.t_u + self.upper.mean() - mean) ** 2)
        return total

    def crps(self, y):
        """Integrate F^2 below y and (1 - F)^2 above, by quadrature between the knots and in the tails."""
        total = mp.mpf(0)
        knots = self.knots(y)
        for a, b in pairwise(knots):
            side = self.cdf if b <= y else self.survival
            # inner points only: the cdf is linear inside, and an end may belong to a neighboring piece
            total += mp.quad(lambda x, side=side: side(x) ** 2, [a, b], method="gauss-legendre", maxdegree=2)
        for tail, tau, z in ((self.lower, self.tau_l, self.t_l - y), (self.upper, self.tau_u, y - self.t_u)):
            z = max(z, mp.mpf(0))
            if tau == 0:
                total += z
                continue
            total += tau**2 * tail.integral(2, z, INF)
            reach = min(z, tail.end())
            total += z - 2 * tau * tail.integral(1, mp.mpf(0), reach) + tau**2 * tail.integral(2, mp.mpf(0), reach)
        return total
