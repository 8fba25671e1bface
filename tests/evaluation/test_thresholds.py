"""Tails, mean excess, stability and PP and QQ points against closed forms, invariances and simulated coverage."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from sbp_jax.distributions import GeneralizedPareto, Normal
from sbp_jax.errors import InputError
from sbp_jax.evaluation.returns import return_levels
from sbp_jax.evaluation.tails import fit_tail, tail_masses, threshold_at
from sbp_jax.evaluation.thresholds import (
    exceedance_residuals,
    mean_excess,
    parameter_stability,
    pp_points,
    qq_points,
    quantile_points,
)
from tests.evaluation.samples import draw


def test_threshold_leaves_the_requested_fraction():
    y = np.random.default_rng(0).normal(size=1000)
    tail = fit_tail(y, 0.05)
    assert tail.count == 50
    assert tail.mass == 0.05
    np.testing.assert_array_equal(tail.place(tail.excesses), np.sort(y)[-50:])
    assert np.sort(y)[-51] < tail.threshold < np.sort(y)[-50]
    assert threshold_at(y, 0.05) == tail.threshold
    np.testing.assert_allclose(tail.residuals, tail.fit.hazard(tail.excesses))


def test_integers_have_thresholds_at_halves():
    y = np.random.default_rng(0).poisson(5.0, 2000)
    for mass in (0.3, 0.1, 0.03):
        assert threshold_at(y, mass) % 1 == 0.5
        assert threshold_at(y, mass, "lower") % 1 == 0.5
    counts = np.array([np.sum(y > k + 0.5) for k in range(20)])
    assert fit_tail(y, 0.1).count == counts[np.argmin(np.abs(counts - 200))]


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_lower_tail_is_the_upper_tail_of_the_negated_sample(level):
    y = np.random.default_rng(1).gumbel(size=800)
    up, down = fit_tail(-y, 0.1), fit_tail(y, 0.1, "lower")
    assert (down.threshold, down.fit.shape, down.fit.scale) == (-up.threshold, up.fit.shape, up.fit.scale)
    np.testing.assert_array_equal(down.excesses, up.excesses)
    masses = tail_masses(y, "lower")
    np.testing.assert_array_equal(masses, tail_masses(-y))
    a, b = parameter_stability(-y, masses, level), parameter_stability(y, masses, level, "lower")
    np.testing.assert_array_equal(b.thresholds, -a.thresholds)
    np.testing.assert_array_equal(b.modified_scale, a.modified_scale)
    cuts = np.quantile(y, [0.05, 0.2])
    e, f = mean_excess(-y, -cuts, level), mean_excess(y, cuts, level, "lower")
    np.testing.assert_array_equal(f.mean, e.mean)
    np.testing.assert_array_equal(f.thresholds, cuts)
    periods = np.array([20.0, 500.0])
    r, s = return_levels(up, periods, level), return_levels(down, periods, level)
    np.testing.assert_array_equal(s.levels, -r.levels)
    for kind in ("delta", "profile"):
        np.testing.assert_array_equal(getattr(s, kind).low, -getattr(r, kind).high)
        np.testing.assert_array_equal(getattr(s, kind).high, -getattr(r, kind).low)
    q, t = quantile_points(up, level), quantile_points(down, level)
    np.testing.assert_array_equal(t.observed, -q.observed)
    np.testing.assert_array_equal(t.band.low, -q.band.high)


def test_tail_masses_are_distinct_and_can_be_fitted():
    y = np.append(np.random.default_rng(0).poisson(3.0, 3000), [40] * 25)
    masses = tail_masses(y)
    assert (np.diff(masses) < 0).all()
    assert masses[-1] * len(y) >= 20
    assert len({threshold_at(y, mass) for mass in masses}) == len(masses)
    assert np.isfinite(parameter_stability(y, masses).shape).all()
    assert len(tail_masses(np.arange(30.0))) == 0


@pytest.mark.parametrize(
    ("y", "mass", "message"),
    [
        (
            np.arange(100.0),
            0.01,
            "tail_mass: 0.01 of 100 observations leaves 1 beyond the upper threshold 98.5; at least",
        ),
        (
            np.append(np.arange(50.0), [99.0] * 20),
            0.28,
            "leaves 20 values beyond the upper threshold that all equal 99",
        ),
        (np.ones(100), 0.1, "y: expected at least 10 numbers that are not all equal"),
        (np.append(np.arange(50.0), np.nan), 0.1, "y: expected one axis of finite numbers"),
        (np.arange(100.0), 0.0, "tail_mass: expected a fraction in"),
        (np.arange(100.0), np.nan, "tail_mass: expected a fraction in"),
    ],
)
def test_wrong_sample_is_named(y, mass, message):
    with pytest.raises(InputError, match=message):
        fit_tail(y, mass)


# Mean excess and stability.


def test_mean_excess_of_a_small_sample_by_hand():
    y = np.array([5, 1, 2, 9, 3, 4, 7, 0, 8, 6])
    result = mean_excess(y, np.array([6.0, 7.5, 8.5, 9.0]))
    np.testing.assert_array_equal(result.count, [3, 2, 1, 0])
    np.testing.assert_allclose(result.mean, [2.0, 1.0, 0.5, np.nan])
    half = stats.norm.ppf(0.975) * np.array([1 / np.sqrt(3), 0.5, np.nan, np.nan])
    np.testing.assert_allclose(result.interval.high - result.mean, half, rtol=1e-12)
    np.testing.assert_allclose(result.mean - result.interval.low, half, rtol=1e-12)


@pytest.mark.parametrize("xi", [-0.3, 0.0, 0.25])
def test_mean_excess_covers_the_straight_line(xi):
    cuts = np.array([0.0, 1.0, 3.0])
    line = (3.0 + xi * cuts) / (1 - xi)
    hits = np.zeros(3)
    for seed in range(200):
        result = mean_excess(draw(xi, 2000, seed), cuts, 0.9)
        hits += (result.interval.low <= line) & (line <= result.interval.high)
    # Four standard deviations of a binomial with 200 trials; the normal interval of a skewed mean covers a little less.
    assert (np.abs(hits / 200 - 0.9) < 0.085).all()


@pytest.mark.slow
def test_parameters_are_stable_and_covered():
    masses, shapes, trials, hits = np.array([0.5, 0.2]), (-0.2, 0.0, 0.3), 80, np.zeros((3, 2))
    for xi in shapes:
        modified = 3.0 - xi * 100.0
        for seed in range(trials):
            result = parameter_stability(100.0 + draw(xi, 1000, seed), masses)
            pairs = (result.shape_interval, xi), (result.shape_delta, xi), (result.modified_scale_interval, modified)
            for row, (interval, truth) in enumerate(pairs):
                hits[row] += (interval.low <= truth) & (truth <= interval.high)
    coverage = hits / (trials * len(shapes))
    assert (np.abs(coverage[0] - 0.95) < 0.042).all()  # three standard deviations of a binomial with 240 trials
    assert (coverage[1:] > 0.88).all()  # the normal intervals cover a little less


@pytest.mark.slow
def test_stability_moves_with_unit_and_origin():
    y = draw(0.2, 1500)
    masses = tail_masses(y)
    a, b = parameter_stability(y, masses), parameter_stability(5.0 + 10.0 * y, masses)
    np.testing.assert_allclose(b.thresholds, 5 + 10 * a.thresholds, rtol=1e-12)
    np.testing.assert_allclose(b.shape, a.shape, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(b.shape_interval.low, a.shape_interval.low, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(b.modified_scale, 10 * a.modified_scale - 5 * a.shape, rtol=1e-7)


def test_modified_scale_error_is_the_delta_method():
    y = draw(0.2, 800)
    tail = fit_tail(y, 0.2)
    result = parameter_stability(y, np.array([0.2]), 0.9)
    gradient = np.array([-tail.threshold, 1.0])
    error = stats.norm.ppf(0.95) * np.sqrt(gradient @ tail.fit.covariance @ gradient)
    np.testing.assert_allclose(result.modified_scale_interval.high - result.modified_scale, error, rtol=1e-10)


# PP and QQ points.


def test_points_against_scipy_order_statistics():
    a = np.array([0.3, 2.0, 0.1, 0.7])
    pp, qq = pp_points(a, 0.9), qq_points(a, 0.9)
    rank = np.arange(1, 5)
    np.testing.assert_allclose(pp.expected, rank / 5, rtol=1e-13)
    np.testing.assert_allclose(pp.observed, -np.expm1(-np.sort(a)), rtol=1e-13)
    np.testing.assert_allclose(pp.band.low, stats.beta.ppf(0.05, rank, 5 - rank), rtol=1e-10)
    np.testing.assert_allclose(pp.band.high, stats.beta.ppf(0.95, rank, 5 - rank), rtol=1e-10)
    np.testing.assert_allclose(qq.expected, stats.expon.ppf(rank / 5), rtol=1e-12)
    np.testing.assert_allclose(qq.band.high, stats.expon.ppf(pp.band.high), rtol=1e-10)


def test_ties_are_one_point_at_their_mean_rank():
    pp = pp_points(np.array([1.0, 0.5, 0.5, 0.5, 2.0]))
    np.testing.assert_allclose(pp.expected, np.array([2, 4, 5]) / 6)
    np.testing.assert_allclose(pp.band.low[0], stats.beta.ppf(0.025, 2, 4), rtol=1e-10)


def test_bands_have_their_nominal_coverage():
    random = np.random.default_rng(5)
    inside = []
    for _ in range(400):
        points = qq_points(random.exponential(size=60), 0.8)
        inside.append((points.band.low <= points.observed) & (points.observed <= points.band.high))
    # Each rank on its own: four standard deviations of a binomial with 400 trials.
    assert (np.abs(np.mean(inside, axis=0) - 0.8) < 0.08).all()


def test_quantile_points_are_in_the_unit_of_the_data():
    y = 50 + draw(0.2, 1000)
    tail = fit_tail(y, 0.1)
    points = quantile_points(tail)
    np.testing.assert_array_equal(points.observed, tail.place(tail.excesses))
    dist = stats.genpareto(tail.fit.shape, tail.threshold, tail.fit.scale)
    np.testing.assert_allclose(points.expected, dist.ppf(np.arange(1, 101) / 101), rtol=1e-10)
    assert ((points.band.low < points.expected) & (points.expected < points.band.high)).all()


def test_extreme_residuals():
    points = qq_points(np.array([0.0, 1.0, np.inf]))
    assert points.observed[-1] == np.inf
    assert np.isfinite(points.band.high).all()
    assert pp_points(np.array([0.0, 1.0, np.inf])).observed[-1] == 1.0
    for wrong in (np.array([]), np.array([-0.1, 1.0]), np.array([np.nan, 1.0])):
        with pytest.raises(InputError, match="residuals: expected at least one"):
            qq_points(wrong)
    for level in (0.0, 1.0, np.nan):
        with pytest.raises(InputError, match="level: expected a probability"):
            qq_points(np.ones(3), level)


def test_residuals_of_a_conditional_distribution_show_its_calibration():
    random = np.random.default_rng(7)
    loc = random.normal(0, 5, 4000).astype(np.float32)
    y = (loc + 2 * random.normal(size=4000)).astype(np.float32)
    right, narrow = Normal(loc, np.float32(2.0)), Normal(loc, np.float32(1.4))
    for side in ("upper", "lower"):
        residuals = exceedance_residuals(right, y, 0.1, side)
        assert len(residuals) == pytest.approx(400, abs=80)
        assert stats.kstest(residuals, "expon").pvalue > 0.01
        z = (y.astype(float) - loc) / 2
        beyond = stats.norm.logsf(z if side == "upper" else -z)
        np.testing.assert_allclose(residuals, (np.log(0.1) - beyond)[beyond < np.log(0.1)], rtol=1e-4, atol=1e-5)
        assert stats.kstest(exceedance_residuals(narrow, y, 0.1, side), "expon").pvalue < 1e-6
    dist = GeneralizedPareto(np.float32(-0.5), np.float32(1.0))
    assert exceedance_residuals(dist, np.array([0.5, 3.0]), 0.5)[-1] == np.inf
    with pytest.raises(InputError, match="NaN"):
        exceedance_residuals(right, np.full(4000, np.nan), 0.1)


# Real samples.


@pytest.mark.slow
def test_real_counts_of_mentions(real_data):
    for path in sorted((real_data / "twitter_volume").glob("*.csv")):
        y = pl.read_csv(path)["value"].to_numpy()
        tail = fit_tail(y, 0.02)
        assert tail.mass == pytest.approx(0.02, abs=0.01)
        assert tail.threshold % 1 in (0, 0.5)
        result = return_levels(tail, np.array([1e3, 1e4]))
        assert (result.profile.low < result.levels).all()
        assert (result.levels < result.profile.high).all()
        assert 0 < tail.fit.shape < 2
        assert np.isfinite(parameter_stability(y, tail_masses(y)).shape).all()


def test_real_yards_have_a_light_upper_tail(real_data):
    y = pl.read_parquet(real_data / "play_by_play" / "dropbacks_2017_2019.parquet")["yards_gained"].drop_nulls()
    result = parameter_stability(y.to_numpy(), np.array([0.1, 0.02, 0.005]))
    # A field has an end: the farther out, the shorter the tail.
    assert (np.diff(result.shape) < 0).all()
    assert result.shape_interval.high[-1] < 0
