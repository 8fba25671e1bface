"""Figures of merit against their definitions, computed the long way from scipy's laws."""

import numpy as np
import pytest
from scipy import stats

from sbp_jax.errors import InputError
from sbp_jax.evaluation import IntegerForecast, evaluate, pp_curve
from sbp_jax.evaluation.metrics import integer_crps, integer_median

GRID = np.arange(-60, 61)


def forecast_of(laws, y):
    cdf = np.stack([law.cdf(GRID) for law in laws])
    pmf = np.array([law.pmf(k) for law, k in zip(laws, y, strict=True)])
    at = np.array([law.cdf(k) for law, k in zip(laws, y, strict=True)])
    return IntegerForecast(GRID, cdf, np.log(pmf), at - pmf, at)


def poissons(rates, y):
    """`forecast_of` laws of these rates [N], all at once."""
    pmf, at = stats.poisson(rates).pmf(y), stats.poisson(rates).cdf(y)
    return IntegerForecast(GRID, stats.poisson(rates[:, None]).cdf(GRID), np.log(pmf), at - pmf, at)


def test_crps_equals_its_expectation_form():
    laws = [stats.poisson(4.0), stats.randint(-5, 9), stats.poisson(0.3)]
    y = np.array([6, -5, 0])
    expected = []
    for law, outcome in zip(laws, y, strict=True):
        p = law.pmf(GRID)
        spread = np.abs(GRID[:, None] - GRID[None, :])
        expected.append(p @ np.abs(GRID - outcome) - 0.5 * p @ spread @ p)
    np.testing.assert_allclose(integer_crps(forecast_of(laws, y), y), expected, rtol=1e-10)


def test_median_is_the_smallest_integer_with_half_the_mass():
    laws = [stats.poisson(4.0), stats.randint(0, 4), stats.binom(1, 0.49), stats.binom(1, 0.51)]
    y = np.zeros(4, int)
    np.testing.assert_array_equal(integer_median(forecast_of(laws, y)), [law.median() for law in laws])


def test_true_law_is_calibrated_in_every_region_and_a_shifted_one_is_not():
    random = np.random.default_rng(0)
    rates = random.uniform(0.2, 12, 20_000)
    y = random.poisson(rates)
    metrics = evaluate(poissons(rates, y), y)
    # One standard error of a share of 20,000 outcomes is at most 0.0035.
    assert metrics.pp.full < 0.005
    assert metrics.pp.lower < 0.002
    assert metrics.pp.upper < 0.002
    shifted = evaluate(poissons(rates + 1, y), y)
    assert shifted.pp.full > 0.05
    assert shifted.nll > metrics.nll
    assert shifted.crps > metrics.crps
    assert shifted.mae > metrics.mae


def test_pp_curve_of_one_outcome_is_its_uniform_share():
    forecast = forecast_of([stats.randint(0, 4)], np.array([1]))
    np.testing.assert_allclose(pp_curve(forecast, np.array([0.1, 0.25, 0.375, 0.5, 0.9])), [0, 0, 0.5, 1, 1])


def test_nll_is_the_mean_surprise():
    y = np.array([1, 2])
    forecast = forecast_of([stats.randint(0, 4), stats.randint(0, 8)], y)
    assert evaluate(forecast, y).nll == pytest.approx((np.log(4) + np.log(8)) / 2)


def test_bad_outcomes_are_named():
    forecast = forecast_of([stats.poisson(1.0)], np.array([1]))
    with pytest.raises(InputError, match=r"integer outcomes, got 1\.5"):
        evaluate(forecast, np.array([1.5]))
    with pytest.raises(InputError, match="expected 1 outcomes"):
        evaluate(forecast, np.array([1, 2]))
