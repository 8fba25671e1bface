"""A run's record on a full disk: the error is one line that names the file."""

import resource
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from sbp_jax.config import Config
from sbp_jax.runs.record import Record

ROW = {"epoch": 1, "step": 15, "training_loss": 2.5, "validation_loss": float("nan"), "seconds": 3.0}


@contextmanager
def room(size):
    """Limit the size of files: beyond it the kernel refuses to write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_reported_with_the_file_and_the_earlier_record_stays(tmp_path, monkeypatch):
    record = Record(tmp_path, Config(), Path("dataset"), "f", 5)
    record.metrics([ROW])
    with room(100), pytest.raises(OSError, match=r"File too large; .* are needed, .* are free") as full:
        record.metrics([ROW, ROW])
    assert full.value.filename == str(tmp_path / "metrics.parquet")
    assert pl.read_parquet(tmp_path / "metrics.parquet").height == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "events", "metrics.parquet"]
    monkeypatch.setattr(
        record, "_write", lambda name, content: None
    )  # the parquet file fits on the disk, the events do not
    with room(100), pytest.raises(OSError, match="File too large") as full:
        record.metrics([ROW, ROW | {"step": 30}])
    assert full.value.filename == str(tmp_path / "events")
