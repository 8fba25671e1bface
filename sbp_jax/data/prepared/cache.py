"""A prepared data set as padded arrays: built once next to its records, then mapped.

path/                          the prepared data set (`build.prepare`)
  passing_plays/               its records
  arrays-0123456789abcdef/     its arrays (`storage`), named by data set, layout and format

Preparing a data set again removes its arrays. Arrays of other layouts are stored next to each other and may be deleted.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sbp_jax.atomic import building, discard
from sbp_jax.data.batches.arrays import Arrays, Filling
from sbp_jax.data.batches.buckets import COUNT, choose_buckets, fit_buckets
from sbp_jax.data.memory import frame_bytes
from sbp_jax.data.plays import PLAYERS
from sbp_jax.data.prepared import storage
from sbp_jax.data.prepared.dataset import Prepared, describe, read_columns, read_lengths
from sbp_jax.data.prepared.splits import SPLITS
from sbp_jax.digests import json_digest
from sbp_jax.errors import InputError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """Padding of plays.

    Args:
        buckets: increasing lengths in frames; None chooses those with the least padding in the training split.
        count: maximum number of buckets, if they are chosen.
        batch_size: rows of a batch, if buckets are chosen (`buckets.choose_buckets`); batches of other sizes work too.
        last: number of last frames of each play to store; None stores all.

    Raises:
        InputError: a number is below 1, or the buckets do not increase.
    """

    buckets: tuple[int, ...] | None = None
    count: int = COUNT
    batch_size: int = 128
    last: int | None = None

    def __post_init__(self) -> None:
        for name in ("count", "batch_size", "last"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}: expected at least 1, got {value}")
        if self.buckets is not None:
            fit_buckets(self.buckets, np.zeros(0, np.int64))

    def key(self, fingerprint: str) -> dict[str, Any]:
        """Return the JSON-serializable key that determines the files."""
        options = {"count": self.count, "batch_size": self.batch_size}
        buckets = options if self.buckets is None else list(self.buckets)
        return {
            "fingerprint": fingerprint,
            "buckets": buckets,
            "last": self.last,
            "format": storage.FORMAT,
            "dtype": "float32",
        }


def open_arrays(
    path: str | Path,
    split: str,
    layout: Layout | None = None,
    folder: str | Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Arrays:
    """Return a split of the data set at `path` as mapped arrays; the first call builds those of all splits.

    The arrays are built in a temporary folder and moved into place when complete, so that an interrupted build leaves
    no partial files, and concurrent builders do not disturb each other. Their checksums are verified each time they are
    opened; damaged arrays are built again, with a warning in the log "sbp_jax.data.prepared.cache". A build reads the
    records twice (once if the lengths are cached) with one play in memory at a time.

    Args:
        path: the prepared data set.
        split: "train", "validation" or "test".
        layout: padding of plays.
        folder: parent folder of the arrays' folder; by default the data set's own folder.
        progress: called with the number of plays written so far.

    Raises:
        InputError: there is no data set at `path`, or it is damaged; there is no such split; a folder is not writable.
    """
    layout, prepared = layout or Layout(), describe(path)
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    key, target = layout.key(prepared.fingerprint), folder_of(prepared, layout, folder)
    if target.is_dir():
        try:
            return storage.open_folder(target, split)
        except storage.DamagedError as error:
            _log.warning("%s; they are built again", error)
            discard(target)
    _build(prepared, layout, key, target, progress)
    return storage.open_folder(target, split)


def folder_of(prepared: Prepared, layout: Layout, folder: str | Path | None = None) -> Path:
    """Return the folder of the arrays of a data set, built or not; `folder` as for `open_arrays`."""
    return Path(folder or prepared.path) / f"arrays-{json_digest(layout.key(prepared.fingerprint))[:16]}"


def arrays_bytes(prepared: Prepared, buckets: tuple[int, ...], last: int | None = None) -> int:
    """Return the bytes on disk of the arrays of all splits in a layout with these buckets.

    Args:
        prepared: the data set.
        buckets: increasing lengths in frames.
        last: as in `Layout`.
    """
    frames = 0
    for split in SPLITS:
        lengths = np.minimum(read_lengths(prepared, split), last or np.inf).astype(np.int64)
        bucket_lengths = np.asarray(fit_buckets(buckets, lengths))
        frames += int(bucket_lengths[np.searchsorted(bucket_lengths, lengths)].sum())
    return frames * frame_bytes(PLAYERS, len(prepared.features))


def _build(
    prepared: Prepared, layout: Layout, key: dict[str, Any], target: Path, progress: Callable[[int], None] | None
) -> None:
    lengths = {split: np.minimum(read_lengths(prepared, split), layout.last or np.inf).astype(int) for split in SPLITS}
    buckets = layout.buckets
    if buckets is None:
        # add one play as long as the longest of any split, so that all splits have the same shapes
        longest = max(int(np.max(of_split, initial=1)) for of_split in lengths.values())
        buckets = choose_buckets(np.append(lengths["train"], longest), layout.count, layout.batch_size)
    num_plays = 0
    with building(target, is_same=storage.is_complete) as place:
        bucket_lengths = {}
        for split in SPLITS:
            bucket_lengths[split] = fit_buckets(buckets, lengths[split])
            (place / split).mkdir()
            allocate = storage.allocate_files(place / split)
            filling = Filling(lengths[split], bucket_lengths[split], allocate, prepared.features)

            def put(i: int, play: dict[str, Any], filling: Filling = filling, num_plays: int = num_plays) -> None:
                part = slice(-int(filling.lengths[i]), None)
                filling.put(i, play["frames"][part], play["present"][part])
                if progress:
                    progress(num_plays + i + 1)

            columns, info = read_columns(prepared, split, put)
            arrays = filling.arrays(columns, info)
            storage.finish(arrays, place / split)
            num_plays += len(arrays)
        storage.write_manifest(place, bucket_lengths, key, prepared.features)
