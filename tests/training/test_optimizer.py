"""The learning rate against optax's own schedule; traced hyperparameters give the same updates as constants."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sbp_jax.config import Config, OptimizerConfig
from sbp_jax.models.network import NetworkConfig
from sbp_jax.training import Hyperparameters

pytestmark = pytest.mark.unoptimized


@pytest.mark.parametrize(("warmup", "total"), [(0.1, 50), (0.0, 7), (0.9, 3), (0.05, 1)])
def test_rate_is_the_warmed_up_cosine(warmup, total):
    config = Config(optimizer=OptimizerConfig(learning_rate=3e-3, warmup=warmup))
    settings = Hyperparameters.of(config, total)
    schedule = optax.warmup_cosine_decay_schedule(0.0, 3e-3, int(settings.warmup), int(settings.total))
    steps = np.arange(total + 3)
    rates = [float(settings.rate(jnp.asarray(step))) for step in steps]
    np.testing.assert_allclose(rates, [float(schedule(step)) for step in steps], rtol=1e-5, atol=1e-9)


def test_traced_values_update_as_constants_do():
    config = Config(
        optimizer=OptimizerConfig(learning_rate=1e-2, weight_decay=0.2, clip=0.5), network=NetworkConfig(dropout=0.4)
    )
    settings = Hyperparameters.of(config, 20)
    params = {"kernel": jnp.asarray([[1.0, -2.0], [0.5, 3.0]]), "bias": jnp.asarray([0.1, -0.2])}
    gradient = jax.tree.map(lambda leaf: 3.0 * leaf**2 - 1.0, params)

    def update(values):
        transform = values.transform()
        _, state = transform.update(gradient, transform.init(params), params)  # at a rate of zero
        return transform.update(gradient, state, params)[0]

    fixed = update(settings)
    assert all(np.all(leaf != 0) for leaf in jax.tree.leaves(fixed))
    chex.assert_trees_all_close(jax.jit(update)(settings), fixed, rtol=1e-6)
    other = jax.jit(update)(replace(settings, weight_decay=0.0))
    np.testing.assert_array_equal(other["bias"], jax.jit(update)(settings)["bias"])
