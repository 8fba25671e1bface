"""Training runs that diverge: the step, the quantity and the plays are named, and no bad state is saved."""

from copy import copy
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.errors import InputError
from sbp_jax.training import (
    Checkpoints,
    DivergedError,
    DivergenceMonitor,
    HostBatchSource,
    Hyperparameters,
    Marginal,
    fit,
)
from sbp_jax.training.build import constants
from sbp_jax.training.check import check_finite
from sbp_jax.training.step import State, take_step
from tests.plays import random_plays
from tests.training.test_fit import CONFIG, build

pytestmark = pytest.mark.unoptimized


def with_losses(trainer, losses):
    """A trainer whose steps are unchanged but report other losses."""
    step, trainer = trainer.step, copy(trainer)

    def reporting(state, batch):
        state, metrics = step(state, batch)
        return state, {**metrics, "loss": jnp.asarray(next(losses), jnp.float32)}

    trainer.step = reporting
    return trainer


@pytest.mark.slow
def test_spike_names_its_plays_and_is_never_saved(tmp_path):
    network, _, trainer, batches = build()
    names = [f"{i // 10}/{i}" for i in range(80)]
    monitor = DivergenceMonitor(batches, Marginal(3.0, 3.0), lambda plays: [names[i] for i in plays])
    spiked = with_losses(trainer, iter([3.0] * 6 + [100.0] * 9))
    with pytest.raises(DivergedError, match=r"its median over 12 steps is 51\.5 nats .* at step 12;") as stopped:
        fit(
            spiked,
            HostBatchSource(batches),
            None,
            CONFIG.training,
            Checkpoints(tmp_path),
            constants(network),
            monitor=monitor,
        )
    plays = batches.plan(2)[1][1]
    assert list(stopped.value.plays) == plays.tolist()
    assert ", ".join(names[i] for i in plays[:8]) + " and 8 more; the last good" in str(stopped.value)
    assert Checkpoints(tmp_path).latest == 10


@pytest.mark.slow
def test_single_hard_batches_stop_nothing():
    _, _, trainer, batches = build()
    monitor = DivergenceMonitor(batches, Marginal(3.0, 3.0))
    losses = iter([3.0, 3.0, 100.0] * 5)
    assert (
        fit(with_losses(trainer, losses), HostBatchSource(batches), None, CONFIG.training, monitor=monitor).step == 15
    )


@pytest.mark.slow
def test_parameters_that_are_not_finite_are_named_and_never_saved(tmp_path):
    network, _, trainer, batches = build()
    step, trainer = trainer.step, copy(trainer)

    def overflow(state, batch):
        state, metrics = step(state, batch)
        params = jax.tree.map(jnp.copy, state.params)
        params["last"]["bias"].set_value(params["last"]["bias"][...] * (jnp.inf if state.step == 4 else 1.0))
        return replace(state, params=params), metrics

    trainer.step = overflow
    with pytest.raises(DivergedError, match=r"params last\.bias.* is not finite at step 4"):
        fit(trainer, HostBatchSource(batches), None, CONFIG.training, Checkpoints(tmp_path), constants(network))
    assert Checkpoints(tmp_path).latest == 2


@pytest.mark.slow
def test_a_gradient_that_is_not_finite_is_named_by_its_parameters():
    params = {"first": {"bias": jnp.ones(2)}, "last": {"kernel": jnp.zeros(3), "scale": jnp.ones(1)}}

    def mean_loss(params, batch, dropout):
        root = jnp.sqrt(params["last"]["kernel"])  # its derivative at 0 is infinite
        return sum(jnp.sum(each) for each in (params["first"]["bias"], root, params["last"]["scale"]))

    settings = Hyperparameters.of(CONFIG, 10)
    _, metrics = take_step(mean_loss, settings, State.initial(params, 0), {})
    assert not np.isfinite(metrics["gradient_norm"])
    monitor = DivergenceMonitor(build()[3], params=params)
    with pytest.raises(DivergedError, match=r"gradient_norm is inf, first in last\.kernel at step 7"):
        monitor.steps(7, {name: value[None] for name, value in metrics.items()})
    _, metrics = take_step(
        lambda params, *rest: jnp.sum(params["last"]["scale"]), settings, State.initial(params, 0), {}
    )
    assert (metrics["gradient_norm"], metrics["gradient_leaf"]) == (1.0, -1.0)
    monitor.steps(8, {name: value[None] for name, value in metrics.items()})


def test_losses_that_stay_above_the_marginals_are_reported_once(caplog):
    monitor = DivergenceMonitor(build()[3], Marginal(3.0, 3.0))
    history = []
    for loss in (3.0, 4.5, 3.5, 4.5, 4.5, 4.5):
        history.append({"training_loss": 2.0, "validation_loss": loss})
        monitor.epochs(history)
    (line,) = caplog.messages
    assert line.startswith("epoch 5: validation loss 4.5 has been more than 1 nat above the marginal distribution's 3")


@pytest.mark.parametrize(
    ("name", "index", "line"),
    [
        ("frames", (40, 3, 2), r"play \d+ of game \d+: vx \(frame \d+, player 3\) is nan"),
        ("static", (7, 1), "play 7 of game 0: static feature seconds is nan"),
        ("outcome", 12, "play 12 of game 1: the outcome is nan"),
    ],
)
def test_values_that_are_not_finite_are_named_before_training(name, index, line):
    plays = random_plays(20)
    values = getattr(plays, name).copy()
    values[index] = np.nan
    broken = replace(plays, **{name: values}, present=np.ones_like(plays.present))
    with pytest.raises(InputError, match=line):
        check_finite(broken, ("down", "seconds"))
    unseen = np.where(plays.present[:, :, None], plays.frames, np.float32(np.nan))
    check_finite(replace(plays, frames=unseen))
