"""Frames of each play of a prepared split, read once from its records and kept beside them."""

import io
from contextlib import suppress

import numpy as np

from sbp_jax.atomic import write_whole
from sbp_jax.data.prepared.dataset import Prepared, damage_named
from sbp_jax.data.prepared.records import RecordSource

_TOGETHER = 256  # records read at a time


def read_lengths(prepared: Prepared, split: str) -> np.ndarray:
    """Return the frames of each play, int64 `[N]`, in the split's fixed order.

    They are kept as `lengths-SPLIT-FINGERPRINT.npy` in the data set's folder, and read again where that file is missing
    or disagrees with the data set's account; where the folder cannot be written to, nothing is kept.

    Raises:
        InputError: the records are damaged.
    """
    path = prepared.path / f"lengths-{split}-{prepared.fingerprint}.npy"
    with suppress(OSError, ValueError, EOFError):
        lengths = np.load(path)
        if lengths.shape == (prepared.plays[split],) and int(lengths.sum()) == prepared.frames[split]:
            return lengths
    lengths = np.zeros(prepared.plays[split], np.int64)
    source = None
    with damage_named(prepared.path):
        for indices in np.split(np.arange(len(lengths)), range(_TOGETHER, len(lengths), _TOGETHER)):
            if len(indices):  # a split without plays has no records
                source = source or RecordSource(prepared.path, split, ("players",))
                lengths[indices] = [len(record["players"]) for record in source.read(indices.tolist())]
    content = io.BytesIO()
    np.save(content, lengths)
    with suppress(OSError):
        write_whole(path, content.getvalue())
    return lengths
