"""The blended generalized Pareto distribution in 50 digits, typed from its documented formulas."""

import functools
from dataclasses import dataclass, field
from itertools import pairwise

from mpmath.calculus.quadrature import GaussLegendre

from tests.oracles import INF, Pareto, Spliced, expm1_ratio, log1p_ratio, mp


@dataclass
class Histogram(Spliced):
    """The histogram alone: a spliced distribution without tails."""

    lower: Pareto | None = None
    upper: Pareto | None = None
    tau_l: mp.mpf = field(default_factory=lambda: mp.mpf(0))
    tau_u: mp.mpf = field(default_factory=lambda: mp.mpf(0))


@dataclass
class Upper:
    """The upper side: F(y) for y > a, with the location m and scale sigma that pass G through both ends."""

    body: Histogram
    xi: mp.mpf
    tau_b: mp.mpf
    tau_a: mp.mpf

    def __post_init__(self):
        self.a, self.b = self.body.body_isf(self.tau_a), self.body.body_isf(self.tau_b)
        near, far = (expm1_ratio(self.xi, -mp.log(tau)) for tau in (self.tau_a, self.tau_b))
        self.sigma = (self.b - self.a) / (far - near)
        self.m = self.a - self.sigma * near
        self.mass = self.tau_b

    def standard(self, y):
        return (y - self.m) / self.sigma

    def end(self):
        return self.m - self.sigma / self.xi if self.xi < 0 else INF

    def pareto_tail(self, y):
        return mp.mpf(0) if y >= self.end() else mp.exp(-log1p_ratio(self.xi, self.standard(y)))

    def pareto_density(self, y):
        if y >= self.end():
            return mp.mpf(0)
        return mp.exp(-(1 + self.xi) * log1p_ratio(self.xi, self.standard(y))) / self.sigma

    def weight(self, y):
        return mp.betainc(5, 5, 0, (y - self.a) / (self.b - self.a), regularized=True)

    def weight_slope(self, y):
        t = (y - self.a) / (self.b - self.a)
        return t**4 * (1 - t) ** 4 / mp.beta(5, 5) / (self.b - self.a)

    def tail(self, y):
        if y > self.b:
            return self.pareto_tail(y)
        w, body = self.weight(y), 1 - self.body.survival(y)
        return 1 - mp.exp((1 - w) * mp.log(body) + w * mp.log(1 - self.pareto_tail(y)))

    def density(self, y):
        if y > self.b:
            return self.pareto_density(y)
        w, slope = self.weight(y), self.weight_slope(y)
        body, pareto = 1 - self.body.survival(y), 1 - self.pareto_tail(y)
        parts = (1 - w) * mp.exp(self.body.body_log_prob(y)) / body + w * self.pareto_density(y) / pareto
        return (1 - self.tail(y)) * (parts + slope * (mp.log(pareto) - mp.log(body)))

    def beyond(self):
        """The distribution of the excess over b."""
        return Pareto(self.xi, self.sigma + self.xi * (self.b - self.m))

    def isf(self, s):
        if s < self.tau_b:
            return self.b + self.beyond().isf(s / self.tau_b)
        low, high = self.a, self.b
        for _ in range(150):
            middle = (low + high) / 2
            low, high = (middle, high) if self.tail(middle) > s else (low, middle)
        return (low + high) / 2


@functools.cache
def rule(digits):
    """48 Gauss-Legendre nodes on [-1, 1] and their weights."""
    return GaussLegendre(mp.mp).calc_nodes(5, int(4 * digits))


def smooth_integral(function, low, high):
    """Integral of a function that is smooth on [low, high]."""
    half, middle = (high - low) / 2, (high + low) / 2
    return half * mp.fsum(w * function(middle + half * x) for x, w in rule(mp.mp.dps))


@dataclass
class UpperByDensity(Upper):
    """The upper side with f = (1 - w) f_b + c w g in the zone, and f = c g beyond it."""

    def __post_init__(self):
        super().__post_init__()
        self.places = [self.a, *(e for e in self.body.edges if self.a < e < self.b), self.b]
        body = self.over_zone(lambda y: self.weight(y) * self.body_density(y), self.a)
        pareto = self.over_zone(lambda y: self.weight(y) * self.pareto_density(y), self.a)
        self.c = (self.tau_b + body) / (self.tau_b + pareto)
        self.mass = self.c * self.tau_b

    def weight(self, y):
        """The Beta(5, 5) cdf as its polynomial: 126 t^5 - 420 t^6 + 540 t^7 - 315 t^8 + 70 t^9."""
        t = (y - self.a) / (self.b - self.a)
        return t**5 * (126 + t * (-420 + t * (540 + t * (-315 + 70 * t))))

    def body_density(self, y):
        return mp.exp(self.body.body_log_prob(y))

    def over_zone(self, function, low):
        """Integral from `low` to b, piece by piece between edges."""
        places = [low, *(x for x in self.places if x > low)]
        return mp.fsum(smooth_integral(function, *ends) for ends in pairwise(places))

    def density(self, y):
        if y > self.b:
            return self.c * self.pareto_density(y)
        w = self.weight(y)
        return (1 - w) * self.body_density(y) + self.c * w * self.pareto_density(y)

    def tail(self, y):
        return self.c * self.pareto_tail(y) if y > self.b else self.mass + self.over_zone(self.density, y)

    def isf(self, s):
        """Beyond b in closed form; in the zone by bisection and then Newton's method."""
        if s < self.mass:
            return self.b + self.beyond().isf(s / self.mass)
        low, high = self.a, self.b
        for _ in range(24):
            middle = (low + high) / 2
            low, high = (middle, high) if self.tail(middle) > s else (low, middle)
        y = (low + high) / 2
        for _ in range(4):
            y += (self.tail(y) - s) / self.density(y)
        return y


@dataclass
class Blended:
    """Both sides around the histogram; the lower one is the upper side of the mirrored histogram."""

    logits: list
    edges: list
    xi_l: mp.mpf
    xi_u: mp.mpf
    lower: tuple | None
    upper: tuple | None
    blend: str = "published"

    def __post_init__(self):
        kind = {"published": Upper, "density": UpperByDensity}[self.blend]
        self.body = Histogram(self.logits, self.edges)
        mirrored = Histogram(self.logits[::-1], [-e for e in self.edges[::-1]])
        self.up = kind(self.body, self.xi_u, *self.upper) if self.upper else None
        self.down = kind(mirrored, self.xi_l, *self.lower) if self.lower else None

    def log_prob(self, y):
        side, x = self.side(y)
        if side is None:
            return self.body.body_log_prob(y) if self.edges[0] <= y <= self.edges[-1] else -INF
        # the bin of an outcome on an edge is the one above it
        density = side.density(x + (mp.mpf(10) ** -40 if side is self.up else -(mp.mpf(10) ** -40)))
        return mp.log(density) if density > 0 else -INF

    def side(self, y):
        if self.up and y > self.up.a:
            return self.up, y
        return (self.down, -y) if self.down and -y > self.down.a else (None, y)

    def cdf(self, y):
        side, _ = self.side(y)
        if side is None:
            return self.body.cdf(min(max(y, self.edges[0]), self.edges[-1]))
        return 1 - self.survival(y)

    def survival(self, y):
        side, x = self.side(y)
        if side is None:
            return self.body.survival(min(max(y, self.edges[0]), self.edges[-1]))
        return side.tail(x) if side is self.up else 1 - side.tail(x)

    def icdf(self, q):
        if self.down and q < self.lower[1]:
            return -self.down.isf(q)
        return self.up.isf(1 - q) if self.up and 1 - q < self.upper[1] else self.body.body_quantile(q)

    def isf(self, s):
        if self.up and s < self.upper[1]:
            return self.up.isf(s)
        return -self.down.isf(1 - s) if self.down and 1 - s < self.lower[1] else self.body.body_isf(s)

    def log_interval(self, low, high):
        probability = self.survival(low) - self.survival(high)
        return mp.log(probability) if probability > 0 else -INF

    def thresholds(self):
        low = (-self.down.b, -self.down.a) if self.down else (self.edges[0],) * 2
        return (*low, *((self.up.a, self.up.b) if self.up else (self.edges[-1],) * 2))

    def knots(self, *extra):
        b_l, a_l, a_u, b_u = self.thresholds()
        points = [*self.edges, *extra, b_l, a_l, a_u, b_u]
        return sorted({x for x in points if b_l <= x <= b_u})

    def between(self, function, low, high):
        """Integral of a function that is smooth between knots, by quadrature on each of those pieces."""
        knots = self.knots(low, high)
        with mp.workdps(20):
            # where the function is itself an integral, a rule of few nodes: it is a polynomial, or nearly
            integral = smooth_integral if self.blend == "density" else lambda f, a, b: mp.quad(f, [a, b])
            return mp.fsum(integral(function, a, b) for a, b in pairwise(knots) if low <= a and b <= high)

    def mean(self):
        """From the integrals of 1 - F above 0 and of F below it."""
        b_l, _, _, b_u = self.thresholds()
        total = b_l + self.between(self.survival, b_l, b_u)
        total += self.up.mass * self.up.beyond().mean() if self.up else 0
        return total - (self.down.mass * self.down.beyond().mean() if self.down else 0)

    def variance(self):
        """E(Y - c)^2 with c = b_l is the integral of 2 (y - c) (1 - F) above c and of 2 (c - y) F below it."""
        b_l, _, _, b_u = self.thresholds()
        total = self.between(lambda y: 2 * (y - b_l) * self.survival(y), b_l, b_u)
        if self.up:
            z = self.up.beyond()
            total += self.up.mass * (z.variance() + z.mean() ** 2 + 2 * (b_u - b_l) * z.mean())
        if self.down:
            z = self.down.beyond()
            total += self.down.mass * (z.variance() + z.mean() ** 2)
        return total - (self.mean() - b_l) ** 2

    def crps(self, y, low=-INF, high=INF):
        """Integral of F^2 over [low, y] and of (1 - F)^2 over [y, high]; y between low and high."""
        b_l, _, _, b_u = self.thresholds()
        total = self.between(lambda x: self.cdf(x) ** 2, max(low, b_l), min(y, b_u)) if y > b_l else mp.mpf(0)
        total += self.between(lambda x: self.survival(x) ** 2, max(y, b_l), min(high, b_u)) if y < b_u else 0
        sides = (
            (self.up, y - b_u, low - b_u, high - b_u),
            (self.down, b_l - y, b_l - high, b_l - low),
        )
        for side, z, start, stop in sides:
            z, start, stop = (max(v, mp.mpf(0)) for v in (z, start, stop))
            if side is None:
                total += z - start
                continue
            tau, tail = side.mass, side.beyond()
            total += tau**2 * tail.integral(2, z, stop)
            reach = min(z, tail.end())
            if start < reach:
                total -= 2 * tau * tail.integral(1, start, reach) - tau**2 * tail.integral(2, start, reach)
            total += z - start
        return total
