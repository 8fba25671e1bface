"""A cross-fitting on disk: one run a fold, so that every play is scored by a network that never trained on its game."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from sbp_jax.config import Config, DataConfig
from sbp_jax.data.plays import Plays
from sbp_jax.data.prepared.dataset import describe, fold_of, load_every
from sbp_jax.digests import short_digest
from sbp_jax.errors import InputError
from sbp_jax.runs.config_file import CONFIG, identity
from sbp_jax.runs.datasets import open_dataset
from sbp_jax.runs.run import Run, load_run
from sbp_jax.runs.train import compiled_once, train_folder
from sbp_jax.training.check import check
from sbp_jax.training.stop import Stop


@dataclass(frozen=True)
class CrossFit:
    """The runs of all folds.

    Attributes:
        path: the folder that they are in.
        runs: one a fold, in order.
    """

    path: Path
    runs: tuple[Run, ...]

    @property
    def config(self) -> Config:
        """The configuration of the first fold; the others differ in `data.fold` alone."""
        return self.runs[0].config

    @property
    def dataset(self) -> Path:
        """Folder of the prepared plays."""
        return self.runs[0].dataset

    def parts(self, dataset: str | Path | None = None) -> Iterator[tuple[Run, Plays]]:
        """Each fold's run with the plays that test it; between them every play once.

        Raises:
            InputError: no data set there, or one with other plays than those trained on.
        """
        folder = self.dataset if dataset is None else Path(dataset)
        if not folder.is_dir():
            raise InputError(f"{folder}: the plays that {self.path} was trained on are not there")
        if describe(folder).fingerprint != self.runs[0].fingerprint:
            raise InputError(f"{folder}: holds other plays than those that {self.path} was trained on; train it again")
        plays = load_every(folder)
        for run in self.runs:
            assert isinstance(run.config.data, DataConfig)
            fold = run.config.data.cross
            assert fold is not None
            yield run, fold_of(plays, fold, "test")

    def score(self, dataset: str | Path | None = None) -> pl.DataFrame:
        """Every play of the data set once, as `Run.score`, and `fold`, whose run scored it; InputError as `parts`."""
        scored = [run.score(plays).with_columns(fold=pl.lit(k)) for k, (run, plays) in enumerate(self.parts(dataset))]
        return pl.concat(scored)


def is_crossfit(path: Path) -> bool:
    """Whether a folder holds runs of folds instead of being a run."""
    return path.is_dir() and not (path / CONFIG).is_file() and bool(_folders(path))


def load_crossfit(path: str | Path, trust: bool = False) -> CrossFit:
    """Restore the runs of a cross-fitting from their folder; `trust` as for `load_run`.

    Raises:
        InputError: a run cannot be restored; the folder has none, lacks one of a fold, or has runs of different data.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder")
    runs = [load_run(folder, trust=trust) for folder in _folders(path)]
    told: dict[int, Run] = {}
    for run in runs:
        data = run.config.data
        fold = data.cross if isinstance(data, DataConfig) else None
        if fold is None:
            raise InputError(f"{run.path}: no run of a fold; expected a folder of sbp crossfit")
        if fold.number in told:
            raise InputError(f"{path}: two runs of fold {fold.number}: {told[fold.number].path.name}, {run.path.name}")
        told[fold.number] = run
    if not told:
        raise InputError(f"{path}: holds no run; expected a folder of sbp crossfit")
    data = next(iter(told.values())).config.data
    assert isinstance(data, DataConfig)
    lacking = [str(number) for number in range(data.folds) if number not in told]
    if lacking:
        raise InputError(f"{path}: lacks the run of fold {', '.join(lacking)}; train the rest of it")
    if len({run.fingerprint for run in runs}) > 1:
        raise InputError(f"{path}: its runs were trained on different plays")
    return CrossFit(path, tuple(told[number] for number in sorted(told)))


def _folders(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if (folder / CONFIG).is_file())


def folds_of(config: Config, folds: int, by: str) -> Iterator[Config]:
    """The configuration of each fold; InputError where they cannot be."""
    if not isinstance(config.data, DataConfig):
        raise InputError("crossfit: requires plays, and the data are time series")
    if by not in ("game", "season"):
        raise InputError(f"--by: expected game or season, got {by!r}")
    if folds < 2:
        raise InputError(f"--folds: expected at least 2, got {folds}")
    for number in range(folds):
        data = replace(config.data, folds=folds, fold=number, fold_by=by, test_seasons=())
        yield replace(config, data=data)


def crossfit(config: Config, folds: int, by: str, root: Path, stop: Stop | None = None) -> Path:
    """Train the folds that are missing; returns the folder that all of them are in.

    Raises:
        InputError: as `folds_of` and `train`.
    """
    configs = list(folds_of(config, folds, by))
    for each in configs:
        check(each)
    first = open_dataset(configs[0].data)
    folder = root / f"crossfit-{short_digest(identity(configs[0]), first.fingerprint)}"
    with compiled_once():
        for number, each in enumerate(configs, start=1):
            print(f"fold {number} of {folds}")
            train_folder(each, open_dataset(each.data), folder, stop)
    return folder
