"""Data sets of runs: plays, prepared once and simulated if no source is named, or windows of time series."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tqdm.auto import tqdm

from sbp_jax.config import DataConfig, SeriesConfig
from sbp_jax.data.plays import Sequences, current_name
from sbp_jax.data.prepared import dataset
from sbp_jax.data.prepared.build import prepare
from sbp_jax.data.prepared.config import PrepareConfig
from sbp_jax.data.prepared.dataset import Prepared, fold_of, load_every
from sbp_jax.data.prepared.splits import SPLITS, Fold, split_games
from sbp_jax.data.readers.files import Frame, Source
from sbp_jax.data.series.windows import SeriesSet, read_windows
from sbp_jax.data.simulator.simulate import RECIPE, SimulationConfig, TrueDistribution, simulate
from sbp_jax.digests import arrays_digest, short_digest
from sbp_jax.errors import InputError
from sbp_jax.reporting.tables import markdown


class Dataset(abc.ABC):
    """Plays in three splits."""

    @property
    @abc.abstractmethod
    def path(self) -> Path:
        """Source folder of the plays, for `sbp_jax.load_run`."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Identifier of the data set's content."""

    @abc.abstractmethod
    def split(self, name: str) -> Sequences:
        """Return the plays of "train", "validation" or "test"."""

    @abc.abstractmethod
    def account(self) -> str:
        """Return what was read and how it was used, as a Markdown table."""


@dataclass(frozen=True)
class SeriesDataset(Dataset):
    """Windows of time series."""

    windows: SeriesSet

    @property
    def path(self) -> Path:
        """Folder of the files."""
        return self.windows.folder.absolute()

    @property
    def fingerprint(self) -> str:
        """Identifier of the files' content and the settings of the windows."""
        return self.windows.fingerprint

    def split(self, name: str) -> Sequences:
        """Return the windows of "train", "validation" or "test"."""
        return self.windows.split(name)

    def account(self) -> str:
        """Return each series with its length, step and gaps, as a Markdown table."""
        counts = {number: [0, 0, 0] for number in range(len(self.windows.series))}
        for column, name in enumerate(SPLITS):
            for number, count in zip(*np.unique(self.split(name).game_id, return_counts=True), strict=True):
                counts[int(number)][column] = int(count)
        header = ["series", "observations", "step", "gaps", "without a value", *SPLITS]
        rows = [
            [s.name, f"{len(s):,}", s.period or f"{s.step:g}{' s' if s.dated else ''}", f"{s.gaps:,}", f"{s.missing:,}"]
            + [f"{count:,}" for count in counts[number]]
            for number, s in enumerate(self.windows.series)
        ]
        return markdown(header, rows)


@dataclass(frozen=True, eq=False)
class MemoryDataset(Dataset):
    """Plays in memory from any source.

    Attributes:
        splits: plays of "train", "validation" and "test"; without validation plays, all epochs run.

    Raises:
        InputError: a split has another name, or there is no split "train".
    """

    splits: Mapping[str, Sequences]

    def __post_init__(self) -> None:
        unknown = sorted(set(self.splits) - set(SPLITS))
        if unknown:
            raise InputError(f"plays: unknown split {unknown[0]!r}; expected {', '.join(SPLITS)}")
        if "train" not in self.splits:
            raise InputError("plays: expected a split 'train'")

    @classmethod
    def of(cls, plays: Sequences, config: DataConfig) -> "MemoryDataset":
        """Split plays by game, as a prepared data set does with the configuration's seed and fractions."""
        fractions = 1.0 - config.validation - config.test, config.validation, config.test
        games = split_games(plays.game_id.tolist(), config.seed, fractions)
        return cls({name: plays.select(np.isin(plays.game_id, members)) for name, members in games.items()})

    @property
    def path(self) -> Path:
        """A placeholder, because the plays are in no folder; `Run.plays` reports that it does not exist."""
        return Path("plays-in-memory")

    @property
    def fingerprint(self) -> str:
        """Identifier of the arrays' content."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        arrays = {}
        for name in SPLITS:
            plays = self.split(name)
            for field in ("frames", "offsets", "players", "static", "yards", "game_id", "play_id"):
                arrays[f"{name}/{field}"] = getattr(plays, current_name(field))
            texts = {
                **{f"info/{field}": values.tolist() for field, values in plays.info.items()},
                "names": plays.features,
            }
            arrays |= {f"{name}/{field}": np.array([str(v).encode() for v in texts[field]], "S") for field in texts}
        return arrays_digest(arrays)[:16]

    def split(self, name: str) -> Sequences:
        """Return the plays of "train", "validation" or "test"; a missing split is empty."""
        return self.splits[name] if name in self.splits else self.splits["train"].select(np.zeros(0, np.int64))

    def account(self) -> str:
        """Return the number of plays in each split, as a Markdown table."""
        return markdown(["split", "plays"], [[name, f"{len(self.split(name)):,}"] for name in SPLITS])


@dataclass(frozen=True)
class PlayDataset(Dataset):
    """Prepared plays, with the truth if they are simulated.

    Attributes:
        prepared: the data set on disk and its reading report.
        simulated: folder of the simulator's files; None for real plays.
        fold: cross-fitting fold that replaces the data set's own splits.
    """

    prepared: Prepared
    simulated: Path | None
    fold: Fold | None = None

    @property
    def path(self) -> Path:
        """Folder of the prepared data set, for `sbp_jax.data.prepared.dataset.load`."""
        return self.prepared.path

    @property
    def fingerprint(self) -> str:
        """Identifier of the data set's content."""
        return self.prepared.fingerprint

    def split(self, name: str) -> Sequences:
        """Return the plays of "train", "validation" or "test"."""
        if self.fold is None:
            return _split(self.path, name)
        return fold_of(_every_play(self.path), self.fold, name)

    def truth(self) -> TrueDistribution:
        """Return the simulator's conditional distribution of every play; raise InputError for real plays."""
        if self.simulated is None:
            raise InputError(f"{self.path}: real plays have no known distribution")
        return TrueDistribution.read(self.simulated)

    def skill(self) -> dict[int, float]:
        """Return every quarterback's true skill in the simulator, in league standard deviations, by player id.

        Raises:
            InputError: the plays are real.
        """
        if self.simulated is None:
            raise InputError(f"{self.path}: real quarterbacks have no known skill")
        table = pl.read_parquet(self.simulated / "truth" / "quarterbacks.parquet")
        return dict(zip(table["nflId"].to_list(), table["skill"].to_list(), strict=True))

    def account(self) -> str:
        """Return how many plays were read, used, rejected and repaired, as a Markdown table."""
        return self.prepared.reading.to_markdown()

    def report(self) -> dict[str, Any]:
        """Return the numbers of `account` by name."""
        reading = self.prepared.reading
        return {"read": reading.read, "kept": reading.kept, "rejected": reading.rejected, "repaired": reading.repaired}


@lru_cache(maxsize=len(SPLITS))  # the splits of one data set; caching those of many data sets would fill the memory
def _split(path: Path, name: str) -> Sequences:
    return dataset.load(path, name)


@lru_cache(maxsize=1)
def _every_play(path: Path) -> Sequences:
    return load_every(path)


def move(bar: Any, done: int) -> None:
    """Move a progress bar to `done`."""
    bar.update(done - bar.n)


def open_dataset(config: DataConfig | SeriesConfig, progress: bool = True) -> Dataset:
    """Open plays (see `open_plays`), or read time series and cut them into windows (see `read_windows`)."""
    return SeriesDataset(read_windows(config)) if isinstance(config, SeriesConfig) else open_plays(config, progress)


def dataset_of(config: DataConfig | SeriesConfig, data: Any = None, progress: bool = True) -> Dataset:
    """Return the data set of a training run.

    Args:
        config: source of the plays or series, and how they are split.
        data: a `Dataset`; `Sequences`, which are split by game; a mapping from "train", "validation" and "test" to
            `Sequences`; None opens the source that the configuration names.
        progress: show progress bars.

    Raises:
        InputError: see `open_dataset`; or `data` has another type, or is `Sequences` for a configuration of time series
            or with fewer than two games.
    """
    if data is None:
        return open_dataset(config, progress)
    if isinstance(data, Dataset):
        return data
    if isinstance(data, Sequences):
        if not isinstance(config, DataConfig):
            raise InputError("data: the configuration describes time series; expected a mapping from splits to windows")
        return MemoryDataset.of(data, config)
    if isinstance(data, Mapping):
        return MemoryDataset(data)
    raise InputError(f"data: expected plays, a mapping from splits to plays, or a data set, got {type(data).__name__}")


def open_plays(config: DataConfig, progress: bool = True) -> PlayDataset:
    """Simulate plays if no source is named, and prepare them; existing files are reused.

    Args:
        config: data configuration.
        progress: show progress bars.

    Raises:
        InputError: the source or a field is invalid.
    """
    if not (config.tracking or config.source):
        raise InputError("data.source: expected lists of plays, got none (simulated plays always have tracking)")
    simulated = None if config.source else _simulate(config, progress)
    sources: tuple[str | Path, ...] = (simulated,) if simulated else config.source
    where = [str(Path(source).absolute()) for source in sources]
    stem = simulated.name if simulated else Path(sources[0]).name or "plays"
    return PlayDataset(_prepared(sources, stem, where, config, Path(config.cache), progress), simulated, config.cross)


def open_frames(config: DataConfig, frames: Sequence[Frame], cache: Path, progress: bool = True) -> PlayDataset:
    """Prepare the plays of data frames, as `open_plays` does those of files; the same frames are prepared once.

    Args:
        config: data configuration; its `source` and `cache` are not used.
        frames: a list of plays, or a set of tracking and lists.
        cache: folder for the prepared data set.
        progress: show progress bars.

    Raises:
        InputError: the frames or a field are invalid.
    """
    digests = [frame.digest for frame in frames]
    prepared = _prepared(tuple(frames), frames[0].name, digests, config, cache, progress)
    return PlayDataset(prepared, None, config.cross)


def _prepared(
    sources: Sequence[Source], stem: str, where: Sequence[str], config: DataConfig, cache: Path, progress: bool
) -> Prepared:
    """The data set of the sources, in a folder named by `stem`, by where they are and by the choice of plays."""
    choice = PrepareConfig(
        seed=config.seed,
        fractions=(1.0 - config.validation - config.test, config.validation, config.test),
        **config.reading,
        test_seasons=config.test_seasons,
    )
    out = cache.absolute() / f"prepared-{stem}-{short_digest(where, choice.recorded())}"
    with tqdm(desc="prepare", unit=" plays", disable=not progress) as bar:
        return prepare(sources, out, choice, partial(move, bar))


def _simulate(config: DataConfig, progress: bool) -> Path:
    settings = SimulationConfig(plays=config.plays, seed=config.seed)
    folder = (
        Path(config.cache).absolute() / f"simulated-{config.plays}-{short_digest(dataclasses.asdict(settings), RECIPE)}"
    )
    if not folder.is_dir():
        with tqdm(total=config.plays, desc="simulate", unit=" plays", disable=not progress) as bar:
            simulate(folder, settings, partial(move, bar))
    return folder
