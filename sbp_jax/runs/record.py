"""What a training leaves beside its checkpoints: config.json, metrics.parquet, TensorBoard events, diverged.json."""

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
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sbp_jax.atomic import atomic_write, disk_full
from sbp_jax.config import Config
from sbp_jax.runs import provenance
from sbp_jax.runs.config_file import CONFIG, Saved, metrics_of, read_starts, to_json
from sbp_jax.training.diverged import DivergedError
from sbp_jax.training.early_stopping import Row

DIVERGED = "diverged.json"
VERSIONS = ("sbp_jax", "jax", "flax", "optax", "orbax-checkpoint", "numpy")
_EVENT_BYTES = 2**10  # of an epoch, about


def start(step: int) -> dict[str, Any]:
    """When, by which command, commit and versions, and on what a call goes on with a training from `step`."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.orig_argv),
        "commit": provenance.commit(),
        "machine": provenance.place(),
        "versions": {name: version(name) for name in VERSIONS},
        "step": step,
    }


class Record:
    """Writer of a run's folder.

    Its config.json lists every call that trained the run under `starts`, the first one's values first: one that went on
    under other versions, on another commit or machine is told by its own entry.

    Args:
        folder: the run's; made when missing.
        config: its configuration.
        dataset: folder of the prepared plays.
        fingerprint: of the prepared plays.
        num_static: static features per play.
        integer: the outcomes are integers.
        plays: plays of an epoch, where its seconds are its own; None leaves plays per second out.
        step: where the training goes on; None: it is done, and this call is none that trained it.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        dataset: Path,
        fingerprint: str,
        num_static: int,
        integer: bool = True,
        plays: int | None = None,
        step: int | None = 0,
    ):
        self.folder, self.plays = folder, plays
        folder.mkdir(parents=True, exist_ok=True)
        self.starts = list(read_starts(folder))
        if step is not None:
            self.starts.append(start(step))
        saved = Saved(folder, config, dataset.absolute(), fingerprint, num_static, integer, plays, tuple(self.starts))
        self._write(CONFIG, to_json(saved))
        (folder / DIVERGED).unlink(missing_ok=True)  # of a call before this one
        events = folder / "events"
        events.mkdir(exist_ok=True)
        if step == 0:  # what lies there is of a training whose checkpoints are gone
            for file in events.iterdir():
                file.unlink()
        self._told = {(event.step, value.tag) for event in self._events_there() for value in event.summary.value}
        self._events: Any = None  # the open writer: a call with nothing to tell leaves no file

    def metrics(self, history: list[Row]) -> None:
        """Write the history so far: metrics.parquet, and as events those of its rows that none tells yet.

        A call that was killed after a checkpoint has not told its last epoch; one that went back to an older checkpoint
        comes to epochs again that are told: each is one point of a curve.

        Raises:
            OSError: the disk is full; the line has the room that is needed.
        """
        content = io.BytesIO()
        metrics_of(history, self.starts, self.plays).write_parquet(content)
        self._write("metrics.parquet", content.getvalue())
        with self._room("events", _EVENT_BYTES):
            self._tell(history)

    def diverged(self, error: DivergedError) -> None:
        """Write at which step a training went wrong, and all plays of its batch; OSError as `metrics`."""
        content = json.dumps({"step": error.step, "what": error.what, "plays": error.names}, indent=1) + "\n"
        self._write(DIVERGED, content.encode())

    def close(self) -> None:
        """Close the events."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def _tell(self, history: list[Row]) -> None:
        if not _has_tensorboard():
            return
        from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] made when imported
        from tensorboardX.summary import scalar

        for row in history:
            for name, value in row.items():
                key = int(row["step"]), name
                if name in ("epoch", "step") or not math.isfinite(value) or key in self._told:
                    continue
                self._events = self._events or self._open()
                self._events.write_event(Event(step=key[0], wall_time=time.time(), summary=scalar(name, value)))
                self._told.add(key)
        if self._events is not None:
            self._events.flush()

    def _open(self) -> Any:
        # A file of its own, told from those of the same second and process number, as calls in containers have. It is
        # written by this thread: one of its own could not tell that the disk is full.
        from tensorboardX.event_file_writer import EventsWriter

        folder = self.folder / "events"
        return EventsWriter(str(folder / "events"), f".{os.getpid()}.{len(list(folder.iterdir()))}")

    def _events_there(self) -> Iterator[Any]:
        if not _has_tensorboard():
            return
        for file in sorted((self.folder / "events").iterdir()):
            yield from read_events(file)

    def _write(self, name: str, content: bytes) -> None:
        with self._room(name, len(content)):
            atomic_write(self.folder / name, content)

    @contextmanager
    def _room(self, name: str, needed: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = disk_full(error, self.folder / name, needed, "the newest checkpoint is good")
            if full is None:
                raise
            raise full from error


@cache
def _has_tensorboard() -> bool:
    if find_spec("tensorboardX") is not None:
        return True
    print("note: no TensorBoard events are written: pip install 'sbp_jax[report]'", file=sys.stderr)
    return False


def read_events(file: Path) -> Iterator[Any]:
    """The scalars of a TensorBoard file, up to what a killed process left unfinished or something damaged."""
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] made when imported

    content, at = file.read_bytes(), 0
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 8], "little")
        if at + length + 16 > len(content):
            return
        try:
            event = Event.FromString(content[at + 12 : at + 12 + length])
        except ValueError:  # the decoder's own error is one
            return
        if event.HasField("summary"):
            yield event
        at += length + 16
