"""Runs of many configurations: trained together where they fit into one program, each left as if trained alone."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from tqdm.auto import tqdm

from sbp_jax.atomic import atomic_write
from sbp_jax.config import Config
from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.plays import Plays
from sbp_jax.digests import short_digest
from sbp_jax.errors import InputError
from sbp_jax.runs.datasets import Dataset, dataset_of
from sbp_jax.runs.lock import held
from sbp_jax.runs.record import Record
from sbp_jax.runs.run import Run, load_run
from sbp_jax.runs.setup import Setup, marginal_of, network_of, set_up
from sbp_jax.runs.train import run_folder
from sbp_jax.training import Checkpoints, DeviceIndexPlan, DivergenceMonitor, to_device
from sbp_jax.training.check import check
from sbp_jax.training.fit_sweep import Finished, Plan, fit_sweep
from sbp_jax.training.stop import Stop
from sbp_jax.training.sweep import Sweep, program

RESULT = "result.json"  # in a run's folder, written last: what came of it
K = TypeVar("K")
OnDone = Callable[[Config, Path, str | None], None]


@dataclass(frozen=True)
class Trained:
    """What came of one of many configurations.

    Attributes:
        config: the configuration.
        path: the run's folder.
        diverged: what went wrong, at which step; None where nothing did.
    """

    config: Config
    path: Path
    diverged: str | None

    @cached_property
    def run(self) -> Run:
        """The run, restored on first use; InputError where the training diverged."""
        if self.diverged is not None:
            raise InputError(f"{self.path}: {self.diverged}; the training diverged and left no run")
        return load_run(self.path, trust=True)


def train_many(
    configs: Sequence[Config],
    data: Any = None,
    *,
    out: str | Path = "runs",
    progress: bool = True,
    stop: Stop | None = None,
) -> list[Trained]:
    """Train many configurations on the same data, as one compiled program where they differ in values alone.

    Each leaves the folder that `train` of it alone would leave; the same call goes on with what is missing.

    Args:
        configs: different ones, with the same `data`; they train on plays in memory, so that their
            `training.batch_source` is "auto" or "memory".
        data: as for `train`.
        out: folder of the runs.
        progress: show a progress bar.
        stop: asks the training to stop.

    Returns:
        What came of each, in the order of the configurations.

    Raises:
        InputError: no configuration, two equal ones or two of different data, and as `train`.
        Stopped: as asked; the same call goes on.

    Example:
        >>> seeds = [dataclasses.replace(c, training=TrainingConfig(seed=i)) for i in range(5)]  # doctest: +SKIP
        >>> [each.run.metrics for each in sbp.train_many(seeds)]  # doctest: +SKIP
    """
    configs = list(configs)
    if not configs:
        raise InputError("configs: expected at least one, got none")
    if len(set(configs)) < len(configs):
        raise InputError("configs: expected different ones, two are equal")
    if len({config.data for config in configs}) > 1:
        raise InputError("configs: expected the same data in all of them")
    for config in configs:
        check(config)
    dataset, root = dataset_of(configs[0].data, data, progress), Path(out)

    def leave(_config: Config, folder: Path, diverged: str | None) -> None:
        leave_result(lambda *_: {}, dataset, _config, folder, diverged)

    train_members(configs, dataset, root, leave, stop, progress)
    folders = [run_folder(root, config, dataset.fingerprint) for config in configs]
    results = [json.loads((folder / RESULT).read_text()) for folder in folders]
    return [
        Trained(config, folder, result.get("diverged"))
        for config, folder, result in zip(configs, folders, results, strict=True)
    ]


def train_and_evaluate(
    configs: Mapping[K, Config],
    dataset: Dataset,
    root: Path,
    evaluate: Callable[[Run, Plays], dict[str, float]],
    stop: Stop | None = None,
    *,
    may_diverge: bool = False,
) -> tuple[dict[K, dict[str, Any]], dict[K, Path]]:
    """Train many configurations and evaluate each on the test plays; those that have a result already are not repeated.

    Args:
        configs: by any key, such as the model's name and the seed; different ones, with the same data.
        dataset: that data.
        root: folder of the runs.
        evaluate: (run, test plays) -> metrics.
        stop: asks the training to stop.
        may_diverge: accept a training run that diverged; its metrics are then the reason alone, as `diverged`.

    Returns:
        the metrics of each, with the `seconds` of its training, and its folder.

    Raises:
        InputError: a configuration that cannot be trained; a training run that diverged, unless it may.
        Stopped: as asked; the same call resumes.
    """
    for config in configs.values():
        check(config)

    def metrics(folder: Path, dataset: Dataset) -> dict[str, float]:
        run = load_run(folder)
        return {**evaluate(run, dataset.split("test")), "seconds": float(run.metrics["seconds"].sum())}

    train_members(list(configs.values()), dataset, root, partial(leave_result, metrics, dataset), stop)
    folders = {key: run_folder(root, config, dataset.fingerprint) for key, config in configs.items()}
    results = {key: read_result(metrics, dataset, configs[key], folder) for key, folder in folders.items()}
    for key, result in results.items():
        if "diverged" in result and not may_diverge:
            raise InputError(f"{folders[key]}: the training of {key!s} diverged: {result['diverged']}")
    return results, folders


def train_members(
    configs: Sequence[Config],
    dataset: Dataset,
    root: Path,
    on_done: OnDone,
    stop: Stop | None = None,
    progress: bool = True,
) -> None:
    """Train every configuration that has no result; what a killed call had begun is gone on with.

    Args:
        configs: different ones, on the same data.
        dataset: prepared plays.
        root: folder of the runs.
        on_done: called for each with its run's folder, and with what went wrong where it diverged: the folder has no
            run then, but diverged.json; it writes `RESULT` there.
        stop: asks the training to stop.
        progress: show a progress bar.

    Raises:
        InputError: the plays do not fit a configuration, see `setup.set_up`; another process trains the same ones.
        Stopped: as asked; the same call goes on.
    """
    begun, fresh = groups(configs, dataset, root)
    for group in begun + fresh:
        names = [run_folder(root, config, dataset.fingerprint).name for config in group]
        folder = root / "groups" / short_digest(names)
        with held(folder):
            _train_group(group, names, dataset, folder, on_done, stop, progress)
            shutil.rmtree(folder)


def leave_result(
    judge: Callable[[Path, Dataset], dict[str, Any]],
    dataset: Dataset,
    config: Config,
    folder: Path,
    diverged: str | None,
) -> None:
    """Judge a training that has come to an end, and leave its result in its folder: an `OnDone`, but for the first two.

    Args:
        judge: (run's folder, data) -> figures.
        dataset: what it was trained on.
        config, folder, diverged: as `train_members` tells them.
    """
    del config
    folder.mkdir(parents=True, exist_ok=True)
    result = {"diverged": diverged} if diverged else judge(folder, dataset)
    atomic_write(folder / RESULT, (json.dumps(result, indent=1) + "\n").encode())


def read_result(
    judge: Callable[[Path, Dataset], dict[str, Any]], dataset: Dataset, config: Config, folder: Path
) -> dict[str, Any]:
    """Return the result in a run's folder; one that `train_many` left is empty, and judged now."""
    result = json.loads((folder / RESULT).read_text())
    if not result:
        leave_result(judge, dataset, config, folder, None)
        result = json.loads((folder / RESULT).read_text())
    return result


def is_done(root: Path, config: Config, dataset: Dataset) -> bool:
    """Whether a configuration has a result."""
    return (run_folder(root, config, dataset.fingerprint) / RESULT).is_file()


def groups(configs: Sequence[Config], dataset: Dataset, root: Path) -> tuple[list[list[Config]], list[list[Config]]]:
    """Configurations without a result that fit into one program: those begun together by a killed call, and others.

    A group that was begun comes with those of its members that have a result already.
    """
    known = {run_folder(root, config, dataset.fingerprint).name: config for config in configs}
    waiting = {name: config for name, config in known.items() if not is_done(root, config, dataset)}
    begun = []
    for file in sorted((root / "groups").glob("*/members.json")):
        names = json.loads(file.read_text())
        if all(name in known for name in names):
            if any(name in waiting for name in names):
                begun.append([known[name] for name in names])
                waiting = {name: config for name, config in waiting.items() if name not in names}
            else:
                shutil.rmtree(file.parent)  # killed after its last member's result
    alike: dict[Config, list[Config]] = {}
    for config in waiting.values():
        alike.setdefault(program(config), []).append(config)
    return begun, list(alike.values())


def _train_group(
    configs: list[Config],
    names: list[str],
    dataset: Dataset,
    group: Path,
    on_done: OnDone,
    stop: Stop | None,
    progress: bool,
) -> None:
    root = group.parent.parent
    setup, settings = set_up(configs[0], dataset, "members train together on plays in memory"), configs[0].training
    configs = [setup.settled(config) for config in configs]
    networks = [network_of(config, setup.plays) for config in configs]
    widest = max(networks, key=lambda network: network.head.num_outputs)
    # several devices share the members; one that is alone takes them as `Sweep` finds best
    sweep = Sweep(configs, widest, setup.outcome.integer, devices=jax.devices()[: len(configs)])
    padded, held_out = _padded(setup)
    index_plans = [DeviceIndexPlan(padded, setup.batch_size, config.training.seed, setup.mirror) for config in configs]
    per_epoch = len(index_plans[0].sampler)
    validation, order = (None, {}) if held_out is None else setup.held_out(held_out)
    signs = None if setup.mirror is None else jnp.asarray(setup.mirror.signs)
    plan = Plan(to_device(padded), index_plans, signs, validation, order)
    members = [sweep.member(i, networks[i], per_epoch * config.training.epochs) for i, config in enumerate(configs)]
    checkpoints = Checkpoints(group / "checkpoints")
    (group / "members.json").write_text(json.dumps(names))  # last: what it names can be gone on with

    total = per_epoch * sum(config.training.epochs for config in configs)
    with tqdm(total=total, desc=f"train {len(configs)} members", unit="step", disable=not progress) as bar:
        at = [0]

        def on_step(step: int, alive: int) -> None:
            bar.update(alive * max(step - at[0], 0))
            at[0] = step
            bar.set_postfix(training=alive)

        def on_finished(finished: Finished) -> None:
            config, folder = configs[finished.index], root / names[finished.index]
            _leave(folder, config, dataset, setup, finished)
            wrong = finished.diverged
            on_done(config, folder, None if wrong is None else f"{wrong.what} at step {wrong.step}")

        monitors = [
            DivergenceMonitor(
                index_plans[i].sampler, marginal_of(config, setup, networks[i]), setup.identify, members[i][1].params
            )
            for i, config in enumerate(configs)
        ]
        every = settings.checkpoint_every if per_epoch > settings.checkpoint_every else 0
        told = {"on_step": on_step, "on_finished": on_finished, "stop": stop, "monitors": monitors}
        fit_sweep(sweep, members, plan, checkpoints, every, **told)
    checkpoints.close()


def _padded(setup: Setup) -> tuple[Arrays, Arrays | None]:
    """The plays of training and validation, which are in memory, padded; None without the latter."""
    padded = setup.source.arrays("train", setup.buckets)
    assert padded is not None
    return padded, setup.validation_arrays() if len(setup.validation) else None


def _leave(folder: Path, config: Config, dataset: Dataset, setup: Setup, finished: Finished) -> None:
    """Write the run of a member as its own training would have; of one that went wrong without checkpoints."""
    num_static = setup.plays.static.shape[1]
    record = Record(folder, config, dataset.path, dataset.fingerprint, num_static, setup.outcome.integer)
    history: list[dict[str, Any]] = finished.record["history"]
    record.metrics(history)
    record.close()
    if finished.diverged is not None:
        record.diverged(finished.diverged)
        return
    checkpoints = Checkpoints(folder / "checkpoints")
    step = int(finished.state.step)
    if checkpoints.latest != step:
        trees = {"state": finished.state, "best": finished.params, "constants": finished.constants}
        checkpoints.save(step, trees, finished.record)
    checkpoints.close()
