"""Networks for players with extras: their width, no effect of masked values, and other plays are refused."""

from dataclasses import replace

import chex
import numpy as np
import pytest

from sbp_jax.config import Config, DataConfig, HeadConfig, OptimizerConfig, TrainingConfig, from_dict
from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.batches.symmetry import mirror_of
from sbp_jax.data.extras import feature_names
from sbp_jax.data.readers.rules import EXTRAS
from sbp_jax.distributions.heads import objective
from sbp_jax.errors import InputError
from sbp_jax.models import EntityAttention
from sbp_jax.models.network import NetworkConfig
from sbp_jax.training import Hyperparameters, Predictor, Trainer, arrays
from sbp_jax.training.build import make_head, make_network, set_statistics
from sbp_jax.training.check import check_features, check_outcomes
from sbp_jax.training.outcome import Outcome
from tests.plays import random_plays

pytestmark = pytest.mark.unoptimized

NAMES = feature_names(EXTRAS)
CONFIG = Config(
    data=DataConfig(extras=tuple(EXTRAS)),
    network=NetworkConfig(channels=4, layers=1, hidden=(8,), dropout=0.0),
    head=HeadConfig(kind="gaussian"),
    training=TrainingConfig(batch_size=8, buckets=(16,)),
)


def plays_with_extras(count=24):
    """Random plays with extras that are mostly 0, like those of one player in 22."""
    plays = random_plays(count, longest=16)
    random = np.random.default_rng(1)
    more = random.exponential(3.0, (*plays.frames.shape[:2], len(NAMES) - 8)) * (random.random((22, 1)) < 0.2)
    frames = np.concatenate([plays.frames, more * plays.present[:, :, None]], axis=-1).astype(np.float32)
    return replace(plays, frames=frames, features=NAMES)


@pytest.fixture(scope="module", params=["attention", "flat"])
def trained(request):
    """Network and trainer after mirrored steps; before them the last layer is zero, which would hide any effect."""
    sizes = replace(CONFIG.network, encoder=request.param)
    config = replace(CONFIG, network=sizes, optimizer=OptimizerConfig(warmup=0.0))
    plays, head = plays_with_extras(), make_head(CONFIG.head)
    check_features(config, plays)
    network = make_network(config, head, plays.static.shape[1])
    set_statistics(network, plays, head.init_from_data(plays.outcome))
    batches = Batches(plays, 8, (16,), mirror=mirror_of(plays))
    trainer = Trainer(Predictor(network), head, objective("exact"), Hyperparameters.of(config, 30))
    state = trainer.initial(0)
    losses = []
    for epoch in range(4):
        for batch in batches.epoch(epoch):
            state, metrics = trainer.step(state, arrays(batch))
            losses.append(float(metrics["loss"]))
    return network, trainer, state, losses, plays


@pytest.mark.sample(1)
def test_steps_train_mirrored_plays(trained):
    *_, losses, _ = trained
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


@pytest.mark.slow
def test_a_masked_player_changes_nothing(trained):
    _, trainer, state, _, plays = trained
    batch = arrays(next(iter(Batches(plays, 8, (16,), shuffle=False))))
    there = np.repeat(batch["present"], len(NAMES), axis=2)
    assert not there.all()
    value, gradient = trainer.value_and_grad(state.params, batch, None)
    dirty, same = trainer.value_and_grad(state.params, batch | {"x": np.where(there, batch["x"], np.nan)}, None)
    assert float(value) == float(dirty)
    chex.assert_trees_all_equal(gradient, same)


def test_extras_are_seen(trained):
    _, trainer, state, _, plays = trained
    batch = arrays(next(iter(Batches(plays, 8, (16,), shuffle=False))))
    changed = batch["x"].reshape(8, 16, 22, -1).copy()
    changed[..., 8:] *= 2
    value, _ = trainer.value_and_grad(state.params, batch, None)
    other, _ = trainer.value_and_grad(state.params, batch | {"x": changed.reshape(batch["x"].shape)}, None)
    assert float(value) != float(other)


def test_scales_are_those_of_the_training_plays(trained):
    network, *_, plays = trained
    column = NAMES.index("quarterback_speed_yps")
    values = plays.frames[..., column]
    if isinstance(network.encoder, EntityAttention):
        scale = network.encoder.scale[...]
        assert scale.shape == (4 + len(NAMES) - 8,)
        np.testing.assert_allclose(scale[column - 4], np.sqrt(np.mean(values[values != 0] ** 2)), rtol=1e-5)
        lengths = np.hypot(plays.frames[..., 2], plays.frames[..., 3])[plays.present]
        np.testing.assert_allclose(scale[1], np.sqrt(np.mean(lengths**2)), rtol=1e-5)
    else:
        slot = int(np.flatnonzero(values.any(axis=0))[0])
        own = values[plays.present[:, slot], slot]
        statistics = network.encoder.scale
        np.testing.assert_allclose(statistics.mean[...][slot * len(NAMES) + column], own.mean(), rtol=1e-5)
        np.testing.assert_allclose(statistics.scale[...][slot * len(NAMES) + column], own.std(), rtol=1e-4)


def test_extras_that_differ_are_refused():
    plays, plain = plays_with_extras(3), random_plays(3)
    check_features(replace(CONFIG, data=DataConfig()), plain)
    with pytest.raises(
        InputError, match=r"^plays: the network takes receiver.*_snap_s in addition to .*, the plays have no extras$"
    ):
        check_features(CONFIG, plain)
    with pytest.raises(
        InputError, match=r"^plays: the network takes no extras in addition to .*, the plays have receiver_"
    ):
        check_features(replace(CONFIG, data=DataConfig()), plays)


def test_outcomes_that_are_not_integers_are_refused_by_interval_alone():
    plays = random_plays(5)
    broken = replace(plays, outcome=plays.outcome + np.float32(0.25))
    config = replace(CONFIG, training=replace(CONFIG.training, objective="interval"))
    outcome = Outcome.of(DataConfig(outcome="expectedPointsAdded"), integer=True)
    check_outcomes(config, outcome, plays)
    message = r"^training\.objective: interval requires integers, and the outcome expectedPointsAdded has .*; choose"
    with pytest.raises(InputError, match=message):
        check_outcomes(config, outcome, broken)
    check_outcomes(replace(config, training=replace(CONFIG.training, objective="exact")), outcome, broken)
    assert random_plays(3).select(np.zeros(0, int)).is_integer


def test_a_configuration_has_one_order_of_extras_and_names_unknown_ones():
    assert DataConfig(extras=("time_since_snap_s", "target_defenders")).extras == (
        "target_defenders",
        "time_since_snap_s",
    )
    with pytest.raises(InputError, match=r"^config.data: extras: unknown 'speed'; known: receiver_separation_yards, "):
        from_dict(Config, {"data": {"extras": ["speed"]}})
    assert from_dict(Config, {"data": {"plays": 9}}).data.extras == ()


def test_the_attention_encoder_is_as_wide_as_the_extras_ask_for():
    for extras, width in (((), 8), (CONFIG.data.extras, len(NAMES))):
        encoder = make_network(replace(CONFIG, data=DataConfig(extras=extras)), make_head(CONFIG.head), 4).encoder
        assert encoder.scale[...].shape == (4 + width - 8,)
        assert encoder.num_features == width + 2 * (64 + 32)
        assert encoder.pools[0].first.kernel[...].shape[0] == width + 5 + 9
