"""Student-t and hybrid Pareto distributions in 50 digits, typed from their documented formulas; comparison grids."""

import functools
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from tests.oracles import INF, Pareto, derivative, exact, mp

VALUE = {False: 5e-6, True: 1e-12}
DERIVATIVE = {False: 1e-4, True: 1e-9}


class DrawnDistribution:
    """Quantities derived from a cdf and a survival function, both accurate in their own tail."""

    def log_cdf(self, y):
        return mp.log(self.cdf(y))

    def log_survival(self, y):
        return mp.log(self.survival(y))

    def log_interval(self, low, high):
        """From the side on which the smaller numbers are subtracted."""
        if self.cdf(low) < self.survival(high):
            return mp.log(self.cdf(high) - self.cdf(low))
        return mp.log(self.survival(low) - self.survival(high))

    def isf_near(self, s, y):
        """The quantile by one step of Newton's method from `y`, which squares the error of `y`."""
        return y + (self.survival(y) - s) / mp.exp(self.log_prob(y))

    def area(self, side, low, high, knots=()):
        """Integral of the square of `side` over [low, high], an infinite end through x = end -+ expm1(s)."""
        points = [low, *(x for x in sorted(knots) if low < x < high), high]
        total = mp.mpf(0)
        with mp.workdps(20):
            for a, b in pairwise(points):
                if b == INF:
                    total += mp.quad(lambda s, a=a: side(a + mp.expm1(s)) ** 2 * mp.exp(s), [0, 1, 2, 4, 8, 16, 40])
                elif a == -INF:
                    total += mp.quad(lambda s, b=b: side(b - mp.expm1(s)) ** 2 * mp.exp(s), [0, 1, 2, 4, 8, 16, 40])
                else:
                    steps = 6
                    total += mp.quad(
                        lambda x: side(x) ** 2, [a + (b - a) * mp.mpf(k) / steps for k in range(steps + 1)]
                    )
        return total


@functools.cache
def student_tail(nu, t, _digits):
    return mp.betainc(nu / 2, mp.mpf(1) / 2, 0, nu / (nu + t * t), regularized=True) / 2


@dataclass
class Student(DrawnDistribution):
    df: mp.mpf
    loc: mp.mpf
    scale: mp.mpf

    def log_prob(self, y):
        t, nu = (y - self.loc) / self.scale, self.df
        constant = mp.loggamma((nu + 1) / 2) - mp.loggamma(nu / 2) - mp.log(mp.pi * nu) / 2
        return constant - (nu + 1) / 2 * mp.log1p(t * t / nu) - mp.log(self.scale)

    def tail(self, t):
        """P(T > t) for t >= 0, half the regularized incomplete beta function at df / (df + t^2)."""
        return student_tail(self.df, t, mp.mp.dps)

    def survival(self, y):
        t = (y - self.loc) / self.scale
        return self.tail(t) if t >= 0 else 1 - self.tail(-t)

    def cdf(self, y):
        return self.survival(2 * self.loc - y)


@dataclass
class Hybrid(DrawnDistribution):
    """Gaussian body with an upper tail, and a lower one unless `xi_l` is None."""

    loc: mp.mpf
    scale: mp.mpf
    xi_l: mp.mpf | None
    xi_u: mp.mpf

    def __post_init__(self):
        self.alpha, self.tail_u, self.body_u = self.junction(self.xi_u)
        self.alpha_l, self.tail_l, self.body_l = -INF, None, mp.mpf(0)
        if self.xi_l is not None:
            above, self.tail_l, self.body_l = self.junction(self.xi_l)
            self.alpha_l = 2 * self.loc - above
        self.gamma = 1 + self.body_l + self.body_u

    def junction(self, xi):
        root = mp.sqrt(mp.lambertw((1 + xi) ** 2 / (2 * mp.pi)).real)
        return self.loc + self.scale * root, Pareto(xi, self.scale * (1 + xi) / root), mp.ncdf(root)

    def log_prob(self, y):
        if y > self.alpha:
            return self.tail_u.log_prob(y - self.alpha) - mp.log(self.gamma)
        if y < self.alpha_l:
            return self.tail_l.log_prob(self.alpha_l - y) - mp.log(self.gamma)
        z = (y - self.loc) / self.scale
        return -z * z / 2 - mp.log(2 * mp.pi) / 2 - mp.log(self.scale * self.gamma)

    def cdf(self, y):
        if y > self.alpha:
            return 1 - self.survival(y)
        if y < self.alpha_l:
            return self.tail_l.survival(self.alpha_l - y) / self.gamma
        return (self.body_l + mp.ncdf((y - self.loc) / self.scale)) / self.gamma

    def survival(self, y):
        if y > self.alpha:
            return self.tail_u.survival(y - self.alpha) / self.gamma
        if y < self.alpha_l:
            return 1 - self.cdf(y)
        return (self.body_u + mp.ncdf((self.loc - y) / self.scale)) / self.gamma

    def isf(self, s):
        weight = s * self.gamma
        if weight < 1:
            return self.alpha + self.tail_u.isf(weight)
        if self.tail_l and self.gamma - weight < 1:
            return self.alpha_l - self.tail_l.isf(self.gamma - weight)
        return self.loc - self.scale * mp.sqrt(2) * mp.erfinv(2 * (weight - self.body_u) - 1)

    def icdf(self, q):
        """Through the mirror image where there is a lower tail; the Gaussian's otherwise, also far down."""
        if self.tail_l:
            return 2 * self.loc - Hybrid(self.loc, self.scale, self.xi_u, self.xi_l).isf(q)
        weight = q * self.gamma
        if weight > self.body_u:
            return self.isf(1 - q)
        # erfinv is slow near -1: Newton's method on the logarithm from the leading term of the tail
        z = -mp.sqrt(-2 * mp.log(weight)) if weight < 0.01 else mp.sqrt(2) * mp.erfinv(2 * weight - 1)
        for _ in range(8):
            z -= (mp.log(mp.ncdf(z)) - mp.log(weight)) * mp.ncdf(z) / mp.npdf(z)
        return self.loc + self.scale * z

    def moment(self, power):
        """Integral of y^power f(y), by quadrature over the body and over the quantile's hazard in the tails."""
        start = self.alpha_l if self.tail_l else self.loc - 14 * self.scale
        points = [start + (self.alpha - start) * mp.mpf(k) / 8 for k in range(9)]
        with mp.workdps(20):
            total = mp.quad(lambda y: y**power * mp.exp(self.log_prob(y)), points)
            for tail, at, sign in ((self.tail_u, self.alpha, 1), (self.tail_l, self.alpha_l, -1)):
                if tail:
                    hazards = [0, 2, 5, 10, 20, 40, 80, 160]
                    total += (
                        mp.quad(
                            lambda a, tail=tail, at=at, sign=sign: (
                                (at + sign * tail.isf(mp.exp(-a))) ** power * mp.exp(-a)
                            ),
                            hazards,
                        )
                        / self.gamma
                    )
        return total


def compare(method, oracle, rows, x64, *, slopes=True, rounding=None):
    """Value and derivatives in every column of `rows` of method(*row), against oracle(*row) in 50 digits.

    Errors relative to max(1, |value|); `rounding(point, eps)` is added: what rounding the inputs may move the answer.
    """
    with jax.enable_x64(x64):
        columns = [jnp.asarray(column) for column in np.array(rows).T]
        eps = float(jnp.finfo(columns[0].dtype).eps)
        values, derivatives = jax.jit(jax.vmap(jax.value_and_grad(method, tuple(range(len(columns))))))(*columns)
        derivatives = np.stack([np.asarray(d) for d in derivatives], axis=-1)
    limit = float(np.finfo(values.dtype).max) / 10
    for i, row in enumerate(rows):
        point = [exact(column[i]) for column in columns]
        want = float(oracle(*point))
        slack = rounding(point, eps) if rounding else 0.0
        assert abs(values[i] - want) <= VALUE[x64] * max(1, abs(want)) + slack, (row, want)
        for j in range(len(point)) if slopes else ():
            slope = float(partial(oracle, point, j))
            if abs(slope) < limit:
                assert abs(derivatives[i, j] - slope) <= DERIVATIVE[x64] * max(1, abs(slope)), (row, j, slope)


def partial(oracle, point, j):
    """Derivative of oracle(*point) in its argument j."""
    return derivative(lambda x: oracle(*point[:j], x, *point[j + 1 :]), point[j])


def assert_probabilities(dist, want, y, bound):
    """Density, probabilities and their logarithms at y are those of a SciPy distribution."""
    for method, reference in (
        ("log_prob", want.logpdf),
        ("cdf", want.cdf),
        ("survival_function", want.sf),
        ("log_cdf", want.logcdf),
        ("log_survival_function", want.logsf),
    ):
        np.testing.assert_allclose(getattr(dist, method)(y), reference(y), rtol=bound, atol=bound, err_msg=method)
