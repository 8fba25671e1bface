"""Every play is accounted for, and outcomes agree with the lists."""

import json

import polars as pl
import pytest

from experiments import agreement
from sbp_jax.errors import InputError
from tests.data import fabricate


@pytest.fixture
def files(tmp_path):
    """Tracking and its list of plays, which is also written as a list of outcomes."""
    folder = fabricate.folder(tmp_path / "files", plays=3, games=4)
    plays = pl.read_csv(folder / "plays.csv")
    outcomes = plays.select("gameId", "playId", result=plays["passResult"], yards=pl.col("playResult"))
    return folder, outcomes


def run(tmp_path, folder, outcomes):
    outcomes.write_csv(tmp_path / "outcomes.csv")
    tracking = next(folder.glob("*track*"))
    words = [str(tracking), "--outcomes", str(tmp_path / "outcomes.csv"), "--out", str(tmp_path / "out")]
    agreement.command(words)
    (row,) = json.loads((tmp_path / "out" / "agreement.json").read_text())
    return row, (tmp_path / "out" / "agreement.md").read_text()


def test_accepted_plays_agree_and_all_are_accounted_for(files, tmp_path):
    row, text = run(tmp_path, *files)
    assert row["read"] == row["kept"] + sum(row["rejected"].values()) == 12
    assert row["agree"] == row["listed"] == row["kept"]
    assert "12 (100%)" in text
    assert row["centered_yps"] < row["trailing_yps"] < 1.0


def test_outcomes_are_needed(files, tmp_path):
    folder, _ = files
    with pytest.raises(InputError, match="no list of outcomes"):
        agreement.command([str(next(folder.glob("*track*"))), "--out", str(tmp_path / "out")])


def test_a_list_without_a_needed_column(files, tmp_path):
    folder, outcomes = files
    with pytest.raises(InputError, match=r"outcomes\.csv: expected the columns gameId, playId, one of result"):
        run(tmp_path, folder, outcomes.rename({"result": "what"}))
