"""Comparison of runs from folders: differences, unfinished and damaged runs, runs on other plays."""

import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from sbp_jax.cli import compare
from sbp_jax.config import Config
from sbp_jax.errors import InputError
from sbp_jax.runs.comparison import Training, names_of, progress
from sbp_jax.runs.config_file import Saved
from sbp_jax.runs.record import Record

BASE = Config()
SHORT = replace(BASE, training=replace(BASE.training, epochs=2))


def history(losses):
    return [
        {"epoch": i, "step": 10 * i, "training_loss": loss + 0.5, "validation_loss": loss, "seconds": 2.0}
        for i, loss in enumerate(losses, start=1)
    ]


def left(folder, config, losses, fingerprint="a" * 16):
    record = Record(folder, config, Path("/nowhere/plays"), fingerprint, 16, plays=100)
    if losses:
        record.metrics(history(losses))
    record.close()
    return folder


@pytest.fixture
def runs(tmp_path):
    """Two finished runs that differ in the learning rate, and one in its first epoch."""
    faster = replace(SHORT, optimizer=replace(SHORT.optimizer, learning_rate=0.02))
    left(tmp_path / "runs" / "slow", SHORT, [2.75, 2.5])
    left(tmp_path / "runs" / "fast", faster, [2.25, 2.375])
    left(tmp_path / "runs" / "begun", SHORT, [])
    return tmp_path / "runs"


def compared(capsys, *words):
    compare.command([*map(str, words)])
    return capsys.readouterr().out


def row(text, name):
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_side_by_side(runs, tmp_path, capsys):
    text = compared(capsys, runs, runs / "slow", "--out", tmp_path / "out", "--split", "none")
    assert row(text, "training") == ["begun", "fast", "slow"]
    assert row(text, "optimizer.learning_rate") == ["0.002", "0.02", "0.002"]
    assert len(re.findall(r"^\| \w+\.\w+ \|", text, re.MULTILINE)) == 1  # no field that all runs share
    assert row(text, "best validation loss, nats") == ["", "2.2500", "2.5000"]
    assert row(text, "at epoch") == ["", "1", "2"]
    assert row(text, "epochs") == ["0", "2", "2"]
    assert row(text, "steps") == ["0", "20", "20"]
    assert row(text, "seconds") == ["", "4.0", "4.0"]
    assert row(text, "plays/s, median epoch") == ["", "50", "50"]
    assert row(text, "data") == ["aaaaaaaaa"] * 3
    assert "- begun is not finished: 0 of at most 2 epochs." in text
    assert "slow is not finished" not in text
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["compare.md", "losses.png"]
    assert (tmp_path / "out" / "compare.md").read_text() in text


def test_a_training_without_an_epoch_left_is_finished():
    patient = replace(SHORT, training=replace(SHORT.training, epochs=9, patience=2))
    saved = Saved(Path(), patient, Path(), "f", 16, True, 100, ())

    def note(losses):
        return progress("run", Training(saved, pl.DataFrame(history(losses))))

    assert note([2.0, 2.5, 2.25]) is None  # stopped early
    assert note([2.0] * 9) is None
    assert note([2.0, 2.5]) == "run is not finished: 2 of at most 9 epochs."
    assert note([float("nan")] * 3) == "run is not finished: 3 of at most 9 epochs."


def test_other_plays_are_warned_of_in_the_table_and_below(runs, tmp_path, capsys):
    left(tmp_path / "other", SHORT, [2.0, 1.5], "b" * 16)
    text = compared(capsys, runs / "slow", tmp_path / "other", "--out", tmp_path / "out", "--split", "none")
    assert row(text, "data (differ: not comparable)") == ["aaaaaaaaa", "bbbbbbbbb"]
    assert "trained on different plays: their losses and metrics cannot be compared" in text
    assert "The configurations are the same." in text


def test_damaged_runs_and_missing_plays_are_a_line_each(runs, tmp_path, capsys):
    (runs / "begun" / "config.json").write_text("{")
    (runs / "fast" / "metrics.parquet").write_bytes(b"PAR1")
    (runs / "slow" / "checkpoints").mkdir()
    text = compared(capsys, runs, "--out", tmp_path / "out")
    assert row(text, "training") == ["slow"]
    notes = [line for line in text.splitlines() if line.startswith("- ")]
    assert [note.split(":")[0] for note in notes] == [
        "- begun is left out",
        "- fast is left out",
        "- slow is not evaluated",
    ]
    assert "config.json: expected the JSON of a training run" in notes[0]
    assert "metrics.parquet: damaged" in notes[1]
    assert "no checkpoint yet" in notes[2]


def test_mistakes_are_one_line(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    for words, message in (
        ([], "expected the folders of runs"),
        ([str(tmp_path / "empty")], "empty: expected the folder of a run, or a folder of runs"),
        ([str(runs), "--split", "all"], "split"),
    ):
        with pytest.raises(InputError, match=message) as error:
            compare.command(words)
        assert "\n" not in str(error.value)
    (runs / "slow" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="none of the runs can be read: slow is left out"):
        compare.command([str(runs / "slow")])


def test_names_are_the_shortest_that_tell_apart(tmp_path):
    assert names_of([tmp_path / "a" / "sbp-1", tmp_path / "b" / "sbp-2"]) == ["sbp-1", "sbp-2"]
    assert names_of([tmp_path / "a" / "sbp-1", tmp_path / "b" / "sbp-1"]) == ["a/sbp-1", "b/sbp-1"]
