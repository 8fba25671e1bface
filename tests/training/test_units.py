"""Outcomes in units of each row's own location and scale: the loss includes the Jacobian on host and device."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from sbp_jax.config import Config, HeadConfig, TrainingConfig
from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.plays import Plays
from sbp_jax.distributions import Affine, objective
from sbp_jax.models import NO_DROPOUT, FlatEncoder, Network, NetworkConfig
from sbp_jax.training import HostBatchSource, Hyperparameters, Predictor, ResidentBatchSource, Trainer, fit
from sbp_jax.training.build import make_head
from sbp_jax.training.step import FrameWeights, arrays, in_units, training_loss

pytestmark = pytest.mark.unoptimized

CONFIG = Config(
    network=NetworkConfig(channels=4, layers=1, hidden=(8,), dropout=0.0),
    head=HeadConfig(low=-4.0, high=8.0, bins=24),
    training=TrainingConfig(objective="exact", epochs=2, batch_size=8, checkpoint_every=2),
)
ROWS = 21


def windows(units: bool = True, seed: int = 0) -> Plays:
    """Windows of one entity and two features, with outcomes of very different sizes."""
    random = np.random.default_rng(seed)
    lengths = random.integers(3, 9, ROWS)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    location, scale = random.normal(0, 1e3, ROWS), 10.0 ** random.uniform(-2, 4, ROWS)
    z = random.standard_t(4, ROWS)
    ids = np.arange(ROWS, dtype=np.int64)
    return Plays(
        frames=random.normal(size=(offsets[-1], 1, 2)).astype(np.float32),
        offsets=offsets,
        present=np.ones((offsets[-1], 1), bool),
        static=random.normal(size=(ROWS, 3)).astype(np.float32),
        outcome=(location + scale * z if units else z).astype(np.float32),
        game_id=ids,
        play_id=ids,
        passer_id=ids,
        passer=np.array([""] * ROWS),
        info={"location": location, "scale": scale} if units else {},
        features=("value", "seen"),
    )


def build(plays: Plays, name: str = "exact"):
    head = make_head(CONFIG.head)
    network = Network(CONFIG.network, FlatEncoder(1, 2), head, 3, rngs=nnx.Rngs(1))
    network.last.kernel.set_value(0.3 * jax.random.normal(jax.random.key(2), network.last.kernel.shape))
    predictor = Predictor(network)
    steps = -(-len(plays) // CONFIG.training.batch_size) * CONFIG.training.epochs
    return head, predictor, Trainer(predictor, head, objective(name), Hyperparameters.of(CONFIG, steps))


def batches(plays):
    return Batches(plays, CONFIG.training.batch_size, (8,))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exact", "interval"])
def test_loss_is_that_of_the_distribution_in_the_outcomes_own_unit(name):
    plays = windows()
    head, predictor, trainer = build(plays, name)
    raw = predictor(predictor.params, plays, 8, (8,))
    dist = Affine(head(raw), plays.info["location"], plays.info["scale"])
    each = np.asarray(objective(name)(dist, jnp.asarray(plays.outcome)))
    assert np.isfinite(each).all()
    assert not all(batch.valid.all() for batch in batches(plays))  # a padding row has no scale
    for batch in batches(plays):
        loss, gradient = trainer.value_and_grad(predictor.params, arrays(batch), None)
        np.testing.assert_allclose(loss, each[batch.index[batch.valid]].mean(), rtol=1e-5)
        chex.assert_tree_all_finite(gradient)


@pytest.mark.slow
def test_gradient_is_that_of_standardized_outcomes():
    """The Jacobian does not depend on the parameters."""
    plays = windows()
    z = (plays.outcome.astype(np.float64) - plays.info["location"]) / plays.info["scale"]
    plain = replace(plays, outcome=z.astype(np.float32), info={})
    _, predictor, trainer = build(plays)
    for one, other in zip(batches(plays), batches(plain), strict=True):
        (a, da), (b, db) = (trainer.value_and_grad(predictor.params, arrays(batch), None) for batch in (one, other))
        shift = np.log(plays.info["scale"][one.index[one.valid]]).mean()
        np.testing.assert_allclose(a, b + shift, rtol=1e-4)
        chex.assert_trees_all_close(da, db, rtol=2e-3, atol=2e-4)


@pytest.mark.slow
def test_on_the_device_as_on_the_host():
    plays = windows()
    _, _, trainer = build(plays)
    host = fit(trainer, HostBatchSource(batches(plays)), None, CONFIG.training)
    _, _, trainer = build(plays)
    batch_source = ResidentBatchSource(Arrays.of(plays, (8,)), CONFIG.training.batch_size, 0, None, 2, None)
    device = fit(trainer, batch_source, None, CONFIG.training)
    assert host.history[-1]["training_loss"] == pytest.approx(device.history[-1]["training_loss"], rel=1e-5)
    chex.assert_trees_all_close(host.params, device.params, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_every_frame_predicts_in_the_row_s_unit():
    plays = windows()
    head, predictor, _ = build(plays)
    batch = {name: jnp.asarray(value) for name, value in arrays(next(iter(batches(plays)))).items()}
    loss = training_loss(predictor, head, objective("exact"), FrameWeights())
    dist = in_units(head(predictor.raw_frames(predictor.params, batch, NO_DROPOUT)), batch)
    each = np.where(batch["mask"], -np.asarray(dist.log_prob(batch["outcome"][:, None])), 0.0)
    valid = np.asarray(batch["valid"])
    wanted = (each.sum(axis=1)[valid] / np.asarray(batch["mask"]).sum(axis=1)[valid]).mean()
    np.testing.assert_allclose(loss(predictor.params, batch, NO_DROPOUT), wanted, rtol=1e-5)
