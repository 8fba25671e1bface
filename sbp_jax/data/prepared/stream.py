"""Batches of a prepared data set larger than memory, prefetched from its records by Grain (extra `grain`).

The order is that of `Epochs`, which knows the plays of every batch in advance: Grain reads several batches at once and
yields them in order, and an epoch can begin at any batch without reading the ones before it.
"""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sbp_jax.data.batches.batching import assemble
from sbp_jax.data.batches.epochs import Epochs
from sbp_jax.data.batches.fields import Batch
from sbp_jax.data.batches.symmetry import mirror_of
from sbp_jax.data.plays import IDENTITIES, PLAY, Plays, Split, ranges
from sbp_jax.data.prepared.dataset import Prepared, damage_named, describe, read_columns, read_lengths
from sbp_jax.data.prepared.records import RecordSource
from sbp_jax.data.prepared.splits import SPLITS
from sbp_jax.errors import InputError

_READ = ("frames", "present", "static", "outcome", "touchdown")  # the columns of a record that a batch needs


class StreamedBatches(Epochs):
    """Batches read from records on demand; see `Epochs` for order, buckets and the other arguments.

    Memory holds the prefetched batches and the lengths of the split's plays (8 bytes each). The lengths are computed
    once and cached next to the records.

    Args:
        path: the prepared data set.
        split: "train", "validation" or "test"; it has at least one play.
        last: number of last frames of each play to use; None uses all.
        mirrored: whether half of the plays are reflected, drawn again in every epoch, as with a mirror elsewhere.
        ahead: number of prefetched batches and of reading threads.

    Raises:
        InputError: Grain is not installed; there is no data set at `path`, or it is damaged; there is no such split; a
            number is below 1.
    """

    def __init__(
        self,
        path: str | Path,
        split: str,
        batch_size: int,
        buckets: tuple[int, ...] | None = None,
        seed: int = 0,
        shuffle: bool = True,
        drop_remainder: bool = False,
        last: int | None = None,
        mirrored: bool = False,
        ahead: int = 4,
    ) -> None:
        self._grain = import_grain()
        prepared = describe(path)
        if split not in SPLITS:
            raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
        for name, value in (("last", last), ("ahead", ahead)):
            if value is not None and value < 1:
                raise InputError(f"{name}: expected at least 1, got {value}")
        lengths = read_lengths(prepared, split)
        lengths = lengths if last is None else np.minimum(lengths, last)
        super().__init__(lengths, batch_size, buckets, seed, shuffle, drop_remainder)
        self.path, self.features, self.mirrored, self.ahead = prepared.path, prepared.features, mirrored, ahead
        with damage_named(self.path):
            self._source = RecordSource(self.path, split, _READ)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number `start`, prefetching; an abandoned iterator stops reading."""
        reflected = self.reflected(epoch)
        batches = self._grain.MapDataset.source(self.plan(epoch)[start:])
        batches = batches.map(lambda planned: self._assemble(planned[0], planned[1], reflected))
        options = self._grain.ReadOptions(num_threads=self.ahead, prefetch_buffer_size=self.ahead)
        reading = iter(batches.to_iter_dataset(options))
        try:
            yield from reading
        finally:
            reading.close()

    def _assemble(self, length: int, indices: np.ndarray, reflected: np.ndarray) -> Batch:
        with damage_named(self.path):
            records = self._source.read(indices.tolist())
        plays = _plays(records, self.lengths[indices], self.features)
        positions = np.arange(len(indices))
        mirror = mirror_of(plays) if self.mirrored else None
        batch = assemble(plays, positions, length, self.batch_size, mirror, reflected[indices])
        index = np.full(self.batch_size, -1, np.int64)
        index[: len(indices)] = indices
        return replace(batch, index=index)


def open_split(prepared: Prepared, split: str, last: int | None = None) -> Split:
    """Return a split whose frames are read from its records chunk by chunk, in the split's fixed order.

    Args:
        prepared: the data set.
        split: "train", "validation" or "test".
        last: number of last frames of each play to use; None uses all.

    Raises:
        InputError: the records are damaged.
    """
    lengths = read_lengths(prepared, split)
    lengths = lengths if last is None else np.minimum(lengths, last)
    columns, info = read_columns(prepared, split, lambda i, play: None)

    def chunks() -> Iterator[Plays]:
        source = None
        for begin, end in ranges(lengths):
            with damage_named(prepared.path):
                source = source or RecordSource(prepared.path, split, _READ)
                records = source.read(range(begin, end))
            plays = _plays(records, lengths[begin:end], prepared.features)
            yield replace(plays, **{name: columns[name][begin:end] for name in PLAY})

    fields: dict[str, Any] = {name: columns[name] for name in ("static", "outcome", *PLAY)}
    return Split(lengths=lengths, **fields, info=info, features=prepared.features, chunks=chunks)


def _plays(records: Sequence[dict[str, Any]], lengths: np.ndarray, features: tuple[str, ...]) -> Plays:
    """Plays of some records, each with its last frames only, as many as in `lengths`."""
    unknown = np.zeros(len(records), np.int64)  # a batch has no identities
    return Plays(
        frames=np.concatenate([record["frames"][-t:] for record, t in zip(records, lengths, strict=True)]),
        present=np.concatenate([record["present"][-t:] for record, t in zip(records, lengths, strict=True)]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        static=np.stack([record["static"] for record in records]),
        outcome=np.array([record["outcome"] for record in records], np.float32),
        info={"touchdown": np.array([record["touchdown"] for record in records], bool)},
        features=features,
        **dict.fromkeys(IDENTITIES, unknown),
    )


def import_grain() -> Any:
    """Return Grain; InputError if it is not installed."""
    try:
        return importlib.import_module("grain")
    except ImportError as error:
        raise InputError(f"streaming needs Grain: pip install 'sbp_jax[grain]' ({error})") from error
