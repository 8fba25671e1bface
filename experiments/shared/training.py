"""Networks of a table, trained where they are missing, and their figures."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from sbp_jax.config import Config
from sbp_jax.data.plays import Plays
from sbp_jax.errors import InputError
from sbp_jax.runs.datasets import Dataset
from sbp_jax.runs.members import RESULT, leave_result, train_members
from sbp_jax.runs.run import Run, load_run
from sbp_jax.runs.train import run_folder
from sbp_jax.training.check import check
from sbp_jax.training.stop import Stop

K = TypeVar("K")
V = TypeVar("V")
Figures = dict[str, Any]
Judge = Callable[[Run, Plays], dict[str, float]]


def chosen_models(models: Mapping[str, V], quick: bool) -> dict[str, V]:
    """The models of a table by name; quick, SBP and the Gaussian alone, as every law is a program to compile."""
    return {name: model for name, model in models.items() if not quick or name in ("SBP", "Gaussian")}


def trained(
    configs: Mapping[K, Config],
    dataset: Dataset,
    root: Path,
    judge: Judge,
    stop: Stop | None = None,
    *,
    may_diverge: bool = False,
) -> tuple[dict[K, Figures], dict[K, Path]]:
    """The figures of each configuration's network on the test plays, its training's seconds, and its run's folder.

    What has a result already is not trained again.

    Args:
        configs: by the name of the model, and the seed where there are several; on the same data.
        dataset: that data.
        root: folder of the runs.
        judge: a run and the test plays -> figures.
        stop: asks a training to stop.
        may_diverge: of a training that went wrong, say why under "diverged", and nothing else.

    Raises:
        InputError: a configuration that cannot be trained; a training that went wrong, unless it may.
        Stopped: as asked; the same call goes on.
    """
    for config in configs.values():
        check(config)

    def figures(folder: Path, dataset: Dataset) -> dict[str, float]:
        run = load_run(folder)
        return {**judge(run, dataset.split("test")), "seconds": float(run.metrics["seconds"].sum())}

    train_members(list(configs.values()), dataset, root, partial(leave_result, figures, dataset), stop)
    folders = {name: run_folder(root, config, dataset.fingerprint) for name, config in configs.items()}
    found = {name: json.loads((folder / RESULT).read_text()) for name, folder in folders.items()}
    for name in found:
        if "diverged" in found[name] and not may_diverge:
            raise InputError(f"{folders[name]}: the training of {name!s} went wrong: {found[name]['diverged']}")
    return found, folders


def rows_of(found: Mapping[tuple[str, int], Figures], figures: Iterable[str]) -> pl.DataFrame:
    """One row a model and seed, as `Comparison` has them: a null where there is no such figure."""
    keys = (*figures, "seconds", "diverged")
    rows = [{"arm": name, "seed": seed, **{key: each.get(key) for key in keys}} for (name, seed), each in found.items()]
    return pl.DataFrame(rows, infer_schema_length=None)
