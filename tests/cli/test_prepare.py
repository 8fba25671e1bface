"""From tracking files to a prepared data set on the command line: report, page, exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from sbp_jax.cli import prepare
from sbp_jax.errors import InputError
from tests.data import fabricate
from tests.data.readers.test_listed import nflverse

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_data.py"


@pytest.fixture
def source(tmp_path) -> Path:
    return fabricate.folder(tmp_path / "files", plays=3, games=4)


def damaged(source: Path) -> Path:
    """The same folder, with coordinates that are not numbers in one play."""
    (tracking,) = source.glob("*track*")
    table = pl.read_csv(tracking) if tracking.suffix == ".csv" else pl.read_parquet(tracking)
    play = (pl.col("gameId") == table["gameId"][0]) & (pl.col("playId") == table["playId"][0])
    fabricate.write(table.with_columns(x=pl.when(play).then(float("inf")).otherwise("x")), tracking)
    return source


def test_report_has_the_documented_keys_and_adds_up(source, tmp_path, capsys):
    prepare.command([str(damaged(source)), "--out", str(tmp_path / "set")])
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    assert (report["read"], report["plays"], report["format"]) == (12, 11, "Big Data Bowl 2021")
    assert report["rejected"] == {"malformed: coordinates are not finite numbers": 1}
    assert report["plays"] + sum(report["rejected"].values()) == report["read"]
    assert isinstance(report["repaired"], dict)
    assert all(len(source["sha256"]) == 64 for source in report["prepared_from"]["sources"])
    printed = capsys.readouterr().out
    assert (tmp_path / "set" / "report.md").read_text() in printed
    assert "| rejected: malformed: coordinates are not finite numbers | 1 |" in printed
    assert (tmp_path / "set" / "report.png").stat().st_size > 10_000


def test_strict_exits_with_3_where_a_play_is_rejected_and_only_there(source, tmp_path, capsys):
    prepare.command([str(source), "--out", str(tmp_path / "sound"), "--strict"])
    damaged(source)
    for _ in range(2):  # the second call reuses the data set and reports the same
        with pytest.raises(SystemExit) as left:
            prepare.command([str(source), "--out", str(tmp_path / "set"), "--strict"])
        assert left.value.code == 3
    assert "strict: rejected malformed: coordinates are not finite numbers 1" in capsys.readouterr().err
    assert json.loads((tmp_path / "set" / "report.json").read_text())["plays"] == 11


def test_outcome_is_any_numeric_column_of_the_list_of_plays(source, tmp_path):
    plays = pl.read_csv(source / "plays.csv", infer_schema_length=None)
    plays.with_columns(epa=pl.int_range(pl.len()) / 4).write_csv(source / "plays.csv")
    prepare.command([str(source), "--out", str(tmp_path / "set"), "--outcome", "epa"])
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    assert list(report["distributions"]["outcomes"]) == [f"{i / 4:g}" for i in range(12)]
    assert report["prepared_from"]["config"]["outcome"] == "epa"


def test_extras_are_chosen_by_name(source, tmp_path):
    names = ["time_since_snap_s", "rusher_distance_yards"]
    prepare.command([str(source), "--out", str(tmp_path / "set"), "--extras", *names])
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    assert report["prepared_from"]["config"]["extras"] == names[::-1]
    assert report["features"][8:] == ["rusher_distance_yards", "rusher_distance_known", "time_since_snap_s"]
    with pytest.raises(InputError, match="extras: unknown 'height'; known: "):
        prepare.command([str(source), "--out", str(tmp_path / "set"), "--extras", "height"])


def test_lists_of_plays_alone(tmp_path):
    games = [2019090800 + i for i in range(6)] + [2020091300]
    nflverse(games).write_parquet(tmp_path / "list.parquet")
    words = ["--no-tracking", "--results", "C", "I", "IN", "S", "--situation", "air_yards", "--test-seasons", "2020"]
    prepare.command([str(tmp_path / "list.parquet"), "--out", str(tmp_path / "set"), *words])
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    assert report["splits"]["test"] == {"games": [2020091300], "plays": 5, "frames": 5}
    assert "air_yards" in report["static"]
    assert (tmp_path / "set" / "report.png").stat().st_size > 10_000


def test_mistakes_are_named(source, tmp_path):
    for words, message in (
        (["--out", str(tmp_path / "set")], "expected folders or files"),
        ([str(source)], "--out"),
        ([str(tmp_path / "none"), "--out", str(tmp_path / "set")], "no such file or folder"),
        ([str(damaged(source)), "--out", str(tmp_path / "set"), "--malformed", "raise"], "not finite numbers"),
    ):
        with pytest.raises(InputError, match=message):
            prepare.command(words)
        assert not (tmp_path / "set").exists()


@pytest.mark.slow
def test_script_runs_in_the_projects_own_environment(source, tmp_path):
    words = [sys.executable, str(SCRIPT), str(source), "--out", "set"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "plays read | 12" in done.stdout
    assert (tmp_path / "set" / "report.json").is_file()
