"""How the plays of an epoch reach the compiled step: batches from the host, or a scan over a split on the device."""

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

STEPS_PER_CALL = 50  # progress is told after so many
WINDOW_BYTES = 2**23  # of the plays that host batches hand to the device at once


@runtime_checkable
class BatchSource(Protocol):
    """The plays of a training, epoch by epoch, in the batches of a `BatchSampler` that two sources may share."""

    @property
    def sampler(self) -> BatchSampler:
        """It knows the number of steps and the padding."""
        ...

    def run(self, trainer: Trainer, state: State, epoch: int, start: int) -> Iterator[tuple[State, Metrics]]:
        """Take the steps of an epoch from number `start` on, one or several at a time; the given state is donated.

        Yields the state after them and the metrics of each, `[steps]`, not waited for.
        """
        ...


class HostBatchSource:
    """Batches made on the host, whatever holds the plays; a step a batch."""

    def __init__(self, epochs: Epochs):
        self.sampler = self._epochs = epochs

    def run(self, trainer: Trainer, state: State, epoch: int, start: int) -> Iterator[tuple[State, Metrics]]:
        """As `BatchSource.run`, a step at a time."""
        for batch in self._epochs.epoch(epoch, start):
            state, metrics = trainer.step(state, trainer.place(arrays(batch)))
            yield state, {name: value[None] for name, value in metrics.items()}


class DeviceIndexPlan:
    """Where on the device the plays of each step are, as `scan.scan_steps` takes it.

    Args:
        plays: the split that is on the device.
        batch_size, seed, shuffle: of the `BatchSampler` that the steps follow.
        mirror: with it, half of the plays are reflected, drawn anew in every epoch.
    """

    def __init__(
        self, plays: Arrays, batch_size: int, seed: int = 0, mirror: Mirror | None = None, shuffle: bool = True
    ):
        self.sampler = BatchSampler(plays.lengths, batch_size, plays.buckets, seed, shuffle)
        filled = np.unique(plays.bucket)  # buckets without plays are not on the device
        self._home = np.searchsorted(filled, plays.bucket).astype(np.int32)
        self._row = plays.row.astype(np.int32)
        self._frames = tuple(plays.buckets[b] for b in filled)
        self._mirror = mirror

    def epoch(self, epoch: int) -> dict[str, np.ndarray]:
        """Each step's bucket, and of each of its rows the play's bucket, row, and how it is reflected."""
        plan, reflected = self.sampler.plan(epoch), self.sampler.reflected(epoch)
        index = np.full((len(plan), self.sampler.batch_size), -1, np.int64)
        for row, (_, plays) in zip(index, plan, strict=True):
            row[: len(plays)] = plays
        valid, index = index >= 0, np.maximum(index, 0)
        order = {"bucket": np.array([self._frames.index(frames) for frames, _ in plan], np.int32)}
        order |= {"valid": valid, "home": self._home[index], "row": self._row[index]}
        if self._mirror is not None:
            # a row that fills a batch up is not reflected: it holds no play
            order |= {"reflected": reflected[index] & valid, "slots": self._mirror.slots[index].astype(np.int8)}
        return order

    def part(self, order: dict[str, np.ndarray], start: int, count: int) -> dict[str, np.ndarray]:
        """`count` steps of an epoch from number `start` on; those beyond its end are in a bucket that there is not."""
        rows = np.arange(start, start + count)
        part = {name: np.take(values, rows, axis=0, mode="clip") for name, values in order.items()}
        part["bucket"] = np.where(rows < len(order["bucket"]), part["bucket"], len(self._frames)).astype(np.int32)
        return part


class ResidentBatchSource:
    """A split on the device; steps are a compiled scan over it, which takes the host nothing but an order of plays.

    One program serves all buckets and epochs: the step is compiled once a bucket, as a branch of the scan's body.

    Args:
        plays: the split; put on the device here (see `to_device`).
        batch_size, seed, mirror: as for `DeviceIndexPlan`.
        steps: most steps of one call, between which progress is told and checkpoints are written.
        device: as for `to_device`.
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
        """As `BatchSource.run`, up to `steps` at a time."""
        order = self._index_plan.epoch(epoch)
        while start < len(self.sampler):
            # every call has the same shape
            part = self._index_plan.part(order, start, self._steps)
            stop = min(start + self._steps, len(self.sampler))
            state, metrics = trainer.scan(state, self.resident, trainer.place(part), self._signs)
            yield state, {name: values[: stop - start] for name, values in metrics.items()}
            start = stop


class WindowBatchSource:
    """Batches made on the host, whatever holds the plays: the scan of `ResidentBatchSource` over a few steps at a time.

    The program and the shapes of its arguments depend on the batches alone: whatever holds the plays, the steps are the
    same to the last bit. On the host are three windows at most (one that is computed, one that waits, one that is
    filled), and as many copies on a CPU, whose device memory is the host's.

    Args:
        epochs: the batches, none of them reflected.
        signs: factor of each feature of a reflected player; with them half of the plays are reflected, drawn again in
            every epoch. None reflects none.
        steps: most steps of one call.
        limit_bytes: of a window; two steps are taken together even where they are more.
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
        """As `BatchSource.run`, a window at a time."""
        for window, part, count in self.windows(epoch, start):
            state, metrics = trainer.scan(state, *(trainer.place(each) for each in (window, part, self._signs)))
            yield state, {name: values[:count] for name, values in metrics.items()}

    def windows(self, epoch: int, start: int = 0) -> Iterator[tuple[Resident, dict[str, np.ndarray], int]]:
        """Yield plays of a few steps, the plan by which `scan_steps` takes them, and the number of steps."""
        reflected = self.sampler.reflected(epoch)
        window = None
        for batch in self._epochs.epoch(epoch, start):
            if window is None:
                window = _Window(batch, self._frames, self._together(batch), self._signs is not None)
            window.add(batch, reflected)
            if window.count == window.steps:
                yield window.plays, window.plan, window.count
                window = None
        if window is not None:
            yield window.plays, window.plan, window.count

    def _together(self, batch: Batch) -> int:
        frame = sum(getattr(batch, name)[0, 0].nbytes for name in FRAME_FIELDS)
        step = self.sampler.batch_size * frame * int(self._frames.sum())
        # a loop of one turn would be compiled otherwise
        return max(2, min(self._steps, self._limit_bytes // step))


class _Window:
    """The plays of a few steps by bucket, as `Resident` has a split, with room for every play in any bucket."""

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
                own = (length, *values.shape[2:]) if name in FRAME_FIELDS else values.shape[1:]
                bucket[name] = np.zeros((steps * size, *own), values.dtype)
            self._buckets.append(bucket | {"index": np.zeros(steps * size, np.int32)})
        shape = steps, size
        self.plan = {"bucket": np.full(steps, len(frames), np.int32), "valid": np.zeros(shape, bool)}
        self.plan |= {"home": np.zeros(shape, np.int32), "row": np.zeros(shape, np.int32)}
        if mirrored:
            slots = np.zeros((*shape, batch.players.shape[2]), np.int8)
            self.plan |= {"reflected": np.zeros(shape, bool), "slots": slots}

    @property
    def plays(self) -> Resident:
        return Resident(tuple(self._buckets))

    def add(self, batch: Batch, reflected: np.ndarray) -> None:
        """Add a batch as the next step; `reflected` is of all plays of the split."""
        plan, k = self.plan, self.count
        plan["bucket"][k] = np.searchsorted(self._frames, batch.x.shape[1])
        plan["valid"][k] = batch.valid
        home = np.searchsorted(self._frames, batch.mask.sum(axis=1))
        for b in np.unique(home[batch.valid]).tolist():
            rows = np.flatnonzero((home == b) & batch.valid)
            begin, end = self._used[b], self._used[b] + len(rows)
            for name, values in self._buckets[b].items():
                own = getattr(batch, name)[rows]
                values[begin:end] = own[:, : self._frames[b]] if name in FRAME_FIELDS else own
            plan["home"][k, rows], plan["row"][k, rows] = b, np.arange(begin, end)
            self._used[b] = end
        if "slots" in plan:
            plan["reflected"][k] = reflected[np.maximum(batch.index, 0)] & batch.valid
            plan["slots"][k] = mirror_of_slots(np.asarray(batch.players.any(axis=1))).slots
        self.count += 1
