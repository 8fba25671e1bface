"""The integer forecast that a continuous law implies."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from sbp_jax.distributions import Normal
from sbp_jax.errors import InputError
from sbp_jax.evaluation import YARDS, evaluate, evaluate_continuous, evaluate_counts, integer_forecast


def test_normal_law_gives_the_discretized_normal():
    loc, scale = np.array([0.0, 5.0, -3.0], np.float32), np.array([1.0, 8.0, 2.5], np.float32)
    y = np.array([0, 12, -4])
    forecast = integer_forecast(Normal(jnp.asarray(loc), jnp.asarray(scale)), y)
    law = stats.norm(loc.astype(float), scale.astype(float))
    np.testing.assert_allclose(forecast.cdf, law.cdf(YARDS[:, None] + 0.5).T, atol=3e-7)
    np.testing.assert_allclose(forecast.log_prob, np.log(law.cdf(y + 0.5) - law.cdf(y - 0.5)), rtol=5e-6)
    np.testing.assert_allclose(forecast.cdf_below, law.cdf(y - 0.5), atol=3e-7)
    np.testing.assert_allclose(forecast.cdf_at, law.cdf(y + 0.5), atol=3e-7)


def test_the_goal_line_holds_what_the_law_has_beyond_it():
    loc, y = np.array([0.0, 5.0, -3.0, 2.0]), np.array([0, 12, -4, 30])
    limit = np.array([3.0, 12.0, np.inf, 30.0])
    law = Normal(jnp.asarray(loc, jnp.float32), jnp.full((4,), 3.0))
    forecast = integer_forecast(law, y, limit)
    true = stats.norm(loc, 3.0)
    cut = y >= limit
    assert cut.tolist() == [False, True, False, True]
    beyond = true.logsf(y - 0.5)
    np.testing.assert_allclose(
        forecast.log_prob, np.where(cut, beyond, np.log(true.cdf(y + 0.5) - true.cdf(y - 0.5))), rtol=5e-6
    )
    np.testing.assert_array_equal(forecast.cdf_at[cut], 1.0)
    assert np.all(forecast.cdf_at[~cut] < 1)
    expected = np.where(limit[:, None] <= YARDS, 1.0, true.cdf(YARDS[:, None] + 0.5).T)
    np.testing.assert_allclose(forecast.cdf, expected, atol=3e-7)


def test_chunks_do_not_show():
    y = np.arange(7)
    law = Normal(jnp.arange(7.0), jnp.full((7,), 2.0))
    np.testing.assert_array_equal(integer_forecast(law, y, cells=1).cdf, integer_forecast(law, y).cdf)


def test_outcomes_that_are_no_whole_numbers_are_judged_by_the_density():
    loc, scale = np.array([0.0, 1.5, -3.0]), np.array([1.0, 0.25, 2.5])
    y = np.array([0.3, 1.625, -7.75])
    law = Normal(jnp.asarray(loc, jnp.float32), jnp.asarray(scale, jnp.float32))
    metrics = evaluate_continuous(law, y)
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
    share = np.mean(true.cdf(y)[:, None] < levels, axis=0)
    assert metrics.pp.base == pytest.approx(np.mean(np.abs(share - levels)), rel=1e-9)
    with pytest.raises(InputError, match="y: expected finite outcomes"):
        evaluate_continuous(law, np.array([0.0, np.nan, 1.0]))


def test_counts_are_judged_as_integers_whatever_their_size():
    random = np.random.default_rng(2)
    loc = random.normal(5.0, 4.0, 3000)
    y = np.round(loc + 3.0 * random.normal(size=3000))
    law = Normal(jnp.asarray(loc, jnp.float32), jnp.full((3000,), 3.0))
    counts, integers = evaluate_counts(law, y), evaluate(integer_forecast(law, y), y)
    assert counts.nll == pytest.approx(integers.nll, rel=1e-6)
    assert counts.pp.full == pytest.approx(integers.pp.full, abs=1e-6)
    assert counts.crps == pytest.approx(integers.crps, rel=0.01)  # the law's own against its steps'
    assert counts.mae == pytest.approx(integers.mae, abs=0.02)
    large = evaluate_counts(Normal(jnp.asarray(1000 * loc, jnp.float32), jnp.full((3000,), 3000.0)), np.round(1000 * y))
    assert large.nll == pytest.approx(counts.nll + np.log(1000), rel=0.01)
    unit = np.where(np.arange(3000) < 1000, 2.0, 5.0)
    scaled = evaluate_counts(law, y, unit)
    assert (scaled.nll, scaled.pp) == (counts.nll, counts.pp)
    half = evaluate_counts(law, y, 2.0)
    assert (half.crps, half.mae) == (pytest.approx(counts.crps / 2), pytest.approx(counts.mae / 2))
    assert half.crps * 2 / 5 < scaled.crps < half.crps
    with pytest.raises(InputError, match="expected whole numbers, at least one, got 1"):
        evaluate_counts(Normal(0.0, 1.0), np.array([0.5]))


def test_a_true_continuous_law_is_calibrated():
    y = np.random.default_rng(0).normal(size=20_000)
    metrics = evaluate_continuous(Normal(jnp.zeros(20_000), jnp.ones(20_000)), y)
    assert metrics.pp.full < 0.005
