"""Training: overfits one batch, resumes bit for bit, ignores padding, stops early, names the step that diverged."""

from copy import copy
from dataclasses import replace
from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.config import Config, HeadConfig, OptimizerConfig, TrainingConfig
from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.batches.symmetry import mirror_of
from sbp_jax.distributions.heads import objective
from sbp_jax.errors import InputError
from sbp_jax.models import NO_DROPOUT
from sbp_jax.models.network import NetworkConfig
from sbp_jax.training import (
    Checkpoints,
    DivergedError,
    FrameWeights,
    HostBatchSource,
    Hyperparameters,
    Predictor,
    Trainer,
    arrays,
    fit,
)
from sbp_jax.training.build import constants, make_head, make_network, set_statistics
from sbp_jax.training.stop import Stopped, StopRequest
from tests.plays import random_plays
from tests.slow import marked

pytestmark = [pytest.mark.unoptimized, pytest.mark.long]

CONFIG = Config(
    network=NetworkConfig(channels=8, layers=2, hidden=(16,), dropout=0.2),
    head=HeadConfig(bins=36, low=-10.0, high=25.0),
    optimizer=OptimizerConfig(learning_rate=3e-3),
    training=TrainingConfig(objective="interval", epochs=3, batch_size=16, buckets=(16, 32), checkpoint_every=2),
)


class Killed(Exception):
    """Simulates a kill at a step."""


@cache  # compilation takes most of the time of these tests, and the results are stateless
def build(config=CONFIG, count=80, longest=30):
    plays = random_plays(count, longest=longest)
    head = make_head(config.head)
    network = make_network(config, head, plays.static.shape[1])
    set_statistics(network, plays, head.init_from_data(plays.outcome))
    settings = config.training
    batches = Batches(plays, settings.batch_size, settings.buckets, seed=settings.seed, mirror=mirror_of(plays))
    predictor = Predictor(network)
    loss = objective(config.training.objective)
    trainer = Trainer(predictor, head, loss, Hyperparameters.of(config, len(batches) * settings.epochs))
    return network, predictor, trainer, batches


@pytest.mark.slow
def test_one_batch_overfits():
    config = replace(
        CONFIG,
        network=replace(CONFIG.network, dropout=0.0, channels=32),
        training=replace(CONFIG.training, epochs=150),
        optimizer=OptimizerConfig(learning_rate=1e-2, weight_decay=0.0, average=0.0),
    )
    _, _, trainer, batches = build(config, 16, 15)
    history = fit(trainer, HostBatchSource(batches), None, config.training).history
    assert history[0]["training_loss"] > 2.0
    assert history[-1]["training_loss"] < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", marked([1, 3, 8, 11], [1, 8, 11]))
def test_resuming_equals_never_stopping(tmp_path, killed_at):
    network, _, trainer, batches = build()
    uninterrupted = fit(
        trainer,
        HostBatchSource(batches),
        None,
        CONFIG.training,
        Checkpoints(tmp_path / "uninterrupted"),
        constants(network),
    )

    def kill(step):
        if step == killed_at:
            raise Killed

    with pytest.raises(Killed):
        fit(
            trainer,
            HostBatchSource(batches),
            None,
            CONFIG.training,
            Checkpoints(tmp_path / "killed"),
            constants(network),
            kill,
        )
    steps = []
    checkpoints = Checkpoints(tmp_path / "killed")
    resumed = fit(
        trainer, HostBatchSource(batches), None, CONFIG.training, checkpoints, constants(network), steps.append
    )
    saved = (0, 2, 4, 5, 6, 8, 10)  # every second step, and the end of each epoch of five
    assert steps[0] == max(step for step in saved if step < killed_at)
    assert resumed.step == uninterrupted.step
    chex.assert_trees_all_equal(resumed.params, uninterrupted.params)
    chex.assert_trees_all_equal(checkpoints.restore("best", uninterrupted.params), uninterrupted.params)
    start = trainer.initial(0)
    states = [Checkpoints(tmp_path / name).restore("state", start) for name in ("uninterrupted", "killed")]
    chex.assert_trees_all_equal(*states)
    assert not np.array_equal(jax.tree.leaves(states[0].params)[0], jax.tree.leaves(start.params)[0])
    for a, b in zip(resumed.history, uninterrupted.history, strict=True):
        assert a["training_loss"] == b["training_loss"]


@pytest.mark.slow
def test_damaged_newest_checkpoint_costs_steps_and_nothing_else(tmp_path, caplog):
    network, _, trainer, batches = build()
    uninterrupted = fit(
        trainer, HostBatchSource(batches), None, CONFIG.training, Checkpoints(tmp_path), constants(network)
    )
    (tmp_path / "15" / "state" / "step" / "0").write_bytes(b"\0\0\0\1")
    steps = []
    checkpoints = Checkpoints(tmp_path)
    again = fit(trainer, HostBatchSource(batches), None, CONFIG.training, checkpoints, constants(network), steps.append)
    assert steps == [14, 15]
    assert len(caplog.messages) == 1
    assert "15: damaged checkpoint (state: an array has changed since it was written)" in caplog.text
    chex.assert_trees_all_equal(again.params, uninterrupted.params)
    assert checkpoints.steps == [14, 15]


@pytest.mark.slow
def test_finished_training_takes_no_further_step(tmp_path):
    network, _, trainer, batches = build()
    done = fit(trainer, HostBatchSource(batches), None, CONFIG.training, Checkpoints(tmp_path), constants(network))
    steps = []
    again = fit(
        trainer,
        HostBatchSource(batches),
        None,
        CONFIG.training,
        Checkpoints(tmp_path),
        constants(network),
        steps.append,
    )
    assert steps == [done.step]
    chex.assert_trees_all_equal(again.params, done.params)


def test_nan_in_padding_and_in_filled_up_rows_changes_neither_loss_nor_gradient():
    _, predictor, trainer, _ = build()
    batch = arrays(next(iter(Batches(random_plays(11), 16, (32,)))))
    assert not batch["valid"].all()
    there = np.repeat(batch["mask"][:, :, None] & batch["present"], 8, axis=-1)
    dirty = {
        **batch,
        "x": np.where(there, batch["x"], np.nan).astype(np.float32),
        "static": np.where(batch["valid"][:, None], batch["static"], np.nan).astype(np.float32),
        "outcome": np.where(batch["valid"], batch["outcome"], np.nan).astype(np.float32),
    }
    key = jax.random.key(0)
    clean_loss, clean = trainer.value_and_grad(predictor.params, batch, key)
    dirty_loss, gradient = trainer.value_and_grad(predictor.params, dirty, key)
    assert np.isfinite(clean_loss)
    assert clean_loss == dirty_loss
    chex.assert_trees_all_equal(clean, gradient)


@pytest.mark.slow
def test_filled_up_rows_change_nothing():
    plays = random_plays(11, longest=15)
    _, predictor, trainer, _ = build()
    full, filled = (arrays(next(iter(Batches(plays, size, (16,), shuffle=False)))) for size in (11, 16))
    a, b = (trainer.value_and_grad(predictor.params, batch, None) for batch in (full, filled))
    chex.assert_trees_all_close(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.slow
def test_one_compilation_per_bucket():
    _, _, trainer, batches = build()
    fit(trainer, HostBatchSource(batches), None, CONFIG.training)
    fit(trainer, HostBatchSource(batches), None, CONFIG.training)
    assert len(batches.shapes) == 2
    assert trainer.step._cache_size() == len(batches.shapes)


@pytest.mark.slow
def test_predictions_come_in_the_order_of_the_plays_whatever_the_buckets():
    _, predictor, trainer, batches = build()
    params = fit(trainer, HostBatchSource(batches), None, CONFIG.training).params
    plays = random_plays(21, seed=5)
    one = predictor(params, plays, 8, (32,))
    np.testing.assert_allclose(predictor(params, plays, 5, (8, 16, 24, 32)), one, rtol=1e-4, atol=1e-4)
    alone = predictor(params, plays.select(np.array([13])), 1, (32,))
    np.testing.assert_allclose(alone[0], one[13], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_early_stopping_keeps_the_best_epoch():
    losses = iter([2.0, 1.0, 1.5, 1.5, 0.0])
    config = replace(CONFIG.training, epochs=5, patience=2)
    _, _, trainer, batches = build()
    seen = []

    def validate(params):
        seen.append(jax.tree.map(np.array, params))
        return next(losses)

    fitted = fit(trainer, HostBatchSource(batches), validate, config)
    assert [row["validation_loss"] for row in fitted.history] == [2.0, 1.0, 1.5, 1.5]
    chex.assert_trees_all_equal(fitted.params, seen[1])


def test_non_finite_loss_names_its_step_and_keeps_the_last_good_state(tmp_path):
    network, _, trainer, batches = build()
    step, calls = trainer.step, []
    trainer = copy(trainer)

    def poisoned(state, batch):
        calls.append(None)
        return step(state, {**batch, "static": batch["static"] * np.float32(np.inf if len(calls) == 7 else 1)})

    trainer.step = poisoned
    with pytest.raises(DivergedError, match="at step 7"):
        fit(trainer, HostBatchSource(batches), None, CONFIG.training, Checkpoints(tmp_path), constants(network))
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest == 6
    state = checkpoints.restore("state", trainer.initial(0))
    chex.assert_tree_all_finite(state.params)


@pytest.mark.slow
def test_stop_saves_the_state_between_two_calls(tmp_path):
    network, _, trainer, batches = build()
    uninterrupted = fit(trainer, HostBatchSource(batches), None, CONFIG.training)
    stop = StopRequest()

    def ask(step):
        stop.requested = step == 3

    with pytest.raises(Stopped) as stopped:
        fit(
            trainer,
            HostBatchSource(batches),
            None,
            CONFIG.training,
            Checkpoints(tmp_path),
            constants(network),
            ask,
            stop=stop,
        )
    assert stopped.value.step == 3 == Checkpoints(tmp_path).latest
    assert not stop.unsaved
    again = fit(trainer, HostBatchSource(batches), None, CONFIG.training, Checkpoints(tmp_path), constants(network))
    chex.assert_trees_all_equal(again.params, uninterrupted.params)


def test_non_finite_gradient_of_a_finite_loss_stops_the_training():
    _, _, trainer, batches = build()
    step, trainer = trainer.step, copy(trainer)
    trainer.step = lambda state, batch: (
        step(state, batch)[0],
        {"loss": jnp.ones(()), "gradient_norm": jnp.asarray(jnp.nan), "gradient_leaf": jnp.zeros(())},
    )
    with pytest.raises(DivergedError, match="gradient_norm is nan at step 1"):
        fit(trainer, HostBatchSource(batches), None, CONFIG.training)


@pytest.mark.slow
def test_checkpoint_of_another_network_is_refused_by_name(tmp_path):
    network, predictor, trainer, batches = build()
    fit(trainer, HostBatchSource(batches), None, CONFIG.training, Checkpoints(tmp_path), constants(network))
    wider = replace(CONFIG, network=replace(CONFIG.network, channels=12))
    with pytest.raises(InputError, match=r"best .*kernel.*: the configuration expects .*, the checkpoint has "):
        Checkpoints(tmp_path, read_only=True).restore("best", build(wider)[1].params)
    with pytest.raises(InputError, match="no checkpoint of step 4444"):
        Checkpoints(tmp_path, read_only=True).restore("best", predictor.params, step=4444)


def test_masked_player_changes_nothing():
    _, predictor, trainer, batches = build()
    params = fit(trainer, HostBatchSource(batches), None, CONFIG.training).params
    plays = random_plays(9, seed=3)
    frames = np.where(plays.present[:, :, None], plays.frames, np.float32(1e9))
    np.testing.assert_array_equal(
        predictor(params, replace(plays, frames=frames), 9, (32,)), predictor(params, plays, 9, (32,))
    )
    moved = predictor(params, replace(plays, frames=plays.frames + 1), 9, (32,))
    assert not np.allclose(moved, predictor(params, plays, 9, (32,)))


def test_frames_weigh_by_their_time_to_the_release():
    mask = jnp.asarray([[True] * 4, [True, True, False, False], [False] * 4])
    np.testing.assert_allclose(FrameWeights()(mask), [[0.25] * 4, [0.5, 0.5, 0, 0], [0] * 4])
    np.testing.assert_allclose(
        FrameWeights(half_life=1.0)(mask), [[1 / 15, 2 / 15, 4 / 15, 8 / 15], [1 / 3, 2 / 3, 0, 0], [0] * 4], rtol=1e-6
    )


@pytest.mark.slow
def test_the_last_frame_alone_is_the_limit_of_all_frames():
    """A weight that halves a hundred times per frame leaves only the last frame: the same loss and gradient."""
    _, predictor, trainer, batches = build()
    head, loss = make_head(CONFIG.head), objective(CONFIG.training.objective)
    settings = Hyperparameters.of(CONFIG, 10)
    frames = Trainer(predictor, head, loss, settings, frames=FrameWeights(half_life=0.01))
    batch = arrays(next(iter(batches)))
    batch["x"] = np.where(batch["mask"][:, :, None], batch["x"], np.nan)
    one, all_frames = (each.value_and_grad(predictor.params, batch, None) for each in (trainer, frames))
    np.testing.assert_allclose(all_frames[0], one[0], rtol=1e-6)
    chex.assert_trees_all_close(all_frames[1], one[1], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_every_frame_s_loss_counts():
    """The loss is the mean over plays cut after each frame, each evaluated by the network at its last frame."""
    _, predictor, _, batches = build()
    head, loss = make_head(CONFIG.head), objective("exact")
    settings = Hyperparameters.of(CONFIG, 10)
    frames = Trainer(predictor, head, loss, settings, frames=FrameWeights())
    batch = arrays(next(iter(batches)))
    value, _ = frames.value_and_grad(predictor.params, batch, None)
    count, longest = batch["mask"].shape
    # each play cut after each of its frames, as a batch of its own
    cut = {name: np.repeat(values, longest, axis=0) for name, values in batch.items()}
    there = cut["mask"][np.arange(count * longest), np.tile(np.arange(longest), count)] & cut["valid"]
    cut["mask"] = cut["mask"] & np.tile(np.tril(np.ones((longest, longest), bool)), (count, 1))
    raw = jax.jit(lambda batch: predictor.raw(predictor.params, batch, NO_DROPOUT))(cut)
    each = np.where(there, loss(head(raw), jnp.asarray(cut["outcome"])), 0).reshape(count, longest)
    expected = each.sum(axis=1) / np.maximum(batch["mask"].sum(axis=1), 1)
    np.testing.assert_allclose(value, expected[batch["valid"]].mean(), rtol=1e-5)


@pytest.mark.slow
def test_bfloat16_products_keep_float32_parameters_and_distribution():
    config = replace(CONFIG, network=replace(CONFIG.network, compute="bfloat16"))
    _, predictor, trainer, batches = build(config)
    _, exact, _, _ = build()
    batch = jax.tree.map(jnp.asarray, arrays(next(iter(batches))))
    of_rounded, of_full = (
        jax.jit(lambda params, each=each: each.raw(params, batch, NO_DROPOUT)) for each in (predictor, exact)
    )
    assert of_rounded(predictor.params).dtype == jnp.float32
    value, gradient = trainer.value_and_grad(predictor.params, batch, None)
    assert value.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype("float32")}
    # a nonzero last layer, so that the network's states reach the outputs
    kernel = jax.random.normal(jax.random.key(0), predictor.params["last"]["kernel"][...].shape)
    params = jax.tree.map(jnp.copy, predictor.params)
    params["last"]["kernel"].set_value(kernel)
    rounded, full = np.asarray(of_rounded(params)), np.asarray(of_full(params))
    assert 1e-4 < np.abs(rounded - full).max() / np.abs(full).max() < 3e-2
