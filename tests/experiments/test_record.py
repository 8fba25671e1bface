"""A run's record: TensorBoard reads the events; a full disk is told in one line that names the file."""

import resource
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] made when imported

from experiments.record import Record
from sbp_jax.config import Config

ROW = {"epoch": 1, "step": 15, "training_loss": 2.5, "validation_loss": float("nan"), "seconds": 3.0}


@contextmanager
def room(size):
    """Files of at most so many bytes: beyond it the kernel refuses to write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def read_events(file):
    content, events = file.read_bytes(), []
    while content:
        length = int.from_bytes(content[:8], "little")
        events.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return events


def test_full_disk_is_told_with_the_file_and_the_record_before_stays(tmp_path):
    record = Record(tmp_path, Config(), Path("dataset"), "f", 5)
    record.metrics([ROW])
    record.event(ROW)
    with room(100), pytest.raises(OSError, match=r"File too large; .* are needed, .* are free") as full:
        record.metrics([ROW, ROW])
    assert full.value.filename == str(tmp_path / "metrics.parquet")
    assert pl.read_parquet(tmp_path / "metrics.parquet").height == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "events", "metrics.parquet"]
    with room(100), pytest.raises(OSError, match="File too large") as full:
        record.event(ROW)
    assert full.value.filename == str(tmp_path / "events")


def test_events_have_the_finite_values(tmp_path):
    record = Record(tmp_path, Config(), Path("dataset"), "f", 5)
    record.event(ROW)
    record.close()
    (file,) = (tmp_path / "events").iterdir()
    assert ".tfevents." in file.name
    told = [(e.step, v.tag, v.simple_value) for e in read_events(file) for v in e.summary.value]
    assert told == [(15, "training_loss", 2.5), (15, "seconds", 3.0)]
