"""The generalized Pareto distribution against 50 digits, in float32 and float64."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sbp_jax.distributions import GeneralizedPareto
from sbp_jax.errors import InputError
from tests import oracles

MAGNITUDES = [0.0, 1e-12, 1e-6, 1e-3, 0.05, 0.3, 0.95, 1.0]
SHAPES = sorted({s * m for s in (-1, 1) for m in MAGNITUDES})
POINTS = [0.0, 1e-4, 0.7, 3.0, 40.0]
SCALES = [1.5]
GRID = np.array([g for g in itertools.product(SHAPES, SCALES, POINTS) if 1 + g[0] * g[2] / g[1] > 0.1])
X64 = [pytest.param(False, id="float32"), pytest.param(True, id="float64")]
VALUE = {False: 5e-6, True: 1e-12}
DERIVATIVE = {False: 1e-4, True: 1e-9}


def grid():
    return tuple(jnp.asarray(c) for c in GRID.T)


def exact_row(i, xi, beta, z):
    return [oracles.exact(a[i]) for a in (xi, beta, z)]


def integrated_survival(dist, z):
    if dist.xi == 1:
        return dist.beta * oracles.mp.log1p(z / dist.beta)
    return dist.beta * (1 - dist.survival(z) ** (1 - dist.xi)) / (1 - dist.xi)


ORACLES = {
    "log_prob": lambda dist, z: dist.log_prob(z),
    "survival_function": lambda dist, z: dist.survival(z),
    "log_survival_function": lambda dist, z: oracles.mp.log(dist.survival(z)),
    "cdf": lambda dist, z: dist.cdf(z),
    "crps": lambda dist, z: (
        z - 2 * integrated_survival(dist, z) + dist.beta / (2 - dist.xi)
    ),  # checked by quadrature below
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("name", ORACLES)
def test_values_and_derivatives(name, x64):
    def method(xi, beta, z):
        return getattr(GeneralizedPareto(xi, beta), name)(z)

    def oracle(xi, beta, z):
        return ORACLES[name](oracles.Pareto(xi, beta), z)

    with jax.enable_x64(x64):
        columns = grid()
        values, slopes = jax.jit(jax.vmap(jax.value_and_grad(method, (0, 1, 2))))(*columns)
        for i in range(len(GRID)):
            point = exact_row(i, *columns)
            want = float(oracle(*point))
            assert abs(values[i] - want) <= VALUE[x64] * max(1, abs(want)), point
            # at the start of the support the derivatives are those from inside, which a central difference cannot see
            for j in range(3) if point[2] > 0 else ():
                want = float(
                    oracles.derivative(
                        lambda x, j=j, p=point: oracle(*[x if k == j else p[k] for k in range(3)]), point[j]
                    )
                )
                assert abs(slopes[j][i] - want) <= DERIVATIVE[x64] * max(1, abs(want)), (j, point)


@pytest.mark.parametrize("x64", X64)
def test_near_the_end_of_the_support_only_rounding_of_the_input_is_lost(x64):
    """Within ten times the movement of the value when the outcome alone is rounded."""
    with jax.enable_x64(x64):
        eps = float(jnp.finfo(jnp.asarray(0.0).dtype).eps)
        for xi in (-0.05, -0.3, -0.5, -0.9):
            dist = GeneralizedPareto(xi, 1.5)
            oracle = oracles.Pareto(oracles.exact(dist.shape), oracles.exact(dist.scale))
            for gap in (1e-1, 1e-2, 1e-3, 1e-4):
                z = jnp.asarray(1.5 / -xi * (1 - gap))
                t = oracles.exact(z)
                moved = 10 * eps / 2 * abs(float(oracles.derivative(oracle.log_prob, t) * t))
                want = float(oracle.log_prob(t))
                assert abs(dist.log_prob(z) - want) <= VALUE[x64] * max(1, abs(want)) + moved, (xi, gap)


@pytest.mark.parametrize("x64", X64)
def test_derivative_from_inside_at_zero(x64):
    with jax.enable_x64(x64):
        xi, beta, zero = jnp.asarray(0.3), jnp.asarray(1.5), jnp.asarray(0.0)
        slopes = jax.grad(lambda *a: GeneralizedPareto(*a[:2]).log_prob(a[2]), (0, 1, 2))(xi, beta, zero)
        np.testing.assert_allclose(slopes, [0, -1 / 1.5, -1.3 / 1.5], rtol=1e-6)


def test_derivative_in_the_shape_at_zero_shape():
    """d log g / d xi at xi = 0 is z^2/2 - z at beta = 1: 1.5 at z = 3, where a test of shape == 0 gives 0."""
    slope = jax.grad(lambda xi: GeneralizedPareto(xi, 1.0).log_prob(3.0))
    assert slope(jnp.asarray(0.0)) == pytest.approx(1.5, rel=1e-6)


def test_tiny_shape_is_the_exponential():
    dist = GeneralizedPareto(jnp.array([0.0, 1e-8, -1e-8, 1e-30]), 1.5)
    np.testing.assert_allclose(dist.log_prob(6.0), -4 - np.log(1.5), rtol=1e-6)
    np.testing.assert_allclose(dist.icdf(0.5), 1.5 * np.log(2), rtol=1e-6)


@pytest.mark.slow
def test_outside_the_support_there_is_no_gradient():
    dists = jnp.array([-0.5, -0.25, 0.3, -0.5, -0.5])
    y = jnp.array([5.0, 1e6, -1.0, jnp.inf, 4.0])
    value, slopes = jax.vmap(jax.value_and_grad(lambda xi, b, z: GeneralizedPareto(xi, b).log_prob(z), (0, 1, 2)))(
        dists, jnp.full(5, 2.0), y
    )
    np.testing.assert_array_equal(value, -jnp.inf)
    np.testing.assert_array_equal(jnp.stack(slopes), 0)
    dist = GeneralizedPareto(dists, 2.0)
    np.testing.assert_array_equal(dist.cdf(y), [1, 1, 0, 1, 1])
    np.testing.assert_array_equal(dist.log_survival_function(y), [-jnp.inf, -jnp.inf, 0, -jnp.inf, -jnp.inf])
    np.testing.assert_array_equal(dist.log_cdf(y), [0, 0, -jnp.inf, 0, 0])


def test_uniform_special_case_includes_its_end():
    np.testing.assert_allclose(GeneralizedPareto(-1.0, 2.0).log_prob(jnp.array([0.0, 1.0, 2.0])), -np.log(2), rtol=1e-6)


@pytest.mark.sample(1)
@pytest.mark.parametrize("x64", X64)
def test_quantiles_invert_both_sides(x64):
    with jax.enable_x64(x64):
        xi = jnp.asarray(SHAPES)[:, None]
        dist = GeneralizedPareto(xi, 1.5)
        s = jnp.asarray([[1e-6, 1e-3, 0.05, 0.3, 0.5, 0.7, 0.99]])
        z = dist.isf(s)
        bound = 1e-12 if x64 else 1e-6
        moved = 10 * jnp.finfo(z.dtype).eps * jnp.exp(dist.log_prob(z)) * z  # what rounding the quantile costs
        moved = jnp.where(jnp.isfinite(moved), moved, 0)
        assert jnp.all(jnp.abs(dist.survival_function(z) / s - 1) <= bound + moved / s)
        assert jnp.all(jnp.abs(dist.cdf(dist.icdf(s)) - s) <= bound)
        for i, a in enumerate(SHAPES):
            for j in range(s.size):
                want = float(oracles.Pareto(oracles.exact(xi[i, 0]), oracles.mp.mpf("1.5")).isf(oracles.exact(s[0, j])))
                assert abs(z[i, j] - want) <= VALUE[x64] * max(1, abs(want)), (a, s[0, j])


def test_quantile_ends():
    dist = GeneralizedPareto(jnp.array([-0.5, 0.0, 0.5]), 1.0)
    np.testing.assert_array_equal(dist.icdf(1.0), [2, jnp.inf, jnp.inf])
    np.testing.assert_array_equal(dist.isf(0.0), [2, jnp.inf, jnp.inf])
    np.testing.assert_array_equal(dist.icdf(0.0), 0)
    assert np.all(np.isnan(dist.icdf(jnp.array([[-0.1], [1.1], [jnp.nan]]))))


def test_moments_against_scipy():
    for xi in (-0.9, -0.3, 0.0, 0.2, 0.45):
        dist, want = GeneralizedPareto(xi, 2.5), scipy.stats.genpareto(xi, scale=2.5)
        assert dist.mean() == pytest.approx(want.mean(), rel=1e-6)
        assert dist.variance() == pytest.approx(want.var(), rel=1e-5)
    assert GeneralizedPareto(1.0, 1.0).mean() == jnp.inf
    assert GeneralizedPareto(0.5, 1.0).variance() == jnp.inf
    assert GeneralizedPareto(0.5, 1.0).mean() == 2


@pytest.mark.sample(1)
@pytest.mark.parametrize("xi", [-0.8, -1e-6, 0.0, 0.3, 0.999999, 1.0, 1.000001, 1.6])
def test_crps_against_quadrature(xi):
    with jax.enable_x64(True):
        dist, oracle = GeneralizedPareto(xi, 1.5), oracles.Pareto(oracles.exact(xi), oracles.mp.mpf("1.5"))
        for y in (-2.0, 0.0, 0.4, 1.7, 6.0):
            t = oracles.exact(y)
            reach = min(max(t, 0), oracle.end())
            want = (
                abs(t)
                + oracle.integral(2, oracles.mp.mpf(0), oracles.INF)
                - 2 * oracle.integral(1, oracles.mp.mpf(0), reach)
            )
            assert dist.crps(y) == pytest.approx(float(want), rel=1e-11)
    assert GeneralizedPareto(2.0, 1.0).crps(1.0) == jnp.inf


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("xi", [-0.4, -1e-7, 0.0, 1e-7, 0.3, 1.0])
def test_interval_has_no_cancellation(xi, x64):
    with jax.enable_x64(x64):
        dist = GeneralizedPareto(xi, 1.5)
        oracle = oracles.Pareto(oracles.exact(dist.shape), oracles.exact(dist.scale))
        pairs = [(-1.0, 0.5), (0.0, 1.0), (1.0, 1.001), (2.0, 2.0001), (3.0, 9.0), (3.0, np.inf), (0.001, 0.0011)]
        for low, high in pairs:
            a, b = oracles.exact(jnp.asarray(low)), oracles.exact(jnp.asarray(high))
            want = float(oracles.mp.log(oracle.survival(a) - oracle.survival(b)))
            assert abs(dist.interval_log_prob(low, high) - want) <= VALUE[x64] * max(1, abs(want)), (low, high)


def test_empty_intervals_have_no_gradient():
    for low, high in ((2.0, 2.0), (3.0, 1.0), (-3.0, -1.0), (-2.0, 0.0), (50.0, 60.0), (jnp.inf, jnp.inf)):
        value, slopes = jax.value_and_grad(
            lambda *a: GeneralizedPareto(*a[:2]).interval_log_prob(*a[2:]), (0, 1, 2, 3)
        )(jnp.asarray(-0.1), jnp.asarray(1.0), jnp.asarray(low), jnp.asarray(high))
        assert value == -jnp.inf
        np.testing.assert_array_equal(jnp.stack(slopes), 0)


def test_user_errors_name_the_argument():
    with pytest.raises(InputError, match="scale must be positive"):
        GeneralizedPareto(0.1, -1.0)
    with pytest.raises(InputError, match=r"shape \(2,\), scale \(3,\)"):
        GeneralizedPareto(np.zeros(2), np.ones(3))
