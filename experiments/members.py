"""Runs of many configurations: trained together where they fit into one program, each left as if trained alone."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

from experiments.data import Dataset
from experiments.record import Record
from experiments.train import network_of, run_folder, set_up
from sbp_jax.config import Config, digest
from sbp_jax.data.arrays import Arrays
from sbp_jax.training import Checkpoints, Schedule, to_device
from sbp_jax.training.fit_sweep import Finished, Plan, fit_sweep
from sbp_jax.training.sweep import Sweep, program

OnDone = Callable[[Config, Path, str | None], None]


def train_members(configs: Sequence[Config], dataset: Dataset, root: Path, on_done: OnDone) -> None:
    """Train every configuration; what a killed call had begun is gone on with.

    Args:
        configs: different ones, on the same data.
        dataset: prepared plays.
        root: folder of the runs.
        on_done: called for each with its run's folder, and with what stopped being finite where it diverged; then the
            folder has no run.

    Raises:
        InputError: the plays do not fit a configuration, see `train.set_up`.
    """
    for group in _groups(configs, dataset, root):
        _train_group(group, dataset, root, on_done)


def _groups(configs: Sequence[Config], dataset: Dataset, root: Path) -> list[list[Config]]:
    """Configurations that fit into one program, those that a killed call had begun together first."""
    waiting = {run_folder(root, config, dataset.fingerprint).name: config for config in configs}
    groups = []
    for file in sorted((root / "groups").glob("*/members.json")):
        names = json.loads(file.read_text())
        if all(name in waiting for name in names):
            groups.append([waiting.pop(name) for name in names])
    alike: dict[Config, list[Config]] = {}
    for config in waiting.values():
        alike.setdefault(program(config), []).append(config)
    return groups + list(alike.values())


def _train_group(configs: list[Config], dataset: Dataset, root: Path, on_done: OnDone) -> None:
    setup, settings = set_up(configs[0], dataset), configs[0].training
    networks = [network_of(config, setup.plays) for config in configs]
    widest = max(networks, key=lambda network: network.head.num_outputs)
    # several devices share the members; one that is alone takes them as `Sweep` finds best
    sweep = Sweep(configs, widest, devices=jax.devices()[: len(configs)])
    padded = Arrays.of(setup.plays, setup.buckets)
    schedules = [Schedule(padded, setup.batch_size, config.training.seed, setup.mirror) for config in configs]
    per_epoch = len(schedules[0].order)
    held_out, order = setup.held_out() if len(setup.validation) else (None, {})
    signs = None if setup.mirror is None else jnp.asarray(setup.mirror.signs)
    plan = Plan(to_device(padded), schedules, signs, held_out, order, setup.whole)
    members = [sweep.member(i, networks[i], per_epoch * config.training.epochs) for i, config in enumerate(configs)]
    names = [run_folder(root, config, dataset.fingerprint).name for config in configs]
    group = root / "groups" / digest(names)
    group.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(group / "checkpoints")
    (group / "members.json").write_text(json.dumps(names))  # last: what it names can be gone on with

    total = per_epoch * sum(config.training.epochs for config in configs)
    with tqdm(total=total, desc=f"train {len(configs)} members", unit="step") as bar:
        at = [0]

        def on_step(step: int, alive: int) -> None:
            bar.update(alive * max(step - at[0], 0))
            at[0] = step
            bar.set_postfix(training=alive)

        def on_finished(finished: Finished) -> None:
            config, folder = configs[finished.index], root / names[finished.index]
            if finished.diverged is None:
                _leave(folder, config, dataset, setup.plays.static.shape[1], setup.whole, finished)
            on_done(config, folder, finished.diverged)

        every = settings.checkpoint_every if per_epoch > settings.checkpoint_every else 0
        fit_sweep(sweep, members, plan, checkpoints, every, on_step=on_step, on_finished=on_finished)
    checkpoints.close()
    shutil.rmtree(group)


def _leave(folder: Path, config: Config, dataset: Dataset, num_static: int, whole: bool, finished: Finished) -> None:
    """Write the run of a member as its own training would have."""
    record = Record(folder, config, dataset.path, dataset.fingerprint, num_static, whole)
    history: list[dict[str, Any]] = finished.record["history"]
    record.metrics(history)
    record.close()
    checkpoints = Checkpoints(folder / "checkpoints")
    step = int(finished.state.step)
    if checkpoints.latest != step:
        trees = {"state": finished.state, "best": finished.params, "constants": finished.constants}
        checkpoints.save(step, trees, finished.record)
    checkpoints.close()
