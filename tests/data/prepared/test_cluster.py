"""The Beam pipeline, on its local runner: the same data set and the same error messages."""

import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sbp_jax.cli import prepare as command
from sbp_jax.data.prepared.build import PrepareConfig, prepare
from sbp_jax.data.prepared.dataset import load
from sbp_jax.data.prepared.splits import SPLITS
from sbp_jax.errors import InputError
from tests.data import fabricate

LOCAL = ("--runner=DirectRunner",)
TWO_PROCESSES = (*LOCAL, "--direct_num_workers=2", "--direct_running_mode=multi_processing")


@pytest.fixture
def source(tmp_path) -> Path:
    """Five files of tracking; the last one repeats plays of the first two, and one play is damaged."""
    folder = fabricate.folder(tmp_path / "files", plays=3, games=8)
    (path,) = folder.glob("*track*")
    table = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    path.unlink()
    games = table["gameId"].unique().sort().to_list()
    damaged = (pl.col("gameId") == games[5]) & (pl.col("playId") == table["playId"].min())
    table = table.with_columns(x=pl.when(damaged).then(float("inf")).otherwise("x"))
    for week, first in enumerate(range(0, 8, 2), start=1):
        fabricate.write(table.filter(pl.col("gameId").is_in(games[first : first + 2])), folder / f"week{week}.csv")
    again = table.filter(pl.col("gameId").is_in([games[0], games[3]]))
    again.write_parquet(folder / "weeks_again.parquet")
    return folder


def assert_same(one: Path, other: Path) -> None:
    """Same files, same reports, same plays in the same order; the bytes of a record differ between processes."""
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) for folder in (one, other)]
    assert names[0] == names[1]
    for name in ("report.json", "report.md"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    for split in SPLITS:
        first, second = load(one, split), load(other, split)
        for name, value in {**vars(first), **first.info}.items():
            if name != "info":
                np.testing.assert_array_equal(value, {**vars(second), **second.info}[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [LOCAL, pytest.param(TWO_PROCESSES, marks=pytest.mark.slow)])
def test_the_pipeline_gives_the_plain_path_s_data_set(source, tmp_path, flags):
    rules = PrepareConfig(malformed="drop")
    plain = prepare(source, tmp_path / "plain", rules)
    piped = prepare(source, tmp_path / "piped", rules, beam_flags=flags)
    assert plain.reading.kept == 23
    assert plain.reading.rejected == {"duplicate copy": 6, "malformed: coordinates are not finite numbers": 1}
    assert piped.reading == plain.reading
    assert_same(tmp_path / "piped", tmp_path / "plain")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "piped", "plain"]


@pytest.mark.slow
def test_an_empty_split_is_no_obstacle(tmp_path):
    source = fabricate.folder(tmp_path / "files", games=2)
    plain = prepare(source, tmp_path / "plain")
    piped = prepare(source, tmp_path / "piped", beam_flags=LOCAL)
    assert piped.plays == plain.plays == {"train": 3, "validation": 0, "test": 3}
    assert_same(tmp_path / "piped", tmp_path / "plain")


@pytest.mark.slow
def test_bad_input_is_the_same_line_and_leaves_nothing(source, tmp_path):
    with pytest.raises(InputError) as plain:
        prepare(source, tmp_path / "set")
    with pytest.raises(InputError) as piped:
        prepare(source, tmp_path / "set", beam_flags=LOCAL)
    assert str(piped.value) == str(plain.value)
    assert "coordinates are not finite numbers" in str(piped.value)
    shutil.copy(source / "week1.csv", source / "week9.csv")
    with (source / "week9.csv").open("a") as file:
        file.write(file.name.replace("/", ",") + "\n")
    with pytest.raises(InputError, match=r"week9\.csv"):
        prepare(source, tmp_path / "set", PrepareConfig(malformed="drop"), beam_flags=LOCAL)
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--runner=Nonsense",), "Nonsense"),
        (("--runner=DirectRunner", "--nonsense=3"), "no option nonsense"),
        (("--direct_num_workers=many",), "direct_num_workers: invalid int value: 'many'"),
    ],
)
def test_options_that_beam_does_not_take(source, tmp_path, flags, complaint):
    with pytest.raises(InputError, match=complaint):
        prepare(source, tmp_path / "set", PrepareConfig(malformed="drop"), beam_flags=flags)
    assert not (tmp_path / "set").exists()


def test_without_beam_the_message_has_the_install_command(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam.options.pipeline_options", None)
    with pytest.raises(InputError, match=r"pip install 'sbp_jax\[beam\]'"):
        prepare(source, tmp_path / "set", beam_flags=LOCAL)


@pytest.mark.slow
def test_the_command_takes_beam_options(source, tmp_path, capsys):
    command.command([str(source), "--out", str(tmp_path / "set"), "--beam", "runner=DirectRunner"])
    assert "| plays kept | 23 | |" in capsys.readouterr().out
