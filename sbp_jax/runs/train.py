"""Train a network on prepared plays or series, or resume training, and write the run's folder."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from sbp_jax.config import Config, TrainingConfig
from sbp_jax.digests import short_digest
from sbp_jax.runs.config_file import CONFIG, identity, read_saved
from sbp_jax.runs.datasets import Dataset, dataset_of
from sbp_jax.runs.lock import held
from sbp_jax.runs.record import Record
from sbp_jax.runs.run import Run, load_run
from sbp_jax.runs.setup import Setup, marginal_of, network_of, restored_network, set_up
from sbp_jax.runs.sources import fits_device
from sbp_jax.training import (
    Checkpoints,
    DivergedError,
    DivergenceMonitor,
    Hyperparameters,
    Predictor,
    ResidentBatchSource,
    Trainer,
    WindowBatchSource,
    fit,
)
from sbp_jax.training.batch_source import STEPS_PER_CALL, BatchSource
from sbp_jax.training.build import constants, frame_weights, make_head, make_loss, make_validation_loss
from sbp_jax.training.check import check
from sbp_jax.training.distributed import all_devices, everywhere, is_first
from sbp_jax.training.early_stopping import is_done
from sbp_jax.training.resident import is_cpu
from sbp_jax.training.stop import StopRequest


def run_folder(root: Path, config: Config, fingerprint: str) -> Path:
    """Return the folder of a run, which is determined by its configuration and plays.

    A run that chose its objective by "auto" is also found by that objective, as in the configuration of the restored
    run.
    """
    folder = _named_folder(root, config, fingerprint)
    if config.training.objective != "auto" and not folder.exists():
        chosen = _named_folder(root, replace(config, training=replace(config.training, objective="auto")), fingerprint)
        if (chosen / CONFIG).is_file() and read_saved(chosen).config.training.objective == config.training.objective:
            return chosen
    return folder


def _named_folder(root: Path, config: Config, fingerprint: str) -> Path:
    values = identity(config)
    return root / f"{values['head']['kind'].rpartition(':')[2]}-{short_digest(values, fingerprint)}"


def train(
    config: Config,
    data: Any = None,
    *,
    out: str | Path = "runs",
    progress: bool = True,
    stop: StopRequest | None = None,
    spread: bool = False,
) -> Run:
    """Train the network of a configuration, or resume training, and return the run.

    The name of the run's folder depends on the configuration and the data: repeating the call resumes a killed run, or
    loads a complete one.

    Args:
        config: the run's configuration.
        data: plays, split by game; a mapping from "train", "validation" and "test" to plays; a `Dataset`; or None for
            the files or simulated plays that the configuration names. Without validation plays, all epochs run.
        out: folder of the runs.
        progress: show progress bars and a summary of the data.
        stop: stop request.
        spread: share the plays of a batch among all devices of all processes (see `distributed`); every process reads
            every batch in full, from any source.

    Returns:
        The run with the parameters of its best epoch, as from `load_run`.

    Raises:
        InputError: the configuration does not fit the plays, another process is using the run's folder, or all its
            checkpoints are damaged.
        Stopped: a stop was requested; repeating the call resumes training.
        DivergedError: training diverged; the newest checkpoint is good.
        OSError: the disk is full; the newest checkpoint is good.

    Example:
        >>> run = sbp.train(sbp.Config(), out="runs/demo")  # doctest: +SKIP
        >>> run.predict(run.plays("test")).icdf(0.95)  # doctest: +SKIP
    """
    dataset = dataset_of(config.data, data, progress)
    return load_run(train_folder(config, dataset, Path(out), stop, spread, progress), trust=True)


def train_folder(
    config: Config,
    dataset: Dataset,
    root: Path,
    stop: StopRequest | None = None,
    spread: bool = False,
    progress: bool = True,
) -> Path:
    """Train as `train` does, and return the run's folder without restoring the network.

    Args:
        config, stop, spread, progress: see `train`.
        dataset: prepared plays or windows.
        root: folder in which the run gets its own folder.

    Raises:
        InputError, Stopped, DivergedError, OSError: see `train`.
    """
    check(config)
    setup = set_up(config, dataset, progress=progress and is_first())
    folder = run_folder(root, config, dataset.fingerprint)
    # the first process writes, and locks the folder for all processes
    with held(folder) if is_first() else nullcontext():
        _train(config, dataset, setup, folder, stop or StopRequest(), spread, progress and is_first())
    return folder


def _train(
    config: Config, dataset: Dataset, setup: Setup, folder: Path, stop: StopRequest, spread: bool, progress: bool
) -> None:
    config = setup.settled(config)
    settings, plays, integer = config.training, setup.plays, setup.outcome.integer
    head, loss = make_head(config.head), make_loss(config)
    checkpoints = Checkpoints(folder / "checkpoints")
    network = network_of(config, plays) if checkpoints.latest is None else restored_network(config, plays, checkpoints)
    mesh = all_devices() if spread else None
    sharding = None if mesh is None else everywhere(mesh)
    batch_source, resident = _batch_source(setup, settings, sharding)
    steps, frames = len(batch_source.sampler), ", ".join(map(str, batch_source.sampler.shapes))
    if progress:
        where = f"{setup.source.kind}{', on the device' if resident else ''}"
        padding = f"padding {batch_source.sampler.waste():.1%}; source: {where}"
        print(f"objective: {settings.objective}")
        print(f"batches: {steps} of {setup.batch_size} plays padded to {frames} frames; {padding}")
    predictor = Predictor(network)
    nll = make_validation_loss(settings, integer)
    hyperparameters = Hyperparameters.of(config, steps * settings.epochs)
    trainer = Trainer(predictor, head, loss, hyperparameters, nll, frame_weights(settings), mesh)
    validate = _validator(trainer, setup, resident) if len(setup.validation) else None
    if validate is None and progress:
        print(f"note: no validation plays: all {settings.epochs} epochs run, and the last parameters are used")

    start = marginal_of(config, setup, network)
    checkpoint = None
    if checkpoints.latest is not None:
        state = trainer.initial(settings.seed)  # loads the arrays too, to skip a checkpoint with damaged arrays
        checkpoint = checkpoints.load({"state": state, "best": state.average})
    record = None
    if is_first():  # only the first process writes
        is_complete = checkpoint is not None and is_done(checkpoint.record, settings)
        step = None if is_complete else 0 if checkpoint is None else checkpoint.step
        num_static = plays.static.shape[1]
        record = Record(folder, config, dataset.path, dataset.fingerprint, num_static, integer, len(plays), step)
        if checkpoint is not None and checkpoint.record["history"]:
            record.metrics(checkpoint.record["history"])  # the run may have been killed between checkpoint and metrics
    with tqdm(
        total=steps * settings.epochs, desc=f"train {config.head.kind}", unit="step", disable=not progress
    ) as bar:

        def on_step(step: int) -> None:
            bar.update(step - bar.n)

        def on_epoch(history) -> None:
            last = history[-1]
            if record is not None:
                record.metrics(history)
            losses = {"epoch": last["epoch"], "training": f"{last['training_loss']:.3f}"}
            bar.set_postfix(losses if validate is None else losses | {"validation": f"{last['validation_loss']:.3f}"})

        statistics = trainer.place(constants(network))
        monitor = DivergenceMonitor(batch_source.sampler, start, setup.identify, predictor.params)
        try:
            fit(trainer, batch_source, validate, settings, checkpoints, statistics, on_step, on_epoch, stop, monitor)
        except DivergedError as error:
            if record is not None:
                record.diverged(error)
            raise
    checkpoints.close()
    if record is not None:
        record.close()


def _batch_source(setup: Setup, settings: TrainingConfig, device: Any) -> tuple[BatchSource, bool]:
    """The batch source of the training plays, and whether the plays are on an accelerator."""
    steps = min(STEPS_PER_CALL, settings.checkpoint_every)
    if settings.resident and not is_cpu(device):
        padded = setup.source.arrays("train", setup.buckets)
        if padded is not None and fits_device(padded, device):
            return ResidentBatchSource(padded, setup.batch_size, settings.seed, setup.mirror, steps, device), True
    return WindowBatchSource(setup.batches(settings.seed), setup.signs, steps), False


def _validator(trainer: Trainer, setup: Setup, resident: bool) -> Callable[[Any], float]:
    """(parameters) -> mean validation loss; the plays are on the accelerator if they fit and the training plays are."""
    padded = setup.validation_arrays() if resident else None
    if padded is not None and fits_device(padded):
        validation, plan = (trainer.place(each) for each in setup.held_out(padded))
        return lambda params: float(trainer.evaluate(params, validation, plan))
    batch_source = WindowBatchSource(setup.validation_batches())
    return lambda params: trainer.evaluate_windows(params, batch_source.windows(0))
