"""Train one network: python -m experiments.train CONFIG [--field value ...] [--distributed WHERE].

Writes runs/CONFIG/RUN/; the same command goes on where it was, or says that it is done. With --distributed, the same
command on several hosts, or once for each of several processes, trains one network on all their devices: WHERE is
"auto" under Slurm and the like, else HOST:PORT,COUNT,NUMBER, the address of process 0, their count and each one's own.
"""

import dataclasses
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

from experiments.cli import main, option, parse_config
from experiments.data import Dataset, open_dataset
from experiments.lock import held
from experiments.record import Record
from experiments.signals import listening
from experiments.start import Setup, marginal_of, network_of, set_up
from sbp_jax.config import Config, DataConfig, digest
from sbp_jax.data.arrays import Arrays
from sbp_jax.data.batching import Batches
from sbp_jax.errors import InputError
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
from sbp_jax.training.build import (
    check_size,
    constants,
    frame_weights,
    make_head,
    make_judge,
    make_loss,
)
from sbp_jax.training.distributed import all_devices, connect, everywhere, is_first, wait_for_all
from sbp_jax.training.feed import STEPS_TOGETHER
from sbp_jax.training.fit import is_done
from sbp_jax.training.stop import Stop


def run_folder(root: Path, config: Config, fingerprint: str) -> Path:
    """The folder of a run: the same configuration on the same plays has the same one."""
    return root / f"{config.head.kind}-{digest(dataclasses.asdict(config), fingerprint)}"


def check(config: Config) -> None:
    """Find what is wrong with a configuration before any work is done.

    Raises:
        InputError: a field out of range; the message names it.
    """
    check_size(config)
    _check_fit(config)
    head, data, training = make_head(config.head), config.data, config.training
    loss, outcome = make_loss(training), (jnp.zeros(()), jnp.zeros((), bool))
    jax.eval_shape(lambda raw: loss(head(raw), *outcome), jnp.zeros(head.num_outputs))
    positive = {
        **({"data.plays": data.plays} if isinstance(data, DataConfig) else {}),
        "training.epochs": training.epochs,
        "training.batch-size": training.batch_size,
        "training.patience": training.patience,
        "training.checkpoint-every": training.checkpoint_every,
        "network.channels": config.network.channels,
        "network.layers": config.network.layers,
        "network.kernel-size": config.network.kernel_size,
        "optimizer.learning-rate": config.optimizer.learning_rate,
        "optimizer.clip": config.optimizer.clip,
    }
    for name, value in positive.items():
        if not value > 0:
            raise InputError(f"{name}: expected a positive number, got {value}")
    shares = {
        "data.test": data.test,
        "data.validation": data.validation,
        "network.dropout": config.network.dropout,
        "optimizer.warmup": config.optimizer.warmup,
        "optimizer.average": config.optimizer.average,
    }
    for name, value in shares.items():
        if not 0 <= value < 0.995:
            raise InputError(f"{name}: expected a share from 0 to 0.99, got {value}")
    if not data.test + data.validation < 1:
        raise InputError(f"data.test: no games are left to train on beside it and {data.validation} for validation")
    if config.optimizer.weight_decay < 0:
        raise InputError(f"optimizer.weight-decay: expected at least 0, got {config.optimizer.weight_decay}")
    if not config.network.hidden or min(config.network.hidden) < 1:
        raise InputError(f"network.hidden: expected widths of at least 1, got {config.network.hidden}")
    if training.frame_half_life_s < 0:
        raise InputError(f"training.frame-half-life-s: expected at least 0 seconds, got {training.frame_half_life_s}")
    if sorted({*training.buckets, 0}) != [0, *training.buckets]:
        raise InputError(f"training.buckets: expected increasing numbers of frames, got {training.buckets}")
    seeds = {"training.seed": training.seed} | ({"data.seed": data.seed} if isinstance(data, DataConfig) else {})
    for name, seed in seeds.items():
        if not 0 <= seed < 2**32:
            raise InputError(f"{name}: expected a whole number from 0 to 2^32 - 1, got {seed}")


def _check_fit(config: Config) -> None:
    """See that the network and the training are such as the kind of data has something for; InputError."""
    data, encoder = config.data, config.network.encoder
    if isinstance(data, DataConfig):
        if not data.tracking and encoder != "none":
            raise InputError(f"network.encoder: {encoder} presumes tracking, and data.tracking is False; choose none")
        return
    if encoder == "attention":
        raise InputError("network.encoder: attention presumes players, and the data are time series; choose flat")
    if config.training.per_frame:
        raise InputError("training.per-frame: presumes plays, and the data are time series")
    if config.training.objective == "censored":
        raise InputError("training.objective: censored presumes plays; choose composite, exact or interval")


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


def command(args: list[str]) -> None:
    """Train the configuration that the command line names."""
    where, args = option(args, "--distributed")
    name, config = parse_config(args, "python -m experiments.train")
    if where is not None:
        connect(where)  # before JAX does anything
    check(config)
    with listening() as stop:
        if not is_first():
            wait_for_all("plays are prepared")
        dataset = open_dataset(config.data)
        if is_first():
            wait_for_all("plays are prepared")
            print(dataset.account())
        folder = train(config, dataset, Path("runs") / name, stop, spread=where is not None)
    if is_first():
        print(f"next: python -m experiments.compare {folder}", file=sys.stderr)
        print(f"{folder}")


if __name__ == "__main__":
    main(command)
