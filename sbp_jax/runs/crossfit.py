"""Cross-fitting on disk: one run per fold, so that every play is scored by a network not trained on its game."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from sbp_jax.config import Config, DataConfig
from sbp_jax.data.plays import Sequences
from sbp_jax.data.prepared.dataset import describe, fold_of, load_every
from sbp_jax.digests import short_digest
from sbp_jax.errors import InputError
from sbp_jax.runs.config_file import CONFIG, identity
from sbp_jax.runs.datasets import PlayDataset, open_dataset
from sbp_jax.runs.run import Run, load_run
from sbp_jax.runs.train import train_folder
from sbp_jax.training.check import check
from sbp_jax.training.compiled import compiled_once
from sbp_jax.training.stop import StopRequest


@dataclass(frozen=True)
class CrossFit:
    """The runs of all folds.

    Attributes:
        path: folder that contains the runs.
        runs: one run per fold, in order.
    """

    path: Path
    runs: tuple[Run, ...]

    @property
    def config(self) -> Config:
        """Configuration of the first fold; the others differ only in `data.fold`."""
        return self.runs[0].config

    @property
    def dataset(self) -> Path:
        """Folder of the prepared plays."""
        return self.runs[0].dataset

    def parts(self, dataset: str | Path | None = None) -> Iterator[tuple[Run, Sequences]]:
        """Yield each fold's run with its test plays; every play occurs once.

        Raises:
            InputError: there is no data set at `dataset`, or it has other plays than those that the runs trained on.
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
        """Return `Run.score` for every play of the data set, with `fold`, the fold whose run scored it.

        Raises:
            InputError: see `parts`.
        """
        tables = [run.score(plays).with_columns(fold=pl.lit(k)) for k, (run, plays) in enumerate(self.parts(dataset))]
        return pl.concat(tables)


def is_crossfit(path: Path) -> bool:
    """Return whether a folder contains the runs of folds instead of being a run."""
    return path.is_dir() and not (path / CONFIG).is_file() and bool(_folders(path))


def load_crossfit(path: str | Path, trust: bool = False) -> CrossFit:
    """Restore the runs of a cross-fitting from their folder; for `trust` see `load_run`.

    Raises:
        InputError: a run cannot be restored, or the folder has no runs, misses the run of a fold, or has runs on
            different data.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder")
    runs = [load_run(folder, trust=trust) for folder in _folders(path)]
    by_fold: dict[int, Run] = {}
    for run in runs:
        data = run.config.data
        fold = data.cross if isinstance(data, DataConfig) else None
        if fold is None:
            raise InputError(f"{run.path}: not the run of a fold; expected a folder of sbp crossfit")
        if fold.number in by_fold:
            names = f"{by_fold[fold.number].path.name}, {run.path.name}"
            raise InputError(f"{path}: two runs of fold {fold.number}: {names}")
        by_fold[fold.number] = run
    if not by_fold:
        raise InputError(f"{path}: has no run; expected a folder of sbp crossfit")
    data = next(iter(by_fold.values())).config.data
    assert isinstance(data, DataConfig)
    missing = [str(number) for number in range(data.folds) if number not in by_fold]
    if missing:
        raise InputError(f"{path}: has no run of fold {', '.join(missing)}; train the missing folds")
    if len({run.fingerprint for run in runs}) > 1:
        raise InputError(f"{path}: its runs were trained on different plays")
    return CrossFit(path, tuple(by_fold[number] for number in sorted(by_fold)))


def _folders(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if (folder / CONFIG).is_file())


def folds_of(config: Config, folds: int, by: str) -> Iterator[Config]:
    """Yield the configuration of each fold.

    Raises:
        InputError: the configuration is of time series, or an argument is invalid.
    """
    if not isinstance(config.data, DataConfig):
        raise InputError("crossfit: requires plays, and the data are time series")
    if by not in ("game", "season"):
        raise InputError(f"folds: expected to be drawn by game or season, got {by!r}")
    if folds < 2:
        raise InputError(f"folds: expected at least 2, got {folds}")
    for number in range(folds):
        data = replace(config.data, folds=folds, fold=number, fold_by=by, test_seasons=())
        yield replace(config, data=data)


def _fold_of(data: PlayDataset, config: Config) -> PlayDataset:
    assert isinstance(config.data, DataConfig)
    return replace(data, fold=config.data.cross)


def crossfit(
    config: Config,
    folds: int,
    by: str,
    root: Path,
    stop: StopRequest | None = None,
    data: PlayDataset | None = None,
    progress: bool = True,
) -> Path:
    """Train the missing folds and return the folder that contains all of them.

    Args:
        config: configuration of every fold.
        folds: number of folds; by season, the number of seasons.
        by: "game" or "season".
        root: folder in which the cross-fitting gets its own folder.
        stop: stop request.
        data: prepared plays; by default those that the configuration names.
        progress: print the folds and show progress bars.

    Raises:
        InputError: see `folds_of` and `train`.
    """
    configs = list(folds_of(config, folds, by))
    for each in configs:
        check(each)
    first = data or open_dataset(configs[0].data, progress)
    folder = root / f"crossfit-{short_digest(identity(configs[0]), first.fingerprint)}"
    with compiled_once():
        for number, each in enumerate(configs, start=1):
            if progress:
                print(f"fold {number} of {folds}")
            dataset = open_dataset(each.data, progress) if data is None else _fold_of(data, each)
            train_folder(each, dataset, folder, stop, progress=progress)
    return folder
