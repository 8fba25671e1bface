"""The generalized Pareto fit against mpmath, scipy and known answers."""

import mpmath as mp
import numpy as np
import pytest
from scipy import optimize, stats

from sbp_jax.errors import InputError
from sbp_jax.evaluation.exceedances import fit_pareto, hazard_derivatives, log_likelihood_derivatives, shape_interval
from tests.evaluation.samples import draw, log_likelihood
from tests.oracles import Pareto, derivative, log1p_ratio

SHAPES = [-0.45, -0.2, -1e-6, 0.0, 1e-6, 0.1, 0.6, 1.5]


def exact_hazard(z, xi, log_beta):
    return log1p_ratio(xi, mp.mpf(float(z)) / mp.exp(log_beta))


def exact_log_likelihood(z, xi, log_beta):
    dist = Pareto(xi, mp.exp(log_beta))
    return mp.fsum(dist.log_prob(mp.mpf(float(x))) for x in z)


def exact_derivatives(function, xi, log_beta):
    """Value, gradient and Hessian by differences at 150 digits."""
    with mp.workdps(150):
        at = (mp.mpf(xi), mp.mpf(log_beta))
        orders = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
        derivatives = [float(mp.diff(function, at, order, h=mp.mpf(10) ** -40)) for order in orders]
    return derivatives[0], np.array(derivatives[1:3]), np.array([derivatives[3:5], derivatives[4:6]])


def scipy_log_likelihood(z, xi, log_beta):
    return float(np.sum(stats.genpareto.logpdf(z, xi, scale=np.exp(log_beta))))


@pytest.mark.parametrize("xi", [-0.9, -0.3, -1e-3, -1e-12, 0.0, 1e-12, 1e-5, 0.15, 0.25, 2.0])
def test_derivatives_of_the_hazard_and_likelihood_against_mpmath(xi):
    z, log_beta = np.array([1e-6, 1e-2, 0.2, 0.6, 1.0, 1.3]), 0.3
    hazards = hazard_derivatives(xi, log_beta, z)
    for k in range(len(z)):
        exact = exact_derivatives(lambda s, b, x=z[k]: exact_hazard(x, s, b), xi, log_beta)
        for ours, theirs in zip(hazards, exact, strict=True):
            np.testing.assert_allclose(ours[..., k], theirs, rtol=2e-12)
    exact = exact_derivatives(lambda s, b: exact_log_likelihood(z, s, b), xi, log_beta)
    for ours, theirs in zip(log_likelihood_derivatives(xi, log_beta, z), exact, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("xi", SHAPES)
def test_fit_is_the_optimum_that_mpmath_finds(xi):
    z = draw(xi, 25, seed=3)
    fit = fit_pareto(z)
    assert fit.shape > -1

    def gradient(s, b):
        dist = Pareto(s, mp.exp(b))
        u = [mp.mpf(float(x)) / dist.beta for x in z]
        by_scale = mp.fsum((1 + s) * x / (1 + s * x) - 1 for x in u)
        return derivative(lambda t: exact_log_likelihood(z, t, b), s), by_scale

    shape, log_scale = mp.findroot(gradient, (mp.mpf(fit.shape), mp.log(fit.scale)), tol=1e-20)
    assert fit.shape == pytest.approx(float(shape), rel=1e-10, abs=1e-11)
    assert fit.scale == pytest.approx(float(mp.exp(log_scale)), rel=1e-10)
    assert fit.log_likelihood == pytest.approx(float(exact_log_likelihood(z, shape, log_scale)), rel=1e-13)
    if fit.is_regular:
        *_, hessian = exact_derivatives(lambda s, b: exact_log_likelihood(z, s, mp.log(b)), fit.shape, fit.scale)
        np.testing.assert_allclose(fit.covariance, np.linalg.inv(-hessian), rtol=1e-8)


@pytest.mark.sample(4)
@pytest.mark.parametrize("size", [10, 40, 300])
@pytest.mark.parametrize("xi", [-0.9, -0.5, -0.2, 0.0, 0.4, 1.0, 3.0])
def test_no_other_start_reaches_a_higher_likelihood(xi, size):
    for seed in range(3):
        z = draw(xi, size, seed)
        fit = fit_pareto(z)

        def loss(point, z=z):
            return 1e10 if point[0] < -1 else min(-log_likelihood(z, *point), 1e10)

        options = {"xatol": 1e-10, "fatol": 1e-11, "maxiter": 1000, "maxfev": 1000}
        starts = [(-0.3, 0.5), (0.05, 0.0), (0.5, -0.3), (2.0, -1.5)]
        others = [
            optimize.minimize(loss, (s, np.log(np.mean(z)) + b), method="Nelder-Mead", options=options).fun
            for s, b in starts
        ]
        assert fit.log_likelihood >= -min(others) - 1e-9
        bound = -len(z) * np.log(z.max())
        if fit.shape > -1:
            assert fit.log_likelihood == pytest.approx(scipy_log_likelihood(z, fit.shape, np.log(fit.scale)), rel=1e-12)
            assert fit.log_likelihood >= bound
        else:
            assert fit.log_likelihood == pytest.approx(bound, rel=1e-13)


def test_even_spacing_ends_at_the_boundary_and_reports_it():
    z = np.arange(1.0, 21.0)
    fit = fit_pareto(z)
    assert (fit.shape, fit.scale) == (-1.0, pytest.approx(20.0, rel=1e-14))
    assert fit.log_likelihood == pytest.approx(-20 * np.log(20), rel=1e-14)
    assert np.isnan(fit.covariance).all()
    assert not fit.is_regular
    assert np.isnan(shape_interval(fit, z)).all()
    np.testing.assert_allclose(fit.hazard(z[:-1]), -np.log1p(-z[:-1] / 20), rtol=1e-13)
    assert fit.hazard(z[-1:])[0] == np.inf


def test_irregular_interior_fit_has_no_covariance():
    fit = fit_pareto(draw(-0.75, 500))
    assert -1 < fit.shape < -0.5
    assert np.isnan(fit.covariance).all()


def test_a_vanishing_excess_does_no_harm():
    z = np.append(draw(0.2, 60), 1e-12)
    fit = fit_pareto(z)
    assert fit.log_likelihood == pytest.approx(scipy_log_likelihood(z, fit.shape, np.log(fit.scale)), rel=1e-12)
    assert fit.shape == pytest.approx(fit_pareto(np.append(draw(0.2, 60), 1e-6)).shape, abs=1e-4)


@pytest.mark.parametrize("factor", [1e-9, 7.0, 1e12])
def test_fit_scales_with_the_unit(factor):
    z = draw(0.2, 200)
    fit, scaled = fit_pareto(z), fit_pareto(factor * z)
    assert scaled.shape == pytest.approx(fit.shape, rel=1e-11)
    assert scaled.scale == pytest.approx(factor * fit.scale, rel=1e-11)
    assert scaled.log_likelihood == pytest.approx(fit.log_likelihood - 200 * np.log(factor), rel=1e-12)
    np.testing.assert_allclose(scaled.covariance, fit.covariance * np.outer([1, factor], [1, factor]), rtol=1e-9)


@pytest.mark.parametrize("xi", [-0.4, 0.0, 0.7])
def test_hazard_and_quantile_are_inverse(xi):
    fit = fit_pareto(draw(xi, 100))
    a = np.array([0.0, 1e-9, 0.1, 2.0, 20.0])
    np.testing.assert_allclose(fit.hazard(fit.quantile(a)), a, rtol=1e-9, atol=1e-15)
    dist = stats.genpareto(fit.shape, scale=fit.scale)
    np.testing.assert_allclose(fit.quantile(a), dist.isf(np.exp(-a)), rtol=1e-8, atol=1e-15)


@pytest.mark.parametrize(
    ("excesses", "message"),
    [
        (np.ones(9), "at least 10 numbers, got 9"),
        (np.append(np.arange(1.0, 20.0), 1e-300), "1e-300 is a rounded zero compared with the mean 9.5"),
        (np.ones(30), "all 30 equal 1"),
        (np.append(np.arange(1.0, 20.0), 0.0), "positive finite numbers, got 0"),
        (np.append(np.arange(1.0, 20.0), np.nan), "positive finite numbers, got nan"),
        (np.append(np.arange(1.0, 20.0), np.inf), "positive finite numbers, got inf"),
        (np.arange(1.0, 20.0) - 5, "positive finite numbers, got -4"),
    ],
)
def test_wrong_excesses_are_named(excesses, message):
    with pytest.raises(InputError, match=message):
        fit_pareto(excesses)


@pytest.mark.parametrize("xi", [-0.3, 0.0, 0.5])
def test_shape_interval_ends_where_scipy_profile_has_dropped(xi):
    z = draw(xi, 80, seed=1)
    fit = fit_pareto(z)
    for level in (0.5, 0.95):
        ends = shape_interval(fit, z, level)
        assert ends[0] < fit.shape < ends[1]
        for end in ends:
            best = optimize.minimize_scalar(
                lambda b, s=end: -log_likelihood(z, s, b),
                bounds=(np.log(max(-end, 0) * z.max() + 1e-9), np.log(fit.scale) + 3),
                method="bounded",
                options={"xatol": 1e-11},
            )
            assert 2 * (fit.log_likelihood + best.fun) == pytest.approx(stats.chi2.ppf(level, 1), rel=1e-7)


def test_shape_interval_of_few_excesses_may_reach_the_bound():
    for seed in range(40):
        z = draw(-0.2, 10, seed)
        fit = fit_pareto(z)
        if fit.is_regular and fit.log_likelihood + len(z) * np.log(z.max()) < stats.chi2.ppf(0.95, 1) / 2:
            assert shape_interval(fit, z)[0] == -1.0
            return
    raise AssertionError("no sample whose likelihood at shape -1 stays within the interval")
