"""Players who are missing from a layout, leave or enter during the play affect neither distribution nor gradient."""

from dataclasses import replace

import chex
import jax
import numpy as np
import polars as pl
import pytest
from flax import nnx

from sbp_jax.config import Config, HeadConfig
from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.features import read_plays
from sbp_jax.data.plays import STATIC_FEATURES
from sbp_jax.models import NetworkConfig
from sbp_jax.training.build import make_head, make_network, set_statistics
from tests.data import fabricate, publishers

pytestmark = pytest.mark.unoptimized

BUILT: dict = {}


def build(encoder):
    """A small network whose parts all affect its outputs, and the compiled distribution, loss and gradient."""
    if encoder not in BUILT:
        small = NetworkConfig(encoder=encoder, channels=8, layers=1, hidden=(16,))
        config = replace(Config(), network=small, head=HeadConfig(kind="gaussian"))
        head = make_head(config.head)
        network = make_network(config, head, len(STATIC_FEATURES))
        network.last.kernel.set_value(0.1 * jax.random.normal(jax.random.key(9), (16, head.num_outputs)))
        graph = nnx.graphdef(network)

        def loss(params, rest, x, batch):
            raw = nnx.merge(graph, params, rest).raw(x, batch["mask"], batch["present"], batch["static"])
            return -head(raw).log_prob(batch["outcome"]).sum(), raw

        BUILT[encoder] = network, head, jax.jit(jax.value_and_grad(loss, has_aux=True))
    return BUILT[encoder]


def incomplete(seed):
    """A play without tackles, in which a receiver leaves and a safety enters."""
    table = fabricate.play(seed=seed, number=70 + seed)
    frame, name = pl.col("frameId") - fabricate.LEAD - 1, pl.col("displayName")
    leaves, comes = (name == "WR 7") & (frame > 11), (name == "FS 21") & (frame < 8)
    return table.filter(~leaves, ~comes, pl.col("position").ne_missing("T"))


@pytest.mark.sample(1)
@pytest.mark.parametrize("encoder", ["flat", "attention"])
@pytest.mark.parametrize("layout", publishers.LAYOUTS)
def test_absent_players_change_nothing(layout, encoder, tmp_path):
    table = pl.concat([incomplete(1), incomplete(2)])
    plays, _ = read_plays(publishers.publish(layout, table, tmp_path))
    complete = 22 - 2 - (7 if layout == "2026" else 0)  # which has no linemen and no rushers
    there = plays.present.reshape(2, 20, 22).sum(axis=2)
    assert there.max() == complete
    assert (there[:, 0] == complete - 1).all()
    assert (there[:, -1] == complete - 1).all()
    (batch,) = Batches(plays, batch_size=2, buckets=(24,), shuffle=False).epoch(0)
    absent = np.repeat(~batch.present, batch.x.shape[-1] // 22, axis=-1)
    assert (batch.x[absent] == 0).all()
    network, head, value_and_gradient = build(encoder)
    set_statistics(network, plays, np.zeros(head.num_outputs))
    _, params, rest = nnx.split(network, nnx.Param, ...)
    fields = {name: getattr(batch, name) for name in ("mask", "present", "static", "outcome")}
    (clean, dist), gradient = value_and_gradient(params, rest, batch.x, fields)
    (dirty, dirty_dist), dirty_gradient = value_and_gradient(params, rest, np.where(absent, np.nan, batch.x), fields)
    assert np.isfinite(clean)
    assert clean == dirty
    np.testing.assert_array_equal(dist, dirty_dist)
    chex.assert_trees_all_equal(gradient, dirty_gradient)
    # not because nothing has an effect: a present player does
    moved = np.where(absent, batch.x, batch.x + 1.0).astype(np.float32)
    assert (np.asarray(value_and_gradient(params, rest, moved, fields)[0][1]) != np.asarray(dist)).any()
