"""What a training leaves beside its checkpoints: config.json, metrics.parquet, TensorBoard events."""

import dataclasses
import io
import json
import math
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] made when imported
from tensorboardX.summary import scalar

from experiments import machine
from sbp_jax.config import Config
from sbp_jax.data.whole import write_whole
from sbp_jax.training.fit import Row
from sbp_jax.training.room import no_room

DIVERGED = "diverged.json"
_EVENT_BYTES = 2**10  # of an epoch, about


VERSIONS = ("sbp_jax", "jax", "flax", "optax", "orbax-checkpoint", "numpy")


def _start() -> dict[str, Any]:
    """When, by which command, commit and versions, and on what a call of the training began."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.orig_argv),
        "commit": machine.commit(),
        "device": machine.device(),
        "versions": {name: version(name) for name in VERSIONS},
    }


def _starts(file: Path) -> list[Any]:
    """Those of earlier calls."""
    try:
        return list(json.loads(file.read_text())["starts"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


class Record:
    """Writer of a run's folder.

    Its config.json lists every call that trained the run, with its commit and versions, under "starts".

    Args:
        folder: the run's; made when missing.
        config: its configuration.
        dataset: folder of the prepared plays.
        fingerprint: of the prepared plays.
        num_static: static features a play.
        whole: the outcomes are whole numbers, and judged so.
    """

    def __init__(
        self, folder: Path, config: Config, dataset: Path, fingerprint: str, num_static: int, whole: bool = True
    ):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "config": dataclasses.asdict(config),
            "dataset": str(dataset.absolute()),
            "fingerprint": fingerprint,
            "num_static": num_static,
            "whole": whole,
            "starts": [*_starts(folder / "config.json"), _start()],
        }
        self._write("config.json", (json.dumps(content, indent=2) + "\n").encode())
        (folder / DIVERGED).unlink(missing_ok=True)  # of a call before this one
        (folder / "events").mkdir(exist_ok=True)
        # Written by this thread: one of its own could not tell that the disk is full. A name for each process.
        with self._room("events", _EVENT_BYTES):
            self._events = EventsWriter(str(folder / "events" / "events"), f".{os.getpid()}")
            self._events.flush()

    def metrics(self, history: list[Row]) -> None:
        """Write the history so far; OSError where the disk is full."""
        content = io.BytesIO()
        pl.DataFrame(history).write_parquet(content)
        self._write("metrics.parquet", content.getvalue())

    def event(self, row: Row) -> None:
        """Write a row of the history as TensorBoard events; OSError where the disk is full."""
        with self._room("events", _EVENT_BYTES):
            for name, value in row.items():
                if name not in ("epoch", "step") and math.isfinite(value):
                    event = Event(step=int(row["step"]), wall_time=time.time(), summary=scalar(name, value))
                    self._events.write_event(event)
            self._events.flush()

    def diverged(self, step: int, what: str, plays: list[str]) -> None:
        """Write at which step a training went wrong, and all plays of its batch; OSError where the disk is full."""
        content = json.dumps({"step": step, "what": what, "plays": plays}, indent=1) + "\n"
        self._write(DIVERGED, content.encode())

    def close(self) -> None:
        """Close the events."""
        self._events.close()

    def _write(self, name: str, content: bytes) -> None:
        with self._room(name, len(content)):
            write_whole(self.folder / name, content)

    @contextmanager
    def _room(self, name: str, needed: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = no_room(error, self.folder / name, needed, "the newest checkpoint is good")
            if full is None:
                raise
            raise full from error
