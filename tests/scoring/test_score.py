"""The play score: known answers."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sbp_jax.distributions import Binned, Censored, GeneralizedPareto, Normal, Quantized, SplicedBinnedPareto
from sbp_jax.scoring import mid_pit, normal_score

pytestmark = pytest.mark.unoptimized


def test_normal_score_under_a_rounded_normal_distribution():
    y = np.array([-9.0, -2, 0, 3, 12, 40])
    dist = Quantized(Normal(jnp.zeros(6), jnp.full((6,), 4.0)))
    low, high = (y - 0.5) / 4, (y + 0.5) / 4
    np.testing.assert_allclose(
        mid_pit(dist, jnp.asarray(y, jnp.float32)), (stats.norm.cdf(low) + stats.norm.cdf(high)) / 2, atol=2e-7
    )
    upper = stats.norm.isf((stats.norm.sf(low) + stats.norm.sf(high)) / 2)
    expected = np.where(y > 0, upper, stats.norm.ppf((stats.norm.cdf(low) + stats.norm.cdf(high)) / 2))
    # At 10 standard deviations the mid-PIT rounds to 1 in float32; its normal score must not.
    np.testing.assert_allclose(normal_score(dist, jnp.asarray(y, jnp.float32)), expected, rtol=2e-5, atol=2e-6)


def test_without_atoms_the_score_is_the_normal_score_of_the_cdf():
    y = jnp.array([-30.0, -2.0, 0.0, 3.0, 40.0])
    np.testing.assert_allclose(normal_score(Normal(jnp.zeros(5), 4.0), y), y / 4, rtol=2e-5, atol=2e-6)


@pytest.mark.slow
def test_score_beyond_a_finite_support_is_finite():
    tail = GeneralizedPareto(jnp.asarray(-0.5), jnp.asarray(1.0))
    dist = Quantized(SplicedBinnedPareto(jnp.zeros(10), np.linspace(0.0, 10.0, 11), tail, tail))
    scores = normal_score(dist, jnp.array([-500.0, 500.0]))
    assert np.isfinite(scores).all()
    assert scores[0] < -10
    assert scores[1] > 10


def test_an_outcome_at_the_bound_has_all_that_lies_beyond_it():
    y, upper = np.array([3.0, 3.0, 40.0]), np.array([np.inf, 3.0, 40.0])
    dist = Censored(Quantized(Normal(jnp.zeros(3), jnp.full((3,), 4.0))), high=upper)
    outcomes, at_bound = jnp.asarray(y, jnp.float32), y == upper
    below, at = stats.norm.cdf((y - 0.5) / 4), np.where(at_bound, 1.0, stats.norm.cdf((y + 0.5) / 4))
    np.testing.assert_allclose(mid_pit(dist, outcomes), (below + at) / 2, atol=2e-7)
    above = (stats.norm.sf((y - 0.5) / 4) + np.where(at_bound, 0.0, stats.norm.sf((y + 0.5) / 4))) / 2
    np.testing.assert_allclose(normal_score(dist, outcomes), stats.norm.isf(above), rtol=2e-5)


def test_mid_pit_averages_one_half_over_the_distribution():
    mass = np.array([0.1, 0.35, 0.05, 0.3, 0.2])
    dist = Quantized(Binned(jnp.log(jnp.asarray(mass, jnp.float32)), np.arange(6) - 0.5))
    pit = mid_pit(dist, jnp.arange(5.0))
    np.testing.assert_allclose(pit, np.cumsum(mass) - mass / 2, atol=1e-6)
    assert float(pit @ mass) == pytest.approx(0.5, abs=1e-6)
