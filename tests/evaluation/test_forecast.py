"""The integer forecast that a continuous law implies."""

import jax.numpy as jnp
import numpy as np
from scipy import stats

from sbp_jax.distributions import Normal
from sbp_jax.evaluation import YARDS, integer_forecast


def test_normal_law_gives_the_discretized_normal():
    loc, scale = np.array([0.0, 5.0, -3.0], np.float32), np.array([1.0, 8.0, 2.5], np.float32)
    y = np.array([0, 12, -4])
    forecast = integer_forecast(Normal(jnp.asarray(loc), jnp.asarray(scale)), y)
    law = stats.norm(loc.astype(float), scale.astype(float))
    np.testing.assert_allclose(forecast.cdf, law.cdf(YARDS[:, None] + 0.5).T, atol=3e-7)
    np.testing.assert_allclose(forecast.log_prob, np.log(law.cdf(y + 0.5) - law.cdf(y - 0.5)), rtol=5e-6)
    np.testing.assert_allclose(forecast.cdf_below, law.cdf(y - 0.5), atol=3e-7)
    np.testing.assert_allclose(forecast.cdf_at, law.cdf(y + 0.5), atol=3e-7)


def test_chunks_do_not_show():
    y = np.arange(7)
    law = Normal(jnp.arange(7.0), jnp.full((7,), 2.0))
    np.testing.assert_array_equal(integer_forecast(law, y, cells=1).cdf, integer_forecast(law, y).cdf)
