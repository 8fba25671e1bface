"""Masked, bucketed batches of plays in memory.

A batch is padded at the end of time to one of a few lengths (buckets), so that a compiled step has only a few shapes.
"""

from typing import Any

import numpy as np

from sbp_jax.data.batches.epochs import Epochs, Mirror
from sbp_jax.data.batches.fields import PLAY_FIELDS, Batch, play_field
from sbp_jax.data.plays import Sequences
from sbp_jax.errors import InputError


class Batches(Epochs):
    """Batches of plays in memory; see `Epochs` for order, buckets and the other arguments.

    Args:
        plays: the plays; at least one.
        mirror: if given, half of the plays are reflected, drawn again in every epoch.
        last: number of last frames of each play to use, without a copy of the plays; None uses all.
    """

    def __init__(
        self,
        plays: Sequences,
        batch_size: int,
        buckets: tuple[int, ...] | None = None,
        seed: int = 0,
        shuffle: bool = True,
        drop_remainder: bool = False,
        mirror: Mirror | None = None,
        last: int | None = None,
    ) -> None:
        lengths = plays.lengths if last is None else np.minimum(plays.lengths, last)
        super().__init__(lengths, batch_size, buckets, seed, shuffle, drop_remainder)
        self.plays = plays
        self.mirror = check_mirror(mirror, len(plays.features))

    def _assemble(self, length: int, indices: np.ndarray, reflected: np.ndarray) -> Batch:
        return assemble(self.plays, indices, length, self.batch_size, self.mirror, reflected, self.lengths[indices])


def gather_columns(plays: Any, indices: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Return the fields of a batch that have no frames.

    Args:
        plays: any object with `PLAY_FIELDS` as attributes, such as `Sequences` or `arrays.Arrays`.
        indices: positions of the batch's plays.
        size: rows of the batch; rows beyond the plays are 0 and not valid.
    """
    index = np.full(size, -1, np.int64)
    index[: len(indices)] = indices
    columns = {"index": index, "valid": index >= 0}
    for name, dtype in PLAY_FIELDS.items():
        if (values := play_field(plays, name)) is not None:
            columns[name] = np.zeros((size, *values.shape[1:]), dtype)
            columns[name][: len(indices)] = values[indices]
    return columns


def check_mirror(mirror: Mirror | None, features: int) -> Mirror | None:
    """Return the mirror; InputError unless it has one sign per feature."""
    if mirror is not None and mirror.signs.shape != (features,):
        raise InputError(f"mirror: expected {features} signs, one per feature, got shape {mirror.signs.shape}")
    return mirror


def assemble(
    plays: Sequences,
    indices: np.ndarray,
    length: int,
    size: int,
    mirror: Mirror | None,
    reflected: np.ndarray,
    last: np.ndarray | None = None,
) -> Batch:
    """Return the batch of some plays.

    Args:
        plays: the plays to choose from.
        indices: positions of the chosen plays, int64 `[at most size]`.
        length: frames to pad to; no play at `indices` is longer.
        size: rows of the batch.
        mirror: how plays are reflected; None reflects none.
        reflected: bool `[N]`, which of `plays` are reflected.
        last: number of last frames to use of each play at `indices`; None uses all.
    """
    count, ends = len(indices), plays.offsets[indices + 1]
    lengths = np.zeros(size, np.int64)
    lengths[:count] = ends - plays.offsets[indices] if last is None else last
    mask = np.arange(length) < lengths[:, None]
    x = np.zeros((size, length, *plays.frames.shape[1:]), np.float32)
    present = np.zeros((size, length, plays.present.shape[1]), bool)
    for row, (begin, frames) in enumerate(zip(ends - lengths[:count], lengths, strict=False)):
        x[row, :frames] = plays.frames[begin : begin + frames]
        present[row, :frames] = plays.present[begin : begin + frames]
        if mirror is not None and reflected[indices[row]]:
            source = mirror.slots[indices[row]]
            x[row, :frames] = x[row, :frames, source].swapaxes(0, 1) * mirror.signs
            present[row, :frames] = present[row, :frames, source].T
    if not present[mask].all():
        x[~present] = 0.0
    return Batch(
        x.reshape(size, length, -1),
        mask,
        present,
        **gather_columns(plays, indices, size),
    )
