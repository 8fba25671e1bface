"""Censored outcomes: atoms, moments and scores against 50 digits, gradients in the bounds, and draws."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sbp_jax.distributions import (
    Affine,
    Censored,
    GeneralizedPareto,
    Normal,
    Quantized,
)
from sbp_jax.errors import InputError
from tests.distributions.test_quantized import FAMILIES, X64, spliced, spliced_oracle
from tests.oracles import INF, mp
from tests.oracles_baselines import compare
from tests.oracles_outcomes import Rounded
from tests.slow import marked


def integral(function, low, high, knots):
    """By quadrature between the knots."""
    points = [low, *sorted(k for k in {*knots} if low < k < high), high]
    steps = [a + (b - a) * mp.mpf(i) / 4 for a, b in pairwise(points) for i in range(4)]
    return mp.quad(function, [*steps, high])


@pytest.mark.slow
@X64
@pytest.mark.parametrize("quantity", marked(["crps", "mean", "variance", "atom"], ["crps", "variance"]))
def test_yards_against_50_digits(quantity, x64):
    """A rounded outcome that stops at both bounds, in shape, scale, logit: finite sums."""
    low, high, y = -7.0, 12.0, 3.0

    def method(xi, beta, logit):
        d = Censored(Quantized(spliced(xi, beta, logit)), low, jnp.full_like(xi, high))
        return {
            "crps": lambda: d.crps(y) + d.crps(high) + d.crps(15.0),
            "mean": d.mean,
            "variance": d.variance,
            "atom": lambda: d.log_prob(high) + d.log_prob(low) + d.log_prob(y),
        }[quantity]()

    def oracle(xi, beta, logit):
        d = Rounded(spliced_oracle(xi, beta, logit), mp.mpf(1))
        if quantity == "atom":
            return mp.log(d.base.survival(high - 0.5)) + mp.log(d.base.cdf(low + 0.5)) + mp.log(d.probability(int(y)))
        if quantity == "crps":
            return sum(d.crps(mp.mpf(min(at, high)), mp.mpf(low), mp.mpf(high)) for at in (y, high, 15.0)) + 15 - high
        return d.moments(mp.mpf(low), mp.mpf(high))[quantity == "variance"]

    tails = [(xi, beta) for xi in (-0.3, 0.0, 0.6, 1.3) for beta in (0.5, 4.0)]
    if quantity == "atom":  # where both tails reach the bounds
        tails.remove((-0.3, 0.5))
    compare(method, oracle, [(xi, beta, 0.25) for xi, beta in tails], x64)


CONTINUOUS = {
    "spliced": (lambda a, b: spliced(a, b, 0.25 * jnp.ones_like(a)), lambda a, b: spliced_oracle(a, b, mp.mpf(0.25))),
    **{name: family[:2] for name, family in FAMILIES.items() if name not in ("binned", "affine")},
    "normal": (lambda a, b: Normal(a, b), None),
    "pareto": (lambda a, b: GeneralizedPareto(a, b), None),
}


class Known:
    """A cdf and a survival function."""

    def __init__(self, cdf, survival, knots=()):
        self.cdf, self.survival, self.points = cdf, survival, knots


def reference(name, a, b):
    from tests.oracles import Pareto

    if name == "normal":
        return Known(lambda y: mp.ncdf((y - a) / b), lambda y: mp.ncdf((a - y) / b))
    if name == "pareto":
        tail = Pareto(a, b)
        return Known(tail.cdf, tail.survival, (mp.mpf(0), tail.end() if a < 0 else mp.mpf(0)))
    return CONTINUOUS[name][1](a, b)


@X64
@pytest.mark.slow
@pytest.mark.parametrize("bounds", [(-3.25, 4.5), (1.625, 1.75), (-40.0, 300.0)], ids=str)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_moments_of_every_family_against_50_digits(name, bounds, x64):
    """Windows as wide as the distribution, much narrower, and much wider; moments in units of the window."""
    rows = {"student": [(0.75, 0.25), (4.0, 0.5)], "normal": [(0.25, 2.0), (1.5, 0.5)]}.get(
        name, [(0.25, 0.5), (-0.25, 0.75)]
    )
    low, high = (mp.mpf(x) for x in bounds)
    unit = min(high - low, 4)

    def method(a, b):
        d = Censored(CONTINUOUS[name][0](a, b), *bounds)
        return (d.mean() - bounds[0]) / float(unit) + d.variance() / float(unit) ** 2

    def oracle(a, b):
        d = reference(name, a, b)
        knots = d.points if isinstance(d, Known) else _knots(d)
        # E(Y - low) and E(Y - low)^2 from the survival function
        first = integral(d.survival, low, high, knots)
        second = 2 * integral(lambda y: (y - low) * d.survival(y), low, high, knots)
        return first / unit + (second - first**2) / unit**2

    is_blend = "blend" in name
    with mp.workdps(30 if is_blend or name == "student" else 50):
        compare(
            method,
            oracle,
            rows,
            x64,
            slopes=not is_blend,
            rounding=(lambda point, eps: 40 * eps) if is_blend else None,
        )


def _knots(d):
    if hasattr(d, "edges"):
        return d.knots() if hasattr(d, "knots") else ()
    return [
        x for x in (getattr(d, "alpha", None), getattr(d, "alpha_l", None), d.loc) if x is not None and abs(x) < INF
    ]


@pytest.mark.slow
def test_methods_of_a_continuous_base():
    low, high = -1.0, 2.5
    dist = scipy.stats.norm(0.5, 1.5)
    d = Censored(Normal(0.5, 1.5), low, high)
    y = np.array([-3.0, -1.0, 0.3, 2.0, 2.5, 4.0])
    np.testing.assert_allclose(d.cdf(y), [0, dist.cdf(-1), dist.cdf(0.3), dist.cdf(2), 1, 1], rtol=1e-6)
    np.testing.assert_allclose(d.cdf_left(y), [0, 0, dist.cdf(0.3), dist.cdf(2), dist.cdf(2.5), 1], rtol=1e-6)
    np.testing.assert_allclose(d.survival_function(y), [1, dist.sf(-1), dist.sf(0.3), dist.sf(2), 0, 0], rtol=1e-6)
    np.testing.assert_allclose(
        np.exp(d.log_survival_left(y)), [1, 1, dist.sf(0.3), dist.sf(2), dist.sf(2.5), 0], rtol=1e-6
    )
    np.testing.assert_allclose(np.exp(d.log_cdf_left(y)), d.cdf_left(y), rtol=1e-6)
    density = [-np.inf, dist.logcdf(-1), dist.logpdf(0.3), dist.logpdf(2), dist.logsf(2.5), -np.inf]
    np.testing.assert_allclose(d.log_prob(y), density, rtol=1e-6)
    mass = np.exp(
        d.interval_log_prob(np.array([-2.0, -1.0, 0.0, 2.0, 2.5, -9.0]), np.array([-1.0, 0.0, 9.0, 2.5, 9.0, -1.5]))
    )
    want = [dist.cdf(-1), dist.cdf(0) - dist.cdf(-1), dist.sf(0), dist.sf(2), 0, 0]
    np.testing.assert_allclose(mass, want, rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(d.icdf(jnp.array([0.0, 0.1, 0.5, 0.95, 1.0])), [-1, -1, 0.5, 2.5, 2.5], rtol=1e-6)
    np.testing.assert_allclose(d.pit_bounds(2.5), [dist.cdf(2.5), 1.0], rtol=1e-6)
    x = np.linspace(-6.0, 8.0, 1_400_001)
    middle = 0.5 * (x[1:] + x[:-1])
    for at in (-2.0, 0.3, 2.5, 3.0):
        score = np.sum((np.asarray(d.cdf(middle), float) - (middle >= at)) ** 2) * (x[1] - x[0])
        assert float(d.crps(at)) == pytest.approx(score, rel=1e-5)
        window = (middle > 0) & (middle < 2.75)
        part = np.sum(np.where(window, (np.asarray(d.cdf(middle), float) - (middle >= at)) ** 2, 0)) * (x[1] - x[0])
        assert float(d.twcrps(at, 0.0, 2.75)) == pytest.approx(part, rel=1e-5)


@pytest.mark.slow
def test_elementwise_and_missing_bounds():
    base = Normal(jnp.zeros(3), 1.0)
    d = Censored(base, high=jnp.array([1.0, jnp.inf, 2.0]))
    for method in ("log_prob", "cdf", "crps", "log_survival_function"):
        got, free = getattr(d, method)(0.3), getattr(base, method)(0.3)
        assert got[1] == pytest.approx(float(free[1]), rel=1e-6)
        assert got.shape == (3,)
    np.testing.assert_allclose(d.mean()[1], 0.0, atol=1e-7)
    np.testing.assert_allclose(d.variance()[1], 1.0, rtol=1e-6)
    assert d.mean()[0] < d.mean()[2] < 0
    nothing = Censored(base)
    np.testing.assert_allclose(nothing.crps(0.3), base.crps(0.3), rtol=1e-6)
    # a marginal distribution with as many bounds as plays
    wide = Censored(Quantized(Normal(0.0, 5.0)), high=jnp.array([3.0, 7.0]))
    assert wide.batch_shape == (2,)
    assert jax.tree.leaves(wide)[0].shape == (2,)
    np.testing.assert_allclose(wide.mean()[1], Censored(Quantized(Normal(0.0, 5.0)), high=7.0).mean(), rtol=1e-5)


@pytest.mark.slow
def test_a_bound_off_the_grid_has_its_atom():
    d = Censored(Quantized(Normal(0.3, 2.0)), high=1.7)
    assert float(d.log_prob(1.7)) == pytest.approx(scipy.stats.norm(0.3, 2.0).logsf(1.5), rel=1e-5)
    assert d.log_prob(2.0) == -np.inf
    assert d.cdf(1.7) == 1
    k = np.append(np.arange(-15.0, 2.0), 1.7)
    p = np.exp(np.asarray(d.log_prob(k), np.float64))
    assert p.sum() == pytest.approx(1, abs=1e-6)
    mean = np.sum(p * k)
    assert float(d.mean()) == pytest.approx(mean, abs=1e-5)
    assert float(d.variance()) == pytest.approx(np.sum(p * (k - mean) ** 2), rel=1e-5)


@pytest.mark.slow
@X64
def test_gradients_in_the_bounds(x64):
    """Of the mean P(X > high), of the variance 2 (high - mean) P(X > high), of the atom minus the hazard."""
    rtol = 1e-9 if x64 else 2e-5
    dist = scipy.stats.norm(0.5, 1.5)
    with jax.enable_x64(x64):

        def at(name):
            return lambda low, high: getattr(Censored(Normal(0.5, 1.5), low, high), name)()

        # the median inside the bounds, above and below them
        for low, high in ((-1.0, 2.5), (-3.0, -2.0), (2.0, 2.5)):
            mean, slopes = jax.value_and_grad(at("mean"), (0, 1))(low, high)
            np.testing.assert_allclose(slopes, [dist.cdf(low), dist.sf(high)], rtol=rtol)
            slopes = jax.grad(at("variance"), (0, 1))(low, high)
            want = [2 * (low - float(mean)) * dist.cdf(low), 2 * (high - float(mean)) * dist.sf(high)]
            np.testing.assert_allclose(slopes, want, rtol=20 * rtol)
        slope = jax.grad(lambda high: Censored(Normal(0.5, 1.5), high=high).log_prob(high))(2.5)
        np.testing.assert_allclose(slope, -dist.pdf(2.5) / dist.sf(2.5), rtol=rtol)
        slope = jax.grad(lambda high: Censored(Normal(0.5, 1.5), high=high).crps(0.3))(2.5)
        np.testing.assert_allclose(slope, dist.sf(2.5) ** 2, rtol=rtol)


def test_draws_follow_the_distribution():
    d = Censored(Normal(0.5, 1.5), -1.0, 2.5)
    draws = np.asarray(d.sample(jax.random.key(0), (20_000,)), np.float64)
    dist = scipy.stats.norm(0.5, 1.5)
    for at, probability in ((-1.0, dist.cdf(-1)), (2.5, dist.sf(2.5))):
        assert scipy.stats.binomtest(int(np.sum(draws == at)), len(draws), probability).pvalue > 1e-3
    inner = draws[(draws > -1) & (draws < 2.5)]
    within = (dist.cdf(inner) - dist.cdf(-1)) / (dist.cdf(2.5) - dist.cdf(-1))
    assert scipy.stats.kstest(within, "uniform").pvalue > 1e-3
    slope = jax.grad(lambda high: jnp.mean(Censored(Normal(0.5, 1.5), high=high).sample(jax.random.key(0), (20_000,))))
    assert float(slope(2.5)) == pytest.approx(dist.sf(2.5), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("high", [1e-38, 1.0, 1e20, 3e38])
def test_no_nan_for_any_size(high):
    y = jnp.array([-3e38, -1e20, -1.0, 0.0, 1e-38, 0.5, 1.0, 1e20, 3e38])

    def values(xi, beta, high, y, rounded):
        base = spliced(xi, beta, jnp.float32(0.25))
        d = Censored(Quantized(base) if rounded else base, high=high)
        return {
            **{name: getattr(d, name)(y) for name in ("log_prob", "cdf", "log_cdf", "log_survival_function", "crps")},
            "icdf": d.icdf(jnp.clip(jnp.abs(y), 0.0, 1.0)),
            "mean": d.mean(),
            "left": d.log_survival_left(y),
        }

    for rounded in (False, True):
        function = jax.jit(jax.vmap(lambda *x, rounded=rounded: values(*x, rounded), (None, None, None, 0)))
        slopes_of = jax.jit(
            jax.vmap(jax.jacrev(lambda *x, rounded=rounded: values(*x, rounded), (0, 1, 2)), (None, None, None, 0))
        )
        for xi in (-0.3, 0.3):
            for beta in (1e-12, 1.0, 1e12):
                point = jnp.float32(xi), jnp.float32(beta), jnp.float32(high), y
                slopes = slopes_of(*point)
                for name, value in function(*point).items():
                    assert not np.any(np.isnan(value)), (name, xi, beta, rounded)
                    assert not any(np.any(np.isnan(s)) for s in slopes[name]), (name, xi, beta, rounded)


@pytest.mark.slow
def test_an_affine_distribution_of_a_bounded_one():
    """Points gained of a team: every method moves with the outcome."""
    inner = Censored(Quantized(Normal(0.3, 2.0)), high=3.0)
    d = Affine(inner, 10.0, 2.0)
    for name in ("cdf", "cdf_left", "log_cdf_left", "log_survival_left", "survival_function"):
        np.testing.assert_allclose(getattr(d, name)(14.0), getattr(inner, name)(2.0), rtol=1e-6)
        np.testing.assert_allclose(getattr(d, name)(16.0), getattr(inner, name)(3.0), rtol=1e-6)
    np.testing.assert_allclose(d.crps(14.0), 2 * inner.crps(2.0), rtol=1e-6)
    np.testing.assert_allclose(d.mean(), 10 + 2 * inner.mean(), rtol=1e-6)
    np.testing.assert_allclose(d.variance(), 4 * inner.variance(), rtol=1e-5)


@pytest.mark.slow
def test_bounds_that_are_refused():
    for low, high in ((1.0, 1.0), (2.0, 1.0), (np.array([0.0, 3.0]), 1.0)):
        with pytest.raises(InputError, match="low must be below high"):
            Censored(Normal(np.zeros(2), 1.0), low, high)
    with pytest.raises(InputError, match="high must not be NaN"):
        Censored(Normal(0.0, 1.0), high=np.nan)
    with pytest.raises(InputError, match=r"base \(2,\), high \(3,\)"):
        Censored(Normal(np.zeros(2), 1.0), high=np.ones(3))
    d = jax.jit(lambda high: Censored(Normal(np.zeros(3), 1.0), low=0.0, high=high))(jnp.array([1.0, jnp.nan, -1.0]))
    for value in (
        d.log_prob(0.5),
        d.cdf(0.5),
        d.crps(0.5),
        d.mean(),
        d.variance(),
        d.icdf(0.3),
        d.sample(jax.random.key(0)),
    ):
        np.testing.assert_array_equal(np.isnan(value), [False, True, True])
