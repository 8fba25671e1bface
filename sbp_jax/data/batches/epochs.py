"""Order of batches for any storage of plays: fixed by seed and epoch, resumable anywhere; needs NumPy alone."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sbp_jax.data.batches.buckets import fit_buckets
from sbp_jax.data.batches.fields import Batch
from sbp_jax.errors import InputError


@dataclass(frozen=True, eq=False)
class Mirror:
    """Reflection of plays; `sbp_jax.data.batches.symmetry` builds it.

    Args:
        slots: int `[N, 22]`, the source slot of each slot's player.
        signs: float32 `[F]`, factor of each feature of a player.
    """

    slots: np.ndarray
    signs: np.ndarray


class BatchSampler:
    """Assignment of plays to batches: one size, a few lengths, fixed by the plays' lengths and `(seed, epoch)`.

    A play goes to the shortest bucket that fits it. Plays that do not fill a batch of their bucket move to the next
    longer one, so that an epoch has at most one batch that is not full. Plays longer than the longest bucket get their
    own bucket, appended at the next multiple of 8 frames: no frame is ever dropped.

    Args:
        lengths: int64 `[N]`, number of frames of each play; at least one play.
        batch_size: rows of every batch.
        buckets: increasing lengths in frames; None chooses a few with the least padding (`buckets.choose_buckets`).
        seed: determines the order, together with the epoch's number.
        shuffle: False keeps the order of the plays within a bucket, shorter buckets first, in every epoch.
        drop_remainder: True leaves out the one batch that is not full.

    Raises:
        InputError: there are no plays, the batch size is below 1, the buckets do not increase, or there are fewer plays
            than one full batch with `drop_remainder`.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        buckets: tuple[int, ...] | None = None,
        seed: int = 0,
        shuffle: bool = True,
        drop_remainder: bool = False,
    ) -> None:
        if len(lengths) == 0:
            raise InputError("plays: expected at least one play, got none")
        if batch_size < 1:
            raise InputError(f"batch_size: expected at least 1, got {batch_size}")
        if drop_remainder and len(lengths) < batch_size:
            raise InputError(
                f"batch_size: {batch_size} exceeds the {len(lengths)} plays, and drop_remainder leaves none"
            )
        self.lengths = lengths
        self.batch_size = batch_size
        self.buckets = fit_buckets(buckets, lengths, batch_size)
        self.seed = seed
        self.shuffle = shuffle
        self.drop_remainder = drop_remainder
        self._bucket = np.searchsorted(np.asarray(self.buckets), lengths)
        self._shapes = [length for length, _ in self.plan(0)]

    def __len__(self) -> int:
        """Return the number of batches of one epoch, the same in every epoch."""
        return len(self._shapes)

    @property
    def shapes(self) -> tuple[int, ...]:
        """Distinct batch lengths in frames; a step is compiled once for each."""
        return tuple(sorted(set(self._shapes)))

    @property
    def filled(self) -> tuple[int, ...]:
        """Buckets that have plays of their own, in frames."""
        return tuple(self.buckets[b] for b in np.unique(self._bucket))

    def position(self, step: int) -> tuple[int, int]:
        """Return `(epoch, batch)` of the batch that step number `step` (from 0) uses."""
        return divmod(step, len(self))

    def waste(self, epoch: int = 0) -> float:
        """Return the fraction of an epoch's frames that is padding or belongs to fill-up rows, in [0, 1)."""
        plan = self.plan(epoch)
        frames = sum(int(self.lengths[indices].sum()) for _, indices in plan)
        return 1.0 - frames / sum(self.batch_size * length for length, _ in plan)

    def reflected(self, epoch: int) -> np.ndarray:
        """Return which plays an epoch reflects if there is a mirror, bool `[N]`."""
        return np.random.default_rng([self.seed, epoch, 1]).random(len(self.lengths)) < 0.5

    def plan(self, epoch: int) -> list[tuple[int, np.ndarray]]:
        """Return each batch of an epoch as its length in frames and the positions of its plays, int64 `[at most B]`."""
        random = np.random.default_rng([self.seed, epoch])
        occupied = np.unique(self._bucket)
        plan: list[tuple[int, np.ndarray]] = []
        remainder = np.empty(0, np.int64)
        for bucket in occupied:
            members = np.concatenate([remainder, np.flatnonzero(self._bucket == bucket)])
            if self.shuffle:
                members = random.permutation(members)
            last = bucket == occupied[-1] and not self.drop_remainder
            end = len(members) if last else len(members) // self.batch_size * self.batch_size
            starts = range(0, end, self.batch_size)
            plan += [(self.buckets[bucket], members[begin : begin + self.batch_size]) for begin in starts]
            remainder = members[end:]
        if self.shuffle:
            plan = [plan[i] for i in random.permutation(len(plan))]
        return plan


class Epochs(BatchSampler, ABC):
    """Batches in the order of a `BatchSampler`, whose arguments it shares.

    The same arguments give the same batches for every storage: plays in memory (`batching.Batches`), padded arrays, in
    memory or mapped from files (`arrays.ArrayBatches`), records on disk (`stream.StreamedBatches`).
    """

    def __iter__(self) -> Iterator[Batch]:
        """Yield epoch 0; a training loop calls `epoch(number)`."""
        return self.epoch(0)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number `start`; the same arguments give the same batches."""
        reflected = self.reflected(epoch)
        for length, indices in self.plan(epoch)[start:]:
            yield self._assemble(length, indices, reflected)

    @abstractmethod
    def _assemble(self, length: int, indices: np.ndarray, reflected: np.ndarray) -> Batch:
        """The batch of the plays at `indices`, padded to `length` frames and filled up to the batch size."""
