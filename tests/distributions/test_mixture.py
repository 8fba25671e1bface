"""Mixtures of different families, of an ensemble, with atoms and on a grid: 50 digits, quantiles, draws, refusals."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sbp_jax.distributions import (
    Censored,
    Deterministic,
    GeneralizedPareto,
    Mixture,
    Normal,
    Quantized,
    SplicedBinnedPareto,
    StudentT,
)
from sbp_jax.errors import InputError
from tests.distributions.test_quantized import X64, spliced, spliced_oracle
from tests.oracles import INF, Pareto, mp
from tests.oracles_baselines import Student, compare
from tests.oracles_outcomes import Excess, Gaussian


class Mixed:
    """Weighted sums of the components' probabilities."""

    def __init__(self, weights, parts):
        self.weights, self.parts = weights, parts

    def cdf(self, y):
        return mp.fsum(w * part.cdf(y) for w, part in zip(self.weights, self.parts, strict=True))

    def survival(self, y):
        return mp.fsum(w * part.survival(y) for w, part in zip(self.weights, self.parts, strict=True))

    def area(self, side, low, high, knots):
        """Integral of side^2, an infinite end through x = end -+ expm1(s)."""
        points = [low, *sorted(k for k in set(knots) if low < k < high), high]
        total = mp.mpf(0)
        for a, b in pairwise(points):
            if b == INF:
                total += mp.quad(lambda s, a=a: side(a + mp.expm1(s)) ** 2 * mp.exp(s), [0, 1, 2, 3, 4, 6, 9, 14, 40])
            elif a == -INF:
                total += mp.quad(lambda s, b=b: side(b - mp.expm1(s)) ** 2 * mp.exp(s), [0, 1, 2, 3, 4, 6, 9, 14, 40])
            else:
                total += mp.quad(lambda x: side(x) ** 2, [a + (b - a) * mp.mpf(k) / 6 for k in range(7)])
        return total

    def crps(self, y, knots):
        return self.area(self.cdf, -INF, y, knots) + self.area(self.survival, y, INF, knots)


class Point:
    def __init__(self, value):
        self.value = value

    def cdf(self, y):
        return mp.mpf(y >= self.value)

    def survival(self, y):
        return mp.mpf(y < self.value)


PAIRS = {
    "normal and pareto": (
        lambda a, b: [Normal(a, b), GeneralizedPareto(0.25, 2.0 * b)],
        lambda a, b: ([Gaussian(a, b), Excess(Pareto(mp.mpf(0.25), 2 * b))], [mp.mpf(0), a]),
    ),
    "two widths": (
        lambda a, b: [Normal(a, 0.03125 * b), Normal(-a, 8.0 * b)],
        lambda a, b: ([Gaussian(a, b / 32), Gaussian(-a, 8 * b)], [a + k * b / 32 for k in (-9, -3, 0, 3, 9)]),
    ),
    "student and normal": (
        lambda a, b: [StudentT(3.0, a, b), Normal(0.5, 2.0)],
        lambda a, b: ([Student(mp.mpf(3), a, b), Gaussian(mp.mpf(0.5), mp.mpf(2))], [a]),
    ),
    "atom and spliced": (
        lambda a, b: [Deterministic(0.25 * jnp.ones_like(a)), spliced(0.25 * jnp.ones_like(a), b, a)],
        lambda a, b: ([Point(mp.mpf(0.25)), d := spliced_oracle(mp.mpf(0.25), b, a)], [mp.mpf(0.25), *d.knots()]),
    ),
    "two spliced": (
        lambda a, b: [spliced(0.75 * jnp.ones_like(a), b, a), spliced(-0.25 * jnp.ones_like(a), 0.5 * b, -a)],
        lambda a, b: (
            [d := spliced_oracle(mp.mpf(0.75), b, a), e := spliced_oracle(mp.mpf(-0.25), b / 2, -a)],
            [*d.knots(), *e.knots(), e.t_u + e.upper.end(), e.t_l - e.lower.end()],
        ),
    ),
}


@X64
@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_crps_against_50_digits(name, x64):
    build, reference = PAIRS[name]

    def method(a, b, weight):
        return Mixture(jnp.stack([weight, 1 - weight]), build(a, b)).crps(0.75)

    def oracle(a, b, weight):
        parts, knots = reference(a, b)
        return Mixed([weight, 1 - weight], parts).crps(mp.mpf(0.75), knots)

    with mp.workdps(30):
        # derivatives by differences of step 1e-17 lose too many of 30 digits for the quadrature's error
        compare(method, oracle, [(0.5, 1.25, 0.25), (-1.0, 0.5, 0.75)], x64, slopes=False)
    with jax.enable_x64(x64):
        for row in ((0.5, 1.25, 0.25),):
            columns = [jnp.asarray(x) for x in row]
            slopes = jax.jit(jax.grad(method, (0, 1, 2)))(*columns)
            point = [mp.mpf(x) for x in row]
            for j, slope in enumerate(slopes):
                step = mp.mpf(2) ** -20
                moved = [[x + sign * step if k == j else x for k, x in enumerate(point)] for sign in (-1, 1)]
                with mp.workdps(30):
                    want = float((oracle(*moved[1]) - oracle(*moved[0])) / (2 * step))
                assert abs(float(slope) - want) <= (1e-8 if x64 else 1e-4) * max(1, abs(want)), (name, j)


def ensemble(members=2):
    logits = np.random.default_rng(0).normal(size=(3, members, 8))
    lower = GeneralizedPareto(np.linspace(-0.2, 0.3, members) * np.ones((3, 1)), 0.8)
    return SplicedBinnedPareto(logits, np.linspace(-4.0, 4.0, 9), lower, GeneralizedPareto(0.1, 1.3), (0.05, 0.1))


@pytest.mark.slow
def test_an_ensemble_is_the_mixture_of_its_members():
    stacked = ensemble()
    together = Mixture(None, stacked)
    apart = Mixture([0.5, 0.5], [jax.tree.map(lambda x, m=m: x[:, m], stacked) for m in range(2)])
    assert together.batch_shape == apart.batch_shape == (3,)
    y = jnp.array([-5.0, 0.3, 6.0])
    for name in ("log_prob", "cdf", "log_cdf", "survival_function", "log_survival_function", "crps", "cdf_left"):
        np.testing.assert_allclose(
            getattr(together, name)(y), getattr(apart, name)(y), rtol=2e-5, atol=1e-6, err_msg=name
        )
    q = jnp.array([0.01, 0.4, 0.97])
    np.testing.assert_allclose(together.icdf(q), apart.icdf(q), rtol=1e-5)
    np.testing.assert_allclose(together.cdf(together.icdf(q)), q, rtol=1e-5)
    np.testing.assert_allclose([together.mean(), together.variance()], [apart.mean(), apart.variance()], rtol=1e-5)
    np.testing.assert_allclose(together.mean(), jnp.mean(stacked.mean(), axis=-1), rtol=1e-5)
    same = Mixture.from_logits(jnp.array([0.0, -jnp.inf]), stacked)
    np.testing.assert_allclose(same.crps(y), jax.tree.map(lambda x: x[:, 0], stacked).crps(y), rtol=1e-5)
    np.testing.assert_allclose(same.variance(), jax.tree.map(lambda x: x[:, 0], stacked).variance(), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["rounded first", "mixed first"])
def test_rounded_ensembles_are_summed_over_the_grid(order):
    bound = jnp.array([3.0, 6.0, 40.0])
    stacked = ensemble()
    if order == "rounded first":
        d = Mixture(None, Censored(Quantized(stacked), high=jnp.broadcast_to(bound[:, None], (3, 2))))
    else:
        d = Censored(Quantized(Mixture(None, stacked)), high=bound)
    k = np.arange(-400.0, 400.0)
    below = np.asarray(Mixture(None, stacked).cdf(k[:, None] + 0.5), np.float64)
    below = np.where(k[:, None] >= np.asarray(bound), 1.0, below)
    for y in (-2.0, 3.0, 5.0):
        want = np.sum((below - (k[:, None] >= y)) ** 2, axis=0)
        np.testing.assert_allclose(d.crps(y), want, rtol=1e-4)
    np.testing.assert_allclose(d.log_prob(jnp.array([3.0, 6.0, 4.0]))[:2], d.log_survival_left(bound)[:2], rtol=1e-6)
    q = jnp.array([0.02, 0.4, 0.9])
    y = d.icdf(q)
    np.testing.assert_array_equal(y, jnp.round(y))
    assert np.all(d.cdf(y) >= q)
    assert np.all(d.cdf(y - 1) < q)


@pytest.mark.slow
def test_incompletions_and_gains():
    """An atom at zero next to gains on the grid: probabilities add up at the common point."""
    gain = Quantized(Normal(11.0, 9.0))
    d = Mixture([0.25, 0.75], [Deterministic(0.0), gain])
    k = np.arange(-60.0, 90.0)
    p = np.exp(np.asarray(d.log_prob(k), np.float64))
    want = 0.75 * np.exp(np.asarray(gain.log_prob(k), np.float64)) + 0.25 * (k == 0)
    np.testing.assert_allclose(p, want, rtol=1e-5, atol=1e-9)
    assert p.sum() == pytest.approx(1, abs=1e-6)
    below = np.cumsum(want)
    for y in (0.0, 7.0, 31.0):
        assert float(d.crps(y)) == pytest.approx(np.sum((below - (k >= y)) ** 2), rel=1e-5)
        np.testing.assert_allclose(d.pit_bounds(y), [below[k < y][-1], below[k <= y][-1]], rtol=1e-5)
    mean = np.sum(k * want)
    np.testing.assert_allclose([d.mean(), d.variance()], [mean, np.sum(want * (k - mean) ** 2)], rtol=1e-5)
    q = jnp.array([0.1, 0.2, 0.3, 0.5, 0.9])
    np.testing.assert_array_equal(d.icdf(q), [k[below >= level][0] for level in np.asarray(q)])


def test_an_atom_hides_the_densities_at_its_place():
    d = Mixture([0.4, 0.6], [Deterministic(0.0), Normal(0.5, 2.0)])
    dist = scipy.stats.norm(0.5, 2.0)
    np.testing.assert_allclose(
        d.log_prob(jnp.array([0.0, 1.0])), [np.log(0.4), np.log(0.6) + dist.logpdf(1.0)], rtol=1e-6
    )
    np.testing.assert_allclose(d.pit_bounds(0.0), [0.6 * dist.cdf(0), 0.4 + 0.6 * dist.cdf(0)], rtol=1e-6)
    low, high = 0.6 * dist.cdf(0), 0.4 + 0.6 * dist.cdf(0)
    assert d.icdf(0.5 * (low + high)) == 0
    assert float(d.icdf(high + 0.1)) == pytest.approx(dist.ppf((high - 0.3) / 0.6), rel=1e-4)
    np.testing.assert_allclose(
        d.interval_log_prob(-1.0, 0.0), np.log(0.4 + 0.6 * (dist.cdf(0) - dist.cdf(-1))), rtol=1e-5
    )
    none = Mixture([0.0, 1.0], [Deterministic(0.0), Normal(0.5, 2.0)])
    np.testing.assert_allclose(none.log_prob(0.0), dist.logpdf(0.0), rtol=1e-6)


@pytest.mark.slow
@X64
def test_quantiles_have_the_implicit_gradient(x64):
    with jax.enable_x64(x64):

        def quantile(q, loc, weight, method="icdf"):
            weights = jnp.stack([weight, 1 - weight])
            return getattr(Mixture(weights, [Normal(loc, 0.5), StudentT(3.0, 1.0, 2.0)]), method)(q)

        for q in (1e-3, 0.3, 0.9, 0.999):
            y, slopes = jax.value_and_grad(quantile, (0, 1, 2))(q, -2.0, 0.3)
            one, other = scipy.stats.norm(-2.0, 0.5), scipy.stats.t(3.0, 1.0, 2.0)
            y = float(y)
            density = 0.3 * one.pdf(y) + 0.7 * other.pdf(y)
            assert 0.3 * one.cdf(y) + 0.7 * other.cdf(y) == pytest.approx(q, rel=1e-9 if x64 else 1e-4)
            want = [1 / density, 0.3 * one.pdf(y) / density, (other.cdf(y) - one.cdf(y)) / density]
            np.testing.assert_allclose(slopes, want, rtol=1e-6 if x64 else 1e-2, atol=1e-5)
            tail = quantile(1e-9, -2.0, 0.3, "isf")
            assert 0.3 * one.sf(float(tail)) + 0.7 * other.sf(float(tail)) == pytest.approx(1e-9, rel=1e-4)
        ends = Mixture([0.5, 0.5], [GeneralizedPareto(-0.5, 2.0), Deterministic(-1.0)]).icdf(jnp.array([0.0, 1.0]))
        np.testing.assert_allclose(ends, [-1.0, 4.0])


@pytest.mark.slow
def test_draws_follow_the_distribution():
    d = Mixture([0.3, 0.7], [Normal(-2.0, 0.5), GeneralizedPareto(0.2, 1.0)])
    draws = np.asarray(d.sample(jax.random.key(2), (5_000,)), np.float64)
    reference = lambda y: 0.3 * scipy.stats.norm(-2, 0.5).cdf(y) + 0.7 * scipy.stats.genpareto(0.2).cdf(y)  # noqa: E731
    assert scipy.stats.kstest(draws, reference).pvalue > 1e-3
    with_atom = Mixture([0.4, 0.6], [Deterministic(0.0), Normal(0.5, 2.0)]).sample(jax.random.key(1), (5_000,))
    assert scipy.stats.binomtest(int(np.sum(np.asarray(with_atom) == 0)), 5_000, 0.4).pvalue > 1e-3


@pytest.mark.slow
def test_an_infinite_moment_and_a_missing_component():
    d = Mixture([0.5, 0.5], [GeneralizedPareto(1.2, 1.0), Normal(0.0, 1.0)])
    assert d.mean() == np.inf
    assert d.variance() == np.inf
    out = Mixture([0.0, 1.0], [GeneralizedPareto(1.2, 1.0), Normal(0.0, 1.0)])
    assert out.mean() == 0
    assert out.variance() == 1
    slope = jax.grad(lambda loc: Mixture([0.0, 1.0], [GeneralizedPareto(1.2, 1.0), Normal(loc, 1.0)]).mean())(0.0)
    assert slope == 1
    parts = [Normal(jnp.array([0.0, jnp.nan]), 1.0), Normal(0.0, 1.0)]
    for value in (Mixture(None, parts).log_prob(0.3), Mixture(None, parts).crps(0.3), Mixture(None, parts).icdf(0.3)):
        np.testing.assert_array_equal(np.isnan(value), [False, True])


def test_what_does_not_fit_is_refused():
    one = Normal(0.0, 1.0)
    for weights in ([0.5, 0.6], [1.5, -0.5]):
        with pytest.raises(InputError, match="weights must be nonnegative and sum to 1"):
            Mixture(weights, [one, one])
    with pytest.raises(InputError, match=r"weights must have shape \[\.\.\., 2\] for 2 components, got \[3\]"):
        Mixture(np.full(3, 1 / 3), [one, one])
    with pytest.raises(InputError, match=r"component_0 \(2,\), component_1 \(3,\)"):
        Mixture(None, [Normal(np.zeros(2), 1.0), Normal(np.zeros(3), 1.0)])
    with pytest.raises(InputError, match=r"components: expected a batch shape \[\.\.\., M\]"):
        Mixture(None, one)
    with pytest.raises(InputError, match="all Quantized to one grid"):
        Mixture(None, [Quantized(one), one]).crps(0.0)
    with pytest.raises(InputError, match="all Quantized to one grid"):
        Mixture(None, [Quantized(one), Quantized(one, 2.0)]).crps(0.0)
