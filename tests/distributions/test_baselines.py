"""The Gaussian baseline against SciPy and 50 digits."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sbp_jax.distributions import Normal
from sbp_jax.errors import InputError
from tests import oracles
from tests.oracles_baselines import assert_probabilities

X64 = [pytest.param(False, id="float32"), pytest.param(True, id="float64")]
Y = np.array([-8.0, -1.5, 0.5, 0.75, 2.0, 6.0])
WANT = scipy.stats.norm(0.5, 1.5)


@pytest.mark.sample(1)
@pytest.mark.parametrize("x64", X64)
def test_against_scipy(x64):
    bound = 1e-12 if x64 else 5e-6
    with jax.enable_x64(x64):
        dist = Normal(0.5, 1.5)
        assert_probabilities(dist, WANT, Y, bound)
        q = np.array([1e-6, 0.02, 0.3, 0.5, 0.9])
        np.testing.assert_allclose(dist.icdf(q), WANT.ppf(q), rtol=bound)
        np.testing.assert_allclose(dist.isf(q), WANT.isf(q), rtol=bound)
        assert float(dist.mean()) == 0.5
        assert float(dist.variance()) == pytest.approx(2.25, rel=1e-6)


@pytest.mark.sample(1)
@pytest.mark.parametrize("x64", X64)
def test_intervals_have_no_cancellation(x64):
    widths = [1e-6, 1e-3, 0.1, 0.5, 1.4, 1.6, 4.0, 100.0]
    pairs = np.array([(a, a + w) for a in (-12.0, -5.0, -0.7, 0.5, 0.4, 3.0, 9.0) for w in widths])
    loc, scale = oracles.mp.mpf("0.5"), oracles.mp.mpf("1.5")
    with jax.enable_x64(x64):
        low, high = jnp.asarray(pairs).T
        high = jnp.where(high > low, high, jnp.nextafter(low, jnp.inf))
        value, slopes = jax.jit(
            jax.vmap(
                jax.value_and_grad(lambda p, a, b: Normal(p[0], p[1]).interval_log_prob(a, b)), in_axes=(None, 0, 0)
            )
        )(jnp.array([0.5, 1.5]), low, high)
        for i in range(len(pairs)):
            a, b = oracles.exact(low[i]), oracles.exact(high[i])

            def oracle(loc, scale, a=a, b=b):
                return oracles.normal_log_interval(loc, scale, a, b)

            want = float(oracle(loc, scale))
            assert abs(value[i] - want) <= (1e-12 if x64 else 5e-6) * max(1, abs(want)), pairs[i]
            wants = (
                float(oracles.derivative(lambda x, f=oracle: f(x, scale), loc)),
                float(oracles.derivative(lambda x, f=oracle: f(loc, x), scale)),
            )
            for slope, want_slope in zip(slopes[i], wants, strict=True):
                assert abs(slope - want_slope) <= (1e-9 if x64 else 1e-4) * max(1, abs(want_slope)), pairs[i]


def test_infinite_and_empty_intervals():
    dist = Normal(0.5, 1.5)
    assert dist.interval_log_prob(-jnp.inf, jnp.inf) == 0
    assert float(dist.interval_log_prob(-jnp.inf, 0.5)) == pytest.approx(np.log(0.5), rel=1e-6)
    assert float(dist.interval_log_prob(8.0, jnp.inf)) == pytest.approx(WANT.logsf(8.0), rel=1e-6)
    assert dist.interval_log_prob(1.0, 1.0) == -jnp.inf
    assert dist.interval_log_prob(2.0, 1.0) == -jnp.inf


def test_crps_against_the_integral():
    with jax.enable_x64(True):
        x = np.linspace(-20, 20, 400_001)
        middle, step = 0.5 * (x[1:] + x[:-1]), x[1] - x[0]
        for y in (-7.0, 0.5, 1.0, 5.0):
            want = np.sum((WANT.cdf(middle) - (middle >= y)) ** 2) * step
            assert float(Normal(0.5, 1.5).crps(y)) == pytest.approx(want, rel=1e-8)


WINDOWS = [(-60.0, -50.0), (-2.0, 0.25), (0.5, 0.5078125), (4.0, 30.0), (-30.0, 30.0)]


WINDOW_CASES = [(low, at, high) for low, high in WINDOWS for at in (low - 1, low + (high - low) / 4)]


@cache
def window_areas():
    """The integral of F^2 below the outcome and of (1 - F)^2 above it, its slopes in loc and scale, for each case."""
    mp = oracles.mp

    def area(loc, scale, low, at, high):
        knots = [mp.mpf(low) + (mp.mpf(high) - mp.mpf(low)) * k / 8 for k in range(9)]

        def squared(x):
            z = (x - loc) / scale
            return mp.ncdf(z if x < at else -z) ** 2

        return mp.quad(squared, sorted({*knots, *(k for k in (mp.mpf(at), loc) if low < k < high)}))

    with mp.workdps(30):
        loc, scale, h = mp.mpf("0.5"), mp.mpf("1.5"), mp.mpf("1e-10")
        return [
            (
                area(loc, scale, *case),
                mp.diff(lambda x, c=case: area(x, scale, *c), loc, h=h),
                mp.diff(lambda x, c=case: area(loc, x, *c), scale, h=h),
            )
            for case in WINDOW_CASES
        ]


@pytest.mark.slow
@pytest.mark.parametrize("x64", X64)
def test_scores_of_windows_against_quadrature(x64):
    """Value and slopes in loc and scale."""
    with jax.enable_x64(x64):
        low, y, high = jnp.asarray(WINDOW_CASES).T
        value, slopes = jax.jit(
            jax.vmap(jax.value_and_grad(lambda p, a, y, b: Normal(p[0], p[1]).twcrps(y, a, b)), in_axes=(None, 0, 0, 0))
        )(jnp.array([0.5, 1.5]), low, y, high)
        for i, (area, *wants) in enumerate(window_areas()):
            want = float(area)
            assert abs(value[i] - want) <= (1e-12 if x64 else 5e-6) * max(1, abs(want)), WINDOW_CASES[i]
            for slope, want_slope in zip(slopes[i], wants, strict=True):
                bound = (1e-9 if x64 else 1e-4) * max(1, abs(float(want_slope)))
                assert abs(slope - float(want_slope)) <= bound, WINDOW_CASES[i]


@pytest.mark.slow
def test_extreme_inputs_give_no_nan_and_nan_inputs_do():
    """Every method: scales to 1e30, and locations and outcomes to 1e37, as sums of them must not overflow."""
    sizes = np.array([0.0, 2e-38, 1e-30, 1e-8, 1.0, 1e8, 1e30, 1e37], np.float32)
    signed = np.concatenate([sizes, -sizes[1:]])
    loc, scale, y = (jnp.asarray(x.ravel()) for x in np.meshgrid(signed, sizes[1:-1], signed, indexing="ij"))
    pointwise = ("log_prob", "cdf", "survival_function", "log_cdf", "log_survival_function", "crps")
    methods = {name: lambda dist, y, name=name: getattr(dist, name)(y) for name in pointwise} | {
        "interval_log_prob": lambda dist, y: dist.interval_log_prob(y - 1, y + 1),
        "twcrps": lambda dist, y: dist.twcrps(y, 0.0),
        "icdf": lambda dist, y: dist.icdf(jnp.clip(jnp.abs(y), 1e-7, 1)),
        "isf": lambda dist, y: dist.isf(jnp.clip(jnp.abs(y), 1e-7, 1)),
        "variance": lambda dist, y: dist.variance(),
    }
    for name, method in methods.items():
        function = jax.value_and_grad(lambda p, y, m=method: m(Normal(p[0], p[1]), y), (0, 1))
        value, slopes = jax.jit(jax.vmap(function))((loc, scale), y)
        for got in (value, *jax.tree.leaves(slopes)):
            bad = np.flatnonzero(np.isnan(got))
            assert not bad.size, (name, bad.size, loc[bad[0]], scale[bad[0]], y[bad[0]])
        for missing in ((jnp.nan, 1.0, 0.0), (0.0, jnp.nan, 0.0), (0.0, jnp.array(-1.0), 0.0)):
            dist = Normal(jnp.asarray(missing[0]), jnp.asarray(missing[1]))
            assert jnp.isnan(method(dist, jnp.asarray(missing[2]))), (name, missing)


def test_samples_follow_the_cdf():
    draws = Normal(jnp.array([0.0, 3.0]), 2.0).sample(jax.random.key(3), (3000,))
    for i, loc in enumerate((0.0, 3.0)):
        assert scipy.stats.kstest(np.asarray(draws[:, i]), scipy.stats.norm(loc, 2).cdf).pvalue > 1e-3


def test_user_errors_name_the_argument():
    with pytest.raises(InputError, match="scale must be positive"):
        Normal(0.0, 0.0)
    with pytest.raises(InputError, match=r"loc \(2,\), scale \(3,\)"):
        Normal(np.zeros(2), np.ones(3))
