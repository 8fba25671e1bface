"""Files saved again by other programs and people: the same arrays, a counted loss, or one line; never a silent one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.errors import InputError
from tests.data import fabricate, publishers
from tests.data.readers import resaves
from tests.data.readers.test_mutations_real import SOURCES, cut

KEY = ["game_id", "play_id"]
CACHE: dict[str, tuple[dict[str, pl.DataFrame], "Reading"]] = {}
# what may end in one line, or leave plays out and count them
LOSSY = {"cut", "one play", "ids in short scientific form", "times of Excel", "times without fractions"}
LAYOUTS = tuple(publishers.LAYOUTS)


@dataclass(frozen=True)
class Reading:
    """The frames and plays of a folder and the report, or the one line of an error."""

    frames: pl.DataFrame
    plays: pl.DataFrame
    report: ReadReport
    error: str = ""


def read(folder: Path) -> Reading:
    """Read a folder; an error is one line that names it."""
    try:
        chunks = list(read_tracking(folder, Rules(malformed="drop")))
    except InputError as error:
        message = str(error)
        assert "\n" not in message, message
        assert str(folder) in message, message
        return Reading(pl.DataFrame(), pl.DataFrame(), ReadReport(), message)
    report = sum((chunk.report for chunk in chunks), start=ReadReport())
    assert report.read == report.kept + sum(report.rejected.values())
    frames, plays = (pl.concat([getattr(chunk, name) for chunk in chunks]) for name in ("frames", "plays"))
    return Reading(frames.sort(*KEY, "player_id", "frame"), plays.sort(KEY), report)


def tables_of(source: str, folder: Path) -> dict[str, pl.DataFrame]:
    """Four plays of a publisher's layout (with one accented name), or a few real or simulated ones."""
    if source not in LAYOUTS:
        return cut(source, folder)
    plays = [
        fabricate.play(2018090900 + i // 2, 50 + 25 * i, direction=("right", "left")[i % 2], seed=1 + i)
        for i in range(4)
    ]
    table = pl.concat(plays).with_columns(pl.col("displayName").replace("WR 6", "José Núñez"))
    return {"tracking.csv": publishers.tracking(source, table), **publishers.lists(source, table)}


def write(tables: dict[str, pl.DataFrame], folder: Path) -> Path:
    folder.mkdir()
    for name, table in tables.items():
        fabricate.write(table, folder / name)
    return folder


def check(source: str, names: tuple[str, ...], seed: int, tmp_path: Path) -> Reading:
    """Save a source again in the ways of `names`, one after the other, and compare what is read."""
    if source not in CACHE:
        tables = tables_of(source, tmp_path / "simulation")
        CACHE[source] = (tables, read(write(tables, tmp_path / "sound")))
        assert len(CACHE[source][1].plays) >= 4
    tables, sound = CACHE[source]
    random = np.random.default_rng([seed, *names[0].encode()])
    for name in (name for name in names if name in resaves.TABLES):
        tables = resaves.TABLES[name](tables, random)
    folder = write(tables, tmp_path / f"saved-{seed}")
    for kind in (resaves.BYTES, resaves.PLACES):
        for name in (name for name in names if name in kind):
            kind[name](folder, random)
    saved = read(folder)
    compare(sound, saved, (source, names, seed))
    return saved


def compare(sound: Reading, saved: Reading, label: tuple) -> None:
    """Fail at a silent difference."""
    lossy = LOSSY & set(label[1])
    if saved.error:
        assert lossy, (label, saved.error)
        return
    same = saved.plays.equals(sound.plays) and saved.frames.equals(sound.frames)
    if not lossy:
        assert same, (label, saved.report, differences(sound, saved))
        return
    assert same or counts(saved.report) != counts(sound.report), (label, differences(sound, saved))
    # plays that are kept are as they were, unless the report names a repair
    if saved.report.repaired == sound.report.repaired and saved.report.formats == sound.report.formats:
        assert saved.plays.equals(sound.plays.join(saved.plays, on=KEY, how="semi")), label
        assert saved.frames.equals(sound.frames.join(saved.plays, on=KEY, how="semi")), label


def counts(report: ReadReport) -> tuple:
    """Everything that a report mentions but the folder's own path."""
    names = sorted(Path(name.split(": ")[0]).name for name in report.ignored)
    return report.read, report.rejected, report.repaired, report.formats, names


def differences(sound: Reading, saved: Reading) -> list[str]:
    """Names of what differs, for the message of a failure."""
    parts = []
    for name in ("frames", "plays"):
        first, second = getattr(sound, name), getattr(saved, name)
        if first.shape != second.shape:
            parts.append(f"{name}: {first.shape} {second.shape}")
        else:
            parts += [f"{name}.{column}" for column in first.columns if not first[column].equals(second[column])]
    return parts


EVERY = (*resaves.TABLES, *resaves.BYTES, *resaves.PLACES)


@pytest.mark.sample(40)
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("source", LAYOUTS)
def test_each_resave_of_each_layout(name, source, tmp_path):
    check(source, (name,), 0, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("source", [*LAYOUTS, *SOURCES])
@pytest.mark.parametrize("part", range(5))
def test_resaves_one_after_the_other(part, source, tmp_path):
    """Combine the ways to rename, merge, save and store: 600 combinations in all."""
    random = np.random.default_rng([part, *source.encode()])
    for seed in range(10):
        check(source, resaves.some(random), 100 * part + seed, tmp_path)
