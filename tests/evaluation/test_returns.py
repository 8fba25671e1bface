"""Return levels against scipy, simulated coverage and an independent maximization of the profile likelihood."""

import numpy as np
import pytest
from scipy import optimize, stats

from sbp_jax.errors import InputError
from sbp_jax.evaluation.returns import return_levels
from sbp_jax.evaluation.tails import fit_tail
from tests.evaluation.samples import draw, log_likelihood


def joint_log_likelihood(tail, xi, log_beta, log_mass):
    if not log_mass < 0 or xi <= -1:
        return -np.inf
    binomial = tail.count * log_mass + (tail.size - tail.count) * np.log(-np.expm1(log_mass))
    return binomial + log_likelihood(tail.excesses, xi, log_beta)


def profile(tail, period, excess):
    """Likelihood of a return level, maximized by a derivative-free method from several starts."""

    def loss(point):
        inside = 1 + point[0] * excess / np.exp(point[1])
        if inside <= 0:
            return 1e10
        return min(-joint_log_likelihood(tail, *point, np.log(inside) / point[0] - np.log(period)), 1e10)

    options = {"xatol": 1e-9, "fatol": 1e-10, "maxiter": 1000, "maxfev": 1000}
    starts = [(s, np.log(tail.fit.scale) + b) for s in (-0.2, 0.02, 0.4, 1.0, 2.0) for b in (-0.5, 0.0, 0.7)]
    start = min(starts, key=loss)
    for _ in range(3):
        start = optimize.minimize(loss, start, method="Nelder-Mead", options=options).x
    return -loss(start)


@pytest.mark.parametrize(("xi", "size"), [(-0.3, 300), (0.0, 300), (0.1, 3000), (0.5, 300), (0.9, 1000)])
def test_return_levels_and_their_profile_interval(xi, size):
    tail = fit_tail(draw(xi, size, seed=1), 0.1)
    periods = np.array([30.0, 10.0 * size])
    result = return_levels(tail, periods)
    dist = stats.genpareto(tail.fit.shape, scale=tail.fit.scale)
    np.testing.assert_allclose(result.levels, tail.threshold + dist.isf(1 / (periods * tail.mass)), rtol=1e-9)
    peak = joint_log_likelihood(tail, tail.fit.shape, np.log(tail.fit.scale), np.log(tail.mass))
    for m, low, high in zip(periods, result.profile.low, result.profile.high, strict=True):
        for end in (low, high):
            drop = 2 * (peak - profile(tail, m, end - tail.threshold))
            assert drop == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-5)


def test_profile_interval_stops_at_the_threshold():
    tail = fit_tail(draw(0.1, 200), 0.1)
    result = return_levels(tail, np.array([10.05]))
    assert result.profile.low[0] == tail.threshold
    assert result.profile.high[0] > result.levels[0] > tail.threshold


def test_delta_interval_of_a_return_level():
    tail = fit_tail(draw(0.2, 2000), 0.1)

    def level(point):
        return tail.threshold + stats.genpareto.isf(1 / (500 * point[2]), point[0], scale=point[1])

    at = np.array([tail.fit.shape, tail.fit.scale, tail.mass])
    steps = 1e-5 * np.eye(3)
    gradient = np.array([(level(at + h) - level(at - h)) / 2e-5 for h in steps])
    covariance = np.zeros((3, 3))
    covariance[:2, :2] = tail.fit.covariance
    covariance[2, 2] = 0.1 * 0.9 / 2000
    result = return_levels(tail, np.array([500.0]))
    error = stats.norm.ppf(0.975) * np.sqrt(gradient @ covariance @ gradient)
    assert result.delta.high[0] - result.levels[0] == pytest.approx(error, rel=1e-6)


@pytest.mark.slow
def test_return_level_intervals_cover():
    shapes, trials, hits = (-0.25, 0.0, 0.3), 80, np.zeros((2, 2))
    periods = np.array([50.0, 5000.0])
    for xi in shapes:
        truth = stats.genpareto.isf(1 / periods, xi, scale=3.0)
        for seed in range(trials):
            result = return_levels(fit_tail(draw(xi, 1000, seed), 0.2), periods)
            for row, interval in enumerate((result.profile, result.delta)):
                hits[row] += (interval.low <= truth) & (truth <= interval.high)
    coverage = hits / (trials * len(shapes))
    assert (np.abs(coverage[0] - 0.95) < 0.042).all()  # three standard deviations of a binomial with 240 trials
    assert (coverage[1] > 0.8).all()  # known to fall short far out, which is why the profile is plotted


def test_plotting_positions_and_impossible_periods():
    tail = fit_tail(draw(0.1, 300), 0.1)
    result = return_levels(tail, np.array([100.0]))
    assert result.point_periods[-1] == 301
    assert result.point_periods[0] == pytest.approx(301 / 30)
    np.testing.assert_array_equal(result.point_levels, tail.place(tail.excesses))
    for wrong in (10.0, 0.0, np.nan, np.inf):
        with pytest.raises(InputError, match="periods: expected more than 10 observations"):
            return_levels(tail, np.array([wrong]))


def test_irregular_tail_has_levels_without_intervals():
    result = return_levels(fit_tail(np.arange(200.0), 0.2), np.array([100.0]))
    assert np.isfinite(result.levels).all()
    assert np.isnan([result.delta.low, result.delta.high, result.profile.low, result.profile.high]).all()
