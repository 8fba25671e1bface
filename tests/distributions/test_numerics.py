"""The elementary functions against 50 digits, in value and derivatives, over the full range of the small argument."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions import numerics
from tests import oracles

MAGNITUDES = [0.0, 1e-12, 1e-6, 1e-3, 1e-2, 0.02, 0.033, 0.034, 0.099, 0.101, 0.3, 0.95, 1.0]
SHAPES = sorted({s * m for s in (-1, 1) for m in MAGNITUDES})
POINTS = [0.0, 1e-6, 0.05, 0.97, 3.0, 40.0]
X64 = [pytest.param(False, id="float32"), pytest.param(True, id="float64")]
VALUE = {False: 5e-6, True: 1e-12}
DERIVATIVE = {False: 1e-4, True: 1e-9}


@pytest.mark.sample(1)
@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("name", ["log1p_ratio", "expm1_ratio"])
def test_ratio_and_its_derivatives(name, x64):
    subject, oracle = getattr(numerics, name), getattr(oracles, name)
    with jax.enable_x64(x64):
        pairs = [(a, b) for a, b in itertools.product(SHAPES, POINTS) if name == "expm1_ratio" or 1 + a * b > 0.02]
        xi, u = (jnp.asarray(c) for c in np.array(pairs).T)
        assert xi.dtype == (jnp.float64 if x64 else jnp.float32)
        value = subject(xi, u)
        d_xi, d_u = jax.vmap(jax.grad(subject, (0, 1)))(xi, u)
        for i in range(len(pairs)):
            a, b = oracles.exact(xi[i]), oracles.exact(u[i])
            want = oracle(a, b)
            assert abs(value[i] - float(want)) <= VALUE[x64] * abs(float(want)), (a, b)
            want_xi = float(oracles.derivative(lambda t, b=b: oracle(t, b), a))
            want_u = float(oracles.derivative(lambda t, a=a: oracle(a, t), b))
            assert abs(d_xi[i] - want_xi) <= DERIVATIVE[x64] * abs(want_xi), (a, b)
            assert abs(d_u[i] - want_u) <= DERIVATIVE[x64] * abs(want_u), (a, b)


@pytest.mark.slow
@pytest.mark.parametrize("function", [numerics.log1p_ratio, numerics.expm1_ratio])
def test_second_derivative_in_the_shape_at_zero(function):
    with jax.enable_x64(True):
        z = jnp.asarray(1.5)
        got = jax.grad(jax.grad(function))(jnp.asarray(0.0), z)
        # third Taylor coefficients: log1p(x)/x = 1 - x/2 + x^2/3, expm1(x)/x = 1 + x/2 + x^2/6
        want = 1.5**3 * 2 / 3 if function is numerics.log1p_ratio else 1.5**3 / 3
        assert abs(got - want) < 1e-9


@pytest.mark.sample(1)
@pytest.mark.parametrize("x64", X64)
def test_log1mexp(x64):
    with jax.enable_x64(x64):
        x = jnp.asarray([1e-30, 1e-10, 1e-3, 0.1, 0.69, 0.7, 1.0, 5.0, 20.0, 80.0])
        value, slope = numerics.log1mexp(x), jax.vmap(jax.grad(numerics.log1mexp))(x)
        for i in range(len(x)):
            t = oracles.exact(x[i])
            want = float(oracles.mp.log1p(-oracles.mp.exp(-t)))
            want_slope = float(1 / oracles.mp.expm1(t))
            assert abs(value[i] - want) <= VALUE[x64] * abs(want)
            assert abs(slope[i] - want_slope) <= DERIVATIVE[x64] * want_slope


def test_ends_have_zero_gradients():
    for function, x, want in (
        (numerics.log1mexp, 0.0, -np.inf),
        (numerics.log1mexp, -1.0, -np.inf),
        (numerics.log1mexp, np.inf, 0.0),
        (numerics.safe_log, 0.0, -np.inf),
        (numerics.safe_log, -2.0, -np.inf),
    ):
        value, slope = jax.value_and_grad(function)(jnp.asarray(x))
        assert value == want
        assert slope == 0


def test_quotient_saturates_in_value_and_derivative():
    z, scale = jnp.array([6.0, 1e30, 1e30, 0.0]), jnp.array([2.0, 1e-30, 1e-3, 1e-30])
    value, slopes = jax.vmap(jax.value_and_grad(numerics.quotient, (0, 1)))(z, scale)
    largest = np.finfo(np.float32).max
    np.testing.assert_allclose(value, [3.0, largest, 1e33, 0.0], rtol=1e-6)
    np.testing.assert_allclose(slopes[0], [0.5, 1e30, 1e3, 1e30], rtol=1e-6)
    np.testing.assert_allclose(slopes[1], [-1.5, -largest, -1e36, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(numerics.saturated(jnp.array([-jnp.inf, 2.0, jnp.nan])), [-largest, 2.0, np.nan])


def test_log1p_ratio_where_the_product_overflows():
    xi, u = jnp.asarray(3.0), jnp.asarray(3e38)
    value, slopes = jax.value_and_grad(numerics.log1p_ratio, (0, 1))(xi, u)
    want = (np.log(3.0) + np.log(3e38)) / 3
    assert float(value) == pytest.approx(want, rel=1e-6)
    assert float(slopes[0]) == pytest.approx((1 / 3 - want) / 3, rel=1e-6)
