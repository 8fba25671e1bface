"""Train a network on prepared plays or series, or go on training it: a run's folder comes of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache
from tqdm.auto import tqdm

from sbp_jax.config import Config, TrainingConfig
from sbp_jax.digests import short_digest
from sbp_jax.runs.config_file import identity
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
from sbp_jax.training.stop import Stop


def run_folder(root: Path, config: Config, fingerprint: str) -> Path:
    """The folder of a run: the same configuration on the same plays has the same one."""
    values = identity(config)
    return root / f"{values['head']['kind'].rpartition(':')[2]}-{short_digest(values, fingerprint)}"


def train(
    config: Config,
    data: Any = None,
    *,
    out: str | Path = "runs",
    progress: bool = True,
    stop: Stop | None = None,
    spread: bool = False,
) -> Run:
    """Train, or go on training, the network of a configuration, and return the run.

    The run's folder is named by the configuration and the data: the same call goes on with what a killed one had
    reached, and one that is done is loaded.

    Args:
        config: the run's configuration.
        data: plays, split by game; a mapping from "train", "validation" and "test" to plays; a `Dataset`; or None for
            what the configuration names, files or simulated plays. Without validation plays every epoch is run.
        out: folder of the runs.
        progress: show progress bars, and what is trained on.
        stop: asks the training to stop.
        spread: share the plays of a batch among all devices, those of other processes too (see `distributed`); every
            process reads the whole of each batch, from any source.

    Returns:
        The run with the parameters of its best epoch, as `load_run` restores it.

    Raises:
        InputError: the configuration and the plays do not fit; another process holds the run's folder; all its
            checkpoints are damaged.
        Stopped: as asked; the same call goes on.
        DivergedError: the training went wrong; the newest checkpoint is good.
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
    stop: Stop | None = None,
    spread: bool = False,
    progress: bool = True,
) -> Path:
    """Train as `train` does and return the run's folder, which needs no network restored.

    Args:
        config, stop, spread, progress: as for `train`.
        dataset: prepared plays or windows.
        root: folder of the runs of one configuration.

    Raises:
        InputError, Stopped, DivergedError, OSError: as `train`.
    """
    check(config)
    setup = set_up(config, dataset, progress=progress and is_first())
    folder = run_folder(root, config, dataset.fingerprint)
    # of several processes the first one writes, and holds the folder for all
    with held(folder) if is_first() else nullcontext():
        _train(config, dataset, setup, folder, stop or Stop(), spread, progress and is_first())
    return folder


def _train(
    config: Config, dataset: Dataset, setup: Setup, folder: Path, stop: Stop, spread: bool, progress: bool
) -> None:
    config = setup.settled(config)
    settings, plays, integer = config.training, setup.plays, setup.outcome.integer
    head, loss = make_head(config.head), make_loss(config)
    checkpoints = Checkpoints(folder / "checkpoints")
    network = network_of(config, plays) if checkpoints.latest is None else restored_network(config, plays, checkpoints)
    mesh = all_devices() if spread else None
    whole_on_each = None if mesh is None else everywhere(mesh)
    batch_source, resident = _batch_source(setup, settings, whole_on_each)
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
        print(f"note: there is nothing to validate on: all {settings.epochs} epochs are trained, the last is kept")

    start = marginal_of(config, setup, network)
    so_far = None
    if checkpoints.latest is not None:
        initial = trainer.initial(settings.seed)  # the arrays too: the newest checkpoint counts if all of it is good
        so_far = checkpoints.load({"state": initial, "best": initial.average})
    record = None
    if is_first():  # of several processes one writes
        done = so_far is not None and is_done(so_far.record, settings)
        step = None if done else 0 if so_far is None else so_far.step
        num_static = plays.static.shape[1]
        record = Record(folder, config, dataset.path, dataset.fingerprint, num_static, integer, len(plays), step)
        if so_far is not None and so_far.record["history"]:
            record.metrics(so_far.record["history"])  # a run killed between its checkpoint and its metrics
    with tqdm(
        total=steps * settings.epochs, desc=f"train {config.head.kind}", unit="step", disable=not progress
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
        monitor = DivergenceMonitor(batch_source.sampler, start, setup.identify, predictor.params)
        try:
            fit(trainer, batch_source, validate, settings, checkpoints, kept, on_step, on_epoch, stop, monitor)
        except DivergedError as error:
            if record is not None:
                record.diverged(error)
            raise
    checkpoints.close()
    if record is not None:
        record.close()


def _batch_source(setup: Setup, settings: TrainingConfig, device: Any) -> tuple[BatchSource, bool]:
    """The training plays as the steps take them, and whether they are on an accelerator."""
    steps = min(STEPS_PER_CALL, settings.checkpoint_every)
    if settings.resident and not is_cpu(device):
        padded = setup.source.arrays("train", setup.buckets)
        if padded is not None and fits_device(padded, device):
            return ResidentBatchSource(padded, setup.batch_size, settings.seed, setup.mirror, steps, device), True
    return WindowBatchSource(setup.batches(settings.seed), setup.signs, steps), False


def _validator(trainer: Trainer, setup: Setup, resident: bool) -> Callable[[Any], float]:
    """(parameters) -> mean loss of the plays, which lie on the accelerator if the training plays do and if they fit."""
    padded = setup.validation_arrays() if resident else None
    if padded is not None and fits_device(padded):
        held, order = (trainer.place(each) for each in setup.held_out(padded))
        return lambda params: float(trainer.evaluate(params, held, order))
    batch_source = WindowBatchSource(setup.validation_batches())
    return lambda params: trainer.evaluate_windows(params, batch_source.windows(0))


@contextmanager
def compiled_once() -> Iterator[None]:
    """Programs that training runs on other data share are compiled once: JAX's cache, in a folder of this call's
    own."""
    with TemporaryDirectory(prefix="compiled-") as folder:
        values = {"jax_compilation_cache_dir": folder, "jax_persistent_cache_min_compile_time_secs": 0.3}
        before = {name: getattr(jax.config, name) for name in values}
        try:
            _configure(values)
            yield
        finally:
            _configure(before)


def _configure(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # else it stays with the folder that it was first used with
