"""All probability at one value."""

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.distributions import Deterministic, Quantized


def test_methods():
    d = Deterministic(jnp.array([0.0, 1.5]))
    assert d.batch_shape == (2,)
    np.testing.assert_array_equal(d.log_prob(1.5), [-np.inf, 0])
    np.testing.assert_array_equal(d.cdf(0.0), [1, 0])
    np.testing.assert_array_equal(d.cdf_left(0.0), [0, 0])
    np.testing.assert_array_equal(d.survival_function(0.0), [0, 1])
    np.testing.assert_array_equal(d.log_survival_left(0.0), [0, 0])
    np.testing.assert_array_equal(d.log_cdf_left(1.0), [0, -np.inf])
    np.testing.assert_array_equal(d.pit_bounds(1.5), [[1, 0], [1, 1]])
    np.testing.assert_array_equal(d.interval_log_prob(0.0, 1.5), [-np.inf, 0])
    np.testing.assert_array_equal(d.crps(2.0), [2.0, 0.5])
    np.testing.assert_array_equal(d.twcrps(2.0, 1.0, 1.75), [0.75, 0.25])
    np.testing.assert_array_equal(d.crps(jnp.inf), np.inf)
    np.testing.assert_array_equal(d.icdf(jnp.array([[0.0], [0.3], [1.0]])), [[0, 1.5]] * 3)
    np.testing.assert_array_equal([d.mean(), d.variance()], [[0, 1.5], [0, 0]])
    np.testing.assert_array_equal(d.sample(jax.random.key(0), (3,)), [[0, 1.5]] * 3)


def test_gradients():
    assert jax.grad(lambda v: Deterministic(v).crps(2.0))(0.5) == -1
    assert jax.grad(lambda v: Deterministic(v).crps(-2.0))(0.5) == 1
    assert jax.grad(lambda v: Deterministic(v).log_prob(0.5))(0.5) == 0
    assert jax.grad(lambda v: Deterministic(v).icdf(0.3))(0.5) == 1


def test_missing_values_and_a_grid():
    for value in (jnp.nan, jnp.inf):
        d = Deterministic(value)
        assert all(np.isnan(x) for x in (d.log_prob(0.0), d.cdf(0.0), d.crps(0.0), d.mean(), d.icdf(0.5)))
    rounded = Quantized(Deterministic(1.4))
    np.testing.assert_allclose([rounded.crps(3.0), rounded.mean(), rounded.variance()], [2.0, 1.0, 0.0], atol=1e-6)
