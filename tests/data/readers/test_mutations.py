"""Randomly damaged files: a counted rejection or one line of error, never a traceback, never a wrong play."""

from pathlib import Path

import polars as pl
import pytest

from tests.data import fabricate
from tests.data.readers.mutations import MUTATIONS, PLAYS, TRACKING
from tests.data.readers.survival import KEY, read, survives

LAYOUTS = {
    "2019": fabricate.as_2019,
    "2021": lambda table: table,
    "highlights": lambda table: fabricate.as_highlights(table, "Q.Back pass short left to W.Receiver for 7 yards."),
}


def write_folder(folder: Path, layout: str) -> Path:
    """Six plays of two games in one layout, with their list of plays, as text."""
    folder.mkdir()
    tracking = [
        fabricate.play(2018090900 + game, 50 + 25 * i, 12 + 4 * i, ("right", "left")[i % 2], seed=1 + i + 10 * game)
        for game in range(2)
        for i in range(3)
    ]
    fabricate.write(pl.concat([LAYOUTS[layout](table) for table in tracking]), folder / TRACKING)
    fabricate.write(fabricate.plays_table(*tracking), folder / PLAYS)
    return folder


@pytest.mark.sample(24)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 6), marks=pytest.mark.slow)], ids=["one", "more"])
def test_no_traceback_and_no_wrong_play(mutation, layout, seeds, tmp_path):
    sound = read(write_folder(tmp_path / "sound", layout))
    assert len(sound[0]) == 6
    for seed in seeds:
        survives(mutation, write_folder(tmp_path / f"{mutation}-{seed}", layout), seed, sound)


@pytest.mark.sample(1)
@pytest.mark.parametrize("mutation", ["shuffle_rows", "shuffle_columns", "repeat_rows", "repeat_play"])
def test_order_and_repetition_lose_nothing(mutation, tmp_path):
    sound = read(write_folder(tmp_path / "sound", "2021"))
    folder = write_folder(tmp_path / mutation, "2021")
    assert survives(mutation, folder, 0, sound)
    yards, frames = read(folder)
    assert yards == sound[0]
    assert frames.sort(KEY).equals(sound[1].sort(KEY))
