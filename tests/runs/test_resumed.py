"""A run's record over several calls: the first start stays, later ones are listed, every epoch is one event."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from sbp_jax.config import Config
from sbp_jax.runs import provenance
from sbp_jax.runs.config_file import read_saved
from sbp_jax.runs.record import Record, read_events

HISTORY = [
    {"epoch": i, "step": 10 * i, "training_loss": 3.0 / i, "validation_loss": float("nan"), "seconds": 2.0}
    for i in (1, 2, 3)
]


def record(folder, step, plays=100):
    return Record(folder, Config(), Path("dataset"), "f", 5, plays=plays, step=step)


def written_events(folder):
    files = sorted((folder / "events").iterdir())
    return sorted((e.step, v.tag, v.simple_value) for f in files for e in read_events(f) for v in e.summary.value)


def call(folder, step, epochs):
    one = record(folder, step)
    for count in epochs:
        one.metrics(HISTORY[:count])
    one.close()


def test_first_start_stays_and_later_ones_are_listed(tmp_path, monkeypatch):
    call(tmp_path, 0, [1])
    first = json.loads((tmp_path / "config.json").read_text())["starts"]
    monkeypatch.setattr(provenance, "commit", lambda: None)
    call(tmp_path, 10, [2])
    call(tmp_path, None, [2])  # done: no call that trained
    starts = read_saved(tmp_path).starts
    assert list(starts[:1]) == first
    assert [start["step"] for start in starts] == [0, 10]
    assert starts[1]["commit"] is None
    assert set(first[0]) == {"date", "command", "commit", "machine", "versions", "step"}
    assert first[0]["machine"]["device"] == "cpu"
    assert first[0]["command"] == shlex.join(sys.orig_argv)


def test_every_epoch_is_one_event_whatever_was_killed(tmp_path):
    call(tmp_path, 0, [1, 2, 3])
    complete = [
        (10 * i, tag, pytest.approx(v)) for i in (1, 2, 3) for tag, v in (("seconds", 2), ("training_loss", 3 / i))
    ]
    assert written_events(tmp_path) == complete
    (file,) = (tmp_path / "events").iterdir()
    file.write_bytes(file.read_bytes()[:-20])  # killed in the middle of the last epoch
    assert written_events(tmp_path) == [*complete[:4], complete[5]]
    file.write_bytes(file.read_bytes()[:-60])
    call(tmp_path, 20, [2, 3])
    assert written_events(tmp_path) == complete
    call(tmp_path, 10, [2, 3])  # resumed from an older checkpoint: the same epochs again
    assert written_events(tmp_path) == complete
    call(tmp_path, 0, [1])  # the checkpoints are gone: a new training run
    assert written_events(tmp_path) == complete[:2]


def test_metrics_are_a_row_an_epoch_with_its_pace(tmp_path):
    call(tmp_path, 0, [2])
    call(tmp_path, 25, [3])
    table = pl.read_parquet(tmp_path / "metrics.parquet")
    assert table["epoch"].to_list() == [1, 2, 3]
    assert table["plays_per_s"].to_list() == [50.0, 50.0, 25.0]
    assert not list(tmp_path.glob("*.partial"))


def test_commit_is_that_of_the_checkout_or_none(tmp_path, monkeypatch):
    repository, source = tmp_path / "repository", tmp_path / "repository" / "provenance.py"
    repository.mkdir()
    source.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(source))
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert provenance.commit() is None  # a checkout, but not of this code
    subprocess.run([*git, "add", "provenance.py"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    commit = provenance.commit()
    assert commit is not None
    assert len(commit) == 40
    source.write_text("changed")
    assert provenance.commit() == f"{commit}+"
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    assert provenance.commit() is None
