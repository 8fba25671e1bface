"""A small run in memory, with random parameters, for tests of live scoring."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from sbp_jax.config import Config, DataConfig, HeadConfig, TrainingConfig
from sbp_jax.data.plays import static_names
from sbp_jax.models.network import NetworkConfig
from sbp_jax.runs.run import Run
from sbp_jax.training.build import make_head, make_network, set_statistics
from tests.plays import random_plays

STATICS = static_names()


def small_plays(count=12, seed=0):
    """Plays of 1 to 12 frames with absent players and partly unknown situations."""
    plays = random_plays(count, seed, shortest=1, longest=12, num_static=len(STATICS))
    missing = np.random.default_rng(seed).random((count, 8)) < 0.3
    plays.static[:, 8:] = missing
    plays.static[:, STATICS.index("distance")] = 5
    plays.static[:, STATICS.index("yards_to_goal")] = 20
    plays.static[:, :8] = np.where(missing, 0, plays.static[:, :8])
    plays.info["yards_to_goal"][:] = np.where(missing[:, STATICS.index("yards_to_goal")], -1, 20)
    return plays


def small_run(
    path=Path("nowhere/run"), objective="interval", outcome="yards", integer=True, kind="sbp", encoder="attention"
):
    config = Config(
        data=DataConfig(outcome=outcome),
        network=NetworkConfig(encoder=encoder, channels=8, layers=2, hidden=(16,)),
        head=HeadConfig(kind=kind, bins=41, low=-10.0, high=30.0),
        training=TrainingConfig(objective=objective),
    )
    head = make_head(config.head)
    model = make_network(config, head, len(STATICS))
    plays = small_plays(50, seed=9)
    set_statistics(model, plays, np.zeros(head.num_outputs))
    width = model.last.kernel[...].shape
    model.last.kernel.set_value(0.7 * jax.random.normal(jax.random.key(1), width))
    model.last.bias.set_value(0.3 * jnp.sin(jnp.arange(width[1], dtype=jnp.float32)))
    return Run(path, config, path, "none", model, 7, pl.DataFrame(), integer=integer)
