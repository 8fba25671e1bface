"""The histogram density against NumPy in float64 and against its own definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sbp_jax.distributions import Binned
from sbp_jax.errors import InputError

EDGES = np.array([-4.0, -2.5, -1.0, -0.5, 0.0, 0.75, 1.5, 3.0, 5.0])
LOGITS = np.array([0.3, -0.8, 1.1, 0.2, 1.7, 0.4, -0.3, -1.2])
P = np.exp(LOGITS) / np.exp(LOGITS).sum()
WANT = scipy.stats.rv_histogram((P, EDGES), density=False)
X64 = [pytest.param(False, id="float32"), pytest.param(True, id="float64")]


@pytest.mark.sample(1)
@pytest.mark.parametrize("x64", X64)
def test_against_scipy(x64):
    bound = 1e-12 if x64 else 5e-6
    with jax.enable_x64(x64):
        dist = Binned(jnp.asarray(LOGITS), EDGES)
        y = np.array([-4.0, -3.25, -1.0, 0.125, 0.75, 2.0, 4.75])
        np.testing.assert_allclose(jnp.exp(dist.log_prob(y)), WANT.pdf(y), rtol=bound)
        np.testing.assert_allclose(dist.cdf(y), WANT.cdf(y), atol=bound)
        np.testing.assert_allclose(dist.survival_function(y), WANT.sf(y), atol=bound)
        np.testing.assert_allclose(dist.log_cdf(y[1:]), np.log(WANT.cdf(y[1:])), atol=bound)
        np.testing.assert_allclose(dist.log_survival_function(y), np.log(WANT.sf(y)), atol=bound)
        q = np.array([0.0, 0.01, 0.3, 0.5, 0.77, 0.99, 1.0])
        np.testing.assert_allclose(dist.icdf(q), WANT.ppf(q), atol=bound * 5)
        assert float(dist.mean()) == pytest.approx(WANT.mean(), rel=bound)
        assert float(dist.variance()) == pytest.approx(WANT.var(), rel=bound)


def test_crps_against_the_integral():
    with jax.enable_x64(True):
        dist = Binned(jnp.asarray(LOGITS), EDGES)
        x = np.linspace(-8, 8, 1_600_001)
        middle, step = 0.5 * (x[1:] + x[:-1]), x[1] - x[0]
        cdf = np.interp(middle, EDGES, np.concatenate([[0], np.cumsum(P)]), left=0, right=1)
        for y in (-6.0, -4.0, -0.7, 0.75, 3.1, 5.0, 7.5):
            want = np.sum((cdf - (middle >= y)) ** 2) * step
            assert float(dist.crps(y)) == pytest.approx(want, rel=1e-8)
            # slope in y is F^2 - (1 - F)^2, at edges and beyond them too
            f = np.interp(y, EDGES, np.concatenate([[0], np.cumsum(P)]), left=0, right=1)
            assert float(jax.grad(dist.crps)(y)) == pytest.approx(f**2 - (1 - f) ** 2, rel=1e-12)


def test_outside_the_edges_there_is_no_gradient():
    for y in (-4.5, 5.5, -1e6, 1e6):
        value, slope = jax.value_and_grad(lambda x, y=y: Binned(x, EDGES).log_prob(y))(jnp.asarray(LOGITS))
        assert value == -jnp.inf
        np.testing.assert_array_equal(slope, 0)
    dist = Binned(jnp.asarray(LOGITS), EDGES)
    np.testing.assert_array_equal(dist.cdf(jnp.array([-9.0, 9.0])), [0, 1])
    assert dist.clamped_log_prob(9.0) == dist.log_prob(4.0)
    assert dist.clamped_log_prob(-9.0) == dist.log_prob(-3.0)


def test_underflowed_bins_are_skipped_by_quantiles():
    logits = jnp.where(jnp.isin(jnp.arange(8), jnp.array([2, 6])), 0.0, -1e4)
    value, slope = jax.vmap(jax.value_and_grad(lambda x, q: Binned(x, EDGES).icdf(q)), in_axes=(None, 0))(
        logits, jnp.array([1e-6, 0.25, 0.5, 0.75, 0.999])
    )
    assert jnp.all(jnp.isfinite(slope))
    np.testing.assert_allclose(value[jnp.array([1, 3])], [-0.75, 2.25], rtol=1e-6)
    assert -1 <= value[0] <= -0.5
    assert 1.5 <= value[4] <= 3


def test_exact_ties_keep_the_quantile_gradient():
    """Twenty equal bins and q = 0.05: the crossing is an edge, where a clipped fraction would lose its gradient."""
    edges = np.arange(21.0)
    slope = jax.grad(lambda q: Binned(jnp.zeros(20), edges).icdf(q))(0.05)
    assert slope == pytest.approx(20, rel=1e-5)


def test_one_bin_is_the_uniform():
    dist = Binned(jnp.array([3.0]), np.array([0.0, 2.0]))
    np.testing.assert_allclose(dist.log_prob(jnp.array([0.0, 0.5, 2.0])), -np.log(2), rtol=1e-6)
    np.testing.assert_allclose(dist.icdf(jnp.array([0.25, 0.75])), [0.5, 1.5], rtol=1e-6)
    assert float(dist.variance()) == pytest.approx(1 / 3, rel=1e-6)


def test_narrow_bins_far_from_zero_keep_the_total_mass():
    edges = 50 + 0.02 * np.arange(101)
    dist = Binned(jnp.asarray(np.random.default_rng(0).normal(size=100), jnp.float32), edges)
    rounded = edges.astype(np.float32).astype(float)
    density = np.exp(np.asarray(dist.log_prob(0.5 * (rounded[1:] + rounded[:-1])), np.float64))
    assert np.sum(density * np.diff(rounded)) == pytest.approx(1, abs=1e-6)


def test_user_errors_name_the_argument():
    with pytest.raises(InputError, match="logits must have shape"):
        Binned(jnp.zeros(()), EDGES)
    with pytest.raises(InputError, match=r"edges must have shape \[9\] for logits of shape \[8\], got \[8\]"):
        Binned(jnp.zeros(8), EDGES[1:])
    with pytest.raises(InputError, match="increasing in float32"):
        Binned(jnp.zeros(2), [1.0, 1.0 + 1e-9, 2.0])
