"""The training loop: epochs of compiled steps, early stopping, checkpoints, and going on where a killed run was."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.config import TrainingConfig
from sbp_jax.training.checkpoints import Checkpoints
from sbp_jax.training.feed import Feed
from sbp_jax.training.step import Metrics, State, Trainer

Row = dict[str, int | float]


class DivergedError(RuntimeError):
    """The loss or its gradient is not finite; the message names the step, the newest checkpoint is the last good."""


@dataclass(frozen=True)
class Fitted:
    """Outcome of a training.

    Attributes:
        params: averaged parameters of the epoch with the smallest validation loss, of the last one without validation.
        history: one row an epoch: epoch, step, training and validation loss (nats a play), norm of the last gradient,
            seconds.
        step: steps taken.
    """

    params: Any
    history: list[Row]
    step: int


def fit(
    trainer: Trainer,
    feed: Feed,
    validate: Callable[[Any], float] | None,
    config: TrainingConfig,
    checkpoints: Checkpoints | None = None,
    constants: Any = None,
    on_step: Callable[[int], None] = lambda step: None,
    on_epoch: Callable[[list[Row]], None] = lambda history: None,
) -> Fitted:
    """Train until the epochs are used up or validation stops improving.

    With `checkpoints` that hold a state already, training goes on from there, to the same parameters bit for bit (on a
    CPU) as if it had never stopped.

    Args:
        trainer: compiled functions.
        feed: the training plays.
        validate: params -> validation loss; without it every epoch is run and the last parameters are kept.
        config: epochs, patience, seed and rhythm of checkpoints.
        checkpoints: where to save; nothing is saved without.
        constants: tree of arrays saved as it is with every checkpoint: the network's statistics.
        on_step: called with the number of steps taken, after each.
        on_epoch: called with the history, after each epoch.

    Raises:
        DivergedError: the loss of a step is not finite.
    """
    state = trainer.initial(config.seed)
    best, record = state.average, {"history": [], "best_loss": None, "best_epoch": -1}
    if checkpoints is not None and checkpoints.latest is not None:
        state, best = checkpoints.restore("state", state), checkpoints.restore("best", best)
        record = checkpoints.record()
    else:
        best = jax.tree.map(jnp.copy, best)  # the step donates the state's own

    def save(state: State) -> None:
        if checkpoints is not None and checkpoints.latest != int(state.step):
            checkpoints.save(int(state.step), {"state": state, "best": best, "constants": constants}, record)

    per_epoch = len(feed.order)
    step = int(state.step)
    on_step(step)
    while not is_done(record, config):
        epoch = len(record["history"])
        started = time.perf_counter()
        metrics: Metrics = {}
        steps = feed.run(trainer, state, epoch, start=step - epoch * per_epoch)
        for state, taken in steps:
            # The steps before are checked while these compute.
            if metrics:
                _check(step, metrics)
            metrics = taken
            before, step = step, step + len(metrics["loss"])
            on_step(step)
            if step // config.checkpoint_every > before // config.checkpoint_every and step < (epoch + 1) * per_epoch:
                _check(step, metrics)
                save(state)
        if metrics:
            _check(step, metrics)
        loss = None if validate is None else validate(state.average)
        if loss is not None and not math.isfinite(loss):
            raise DivergedError(
                f"validation loss is {loss} after step {step}; the last good state is the newest checkpoint"
            )
        row: Row = {"epoch": epoch + 1, "step": step, "training_loss": float(state.loss_sum) / per_epoch}
        row |= {"gradient_norm": float(metrics["gradient_norm"][-1])} if metrics else {}
        row |= {"validation_loss": math.nan if loss is None else loss, "seconds": time.perf_counter() - started}
        record = {**record, "history": [*record["history"], row]}
        if loss is None or record["best_loss"] is None or loss < record["best_loss"]:
            best = jax.tree.map(jnp.copy, state.average)
            record = {**record, "best_loss": loss, "best_epoch": epoch}
        state = replace(state, loss_sum=jnp.zeros_like(state.loss_sum))
        save(state)
        on_epoch(record["history"])
    return Fitted(best, record["history"], step)


def is_done(record: dict[str, Any], config: TrainingConfig) -> bool:
    """Whether a training with this record has no epoch left."""
    return len(record["history"]) >= config.epochs or is_stale(record, config.patience)


def is_stale(record: dict[str, Any], patience: int) -> bool:
    """Whether validation has not improved for `patience` epochs."""
    return record["best_loss"] is not None and len(record["history"]) - 1 - record["best_epoch"] >= patience


def _check(step: int, metrics: Metrics) -> None:
    """Raise for the first step whose metrics are not finite, of those up to number `step`."""
    values = {name: np.asarray(metrics[name]) for name in ("loss", "gradient_norm")}
    for i, number in enumerate(range(step - len(values["loss"]) + 1, step + 1)):
        for name, value in values.items():
            if not math.isfinite(value[i]):
                raise DivergedError(
                    f"{name} is {value[i]} at step {number}; the last good state is the newest checkpoint"
                )
