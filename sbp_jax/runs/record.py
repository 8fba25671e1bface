"""Write the files of a run next to its checkpoints: config.json, metrics.parquet, TensorBoard events, diverged.json."""

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
_EVENT_BYTES = 2**10  # approximate size of the events of an epoch


def start(step: int) -> dict[str, Any]:
    """Return the entry of a call that trains from `step`: date, command, commit, machine and versions."""
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

    In config.json, `starts` lists every call that trained the run, in order, so that a call with other versions, at
    another commit or on another machine is on record.

    Args:
        folder: the run's folder, created if missing.
        config: the run's configuration.
        dataset: folder of the prepared plays.
        fingerprint: fingerprint of the prepared plays.
        num_static: number of static features per play.
        integer: whether the outcomes are integers.
        plays: number of plays per epoch, if the seconds of an epoch are for this run alone; None leaves out plays per
            second.
        step: step that training starts or resumes from; None if it is done, so that this call does not train.
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
        (folder / DIVERGED).unlink(missing_ok=True)  # from an earlier call
        events = folder / "events"
        events.mkdir(exist_ok=True)
        if step == 0:  # existing events belong to a training run whose checkpoints are gone
            for file in events.iterdir():
                file.unlink()
        self._written = {(event.step, value.tag) for event in self._existing_events() for value in event.summary.value}
        self._events: Any = None  # the open writer, created at the first event, so that there are no empty files

    def metrics(self, history: list[Row]) -> None:
        """Write the history so far to metrics.parquet, and those of its rows that have no events yet as events.

        A call killed after a checkpoint has not written the events of its last epoch, and a call that resumed from an
        older checkpoint repeats epochs. Each epoch is one point of a curve in both cases.

        Raises:
            OSError: the disk is full; the message has the space needed.
        """
        content = io.BytesIO()
        metrics_of(history, self.starts, self.plays).write_parquet(content)
        self._write("metrics.parquet", content.getvalue())
        with self._disk_full_errors("events", _EVENT_BYTES):
            self._write_events(history)

    def diverged(self, error: DivergedError) -> None:
        """Write the step at which training diverged and the plays of its batch; raise OSError as `metrics` does."""
        content = json.dumps({"step": error.step, "what": error.what, "plays": error.names}, indent=1) + "\n"
        self._write(DIVERGED, content.encode())

    def close(self) -> None:
        """Close the event file."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def _write_events(self, history: list[Row]) -> None:
        if not _has_tensorboard():
            return
        from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] made when imported
        from tensorboardX.summary import scalar

        for row in history:
            for name, value in row.items():
                key = int(row["step"]), name
                if name in ("epoch", "step") or not math.isfinite(value) or key in self._written:
                    continue
                self._events = self._events or self._open()
                self._events.write_event(Event(step=key[0], wall_time=time.time(), summary=scalar(name, value)))
                self._written.add(key)
        if self._events is not None:
            self._events.flush()

    def _open(self) -> Any:
        # A new file, whose suffix distinguishes it from files of the same second and process number, which calls in
        # containers may share. This thread writes it, because a writer thread could not report a full disk.
        from tensorboardX.event_file_writer import EventsWriter

        folder = self.folder / "events"
        return EventsWriter(str(folder / "events"), f".{os.getpid()}.{len(list(folder.iterdir()))}")

    def _existing_events(self) -> Iterator[Any]:
        if not _has_tensorboard():
            return
        for file in sorted((self.folder / "events").iterdir()):
            yield from read_events(file)

    def _write(self, name: str, content: bytes) -> None:
        with self._disk_full_errors(name, len(content)):
            atomic_write(self.folder / name, content)

    @contextmanager
    def _disk_full_errors(self, name: str, num_bytes: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = disk_full(error, self.folder / name, num_bytes, "the newest checkpoint is good")
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
    """Yield the scalar events of a TensorBoard file, up to the first unfinished or damaged event."""
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] made when imported

    content, position = file.read_bytes(), 0
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 8], "little")
        if position + length + 16 > len(content):
            return
        try:
            event = Event.FromString(content[position + 12 : position + 12 + length])
        except ValueError:  # includes the decoder's own error
            return
        if event.HasField("summary"):
            yield event
        position += length + 16
