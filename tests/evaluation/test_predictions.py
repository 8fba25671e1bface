"""Scores and metrics of predictive distributions, of densities, integers and bounded outcomes alike."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from sbp_jax.distributions import Binned, Censored, Normal, Quantized
from sbp_jax.errors import InputError
from sbp_jax.evaluation import Metrics, evaluate, predictions, score_outcomes

pytestmark = pytest.mark.unoptimized

GRID = np.arange(-100, 111)


@pytest.mark.slow
def test_a_rounded_normal_distribution_has_the_scores_of_the_discretized_one():
    loc, scale = np.array([0.0, 5.0, -3.0]), np.array([1.0, 8.0, 2.5])
    y = np.array([0, 12, -4])
    scores = score_outcomes(Quantized(Normal(jnp.asarray(loc, jnp.float32), jnp.asarray(scale, jnp.float32))), y)
    true = stats.norm(loc, scale)
    np.testing.assert_allclose(scores.log_prob, np.log(true.cdf(y + 0.5) - true.cdf(y - 0.5)), rtol=5e-6)
    np.testing.assert_allclose(scores.pit_low, true.cdf(y - 0.5), atol=3e-7)
    np.testing.assert_allclose(scores.pit_high, true.cdf(y + 0.5), atol=3e-7)
    cdf = true.cdf(GRID[:, None] + 0.5)
    np.testing.assert_allclose(scores.crps, np.sum((cdf - (GRID[:, None] >= y)) ** 2, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(scores.median, loc)


def test_what_lies_beyond_a_bound_counts_at_it():
    loc, y = np.array([0.0, 5.0, -3.0, 2.0]), np.array([0, 12, -4, 30])
    upper = np.array([3.0, 12.0, np.inf, 30.0])
    dist = Censored(Quantized(Normal(jnp.asarray(loc, jnp.float32), jnp.full((4,), 3.0))), high=upper)
    scores, true, at_bound = score_outcomes(dist, y), stats.norm(loc, 3.0), y == upper
    within = np.log(true.cdf(y + 0.5) - true.cdf(y - 0.5))
    np.testing.assert_allclose(scores.log_prob, np.where(at_bound, true.logsf(y - 0.5), within), rtol=5e-6)
    np.testing.assert_array_equal(scores.pit_high[at_bound], 1.0)
    assert np.all(scores.pit_high[~at_bound] < 1)
    cdf = np.where(upper <= GRID[:, None], 1.0, true.cdf(GRID[:, None] + 0.5))
    np.testing.assert_allclose(scores.crps, np.sum((cdf - (GRID[:, None] >= y)) ** 2, axis=0), rtol=2e-5)


@pytest.mark.sample(2)
@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 11])
def test_parts_do_not_show(monkeypatch, count):
    y = np.arange(count)
    dist = Normal(jnp.arange(float(count)) / 2, 2.0)
    expected = score_outcomes(dist, y)
    monkeypatch.setattr(predictions, "_ROWS", 4)
    for name, values in vars(score_outcomes(dist, y)).items():
        np.testing.assert_array_equal(values, getattr(expected, name))


def test_one_distribution_scores_all_outcomes():
    scores = score_outcomes(Normal(1.0, 2.0), np.array([0.0, 1.0, 5.0]))
    np.testing.assert_allclose(scores.log_prob, stats.norm.logpdf([0, 1, 5], 1, 2), rtol=1e-6)
    np.testing.assert_array_equal(scores.median, [1, 1, 1])


def test_outcomes_without_atoms_are_scored_by_the_density():
    loc, scale = np.array([0.0, 1.5, -3.0]), np.array([1.0, 0.25, 2.5])
    y = np.array([0.3, 1.625, -7.75])
    dist = Normal(jnp.asarray(loc, jnp.float32), jnp.asarray(scale, jnp.float32))
    metrics = evaluate(dist, y)
    true = stats.norm(loc, scale)
    crps = [
        integrate.quad(lambda x, i=i: (stats.norm.cdf(x, loc[i], scale[i]) - (x >= y[i])) ** 2, -40, 40, points=[y[i]])[
            0
        ]
        for i in range(3)
    ]
    assert metrics.nll == pytest.approx(-np.mean(true.logpdf(y)), rel=1e-5)
    assert metrics.crps == pytest.approx(np.mean(crps), rel=1e-5)
    assert metrics.mae == pytest.approx(np.mean(np.abs(y - loc)), rel=1e-6)
    levels = np.linspace(0.05, 0.95, 81)
    fraction = np.mean(true.cdf(y)[:, None] < levels, axis=0)
    assert metrics.pp.base == pytest.approx(np.mean(np.abs(fraction - levels)), rel=1e-9)


@pytest.mark.slow
def test_integers_may_be_of_any_size():
    random = np.random.default_rng(2)
    loc = random.normal(5.0, 4.0, 3000)
    y = np.round(loc + 3.0 * random.normal(size=3000))
    small = evaluate(Quantized(Normal(jnp.asarray(loc, jnp.float32), jnp.full((3000,), 3.0))), y)
    shifted = evaluate(Quantized(Normal(jnp.asarray(loc + 2800, jnp.float32), jnp.full((3000,), 3.0))), y + 2800)
    assert shifted.crps == pytest.approx(small.crps, rel=1e-3)
    assert shifted.mae == pytest.approx(small.mae, rel=1e-3)
    assert shifted.nll == pytest.approx(small.nll, rel=1e-3)
    large = Quantized(Normal(jnp.asarray(1000 * loc, jnp.float32), jnp.full((3000,), 3000.0)))
    assert evaluate(large, np.round(1000 * y)).nll == pytest.approx(small.nll + np.log(1000), rel=0.01)


@pytest.mark.slow
def test_scores_in_units_of_each_outcome():
    random = np.random.default_rng(2)
    y, dist = np.round(random.normal(size=300)), Quantized(Normal(jnp.zeros(300), 1.0))
    one, half = evaluate(dist, y), evaluate(dist, y, 2.0)
    assert (half.crps, half.mae) == (pytest.approx(one.crps / 2), pytest.approx(one.mae / 2))
    scaled = evaluate(dist, y, np.where(np.arange(300) < 100, 2.0, 5.0))
    assert (scaled.nll, scaled.pp) == (one.nll, one.pp)
    assert half.crps * 2 / 5 < scaled.crps < half.crps


def test_a_true_continuous_distribution_is_calibrated():
    y = np.random.default_rng(0).normal(size=20_000)
    assert evaluate(Normal(jnp.zeros(20_000), jnp.ones(20_000)), y).pp.full < 0.005


@pytest.mark.slow
def test_a_true_integer_distribution_is_calibrated_in_every_region_and_a_shifted_one_is_not():
    random = np.random.default_rng(0)
    rates = random.uniform(0.2, 12, 20_000)
    y = random.poisson(rates)
    grid = np.arange(60)

    def poisson(rates):
        log_mass = stats.poisson(rates[:, None]).logpmf(grid)
        return Quantized(Binned(jnp.asarray(log_mass, jnp.float32), np.arange(61) - 0.5))

    metrics = evaluate(poisson(rates), y)
    # One standard error of a fraction of 20,000 outcomes is at most 0.0035.
    assert metrics.pp.full < 0.005
    assert metrics.pp.lower < 0.002
    assert metrics.pp.upper < 0.002
    shifted = evaluate(poisson(rates + 1), y)
    assert shifted.pp.full > 0.05
    assert shifted.nll > metrics.nll
    assert shifted.crps > metrics.crps
    assert shifted.mae > metrics.mae


def test_bad_outcomes_are_named():
    dist = Normal(jnp.zeros(3), 1.0)
    for y, message in (([0.0, np.nan, 1.0], "finite outcomes"), ([], "at least one, got 0")):
        with pytest.raises(InputError, match=f"y: expected {message}|{message}"):
            score_outcomes(dist, np.array(y))
    with pytest.raises(InputError, match=r"outcomes for batch shape \(3,\), got 2"):
        score_outcomes(dist, np.zeros(2))
    assert Metrics.of(score_outcomes(dist, np.zeros(3)), np.zeros(3)).mae == 0.0
