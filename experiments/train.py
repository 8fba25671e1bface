"""Train one network: python -m experiments.train CONFIG [--field value ...].

Writes runs/CONFIG/RUN/; the same command goes on where it was, or says that it is done.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from experiments.cli import main, parse_config
from experiments.data import Dataset, open_dataset
from experiments.record import Record
from sbp_jax.config import Config, digest
from sbp_jax.data.arrays import Arrays
from sbp_jax.data.batching import Batches, Mirror, Plays
from sbp_jax.data.symmetry import mirror_of
from sbp_jax.distributions.heads import objective
from sbp_jax.errors import InputError
from sbp_jax.models import Network, receptive_field
from sbp_jax.training import (
    Checkpoints,
    HostFeed,
    Hyperparameters,
    Predictor,
    Resident,
    ResidentFeed,
    Schedule,
    Trainer,
    fit,
    fit_marginal,
    to_device,
)
from sbp_jax.training.build import (
    check_features,
    check_outcomes,
    constants,
    make_head,
    make_network,
    set_statistics,
)
from sbp_jax.training.feed import STEPS_TOGETHER
from sbp_jax.training.fit import is_done


def run_folder(root: Path, config: Config, fingerprint: str) -> Path:
    """The folder of a run: the same configuration on the same plays has the same one."""
    return root / f"{config.head.kind}-{digest(dataclasses.asdict(config), fingerprint)}"


def check(config: Config) -> None:
    """Find what is wrong with a configuration before any work is done.

    Raises:
        InputError: a field out of range; the message names it.
    """
    head, data, training = make_head(config.head), config.data, config.training
    objective(training.objective)(head(jnp.zeros(head.num_outputs)), jnp.zeros(()))
    positive = {
        "data.plays": data.plays,
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
    if sorted({*training.buckets, 0}) != [0, *training.buckets]:
        raise InputError(f"training.buckets: expected increasing numbers of frames, got {training.buckets}")
    for name, seed in (("data.seed", data.seed), ("training.seed", training.seed)):
        if not 0 <= seed < 2**32:
            raise InputError(f"{name}: expected a whole number from 0 to 2^32 - 1, got {seed}")


@dataclass(frozen=True)
class Setup:
    """The plays of a training, as far as the network sees them, and how they are taken.

    Attributes:
        plays, validation: for training, and to stop by; the latter may be none.
        whole: all outcomes are whole numbers, and are judged so.
        batch_size: plays a step.
        buckets: frames that batches are padded to.
        mirror: how plays are reflected; None reflects none.
    """

    plays: Plays
    validation: Plays
    whole: bool
    batch_size: int
    buckets: tuple[int, ...]
    mirror: Mirror | None

    def held_out(self) -> tuple[Resident, dict[str, np.ndarray]]:
        """The validation plays on the device, and an order in which each is once."""
        padded = Arrays.of(self.validation, (max(*self.buckets, int(self.validation.lengths.max())),))
        return to_device(padded), Schedule(padded, self.batch_size, shuffle=False).epoch(0)


def set_up(config: Config, dataset: Dataset) -> Setup:
    """The plays that a configuration trains on.

    Raises:
        InputError: the plays lack the configuration's extras or have others, or outcomes that are not whole numbers for
            the objective "interval".
    """
    plays, validation = dataset.split("train"), dataset.split("validation")
    for split in (plays, validation):
        check_features(config, split)
        check_outcomes(config, split)
    # The law of the last frame depends on no more than these frames.
    reach = receptive_field(config.network.layers, config.network.kernel_size)
    plays, validation, settings = plays.last(reach), validation.last(reach), config.training
    return Setup(
        plays=plays,
        validation=validation,
        whole=plays.is_whole and validation.is_whole,
        batch_size=min(settings.batch_size, -(-len(plays) // 16)),
        buckets=settings.buckets or (int(plays.lengths.max()),),
        mirror=mirror_of(plays) if settings.mirror else None,
    )


def network_of(config: Config, plays: Plays) -> Network:
    """The network of a configuration, with the statistics of the plays and their marginal distribution."""
    head = make_head(config.head)
    network = make_network(config, head, plays.static.shape[1])
    set_statistics(network, plays, fit_marginal(head, plays.yards, objective(config.training.objective)))
    return network


def train(config: Config, dataset: Dataset, root: Path) -> Path:
    """Train, or go on training, the network of a configuration.

    Args:
        config: the run's configuration.
        dataset: prepared plays; validation plays may be missing, then every epoch is run.
        root: folder of the runs of one configuration.

    Returns:
        The run's folder, for `sbp_jax.load_run`.

    Raises:
        InputError: as `set_up`.
    """
    setup, settings = set_up(config, dataset), config.training
    plays, validation, whole = setup.plays, setup.validation, setup.whole
    head, loss = make_head(config.head), objective(settings.objective)
    network = network_of(config, plays)
    if settings.resident:
        together = min(STEPS_TOGETHER, settings.checkpoint_every)
        feed = ResidentFeed(Arrays.of(plays, setup.buckets), setup.batch_size, settings.seed, setup.mirror, together)
    else:
        feed = HostFeed(Batches(plays, setup.batch_size, setup.buckets, settings.seed, mirror=setup.mirror))
    steps, frames = len(feed.order), ", ".join(map(str, feed.order.shapes))
    print(f"batches: {steps} of {setup.batch_size} plays padded to {frames} frames; padding {feed.order.waste():.1%}")
    predictor = Predictor(network)
    # Whatever the objective, what counts is the probability of the yards as the league counts them: whole ones.
    nll = objective("interval" if whole else "exact")
    trainer = Trainer(predictor, head, loss, Hyperparameters.of(config, steps * settings.epochs), nll)
    validate = _validator(trainer, setup) if len(validation) else None

    folder = run_folder(root, config, dataset.fingerprint)
    checkpoints = Checkpoints(folder / "checkpoints")
    so_far = checkpoints.record() if checkpoints.latest is not None else None
    step = None if so_far is not None and is_done(so_far, settings) else checkpoints.latest or 0
    record = Record(
        folder, config, dataset.path, dataset.fingerprint, plays.static.shape[1], whole, plays=len(plays), step=step
    )
    if so_far is not None and so_far["history"]:
        record.metrics(so_far["history"])  # a run killed between its checkpoint and its metrics
    with tqdm(total=steps * settings.epochs, desc=f"train {config.head.kind}", unit="step") as bar:

        def on_step(step: int) -> None:
            bar.update(step - bar.n)

        def on_epoch(history) -> None:
            record.metrics(history)
            last = history[-1]
            bar.set_postfix(
                epoch=last["epoch"],
                training=f"{last['training_loss']:.3f}",
                validation=f"{last['validation_loss']:.3f}",
            )

        fit(
            trainer,
            feed,
            validate,
            settings,
            checkpoints,
            constants(network),
            on_step,
            on_epoch,
        )
    checkpoints.close()
    record.close()
    return folder


def _validator(trainer: Trainer, setup: Setup) -> Callable[[Any], float]:
    """(parameters) -> mean loss of the plays, which lie on the device."""
    held, order = setup.held_out()
    return lambda params: float(trainer.evaluate(params, held, order))


def command(args: list[str]) -> None:
    """Train the configuration that the command line names."""
    name, config = parse_config(args, "python -m experiments.train")
    check(config)
    dataset = open_dataset(config.data)
    print(dataset.account())
    folder = train(config, dataset, Path("runs") / name)
    print(f"{folder}")


if __name__ == "__main__":
    main(command)
