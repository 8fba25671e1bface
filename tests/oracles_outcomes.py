"""Rounded and bounded outcomes in 50 digits: sums over grid points, in tails by Euler-Maclaurin's formula."""

from dataclasses import dataclass
from typing import Any

from tests.oracles import INF, Pareto, mp

# tails lighter than that end where their terms are below 1e-60
_LAST = 10**5


def tail_sums(tail: Pareto, power, start, step, count=INF):
    """Sums over r = 0, 1, ..., count - 1 of S(start + r step)^power and of r times that, start >= 0."""
    if count == 0 or start >= tail.end():
        return mp.mpf(0), mp.mpf(0)
    # for a shape near 0, stop where nothing is left
    if tail.xi < -0.001 or count < 3000:
        terms = []
        while len(terms) < min(count, _LAST) and start + len(terms) * step < tail.end():
            terms.append(tail.survival(start + len(terms) * step) ** power)
        assert len(terms) < _LAST
        return mp.fsum(terms), mp.fsum(r * term for r, term in enumerate(terms))
    if count < INF:
        first, moment = tail_sums(tail, power, start, step)
        rest, beyond = tail_sums(tail, power, start + count * step, step)
        return first - rest, moment - beyond - count * rest
    # direct terms until a term changes little from one to the next, or is nothing
    terms = []
    while power * step > (tail.beta + tail.xi * (start + len(terms) * step)) / 4:
        terms.append(tail.survival(start + len(terms) * step) ** power)
        if terms[-1] < mp.mpf(10) ** -70:
            return mp.fsum(terms), mp.fsum(r * term for r, term in enumerate(terms))
    n = len(terms)
    scale = tail.beta + tail.xi * (start + n * step)
    first, moment = smooth_sums(tail.survival(start + n * step) ** power, power * step / scale, tail.xi * step / scale)
    return mp.fsum(terms) + first, mp.fsum(r * term for r, term in enumerate(terms)) + moment + n * first


def smooth_sums(value, rate, bend):
    """Sums over r >= 0 of f = value (1 + bend r)^(-rate / bend) and of r f: Euler-Maclaurin with exact derivatives."""
    if rate <= bend:
        return INF, INF
    first, moment = value / (rate - bend) + value / 2, INF
    if rate > 2 * bend:
        moment = value / ((rate - bend) * (rate - 2 * bend))
    slope = value  # the derivative of order j - 1 at 0
    for j in range(1, 80):
        weight = mp.bernoulli(j + 1) / mp.factorial(j + 1)
        if j % 2:
            moment -= weight * j * slope
        slope *= -(rate + (j - 1) * bend)
        if j % 2:
            first -= weight * slope
    return first, moment


@dataclass
class Rounded:
    """The multiple of `width` nearest to X, shifted by `origin`; X spliced, or anything else with few grid points."""

    base: Any
    width: Any
    origin: Any = 0

    def midpoint(self, k):
        return self.origin + (k + mp.mpf(1) / 2) * self.width

    def index(self, y):
        """Of the last grid point at or below y."""
        return int(mp.floor((y - self.origin) / self.width + mp.mpf(10) ** -25))

    def probability(self, k):
        return mp.exp(self.base.log_interval(self.midpoint(k - 1), self.midpoint(k)))

    def cdf(self, y):
        return self.base.cdf(self.midpoint(self.index(y)))

    def survival(self, y):
        return self.base.survival(self.midpoint(self.index(y)))

    def sums(self, first, last, upper, power):
        """Sums over k in [first, last) of T(midpoint k)^power and k T^power, either end may be infinite."""
        base = self.base
        side = base.survival if upper else base.cdf
        total = moment = mp.mpf(0)
        if isinstance(first, int) is False or isinstance(last, int) is False:
            # the infinite part in the tail that T vanishes in
            tail = base.upper if upper else base.lower
            tau = (base.tau_u if upper else base.tau_l) ** power
            threshold = base.t_u if upper else base.t_l
            k = self.index(threshold)
            k = max(k + 2, first) if upper else min(k - 2, last - 1)
            excess = self.midpoint(k) - threshold if upper else threshold - self.midpoint(k)
            value, about = tail_sums(tail, power, excess, self.width)
            total, moment = tau * value, tau * (k * value + about if upper else k * value - about)
            first, last = (first, k) if upper else (k + 1, last)
        assert last - first < _LAST
        for j in range(first, last):
            value = side(self.midpoint(j)) ** power
            total, moment = total + value, moment + j * value
        return total, moment

    def crps(self, y, low=-INF, high=INF):
        """For y, low and high on the grid."""
        at, first, last = (x if abs(x) == INF else self.index(x) for x in (y, low, high))
        at = min(max(at, first), last)
        below = self.sums(first, at, False, 2)[0] if at > first else 0
        above = self.sums(at, last, True, 2)[0] if last > at else 0
        return self.width * (below + above)

    def moments(self, low=-INF, high=INF, center=0):
        """Mean and variance of the outcome clipped to [low, high], both on the grid or infinite."""
        first, last = (x if abs(x) == INF else self.index(x) for x in (low, high))
        above, second_above = self.sums(center, last, True, 1)
        below, second_below = self.sums(first, center, False, 1)
        # of K - center: P(K > k) and P(K <= k) at the midpoints k
        mean = above - below
        second = 2 * (second_above - center * above) + above - 2 * (second_below - center * below) - below
        return self.origin + self.width * (center + mean), self.width**2 * (second - mean**2)


@dataclass
class Gaussian:
    """Normal distribution."""

    loc: Any
    scale: Any

    def cdf(self, y):
        return mp.ncdf((y - self.loc) / self.scale)

    def survival(self, y):
        return mp.ncdf((self.loc - y) / self.scale)


@dataclass
class Excess:
    """The generalized Pareto distribution as a distribution on the line."""

    tail: Pareto

    def __post_init__(self):
        self.upper, self.tau_u, self.t_u = self.tail, mp.mpf(1), mp.mpf(0)

    def cdf(self, y):
        return 1 - self.survival(y)

    def survival(self, y):
        return self.tail.survival(y)
