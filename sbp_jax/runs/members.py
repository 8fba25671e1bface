"""Train many configurations, as one program where possible; each run's folder is as if it had been trained alone."""

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
from sbp_jax.data.plays import Sequences
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
from sbp_jax.training.stop import StopRequest
from sbp_jax.training.sweep import Sweep, program

RESULT = "result.json"  # in a run's folder, written last: metrics, or the reason of divergence
K = TypeVar("K")
OnDone = Callable[[Config, Path, str | None], None]


@dataclass(frozen=True)
class Trained:
    """Result of one of many configurations.

    Attributes:
        config: the configuration.
        path: the run's folder.
        diverged: what diverged and at which step; None if training went well.
    """

    config: Config
    path: Path
    diverged: str | None

    @cached_property
    def run(self) -> Run:
        """The run, restored on first use; raises InputError if training diverged."""
        if self.diverged is not None:
            raise InputError(f"{self.path}: {self.diverged}; training diverged, so there is no run")
        return load_run(self.path, trust=True)


def train_many(
    configs: Sequence[Config],
    data: Any = None,
    *,
    out: str | Path = "runs",
    progress: bool = True,
    stop: StopRequest | None = None,
) -> list[Trained]:
    """Train many configurations on the same data, as one compiled program if they differ only in values.

    Each run's folder is the one that `train` would write. The same call resumes an interrupted one.

    Args:
        configs: distinct configurations with the same `data`. They train on plays in memory, so that their
            `training.batch_source` must be "auto" or "memory".
        data: see `train`.
        out: folder of the runs.
        progress: show a progress bar.
        stop: stop request.

    Returns:
        The results in the order of the configurations.

    Raises:
        InputError: there is no configuration, two are equal or have different data; see also `train`.
        Stopped: a stop was requested; the same call resumes.

    Example:
        >>> seeds = [dataclasses.replace(c, training=TrainingConfig(seed=i)) for i in range(5)]  # doctest: +SKIP
        >>> [each.run.metrics for each in sbp.train_many(seeds)]  # doctest: +SKIP
    """
    configs = list(configs)
    if not configs:
        raise InputError("configs: expected at least one, got none")
    if len(set(configs)) < len(configs):
        raise InputError("configs: expected distinct configurations, two are equal")
    if len({config.data for config in configs}) > 1:
        raise InputError("configs: expected the same data in all of them")
    for config in configs:
        check(config)
    dataset, root = dataset_of(configs[0].data, data, progress), Path(out)

    def on_done(config: Config, folder: Path, diverged: str | None) -> None:
        leave_result(lambda *_: {}, dataset, config, folder, diverged)

    train_members(configs, dataset, root, on_done, stop, progress)
    folders = [run_folder(root, config, dataset.fingerprint) for config in configs]
    results = [json.loads((folder / RESULT).read_text(encoding="utf-8")) for folder in folders]
    return [
        Trained(config, folder, result.get("diverged"))
        for config, folder, result in zip(configs, folders, results, strict=True)
    ]


def train_and_evaluate(
    configs: Mapping[K, Config],
    dataset: Dataset,
    root: Path,
    evaluate: Callable[[Run, Sequences], dict[str, float]],
    stop: StopRequest | None = None,
    *,
    may_diverge: bool = False,
) -> tuple[dict[K, dict[str, Any]], dict[K, Path]]:
    """Train many configurations and evaluate each on the test plays, except those that have a result.

    Args:
        configs: distinct configurations on the same data, by any key, such as the model's name and the seed.
        dataset: the data.
        root: folder of the runs.
        evaluate: (run, test plays) -> metrics.
        stop: stop request.
        may_diverge: accept diverged training runs, whose only metric is then the reason, `diverged`.

    Returns:
        The metrics of each, with the `seconds` of its training, and the folder of each.

    Raises:
        InputError: a configuration cannot be trained, or a training run diverged and `may_diverge` is False.
        Stopped: a stop was requested; the same call resumes.
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
            raise InputError(f"{folders[key]}: training of {key!s} diverged: {result['diverged']}")
    return results, folders


def train_members(
    configs: Sequence[Config],
    dataset: Dataset,
    root: Path,
    on_done: OnDone,
    stop: StopRequest | None = None,
    progress: bool = True,
) -> None:
    """Train every configuration that has no result, and resume those that a killed call had started.

    Args:
        configs: distinct configurations on the same data.
        dataset: prepared plays.
        root: folder of the runs.
        on_done: called for each configuration with its run's folder and, if it diverged, the reason. The folder of a
            diverged run has diverged.json instead of checkpoints. The function writes `RESULT` to the folder.
        stop: stop request.
        progress: show a progress bar.

    Raises:
        InputError: the plays do not fit a configuration, see `setup.set_up`, or another process is training the same
            configurations.
        Stopped: a stop was requested; the same call resumes.
    """
    resumable, new = groups(configs, dataset, root)
    for group in resumable + new:
        names = [run_folder(root, config, dataset.fingerprint).name for config in group]
        folder = root / "groups" / short_digest(names)
        with held(folder):
            _train_group(group, names, dataset, folder, on_done, stop, progress)
            shutil.rmtree(folder)


def leave_result(
    evaluate: Callable[[Path, Dataset], dict[str, Any]],
    dataset: Dataset,
    config: Config,
    folder: Path,
    diverged: str | None,
) -> None:
    """Evaluate a finished training run and write the result to its folder; with two arguments bound, an `OnDone`.

    Args:
        evaluate: (run's folder, data) -> metrics.
        dataset: the data of the run.
        config, folder, diverged: arguments of `OnDone`, see `train_members`.
    """
    del config
    folder.mkdir(parents=True, exist_ok=True)
    result = {"diverged": diverged} if diverged else evaluate(folder, dataset)
    atomic_write(folder / RESULT, (json.dumps(result, indent=1) + "\n").encode())


def read_result(
    evaluate: Callable[[Path, Dataset], dict[str, Any]], dataset: Dataset, config: Config, folder: Path
) -> dict[str, Any]:
    """Return the result in a run's folder; evaluate the run now if `train_many` left the result empty."""
    result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    if not result:
        leave_result(evaluate, dataset, config, folder, None)
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return result


def is_done(root: Path, config: Config, dataset: Dataset) -> bool:
    """Return whether a configuration has a result."""
    return (run_folder(root, config, dataset.fingerprint) / RESULT).is_file()


def groups(configs: Sequence[Config], dataset: Dataset, root: Path) -> tuple[list[list[Config]], list[list[Config]]]:
    """Group the configurations without a result by program.

    Returns:
        The groups that a killed call started, including their members with a result, and the new groups.
    """
    by_name = {run_folder(root, config, dataset.fingerprint).name: config for config in configs}
    waiting = {name: config for name, config in by_name.items() if not is_done(root, config, dataset)}
    resumable = []
    for file in sorted((root / "groups").glob("*/members.json")):
        names = json.loads(file.read_text(encoding="utf-8"))
        if all(name in by_name for name in names):
            if any(name in waiting for name in names):
                resumable.append([by_name[name] for name in names])
                waiting = {name: config for name, config in waiting.items() if name not in names}
            else:
                shutil.rmtree(file.parent)  # killed after the result of its last member
    by_program: dict[Config, list[Config]] = {}
    for config in waiting.values():
        by_program.setdefault(program(config), []).append(config)
    return resumable, list(by_program.values())


def _train_group(
    configs: list[Config],
    names: list[str],
    dataset: Dataset,
    group: Path,
    on_done: OnDone,
    stop: StopRequest | None,
    progress: bool,
) -> None:
    root = group.parent.parent
    setup, settings = set_up(configs[0], dataset, "members of a sweep train on plays in memory"), configs[0].training
    configs = [setup.settled(config) for config in configs]
    networks = [network_of(config, setup.plays) for config in configs]
    widest = max(networks, key=lambda network: network.head.num_outputs)
    # several devices share the members; on a single device `Sweep` chooses the vmap size
    sweep = Sweep(configs, widest, setup.outcome.integer, devices=jax.devices()[: len(configs)])
    arrays, validation_arrays = _padded(setup)
    index_plans = [DeviceIndexPlan(arrays, setup.batch_size, config.training.seed, setup.mirror) for config in configs]
    per_epoch = len(index_plans[0].sampler)
    validation, validation_plan = (None, {}) if validation_arrays is None else setup.held_out(validation_arrays)
    signs = None if setup.mirror is None else jnp.asarray(setup.mirror.signs)
    plan = Plan(to_device(arrays), index_plans, signs, validation, validation_plan)
    members = [sweep.member(i, networks[i], per_epoch * config.training.epochs) for i, config in enumerate(configs)]
    checkpoints = Checkpoints(group / "checkpoints")
    # written last: from here on the group can resume
    (group / "members.json").write_text(json.dumps(names), encoding="utf-8")

    total = per_epoch * sum(config.training.epochs for config in configs)
    with tqdm(total=total, desc=f"train {len(configs)} members", unit="step", disable=not progress) as bar:
        previous = [0]

        def on_step(step: int, alive: int) -> None:
            bar.update(alive * max(step - previous[0], 0))
            previous[0] = step
            bar.set_postfix(training=alive)

        def on_finished(result: Finished) -> None:
            config, folder = configs[result.index], root / names[result.index]
            _write_run(folder, config, dataset, setup, result)
            error = result.diverged
            on_done(config, folder, None if error is None else f"{error.what} at step {error.step}")

        monitors = [
            DivergenceMonitor(
                index_plans[i].sampler, marginal_of(config, setup, networks[i]), setup.identify, members[i][1].params
            )
            for i, config in enumerate(configs)
        ]
        every = settings.checkpoint_every if per_epoch > settings.checkpoint_every else 0
        options = {"on_step": on_step, "on_finished": on_finished, "stop": stop, "monitors": monitors}
        fit_sweep(sweep, members, plan, checkpoints, every, **options)
    checkpoints.close()


def _padded(setup: Setup) -> tuple[Arrays, Arrays | None]:
    """The padded training and validation plays, which are in memory; None without validation plays."""
    padded = setup.source.arrays("train", setup.buckets)
    assert padded is not None
    return padded, setup.validation_arrays() if len(setup.validation) else None


def _write_run(folder: Path, config: Config, dataset: Dataset, setup: Setup, result: Finished) -> None:
    """Write the folder of a member as training it alone would; a diverged member has no checkpoints."""
    num_static = setup.plays.static.shape[1]
    record = Record(folder, config, dataset.path, dataset.fingerprint, num_static, setup.outcome.integer)
    history: list[dict[str, Any]] = result.record["history"]
    record.metrics(history)
    record.close()
    if result.diverged is not None:
        record.diverged(result.diverged)
        return
    checkpoints = Checkpoints(folder / "checkpoints")
    step = int(result.state.step)
    if checkpoints.latest != step:
        trees = {"state": result.state, "best": result.params, "constants": result.constants}
        checkpoints.save(step, trees, result.record)
    checkpoints.close()
