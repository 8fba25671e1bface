"""Helpers of the simulator's tests that read its files."""

import hashlib
from pathlib import Path

import polars as pl

PLAY = ["gameId", "playId"]


def event_frame(tracking: pl.DataFrame, event: str) -> pl.DataFrame:
    """Frame of an event by play."""
    return tracking.filter(pl.col("event") == event).group_by(PLAY).agg(pl.col("frameId").min().alias(event))


def checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
