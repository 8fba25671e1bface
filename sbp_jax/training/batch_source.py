"""Batch sources, which feed the plays of an epoch to the compiled step: batches from the host, or a device scan."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.batches.epochs import BatchSampler, Epochs, Mirror
from sbp_jax.data.batches.fields import FRAME_FIELDS, PLAY_FIELDS, Batch
from sbp_jax.data.batches.symmetry import mirror_of_slots
from sbp_jax.training.resident import Resident, to_device
from sbp_jax.training.step import Metrics, State, Trainer, arrays

STEPS_PER_CALL = 50  # maximum number of steps between progress reports
WINDOW_BYTES = 2**23  # maximum size of the plays that are copied to the device at once


@runtime_checkable
class BatchSource(Protocol):
    """The plays of a training run, epoch by epoch, in the batches of a `BatchSampler`; sources may share a sampler."""

    @property
    def sampler(self) -> BatchSampler:
        """The batch sampler, which determines the number of steps and the padding."""
        ...

    def run(self, trainer: Trainer, state: State, epoch: int, start: int) -> Iterator[tuple[State, Metrics]]:
        """Take the steps of an epoch from step `start` on, one or several at a time; the given state is donated.

        Yields:
            The state after these steps and the metrics of each step, `[steps]`, without waiting for their values.
        """
        ...


class HostBatchSource:
    """Batches made on the host from any storage; each batch is one step."""

    def __init__(self, epochs: Epochs):
        self.sampler = self._epochs = epochs

    def run(self, trainer: Trainer, state: State, epoch: int, start: int) -> Iterator[tuple[State, Metrics]]:
        """Take one step at a time; see `BatchSource.run`."""
        for batch in self._epochs.epoch(epoch, start):
            state, metrics = trainer.step(state, trainer.place(arrays(batch)))
            yield state, {name: value[None] for name, value in metrics.items()}


class DeviceIndexPlan:
    """Where the plays of each step are on the device, in the form that `scan.scan_steps` takes.

    Args:
        plays: the split that is on the device.
        batch_size, seed, shuffle: arguments of the `BatchSampler` that the steps follow.
        mirror: reflection of a random half of the plays, drawn again in every epoch; if None, no play is reflected.
    """

    def __init__(
        self, plays: Arrays, batch_size: int, seed: int = 0, mirror: Mirror | None = None, shuffle: bool = True
    ):
        self.sampler = BatchSampler(plays.lengths, batch_size, plays.buckets, seed, shuffle)
        occupied = np.unique(plays.bucket)  # buckets without plays are not on the device
        self._home = np.searchsorted(occupied, plays.bucket).astype(np.int32)
        self._row = plays.row.astype(np.int32)
        self._frames = tuple(plays.buckets[b] for b in occupied)
        self._mirror = mirror

    def epoch(self, epoch: int) -> dict[str, np.ndarray]:
        """Return the bucket of each step and, for each of its rows, the play's bucket, row and reflection."""
        batches, reflected = self.sampler.plan(epoch), self.sampler.reflected(epoch)
        index = np.full((len(batches), self.sampler.batch_size), -1, np.int64)
        for row, (_, plays) in zip(index, batches, strict=True):
            row[: len(plays)] = plays
        valid, index = index >= 0, np.maximum(index, 0)
        plan = {"bucket": np.array([self._frames.index(frames) for frames, _ in batches], np.int32)}
        plan |= {"valid": valid, "home": self._home[index], "row": self._row[index]}
        if self._mirror is not None:
            # padding rows have no play to reflect
            plan |= {"reflected": reflected[index] & valid, "slots": self._mirror.slots[index].astype(np.int8)}
        return plan

    def part(self, plan: dict[str, np.ndarray], start: int, count: int) -> dict[str, np.ndarray]:
        """Return `count` steps of an epoch from step `start`; steps past its end get a bucket that does not exist."""
        rows = np.arange(start, start + count)
        part = {name: np.take(values, rows, axis=0, mode="clip") for name, values in plan.items()}
        part["bucket"] = np.where(rows < len(plan["bucket"]), part["bucket"], len(self._frames)).astype(np.int32)
        return part


class ResidentBatchSource:
    """A split on the device: a compiled scan over it takes the steps, and the host supplies only the index plan.

    One program serves all buckets and epochs: the step is compiled once per bucket, as a branch of the scan's body.

    Args:
        plays: the split, which is copied to the device (see `to_device`).
        batch_size, seed, mirror: see `DeviceIndexPlan`.
        steps: maximum number of steps per call; progress is reported and checkpoints are written between calls.
        device: see `to_device`.
    """

    def __init__(
        self,
        plays: Arrays,
        batch_size: int,
        seed: int = 0,
        mirror: Mirror | None = None,
        steps: int = STEPS_PER_CALL,
        device: Any = None,
    ):
        self._index_plan = DeviceIndexPlan(plays, batch_size, seed, mirror)
        self.sampler = self._index_plan.sampler
        self.resident = to_device(plays, device=device)
        self._signs = None if mirror is None else jax.device_put(mirror.signs, device)
        self._steps = min(steps, len(self.sampler))

    def run(self, trainer: Trainer, state: State, epoch: int, start: int) -> Iterator[tuple[State, Metrics]]:
        """Take up to `steps` steps at a time; see `BatchSource.run`."""
        plan = self._index_plan.epoch(epoch)
        while start < len(self.sampler):
            # every call has the same shapes
            part = self._index_plan.part(plan, start, self._steps)
            stop = min(start + self._steps, len(self.sampler))
            state, metrics = trainer.scan(state, self.resident, trainer.place(part), self._signs)
            yield state, {name: values[: stop - start] for name, values in metrics.items()}
            start = stop


class WindowBatchSource:
    """Batches made on the host from any storage; the scan of `ResidentBatchSource` runs over a window of a few steps.

    The program and the shapes of its arguments depend on the batches alone, so that the steps are bitwise identical for
    every storage. The host holds at most three windows (one computing, one waiting, one being filled) and, on a CPU,
    whose device memory is the host's, a copy of each.

    Args:
        epochs: the batches, without reflection.
        signs: factor that reflection applies to each feature of a player. A random half of the plays is reflected,
            drawn again in every epoch; if None, no play is.
        steps: maximum number of steps per call.
        limit_bytes: maximum size of a window; a window has at least two steps, even if these exceed it.
    """

    def __init__(
        self,
        epochs: Epochs,
        signs: np.ndarray | None = None,
        steps: int = STEPS_PER_CALL,
        limit_bytes: int = WINDOW_BYTES,
    ):
        self.sampler = self._epochs = epochs
        self._signs = signs
        self._frames = np.asarray(epochs.filled)
        self._steps, self._limit_bytes = min(steps, len(epochs)), limit_bytes

    def run(self, trainer: Trainer, state: State, epoch: int, start: int) -> Iterator[tuple[State, Metrics]]:
        """Take one window of steps at a time; see `BatchSource.run`."""
        for window, part, count in self.windows(epoch, start):
            state, metrics = trainer.scan(state, *(trainer.place(each) for each in (window, part, self._signs)))
            yield state, {name: values[:count] for name, values in metrics.items()}

    def windows(self, epoch: int, start: int = 0) -> Iterator[tuple[Resident, dict[str, np.ndarray], int]]:
        """Yield the plays of a few steps, their index plan for `scan_steps`, and the number of steps."""
        reflected = self.sampler.reflected(epoch)
        window = None
        for batch in self._epochs.epoch(epoch, start):
            if window is None:
                window = _Window(batch, self._frames, self._window_steps(batch), self._signs is not None)
            window.add(batch, reflected)
            if window.count == window.steps:
                yield window.plays, window.plan, window.count
                window = None
        if window is not None:
            yield window.plays, window.plan, window.count

    def _window_steps(self, batch: Batch) -> int:
        frame = sum(getattr(batch, name)[0, 0].nbytes for name in FRAME_FIELDS)
        step = self.sampler.batch_size * frame * int(self._frames.sum())
        # at least two: XLA compiles a loop of one iteration to a different program
        return max(2, min(self._steps, self._limit_bytes // step))


class _Window:
    """The plays of a few steps by bucket, laid out as in `Resident`, with space for every play in any bucket."""

    def __init__(self, batch: Batch, frames: np.ndarray, steps: int, mirrored: bool):
        size = len(batch.valid)
        self.steps, self.count = steps, 0
        self._frames, self._used = frames, [0] * len(frames)
        names = [name for name in (*FRAME_FIELDS, *PLAY_FIELDS) if getattr(batch, name) is not None]
        like = {name: getattr(batch, name) for name in names}
        self._buckets: list[dict[str, np.ndarray]] = []
        for length in frames.tolist():
            bucket = {}
            for name, values in like.items():
                tail = (length, *values.shape[2:]) if name in FRAME_FIELDS else values.shape[1:]
                bucket[name] = np.zeros((steps * size, *tail), values.dtype)
            self._buckets.append(bucket | {"index": np.zeros(steps * size, np.int32)})
        shape = steps, size
        self.plan = {"bucket": np.full(steps, len(frames), np.int32), "valid": np.zeros(shape, bool)}
        self.plan |= {"home": np.zeros(shape, np.int32), "row": np.zeros(shape, np.int32)}
        if mirrored:
            slots = np.zeros((*shape, batch.present.shape[2]), np.int8)
            self.plan |= {"reflected": np.zeros(shape, bool), "slots": slots}

    @property
    def plays(self) -> Resident:
        return Resident(tuple(self._buckets))

    def add(self, batch: Batch, reflected: np.ndarray) -> None:
        """Add a batch as the next step; `reflected` covers all plays of the split."""
        plan, k = self.plan, self.count
        plan["bucket"][k] = np.searchsorted(self._frames, batch.x.shape[1])
        plan["valid"][k] = batch.valid
        home = np.searchsorted(self._frames, batch.mask.sum(axis=1))
        for b in np.unique(home[batch.valid]).tolist():
            rows = np.flatnonzero((home == b) & batch.valid)
            begin, end = self._used[b], self._used[b] + len(rows)
            for name, values in self._buckets[b].items():
                part = getattr(batch, name)[rows]
                values[begin:end] = part[:, : self._frames[b]] if name in FRAME_FIELDS else part
            plan["home"][k, rows], plan["row"][k, rows] = b, np.arange(begin, end)
            self._used[b] = end
        if "slots" in plan:
            plan["reflected"][k] = reflected[np.maximum(batch.index, 0)] & batch.valid
            plan["slots"][k] = mirror_of_slots(np.asarray(batch.present.any(axis=1))).slots
        self.count += 1
