"""Train a network on prepared plays or series, or go on training it: a run's folder comes of it."""

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sbp_jax.config import Config, digest
from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.batches.batching import Batches
from sbp_jax.runs.datasets import Dataset
from sbp_jax.runs.lock import held
from sbp_jax.runs.record import Record
from sbp_jax.runs.setup import Setup, marginal_of, network_of, set_up
from sbp_jax.training import (
    Checkpoints,
    DivergedError,
    HostFeed,
    Hyperparameters,
    Predictor,
    ResidentFeed,
    Trainer,
    Watch,
    fit,
)
from sbp_jax.training.build import constants, frame_weights, make_head, make_judge, make_loss
from sbp_jax.training.distributed import all_devices, everywhere, is_first
from sbp_jax.training.feed import STEPS_TOGETHER
from sbp_jax.training.fit import is_done
from sbp_jax.training.stop import Stop


def run_folder(root: Path, config: Config, fingerprint: str) -> Path:
    """The folder of a run: the same configuration on the same plays has the same one."""
    return root / f"{config.head.kind}-{digest(dataclasses.asdict(config), fingerprint)}"


def train(config: Config, dataset: Dataset, root: Path, stop: Stop | None = None, spread: bool = False) -> Path:
    """Train, or go on training, the network of a configuration.

    Args:
        config: the run's configuration.
        dataset: prepared plays; validation plays may be missing, then every epoch is run.
        root: folder of the runs of one configuration.
        stop: asks the training to stop.
        spread: the plays of a batch are shared by all devices, those of other processes too (see `distributed`).

    Returns:
        The run's folder, for `sbp_jax.load_run`.

    Raises:
        InputError: as `set_up`; another process holds the run's folder; all its checkpoints are damaged.
        Stopped: as asked; the same call goes on.
        DivergedError: the training went wrong; the newest checkpoint is good.
        OSError: the disk is full; the newest checkpoint is good.
    """
    setup = set_up(config, dataset)
    folder = run_folder(root, config, dataset.fingerprint)
    # of several processes the first one writes, and holds the folder for all
    with held(folder) if is_first() else nullcontext():
        _train(config, dataset, setup, folder, stop or Stop(), spread)
    return folder


def _train(config: Config, dataset: Dataset, setup: Setup, folder: Path, stop: Stop, spread: bool) -> None:
    settings, plays, validation, whole = config.training, setup.plays, setup.validation, setup.whole
    head, loss = make_head(config.head), make_loss(settings)
    network = network_of(config, plays)
    mesh = all_devices() if spread else None
    whole_on_each = None if mesh is None else everywhere(mesh)
    if settings.resident:
        together = min(STEPS_TOGETHER, settings.checkpoint_every)
        padded = Arrays.of(plays, setup.buckets)
        feed = ResidentFeed(padded, setup.batch_size, settings.seed, setup.mirror, together, whole_on_each)
    else:
        feed = HostFeed(Batches(plays, setup.batch_size, setup.buckets, settings.seed, mirror=setup.mirror))
    steps, frames = len(feed.order), ", ".join(map(str, feed.order.shapes))
    print(f"batches: {steps} of {setup.batch_size} plays padded to {frames} frames; padding {feed.order.waste():.1%}")
    predictor = Predictor(network)
    nll = make_judge(settings, whole)
    hyperparameters = Hyperparameters.of(config, steps * settings.epochs)
    trainer = Trainer(predictor, head, loss, hyperparameters, nll, frame_weights(settings), mesh)
    validate = _validator(trainer, setup) if len(validation) else None
    if validate is None and is_first():
        print(f"note: there is nothing to validate on: all {settings.epochs} epochs are trained, the last is kept")

    start = marginal_of(config, setup, network)
    checkpoints = Checkpoints(folder / "checkpoints")
    so_far = None
    if checkpoints.latest is not None:
        initial = trainer.initial(settings.seed)  # the arrays too: the newest checkpoint counts if all of it is good
        so_far = checkpoints.load({"state": initial, "best": initial.average})
    record = None
    if is_first():  # of several processes one writes
        done = so_far is not None and is_done(so_far.record, settings)
        step = None if done else 0 if so_far is None else so_far.step
        num_static = plays.static.shape[1]
        record = Record(folder, config, dataset.path, dataset.fingerprint, num_static, whole, len(plays), step)
        if so_far is not None and so_far.record["history"]:
            record.metrics(so_far.record["history"])  # a run killed between its checkpoint and its metrics
    with tqdm(
        total=steps * settings.epochs, desc=f"train {config.head.kind}", unit="step", disable=not is_first()
    ) as bar:

        def on_step(step: int) -> None:
            bar.update(step - bar.n)

        def on_epoch(history) -> None:
            last = history[-1]
            if record is not None:
                record.metrics(history)
            said = {"epoch": last["epoch"], "training": f"{last['training_loss']:.3f}"}
            bar.set_postfix(said if validate is None else said | {"validation": f"{last['validation_loss']:.3f}"})

        kept = trainer.place(constants(network))
        watch = Watch(feed.order, start, setup.identify, predictor.params)
        try:
            fit(trainer, feed, validate, settings, checkpoints, kept, on_step, on_epoch, stop, watch)
        except DivergedError as error:
            if record is not None:
                record.diverged(error)
            raise
    checkpoints.close()
    if record is not None:
        record.close()


def _validator(trainer: Trainer, setup: Setup) -> Callable[[Any], float]:
    """(parameters) -> mean loss of the plays, which lie on the device."""
    held, order = (trainer.place(each) for each in setup.held_out())
    return lambda params: float(trainer.evaluate(params, held, order))
