"""Frames of each play of a prepared split, read once from its records and kept beside them."""

import os
from contextlib import suppress
from secrets import token_hex

import numpy as np

from sbp_jax.data.dataset import Prepared, whole_records


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
    records = whole_records(prepared, split)
    lengths = np.fromiter((len(record["frames"]) for record in records), np.int64, prepared.plays[split])
    temporary = path.with_name(f".{path.stem}-{token_hex(4)}.npy")
    with suppress(OSError):
        np.save(temporary, lengths)
        os.replace(temporary, path)
    return lengths
