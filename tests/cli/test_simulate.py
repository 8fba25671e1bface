"""The command that simulates full seasons: its files and output, what it rejects, and its one-line errors."""

import json
import subprocess
import sys

import polars as pl
import pytest

from sbp_jax.cli import simulate
from sbp_jax.errors import InputError

FEW = ["--plays", "12", "--seasons", "1", "--processes", "1"]


def test_seasons_are_written_and_not_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    simulate.command(["league", *FEW, "--format", "csv", "--seed", "4", "--league.home-points", "0"])
    printed = capsys.readouterr().out
    assert printed.startswith("12 plays in ")
    assert printed.endswith("written to league\n")
    assert pl.read_csv("league/plays.csv").height == 12
    assert list((tmp_path / "league").glob("tracking_week_*.csv"))
    assert pl.read_csv("league/results/teams.csv").height == 32
    settings = tmp_path / "league" / "truth" / "simulation.json"
    assert json.loads(settings.read_text())["league"]["home_points"] == 0
    with pytest.raises(
        InputError, match="league: exists already; name a new folder, or --overwrite a simulated one"
    ) as caught:
        simulate.command(["league", *FEW])
    assert "\n" not in str(caught.value)
    simulate.command(["league", *FEW, "--overwrite", "--seed", "5"])
    assert json.loads(settings.read_text())["seed"] == 5


def test_foreign_folder_is_never_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("keep")
    with pytest.raises(InputError, match="holds files that the simulator did not write"):
        simulate.command([str(tmp_path), *FEW, "--overwrite"])
    assert (tmp_path / "notes.txt").read_text() == "keep"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "OUT"),
        (["x", "--plays", "60000"], r"plays: expected at most 53856 in 3 full season\(s\), got 60000"),
        (["x", "--plays", "many"], "many"),
        (["x", "--seasons", "0"], "seasons: expected an integer of at least 1, got 0"),
        (["x", "--processes", "0"], "processes: expected an integer of at least 1, got 0"),
        (["x", "--format", "xlsx"], "xlsx"),
        (["x", "--league.moves", "2"], "moves: expected a number from 0 to 1"),
        (["x", "--sed", "1"], "did you mean --seed"),
    ],
)
def test_mistake_is_one_line(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        simulate.command(words)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_exit_code_and_help(tmp_path):
    program = [sys.executable, "-m", "experiments.simulate"]
    done = subprocess.run([*program, str(tmp_path), "--seed", "-1"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert done.stderr == "error: seed: expected an integer of at least 0, got -1\n"
    done = subprocess.run([*program, "--help"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0
    for word in ("--plays", "--seasons", "--format", "--processes", "--overwrite", "--league.quarterback-points"):
        assert word in done.stdout
