"""Networks of a table, trained where they are missing, and their figures."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from experiments.data import Dataset
from experiments.members import RESULT, train_members
from experiments.train import check, run_folder
from sbp_jax.config import Config
from sbp_jax.data.batching import Plays
from sbp_jax.data.whole import write_whole
from sbp_jax.errors import InputError
from sbp_jax.run import Run, load_run
from sbp_jax.training.stop import Stop

K = TypeVar("K")
Judge = Callable[[Run, Plays], dict[str, float]]


def trained(
    configs: Mapping[K, Config], dataset: Dataset, root: Path, judge: Judge, stop: Stop | None = None
) -> tuple[dict[K, dict[str, float]], dict[K, Path]]:
    """The figures of each configuration's network on the test plays, and its run's folder.

    What has a result already is not trained again.

    Args:
        configs: by the name of the model, and the seed where there are several; on the same data.
        dataset: that data.
        root: folder of the runs.
        judge: a run and the test plays -> figures.
        stop: asks a training to stop.

    Raises:
        InputError: a configuration that cannot be trained; a training that went wrong.
        Stopped: as asked; the same call goes on.
    """
    for config in configs.values():
        check(config)

    def finish(config: Config, folder: Path, diverged: str | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        result = {"diverged": diverged} if diverged else judge(load_run(folder), dataset.split("test"))
        write_whole(folder / RESULT, (json.dumps(result, indent=1) + "\n").encode())

    train_members(list(configs.values()), dataset, root, finish, stop)
    folders = {name: run_folder(root, config, dataset.fingerprint) for name, config in configs.items()}
    found = {name: json.loads((folder / RESULT).read_text()) for name, folder in folders.items()}
    for name, figures in found.items():
        if "diverged" in figures:
            raise InputError(f"{folders[name]}: the training of {name!s} went wrong: {figures['diverged']}")
    return found, folders
