"""Digits of the NumPyro adapters: rounded densities against 50 digits, and the bijections onto every kind of span."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions.transforms import biject_to

from sbp_jax.distributions import Normal
from sbp_jax.numpyro import Rounded
from sbp_jax.numpyro.supports import Span
from tests import oracles

X64 = pytest.mark.parametrize("x64", [pytest.param(False, id="float32"), pytest.param(True, id="float64")])


@pytest.mark.sample(1)
@X64
def test_rounded_against_fifty_digits(x64):
    bound = 1e-12 if x64 else 5e-6
    with jax.enable_x64(x64):
        adapter = Rounded(Normal(0.5, 1.5), 0.25)
        for k in (-40, -3, 0, 2, 30):
            low, high = (oracles.mp.mpf(2 * k + s) / 8 for s in (-1, 1))
            want = float(oracles.normal_log_interval(oracles.mp.mpf("0.5"), oracles.mp.mpf("1.5"), low, high))
            assert abs(float(adapter.log_prob(0.25 * k)) - want) <= bound * max(1, abs(want))


@pytest.mark.slow
@X64
def test_bijection_onto_every_kind_of_span(x64):
    bound = 1e-12 if x64 else 5e-6
    with jax.enable_x64(x64):
        lower, upper = jnp.array([-3.0, 0.5, -jnp.inf, -jnp.inf]), jnp.array([4.0, jnp.inf, 2.0, jnp.inf])
        transform = biject_to(Span(lower, upper))
        x = jnp.broadcast_to(jnp.linspace(-3.0, 3.0, 7)[:, None], (7, 4))
        y = transform(x)
        t = np.linspace(-3.0, 3.0, 7)
        want = np.stack([-3 + 7 / (1 + np.exp(-t)), 0.5 + np.exp(t), 2 - np.exp(-t), t], axis=-1)
        np.testing.assert_allclose(y, want, rtol=bound, atol=bound)
        # rounding of y near an end, seen through the logarithm of its distance to that end
        np.testing.assert_allclose(transform.inv(y), x, rtol=100 * bound, atol=100 * bound)
        slope_at = jax.jit(jax.grad(lambda x: jnp.sum(transform(x))))
        slope = slope_at(x)
        np.testing.assert_allclose(transform.log_abs_det_jacobian(x, y), jnp.log(slope), rtol=bound, atol=2 * bound)
        far = jnp.broadcast_to(jnp.array([[-800.0], [800.0]]), (2, 4))
        ends = transform(far)
        slope = slope_at(far)
        assert bool(jnp.all(jnp.isfinite(slope) == jnp.isfinite(ends)))
        assert bool(jnp.all((ends[:, 0] >= -3) & (ends[:, 0] < 4)))
        np.testing.assert_array_equal(ends[:, 3], far[:, 3])
