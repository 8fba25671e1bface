"""The training loop: epochs of compiled steps, early stopping, checkpoints, and resuming a killed run."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from sbp_jax.config import TrainingConfig
from sbp_jax.training.batch_source import BatchSource
from sbp_jax.training.checkpoints import Checkpoints
from sbp_jax.training.distributed import anywhere
from sbp_jax.training.diverged import DivergenceMonitor
from sbp_jax.training.early_stopping import Row, is_done, new_record, with_epoch
from sbp_jax.training.step import Metrics, State, Trainer
from sbp_jax.training.stop import Stopped, StopRequest


@dataclass(frozen=True)
class Fitted:
    """Result of a training run.

    Attributes:
        params: averaged parameters of the epoch with the smallest validation loss; without validation, of the last
            epoch.
        history: one row per epoch: epoch, step, training and validation loss (nats per play), norm of the last
            gradient, seconds.
        step: number of steps taken.
    """

    params: Any
    history: list[Row]
    step: int


def fit(
    trainer: Trainer,
    batch_source: BatchSource,
    validate: Callable[[Any], float] | None,
    config: TrainingConfig,
    checkpoints: Checkpoints | None = None,
    constants: Any = None,
    on_step: Callable[[int], None] = lambda step: None,
    on_epoch: Callable[[list[Row]], None] = lambda history: None,
    stop: StopRequest | None = None,
    monitor: DivergenceMonitor | None = None,
) -> Fitted:
    """Train until the epochs are used up or validation stops improving.

    If `checkpoints` already has a state, training resumes from it and, on a CPU, reaches the same parameters bit for
    bit as an uninterrupted run.

    Args:
        trainer: compiled functions.
        batch_source: the training plays.
        validate: params -> validation loss; without it, all epochs run and the last parameters are returned.
        config: epochs, patience, seed and steps between checkpoints.
        checkpoints: where to save; None saves nothing.
        constants: tree of arrays saved unchanged with every checkpoint: the network's statistics.
        on_step: called with the number of steps taken, after each compiled call.
        on_epoch: called with the history, after each epoch.
        stop: stop request, checked after every compiled call and every epoch.
        monitor: checks for divergence; by default only values that are not finite stop training.

    Returns:
        The best parameters, the history and the number of steps.

    Raises:
        Stopped: a stop was requested; the current state is saved.
        DivergedError: `monitor` detected divergence; the diverged state is not saved.
    """
    stop, monitor = stop or StopRequest(), monitor or DivergenceMonitor(batch_source.sampler)
    state = trainer.initial(config.seed)
    best, record = state.average, new_record()
    if checkpoints is not None and checkpoints.latest is not None:
        checkpoint = checkpoints.load({"state": state, "best": best})
        state, best, record = *(trainer.place(checkpoint.trees[name]) for name in ("state", "best")), checkpoint.record
    else:
        best = jax.tree.map(jnp.copy, best)  # a copy, because the step donates the state

    def save(state: State) -> None:
        if checkpoints is not None and checkpoints.latest != int(state.step):
            monitor.state(int(state.step), params=state.params, average=state.average, optimizer=state.optimizer)
            checkpoints.save(int(state.step), {"state": state, "best": best, "constants": constants}, record)
        stop.unsaved = False

    per_epoch = len(batch_source.sampler)
    step = int(state.step)
    on_step(step)
    while not is_done(record, config):
        epoch = len(record["history"])
        start_s = time.perf_counter()
        metrics: Metrics = {}
        unchecked = False  # whether the monitor has not seen the latest metrics
        steps = batch_source.run(trainer, state, epoch, start=step - epoch * per_epoch)
        for state, new_metrics in steps:
            # check the previous steps while the new ones compute
            if unchecked:
                monitor.steps(step, metrics)
            metrics, unchecked, stop.unsaved = new_metrics, True, True
            previous, step = step, step + len(metrics["loss"])
            on_step(step)
            checkpoint_due = step // config.checkpoint_every > previous // config.checkpoint_every
            stop_requested = anywhere(stop.requested)
            if (checkpoint_due or stop_requested) and step < (epoch + 1) * per_epoch:
                monitor.steps(step, metrics)
                unchecked = False
                save(state)
                if stop_requested:
                    raise Stopped(step)
        if unchecked:
            monitor.steps(step, metrics)
        loss = None if validate is None else validate(state.average)
        monitor.validation(step, loss)
        row: Row = {"epoch": epoch + 1, "step": step, "training_loss": float(state.loss_sum) / per_epoch}
        row |= {"gradient_norm": float(metrics["gradient_norm"][-1])} if metrics else {}
        row |= {"validation_loss": math.nan if loss is None else loss, "seconds": time.perf_counter() - start_s}
        record, better = with_epoch(record, row)
        if better:
            best = jax.tree.map(jnp.copy, state.average)
        state = replace(state, loss_sum=jnp.zeros_like(state.loss_sum))
        save(state)
        monitor.epochs(record["history"])
        on_epoch(record["history"])
        if anywhere(stop.requested):
            raise Stopped(step)
    return Fitted(best, record["history"], step)
