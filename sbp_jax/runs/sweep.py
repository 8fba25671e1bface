"""Train the arms of a grid with several seeds and evaluate them on the test plays, next to marginal and oracle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from sbp_jax.config import Config, DataConfig
from sbp_jax.errors import InputError
from sbp_jax.evaluation.predictions import evaluate
from sbp_jax.runs.cluster import train_on_ray
from sbp_jax.runs.datasets import Dataset, PlayDataset, open_dataset
from sbp_jax.runs.evaluate import oracle
from sbp_jax.runs.grid import Arm, Grid
from sbp_jax.runs.members import is_done, leave_result, read_result, train_members
from sbp_jax.runs.run import load_run
from sbp_jax.runs.train import run_folder
from sbp_jax.training.check import check
from sbp_jax.training.stop import StopRequest


@dataclass(frozen=True)
class Trial:
    """An arm with a seed."""

    arm: Arm
    seed: int
    config: Config


def trials(
    chosen: Grid,
    seeds: int = 5,
    arms: Sequence[str] = (),
    plays: int | None = None,
    epochs: int | None = None,
    source: Sequence[str] = (),
) -> list[Trial]:
    """Return all training runs of a grid.

    Args:
        chosen: the grid.
        seeds: number of training runs per arm.
        arms: names of the arms to train; all by default. The reference is always included.
        plays: number of simulated plays, instead of the base configuration's.
        epochs: number of epochs, instead of the base configuration's.
        source: files of plays, instead of the base configuration's.

    Raises:
        InputError: an arm is unknown, or a number or a field of an arm is out of range.
    """
    if seeds < 1:
        raise InputError(f"--seeds: expected at least 1, got {seeds}")
    arm_names = [arm.name for arm in chosen.arms]
    for name in arms:
        if name not in arm_names:
            raise InputError(f"--arms: {chosen.name} has no arm {name!r}; known: {', '.join(arm_names)}")
    result = []
    for arm in chosen.arms:
        if arms and arm.name not in (*arms, chosen.reference):
            continue
        config = arm.config
        if source:
            if not isinstance(config.data, DataConfig):
                raise InputError("--source: expected a base configuration of plays, and this one is of time series")
            config = replace(config, data=replace(config.data, source=tuple(source)))
        if isinstance(config.data, DataConfig) and not (config.data.tracking or config.data.source):
            raise InputError(f"{chosen.name}: expected lists of plays; name them with --source FILE")
        if plays is not None:
            if not isinstance(config.data, DataConfig) or config.data.source or not config.data.tracking:
                raise InputError("--plays: applies to simulated plays, and these are read from files")
            config = replace(config, data=replace(config.data, plays=plays))
        if epochs is not None:
            config = replace(config, training=replace(config.training, epochs=epochs))
        try:
            check(config)
        except InputError as error:
            raise InputError(f"{chosen.name}, arm {arm.name!r}: {error}") from error
        for seed in range(seeds):
            seeded = replace(config, training=replace(config.training, seed=config.training.seed + seed))
            result.append(Trial(arm, seed, seeded))
    return result


def metrics_of(folder: Path, dataset: Dataset) -> dict[str, Any]:
    """Return the metrics of a run on the test plays."""
    run, plays = load_run(folder, trust=True), dataset.split("test")
    metrics = run.metrics
    best = metrics["validation_loss"].arg_min() if len(metrics) else None
    return {
        **evaluate(run.predict(plays), run.outcome.bounded(plays)).flat(),
        "epochs": len(metrics),
        "best_epoch": None if best is None else best + 1,
        "seconds": float(metrics["seconds"].sum()),
    }


def baselines(folder: Path, dataset: Dataset) -> dict[str, dict[str, float]]:
    """Return the metrics of the marginal distribution that a run started from, and of the oracle if it is known."""
    run, plays = load_run(folder, trust=True), dataset.split("test")
    y = run.outcome.bounded(plays)
    dists = {"marginal": run.marginal(plays)}
    if isinstance(dataset, PlayDataset) and dataset.simulated is not None:
        dists["oracle"] = oracle(dataset.truth(), plays)
    return {name: evaluate(dist, y).flat() for name, dist in dists.items()}


def ablate(
    chosen: Grid,
    every: Sequence[Trial],
    root: Path,
    stop: StopRequest | None = None,
    ray: str = "",
    ray_cpus: float = 1.0,
) -> tuple[pl.DataFrame, dict[str, dict[str, float]], Dataset]:
    """Train and evaluate what is missing; return one row per trial, the metrics of the baselines, and the data.

    Args:
        chosen: the grid.
        every: its trials, see `trials`.
        root: folder of the runs.
        stop: stop request.
        ray: address of a Ray cluster that trains, see `train_on_ray`; if empty, this process trains.
        ray_cpus: processors per task on the cluster.

    Raises:
        InputError: the arms differ in their data, or no training run completed; see also `train_members` and
            `train_on_ray`.
    """
    data = {trial.config.data for trial in every}
    if len(data) > 1:
        raise InputError(f"{chosen.name}: expected the same data in all arms, or their losses cannot be compared")
    dataset = open_dataset(every[0].config.data)
    folders = {trial.config: run_folder(root, trial.config, dataset.fingerprint) for trial in every}

    configs = [trial.config for trial in every]
    num_complete = sum(is_done(root, config, dataset) for config in configs)
    count = f"{len(configs)} training run{'s' * (len(configs) > 1)}"
    print(f"{chosen.title}: {count}, {num_complete} complete")
    on_done = partial(leave_result, metrics_of, dataset)
    if ray and num_complete < len(configs):
        train_on_ray(configs, dataset, root, on_done, ray, ray_cpus)
    else:
        train_members(configs, dataset, root, on_done, stop)
    rows = []
    for trial in every:
        result = read_result(metrics_of, dataset, trial.config, folders[trial.config])
        rows.append({"arm": trial.arm.name, "x": trial.arm.x, "seed": trial.seed, "diverged": None, **result})
    table = pl.DataFrame(rows, infer_schema_length=None)
    completed = [trial for trial, row in zip(every, rows, strict=True) if row["diverged"] is None]
    if not completed:
        raise InputError(f"{chosen.name}: no training run completed: {table['diverged'][0]}")
    reference = next((trial for trial in completed if trial.arm.name == chosen.reference), completed[0])
    return table, baselines(folders[reference.config], dataset), dataset
