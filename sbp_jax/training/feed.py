"""How the plays of an epoch reach the compiled step: batches from the host, or a scan over a split on the device."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.batches.epochs import Epochs, Mirror, Order
from sbp_jax.training.resident import to_device
from sbp_jax.training.step import Metrics, State, Trainer, arrays

STEPS_TOGETHER = 50  # progress is told after so many


@runtime_checkable
class Feed(Protocol):
    """The plays of a training, epoch by epoch, in an `Order` that two feeds may share."""

    @property
    def order(self) -> Order:
        """It knows the number of steps and the padding."""
        ...

    def run(self, trainer: Trainer, state: State, epoch: int, start: int) -> Iterator[tuple[State, Metrics]]:
        """Take the steps of an epoch from number `start` on, one or several at a time; the given state is donated.

        Yields the state after them and the metrics of each, `[steps]`, not waited for.
        """
        ...


class HostFeed:
    """Batches made on the host, whatever holds the plays; a step a batch."""

    def __init__(self, epochs: Epochs):
        self.order = self._epochs = epochs

    def run(self, trainer: Trainer, state: State, epoch: int, start: int) -> Iterator[tuple[State, Metrics]]:
        """As `Feed.run`, a step at a time."""
        for batch in self._epochs.epoch(epoch, start):
            state, metrics = trainer.step(state, trainer.place(arrays(batch)))
            yield state, {name: value[None] for name, value in metrics.items()}


class Schedule:
    """Where on the device the plays of each step are, as `scan.scan_steps` takes it.

    Args:
        plays: the split that is on the device.
        batch_size, seed, shuffle: of the `Order` that the steps follow.
        mirror: with it, half of the plays are reflected, drawn anew in every epoch.
    """

    def __init__(
        self, plays: Arrays, batch_size: int, seed: int = 0, mirror: Mirror | None = None, shuffle: bool = True
    ):
        self.order = Order(plays.lengths, batch_size, plays.buckets, seed, shuffle)
        filled = np.unique(plays.bucket)  # buckets without plays are not on the device
        self._home = np.searchsorted(filled, plays.bucket).astype(np.int32)
        self._row = plays.row.astype(np.int32)
        self._frames = tuple(plays.buckets[b] for b in filled)
        self._mirror = mirror

    def epoch(self, epoch: int) -> dict[str, np.ndarray]:
        """Each step's bucket, and of each of its rows the play's bucket, row, and how it is reflected."""
        plan, reflected = self.order.plan(epoch), self.order.reflected(epoch)
        index = np.full((len(plan), self.order.batch_size), -1, np.int64)
        for row, (_, plays) in zip(index, plan, strict=True):
            row[: len(plays)] = plays
        valid, index = index >= 0, np.maximum(index, 0)
        order = {"bucket": np.array([self._frames.index(frames) for frames, _ in plan], np.int32)}
        order |= {"valid": valid, "home": self._home[index], "row": self._row[index]}
        if self._mirror is not None:
            order |= {"reflected": reflected[index], "slots": self._mirror.slots[index].astype(np.int8)}
        return order

    def part(self, order: dict[str, np.ndarray], start: int, count: int) -> dict[str, np.ndarray]:
        """`count` steps of an epoch from number `start` on; those beyond its end are in a bucket that there is not."""
        rows = np.arange(start, start + count)
        part = {name: np.take(values, rows, axis=0, mode="clip") for name, values in order.items()}
        part["bucket"] = np.where(rows < len(order["bucket"]), part["bucket"], len(self._frames)).astype(np.int32)
        return part


class ResidentFeed:
    """A split on the device; steps are a compiled scan over it, which takes the host nothing but an order of plays.

    One program serves all buckets and epochs: the step is compiled once a bucket, as a branch of the scan's body.

    Args:
        plays: the split; put on the device here (see `to_device`).
        batch_size, seed, mirror: as for `Schedule`.
        steps: most steps of one call, between which progress is told and checkpoints are written.
        device: as for `to_device`.
    """

    def __init__(
        self,
        plays: Arrays,
        batch_size: int,
        seed: int = 0,
        mirror: Mirror | None = None,
        steps: int = STEPS_TOGETHER,
        device: Any = None,
    ):
        self._schedule = Schedule(plays, batch_size, seed, mirror)
        self.order = self._schedule.order
        self.resident = to_device(plays, device=device)
        self._signs = None if mirror is None else jax.device_put(mirror.signs, device)
        self._steps = min(steps, len(self.order))

    def run(self, trainer: Trainer, state: State, epoch: int, start: int) -> Iterator[tuple[State, Metrics]]:
        """As `Feed.run`, up to `steps` at a time."""
        order = self._schedule.epoch(epoch)
        while start < len(self.order):
            # every call has the same shape
            part = self._schedule.part(order, start, self._steps)
            stop = min(start + self._steps, len(self.order))
            state, metrics = trainer.scan(state, self.resident, trainer.place(part), self._signs)
            yield state, {name: values[: stop - start] for name, values in metrics.items()}
            start = stop
