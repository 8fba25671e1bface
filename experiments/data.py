"""The plays of a run: simulated where no source is named, prepared once, kept in the cache folder."""

import dataclasses
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import polars as pl
from tqdm import tqdm

from experiments.cli import move
from sbp_jax.config import DataConfig, digest
from sbp_jax.data import dataset
from sbp_jax.data.batching import Plays
from sbp_jax.data.dataset import Prepared
from sbp_jax.data.simulate import RECIPE, SimulationConfig, TrueLaw, simulate
from sbp_jax.errors import InputError


@dataclass(frozen=True)
class Dataset:
    """Prepared plays, with the truth where they are simulated.

    Attributes:
        prepared: the data set on disk and the account of its reading.
        simulated: folder of the simulator's files; None for real plays.
    """

    prepared: Prepared
    simulated: Path | None

    @property
    def path(self) -> Path:
        """Folder of the prepared data set, for `sbp_jax.data.dataset.load`."""
        return self.prepared.path

    @property
    def fingerprint(self) -> str:
        """Name of the data set's content."""
        return self.prepared.fingerprint

    def split(self, name: str) -> Plays:
        """Plays of "train", "validation" or "test"."""
        return _split(self.path, name)

    def truth(self) -> TrueLaw:
        """The simulator's conditional law of every play."""
        if self.simulated is None:
            raise InputError(f"{self.path}: real plays have no known law")
        return TrueLaw.read(self.simulated)

    def skill(self) -> dict[int, float]:
        """The simulator's true skill of every quarterback, in league standard deviations, by player id."""
        if self.simulated is None:
            raise InputError(f"{self.path}: real quarterbacks have no known skill")
        table = pl.read_parquet(self.simulated / "truth" / "quarterbacks.parquet")
        return dict(zip(table["nflId"].to_list(), table["skill"].to_list(), strict=True))

    def account(self) -> str:
        """What was read, kept, rejected and repaired, as a Markdown table."""
        return self.prepared.reading.to_markdown()

    def report(self) -> dict[str, Any]:
        """The same as plain numbers."""
        reading = self.prepared.reading
        return {"read": reading.read, "kept": reading.kept, "rejected": reading.rejected, "repaired": reading.repaired}


@cache
def _split(path: Path, name: str) -> Plays:
    return dataset.load(path, name)


def open_dataset(config: DataConfig) -> Dataset:
    """Simulate where no source is named, and prepare; what is there already is not done again.

    Raises:
        InputError: what is wrong with the source or a field.
    """
    if not (config.tracking or config.source):
        raise InputError("data.source: expected lists of plays: those that are simulated have tracking")
    simulated = None if config.source else _simulate(config)
    sources: tuple[str | Path, ...] = (simulated,) if simulated else config.source
    choice = dataset.PrepareConfig(
        seed=config.seed,
        fractions=(1.0 - config.validation - config.test, config.validation, config.test),
        malformed=config.malformed,
        outcome=config.outcome,
        extras=config.extras,
        tracking=config.tracking,
        results=config.results,
        situation=config.situation,
        test_seasons=config.test_seasons,
    )
    where = [str(Path(source).absolute()) for source in sources]
    stem = simulated.name if simulated else Path(sources[0]).name or "plays"
    out = Path(config.cache).absolute() / f"prepared-{stem}-{digest(where, choice.recorded())}"
    with tqdm(desc="prepare", unit=" plays") as bar:
        prepared = dataset.prepare(sources, out, choice, partial(move, bar))
    return Dataset(prepared, simulated)


def _simulate(config: DataConfig) -> Path:
    settings = SimulationConfig(plays=config.plays, seed=config.seed)
    folder = Path(config.cache).absolute() / f"simulated-{config.plays}-{digest(dataclasses.asdict(settings), RECIPE)}"
    if not folder.is_dir():
        with tqdm(total=config.plays, desc="simulate", unit=" plays") as bar:
            simulate(folder, settings, partial(move, bar))
    return folder
