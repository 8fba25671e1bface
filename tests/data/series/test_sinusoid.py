"""The public demo's series: its definition, and its true distribution against draws and against itself."""

import numpy as np
import pytest
from scipy.stats import t

from sbp_jax.data.series.sinusoid import TrueDistribution, draw, sinusoid

COUNT = 200_000


@pytest.fixture(scope="module")
def sample():
    return draw(COUNT, 1), TrueDistribution(sinusoid(COUNT))


def test_definition():
    middle = sinusoid(5000)
    assert (middle[0], len(middle)) == (5.0, 5000)
    assert middle.max() == pytest.approx(6.0, abs=1e-4)
    assert abs(middle[100] - middle[0]) < 0.02  # a cycle is a hundred steps
    values = draw(5000, 3)
    np.testing.assert_array_equal(values, draw(5000, 3))
    assert not np.array_equal(values, draw(5000, 4))
    assert np.mean(values == middle) == pytest.approx(0.85 / 4, abs=0.02)


def test_probability_integral_transform_of_draws_is_uniform(sample):
    values, dist = sample
    below, at = dist.cdf_below(values), dist.cdf(values)
    assert np.all(below <= at)
    u = below + np.random.default_rng(0).random(COUNT) * (at - below)
    share = np.sort(u)
    assert np.abs(share - (np.arange(COUNT) + 0.5) / COUNT).max() < 1.95 / np.sqrt(COUNT)  # Kolmogorov, 0.1 %
    assert np.mean(u > 0.999) == pytest.approx(0.001, rel=0.25)


def test_probabilities_without_a_spike_are_student_s():
    """Seen far from zero, where the noise has one side: P(Y < -x) of noise and lower spikes alone."""
    dist = TrueDistribution(np.zeros(1))
    atom = dist.cdf(np.zeros(1)) - dist.cdf_below(np.zeros(1))
    assert 0 < atom[0] - 0.85 / 4 < 0.0015  # its cell of width 0.001 also has some of the density around it
    assert dist.cdf(np.array([60.0]))[0] == pytest.approx(1.0, abs=1e-12)
    total = dist.probability(np.array([-40.0]), np.array([60.0]))
    assert total[0] == pytest.approx(1.0, abs=1e-9)
    # both halves of the noise, the other half at zero or beyond: at least this much lies below
    assert dist.cdf(np.array([-0.5]))[0] > 0.85 * 0.5 * t.cdf(-2.0, 10)


def test_crps_is_the_expected_one(sample):
    values, dist = sample
    mean = dist.crps(values).mean()
    other = draw(COUNT, 2) - sinusoid(COUNT)
    own = values - dist.middle
    shuffled = np.random.default_rng(1).permutation(other)
    # E|X - y| - E|X - X'| / 2 at independent draws of one distribution
    expected = np.abs(shuffled - own).mean() - 0.5 * np.abs(shuffled - other).mean()
    assert mean == pytest.approx(expected, rel=0.02)
    assert np.abs(dist.median() - dist.middle).max() < 0.02
