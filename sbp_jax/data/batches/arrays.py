"""Plays of a split as padded arrays, one per bucket, in memory or mapped from files, and their batches.

A batch is one gather of complete padded plays: nothing is padded, masked or copied a second time. The module depends on
NumPy only.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from sbp_jax.data.batches.batching import check_mirror, gather_columns
from sbp_jax.data.batches.buckets import fit_buckets
from sbp_jax.data.batches.epochs import Epochs, Mirror
from sbp_jax.data.batches.fields import Batch
from sbp_jax.data.plays import (
    COLUMN_TYPES,
    FEATURES,
    IDENTITIES,
    PLAY,
    PLAYERS,
    Sequences,
    Split,
    centered,
    ranges,
    touchdowns,
    units,
)
from sbp_jax.errors import InputError

# (name, shape, dtype) -> array of zeros
Allocate = Callable[[str, tuple[int, ...], type[np.generic]], np.ndarray]


def zeros(name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """Return an array of zeros in memory; ignore the name."""
    return np.zeros(shape, dtype)


@dataclass(frozen=True, eq=False)
class Arrays:
    """Plays of one split, each padded at its end to the shortest bucket that fits it.

    Args:
        buckets: increasing lengths in frames T_b.
        x: float32 `[n_b, T_b, 22 * F]` for each bucket, its plays in the split's order; 0.0 on padding and empty slots.
        present: bool `[n_b, T_b, 22]` for each bucket, True where the slot has a player, False on padding.
        lengths: int64 `[N]`, number of frames of each play, in the split's order, like all arrays below.
        occupied: bool `[N, 22]`, slots that have a player in any frame.
        steady: bool `[N]`, True where the same slots have players in every frame.
        static: float32 `[N, S]`.
        outcome: `[N]`, as in `Sequences`.
        identities: `game_id`, `play_id`, `passer_id`, `passer` as in `Sequences`, each `[N]`.
        info: additional columns, each `[N]`.
        features: names of a player's F features.

    Raises:
        InputError: the shapes of the arrays do not match; the message names the array and both shapes.
    """

    buckets: tuple[int, ...]
    x: tuple[np.ndarray, ...]
    present: tuple[np.ndarray, ...]
    lengths: np.ndarray
    occupied: np.ndarray
    steady: np.ndarray
    static: np.ndarray
    outcome: np.ndarray
    identities: Mapping[str, np.ndarray]
    info: Mapping[str, np.ndarray] = field(default_factory=dict)
    features: tuple[str, ...] = FEATURES

    def __post_init__(self) -> None:
        count = len(self.lengths)
        if self.static.ndim != 2:
            raise InputError(f"static: expected two dimensions (plays, features), got shape {self.static.shape}")
        columns = {"occupied": self.occupied, "steady": self.steady, "static": self.static, "outcome": self.outcome}
        shapes = {name: (array.shape, (count, *array.shape[1:])) for name, array in columns.items()}
        shapes |= {name: (array.shape, (count,)) for name, array in {**self.identities, **self.info}.items()}
        sizes, entities = np.bincount(self.bucket, minlength=len(self.buckets)).tolist(), self.occupied.shape[-1]
        for b, (frames, n) in enumerate(zip(self.buckets, sizes, strict=True)):
            shapes[f"x[{b}]"] = self.x[b].shape, (n, frames, entities * len(self.features))
            shapes[f"present[{b}]"] = self.present[b].shape, (n, frames, entities)
        for name, (shape, expected) in shapes.items():
            if shape != expected:
                raise InputError(f"{name}: expected shape {expected}, got {shape}")

    @classmethod
    def of(cls, plays: Sequences, buckets: tuple[int, ...] | None = None) -> "Arrays":
        """Return the plays padded in memory; without buckets, choose those with the least padding."""
        bucket_lengths = fit_buckets(buckets, plays.lengths) if len(plays) else buckets or ()
        filling = Filling(plays.lengths, bucket_lengths, features=plays.features, entities=plays.present.shape[1])
        for i, (begin, end) in enumerate(zip(plays.offsets[:-1], plays.offsets[1:], strict=True)):
            filling.put(i, plays.frames[begin:end], plays.present[begin:end])
        return filling.arrays({name: getattr(plays, name) for name in ("static", *COLUMN_TYPES)}, plays.info)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def censored(self) -> np.ndarray:
        """See `Sequences.censored`; bool `[N]`."""
        return touchdowns(self.info, len(self))

    @property
    def unit(self) -> np.ndarray | None:
        """See `Sequences.unit`; float32 `[N, 2]` or None."""
        return units(self.info)

    @property
    def centered(self) -> np.ndarray:
        """See `Sequences.centered`; float32 `[N]`."""
        return centered(self.outcome, self.info)

    @property
    def bucket(self) -> np.ndarray:
        """Bucket of each play, int64 `[N]`."""
        return np.searchsorted(np.asarray(self.buckets, np.int64), self.lengths)

    @property
    def row(self) -> np.ndarray:
        """Row of each play in its bucket's arrays, int64 `[N]`."""
        return rows_of(self.bucket)

    @property
    def padding(self) -> float:
        """Fraction of the arrays' frames that is padding, in [0, 1); batches also waste the rows that pad them."""
        frames = sum(x.shape[0] * x.shape[1] for x in self.x)
        return 1.0 - int(self.lengths.sum()) / frames if frames else 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of the padded arrays."""
        return sum(array.nbytes for array in (*self.x, *self.present))

    def plays(self) -> Sequences:
        """Return the plays with their frames concatenated, in memory and without padding; empty slots are 0.0."""
        return self._plays(slice(0, len(self)), self.bucket, self.row)

    def split(self, last: int | None = None) -> Split:
        """Return the plays as a split, whose frames are copied chunk by chunk.

        Args:
            last: number of last frames of each play to use; None uses all.
        """

        def chunks() -> Iterator[Sequences]:
            bucket, row = self.bucket, self.row
            for begin, end in ranges(self.lengths):
                part = self._plays(slice(begin, end), bucket, row)
                yield part if last is None else part.last(last)

        fields = {name: getattr(self, name) for name in ("static", "outcome", "info", "features")}
        fields |= {name: self.identities[name] for name in PLAY}
        lengths = self.lengths if last is None else np.minimum(self.lengths, last)
        return Split(lengths=lengths, **fields, chunks=chunks)

    def _plays(self, part: slice, bucket: np.ndarray, row: np.ndarray) -> Sequences:
        """Return consecutive plays; `bucket` and `row` are those of all plays."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths[part])]).astype(np.int64)
        entities = self.occupied.shape[1]
        frames = np.empty((int(offsets[-1]), entities, len(self.features)), np.float32)
        present = np.empty((int(offsets[-1]), entities), bool)
        places = zip(*(a.tolist() for a in (bucket[part], row[part], offsets[:-1], offsets[1:])), strict=True)
        for home, place, begin, end in places:
            values = self.x[home][place, : end - begin]
            frames[begin:end] = values.reshape(-1, *frames.shape[1:])
            present[begin:end] = self.present[home][place, : end - begin]
        return Sequences(
            frames=frames,
            offsets=offsets,
            present=present,
            static=self.static[part],
            outcome=self.outcome[part],
            info={name: column[part] for name, column in self.info.items()},
            features=self.features,
            **{name: column[part] for name, column in self.identities.items()},
        )


class Filling:
    """Padded arrays that are filled play by play.

    Args:
        lengths: int64 `[N]`, number of frames of each play to come.
        buckets: lengths in frames that fit them all.
        allocate: allocator of the large arrays; in memory by default.
        features: names of a player's F features.
        entities: number of players in a frame.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        buckets: tuple[int, ...],
        allocate: Allocate = zeros,
        features: tuple[str, ...] = FEATURES,
        entities: int = PLAYERS,
    ) -> None:
        self.lengths, self.buckets, self.features = lengths, buckets, features
        self.bucket = np.searchsorted(np.asarray(buckets, np.int64), lengths)
        self.row = rows_of(self.bucket)
        sizes = np.bincount(self.bucket, minlength=len(buckets)).tolist()
        places = list(zip(sizes, buckets, strict=True))
        self.x = tuple(allocate(f"x-{t}", (n, t, entities * len(features)), np.float32) for n, t in places)
        self.present = tuple(allocate(f"present-{t}", (n, t, entities), np.bool_) for n, t in places)
        self.occupied = np.zeros((len(lengths), entities), bool)
        self.steady = np.zeros(len(lengths), bool)

    def put(self, i: int, frames: np.ndarray, present: np.ndarray) -> None:
        """Set play `i`: its frames `[T, 22, F]`, T its length, and the mask of its players `[T, 22]`."""
        bucket, row, length = self.bucket[i], self.row[i], len(frames)
        values = self.x[bucket][row, :length].reshape(*present.shape, len(self.features))  # a view
        values[:] = frames
        self.present[bucket][row, :length] = present
        self.occupied[i] = present.any(axis=0)
        self.steady[i] = np.all(present == self.occupied[i])
        if not present.all():
            values[~present] = 0.0

    def arrays(self, columns: Mapping[str, np.ndarray], info: Mapping[str, np.ndarray]) -> Arrays:
        """Return the arrays once all plays are set; `columns` has `static` and the columns of `plays.COLUMN_TYPES`."""
        padded = (self.buckets, self.x, self.present, self.lengths, self.occupied, self.steady)
        identities = {name: columns[name] for name in IDENTITIES}
        fields = {name: columns[name] for name in columns if name not in identities}
        return Arrays(*padded, **fields, identities=identities, info=info, features=self.features)


class ArrayBatches(Epochs):
    """Batches of padded arrays; see `Epochs` for order and the other arguments.

    Args:
        arrays: the plays; at least one.
        mirror: if given, half of the plays are reflected, drawn again in every epoch.
        buckets: lengths in frames of the batches; None uses the arrays' own, whose rows need a single gather.
        last: number of last frames of each play to use; None uses all.
    """

    def __init__(
        self,
        arrays: Arrays,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
        drop_remainder: bool = False,
        mirror: Mirror | None = None,
        buckets: tuple[int, ...] | None = None,
        last: int | None = None,
    ) -> None:
        lengths = arrays.lengths if last is None else np.minimum(arrays.lengths, last)
        super().__init__(lengths, batch_size, buckets or arrays.buckets or None, seed, shuffle, drop_remainder)
        self.arrays = arrays
        self.mirror = check_mirror(mirror, len(arrays.features))
        self._home, self._row = arrays.bucket, arrays.row

    def _assemble(self, length: int, indices: np.ndarray, reflected: np.ndarray) -> Batch:
        arrays, size, count = self.arrays, self.batch_size, len(indices)
        lengths = np.zeros(size, np.int64)
        lengths[:count] = self.lengths[indices]
        home, row, full = self._home[indices], self._row[indices], arrays.lengths[indices]
        complete = np.zeros(count, bool)
        bucket = arrays.buckets.index(length) if length in arrays.buckets else None
        if bucket is not None and len(arrays.x[bucket]):
            # one gather of complete padded plays; the few rows that need other frames are set afterwards
            complete = (home == bucket) & (full == lengths[:count])
            rows = np.zeros(size, np.int64)
            rows[:count] = np.where(complete, row, 0)
            x, present = arrays.x[bucket][rows], arrays.present[bucket][rows]
            x[count:], present[count:] = 0.0, False
        else:
            entities = arrays.occupied.shape[1]
            x = np.zeros((size, length, entities * len(arrays.features)), np.float32)
            present = np.zeros((size, length, entities), bool)
        for i in np.flatnonzero(~complete):  # of another bucket, or without the first frames
            b, frames, part = home[i], lengths[i], slice(full[i] - lengths[i], full[i])
            x[i, :frames], present[i, :frames] = arrays.x[b][row[i], part], arrays.present[b][row[i], part]
            x[i, frames:], present[i, frames:] = 0.0, False
        if self.mirror is not None:
            rows = np.flatnonzero(reflected[indices])
            _reflect(x, present, rows, arrays, indices[rows], self.lengths, self.mirror)
        mask = np.arange(length) < lengths[:, None]
        return Batch(x, mask, present, **gather_columns(arrays, indices, size))


def rows_of(bucket: np.ndarray) -> np.ndarray:
    """Return each play's rank among the plays of its bucket, int64 `[N]`."""
    order = np.argsort(bucket, kind="stable")
    rows = np.empty(len(bucket), np.int64)
    begins = np.searchsorted(bucket[order], bucket[order], side="left")
    rows[order] = np.arange(len(bucket)) - begins
    return rows


def _reflect(
    x: np.ndarray,
    present: np.ndarray,
    rows: np.ndarray,
    arrays: Arrays,
    indices: np.ndarray,
    lengths: np.ndarray,
    mirror: Mirror,
) -> None:
    """Reflect, in place, the rows of a batch with the plays at `indices`."""
    sources = mirror.slots[indices]
    occupied = np.take_along_axis(arrays.occupied[indices], sources, axis=1)
    factors = np.where(occupied[:, :, None], mirror.signs, np.float32(1.0))  # an empty slot stays 0.0, never -0.0
    for k, (row, i) in enumerate(zip(rows, indices, strict=True)):
        frames = lengths[i]
        values = x[row, :frames].reshape(frames, PLAYERS, len(mirror.signs))  # a view
        np.multiply(np.take(values, sources[k], axis=1), factors[k], out=values)
        if arrays.steady[i]:
            present[row, :frames] = occupied[k]
        else:
            present[row, :frames] = np.take(present[row, :frames], sources[k], axis=1)
            values[~present[row, :frames]] = 0.0
