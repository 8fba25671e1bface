"""Members of a sweep end like their separate training runs: values, early stops, several devices, after a kill."""

from dataclasses import replace
from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from sbp_jax.config import Config, HeadConfig, OptimizerConfig, TrainingConfig
from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.batches.symmetry import mirror_of
from sbp_jax.errors import InputError
from sbp_jax.models.network import NetworkConfig
from sbp_jax.training import (
    Checkpoints,
    DivergenceMonitor,
    Hyperparameters,
    Marginal,
    Predictor,
    ResidentBatchSource,
    Trainer,
    fit,
    to_device,
)
from sbp_jax.training.batch_source import DeviceIndexPlan
from sbp_jax.training.build import make_head, make_loss, make_network, make_validation_loss, set_statistics
from sbp_jax.training.fit_sweep import Plan, fit_sweep
from sbp_jax.training.sweep import Sweep, check_members
from tests.plays import random_plays
from tests.slow import marked
from tests.training.test_fit import Killed

pytestmark = pytest.mark.unoptimized

BASE = Config(
    network=NetworkConfig(encoder="flat", channels=4, layers=1, hidden=(6,), dropout=0.1),
    head=HeadConfig(bins=8, low=-10.0, high=25.0),
    optimizer=OptimizerConfig(learning_rate=3e-2),
    training=TrainingConfig(objective="interval", epochs=3, batch_size=16, buckets=(30,), patience=3),
)


def changed(**sections):
    return replace(BASE, **{name: replace(getattr(BASE, name), **fields) for name, fields in sections.items()})


CONFIGS = (
    BASE,
    changed(training={"seed": 3}, network={"dropout": 0.0}, head={"bins": 5, "tail_mass": (0.1, 0.02)}),
    changed(optimizer={"learning_rate": 1e-2, "weight_decay": 0.0, "clip": 0.1, "average": 0.5, "warmup": 0.3}),
    changed(
        head={"parameterization": "orthogonal"},
        training={"objective": "exact", "epochs": 2, "threshold_gradient": "off"},
    ),
    changed(head={"parameterization": "continuous", "low": -20.0}, training={"objective": "composite", "seed": 1}),
    changed(training={"objective": "censored", "seed": 2}),
)
PLAYS, VALIDATION = random_plays(40, longest=30), random_plays(24, longest=30, seed=9)
INDEX_PLAN = DeviceIndexPlan(Arrays.of(VALIDATION, (30,)), 16, shuffle=False)


def network_of(config):
    head = make_head(config.head)
    network = make_network(config, head, PLAYS.static.shape[1])
    set_statistics(network, PLAYS, head.init_from_data(PLAYS.outcome))
    # in float64 under x64, so that a difference is not rounding
    nnx.update(network, jax.tree.map(lambda leaf: leaf.astype(jnp.result_type(float)), nnx.state(network)))
    return network


def separate(config):
    """Train one configuration by itself."""
    head, settings = make_head(config.head), config.training
    predictor = Predictor(network_of(config))
    batch_source = ResidentBatchSource(
        Arrays.of(PLAYS, settings.buckets), settings.batch_size, settings.seed, mirror_of(PLAYS)
    )
    hyper = Hyperparameters.of(config, len(batch_source.sampler) * settings.epochs)
    trainer = Trainer(predictor, head, make_loss(config), hyper, make_validation_loss(settings, integer=True))
    resident = to_device(Arrays.of(VALIDATION, (30,)))
    return fit(
        trainer, batch_source, lambda params: float(trainer.evaluate(params, resident, INDEX_PLAN.epoch(0))), settings
    )


def compiled(configs=CONFIGS, vmap_size=1, devices=1):
    return _compiled(configs, vmap_size, devices)


@cache
def _compiled(configs, vmap_size, devices):
    widest = max(configs, key=lambda config: config.head.bins)
    return Sweep(configs, network_of(widest), True, vmap_size, jax.devices()[:devices])


def swept(sweep, **options):
    """Train the same runs as a sweep; return the results by member."""
    settings, arrays = BASE.training, Arrays.of(PLAYS, BASE.training.buckets)
    index_plans = [
        DeviceIndexPlan(arrays, settings.batch_size, c.training.seed, mirror_of(PLAYS)) for c in sweep.configs
    ]
    plan = Plan(
        resident=to_device(arrays),
        index_plans=index_plans,
        signs=jnp.asarray(mirror_of(PLAYS).signs),
        validation=to_device(Arrays.of(VALIDATION, (30,))),
        validation_plan=INDEX_PLAN.epoch(0),
    )
    per_epoch = len(index_plans[0].sampler)
    members = [
        sweep.member(i, network_of(config), per_epoch * config.training.epochs)
        for i, config in enumerate(sweep.configs)
    ]
    finished = {}
    fit_sweep(sweep, members, plan, on_finished=lambda each: finished.update({each.index: each}), **options)
    return finished


def assert_same(member, alone, rtol, atol):
    assert member.diverged is None
    for name in ("training_loss", "validation_loss", "step"):
        np.testing.assert_allclose(
            [row[name] for row in member.record["history"]], [row[name] for row in alone.history], rtol=rtol
        )
    chex.assert_trees_all_close(member.params, alone.params, rtol=rtol, atol=atol)


# training all members alone compiles one program for each
MORE = [pytest.param(*case, range(len(CONFIGS)), marks=pytest.mark.slow) for case in ((1, 1), (5, 1), (2, 2))]


@pytest.mark.slow
@pytest.mark.parametrize(("vmap_size", "devices", "compared"), [(1, 1, (1, 3)), *MORE])
def test_members_end_where_they_end_alone(vmap_size, devices, compared):
    with jax.enable_x64(True):
        finished = swept(compiled(vmap_size=vmap_size, devices=devices))
        assert sorted(finished) == list(range(len(CONFIGS)))
        for i in compared:
            assert_same(finished[i], alone(CONFIGS[i]), rtol=1e-9, atol=1e-11)


@cache
def alone(config):
    return separate(config)


@pytest.mark.slow
def test_one_program_trains_all():
    sweep = compiled()
    with jax.enable_x64(True):
        swept(sweep)
    assert sweep.scan._cache_size() == 1
    assert sweep.evaluate._cache_size() == 1


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", marked([1, 4], [4]))
def test_resuming_equals_never_stopping(tmp_path, killed_at):
    sweep, uninterrupted = compiled(), None

    def kill(step, alive):
        if step >= killed_at:
            raise Killed

    with jax.enable_x64(True):
        uninterrupted = swept(sweep)
        options = {"checkpoint_every": 1, "steps_per_call": 1}
        with pytest.raises(Killed):
            swept(sweep, checkpoints=Checkpoints(tmp_path), on_step=kill, **options)
        resumed = swept(sweep, checkpoints=Checkpoints(tmp_path), **options)
    for i, member in resumed.items():
        chex.assert_trees_all_equal(member.params, uninterrupted[i].params)
        losses = [[row["validation_loss"] for row in each.record["history"]] for each in (member, uninterrupted[i])]
        assert losses[0] == losses[1]


@pytest.mark.slow
def test_a_member_that_diverges_leaves_the_others_alone():
    configs = (BASE, changed(optimizer={"learning_rate": 1e30, "clip": 1e30, "weight_decay": 1e3}))
    finished = swept(compiled(configs))
    assert finished[0].diverged is None
    assert len(finished[0].record["history"]) == 3
    assert finished[1].diverged.step >= 1
    assert finished[1].diverged.plays
    chex.assert_tree_all_finite(finished[1].params)


@pytest.mark.slow
def test_a_member_s_monitor_stops_it_alone():
    settings = {"epochs": 5, "patience": 5}
    sweep = compiled((changed(training=settings), changed(training={**settings, "seed": 4})))
    sampler = DeviceIndexPlan(Arrays.of(PLAYS, (30,)), 16, 4).sampler
    names = [f"play {i}" for i in range(len(PLAYS))]
    monitors = [
        DivergenceMonitor(sampler, Marginal(at, at), lambda plays: [names[i] for i in plays]) for at in (0.0, -100.0)
    ]
    finished = swept(sweep, monitors=monitors)
    assert finished[0].diverged is None
    assert len(finished[0].record["history"]) == 5
    error = finished[1].diverged
    assert (error.step, len(finished[1].record["history"])) == (10, 3)  # three steps per epoch
    assert "its median over 10 steps is" in error.what
    plays = sampler.plan(3)[0][1]
    assert (error.plays, error.names) == (plays.tolist(), [names[i] for i in plays])


def test_fields_that_are_not_values_must_agree():
    with pytest.raises(InputError, match=r"network\.channels: the members of a sweep may differ only in values, got 4"):
        check_members([BASE, changed(network={"channels": 5})])
    with pytest.raises(InputError, match="at least one configuration"):
        check_members([])
    check_members(CONFIGS)
