"""Padded arrays as files, mapped when opened; needs NumPy alone.

folder/
  manifest.json            origin; names of the features; bytes and CRC-32 of every file
  train/
    x-40.npy               float32 [plays, 40, 22 * features]: a bucket's plays, padded
    present-40.npy         bool [plays, 40, 22]
    columns.npz            one entry per play: lengths, static, outcome, ids, info
  validation/ test/
"""

import io
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from sbp_jax.atomic import building
from sbp_jax.data.batches.arrays import Allocate, Arrays
from sbp_jax.data.memory import reserve
from sbp_jax.data.plays import FEATURES, IDENTITIES, current_name
from sbp_jax.errors import InputError

FORMAT = 1  # increment when the layout of the files changes
MANIFEST = "manifest.json"
_COLUMNS = "columns.npz"
_OWN = ("lengths", "occupied", "steady", "static", "outcome")


class DamagedError(InputError):
    """Files that are missing, truncated or changed since they were written."""


def allocate_files(folder: Path) -> Allocate:
    """Return an allocator of arrays as mapped files of zeros in `folder`, with preallocated disk space."""

    def allocate(name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
        path = folder / f"{name}.npy"
        if 0 in shape:  # nothing to map
            empty = np.zeros(shape, dtype)
            np.save(path, empty)
            return empty
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        with path.open("r+b") as file:
            reserve(file.fileno(), path.stat().st_size)
        return array

    return allocate


def finish(arrays: Arrays, folder: Path) -> None:
    """Write the columns, which `allocate_files(folder)` does not, and flush everything to disk."""
    for array in (*arrays.x, *arrays.present):
        if isinstance(array, np.memmap):
            array.flush()
    columns = {name: getattr(arrays, name) for name in _OWN} | dict(arrays.identities)
    np.savez(folder / _COLUMNS, allow_pickle=False, **columns, **{f"info_{k}": v for k, v in arrays.info.items()})
    for path in folder.iterdir():
        with path.open("r+b") as file:  # Windows cannot flush a file that is open only for reading
            os.fsync(file.fileno())


def write_manifest(
    folder: Path, splits: dict[str, tuple[int, ...]], made_from: dict[str, Any], features: tuple[str, ...] = FEATURES
) -> None:
    """Write the manifest of a folder whose splits (name -> buckets) are finished; `features` names the features."""
    entries = {
        split: {
            "buckets": buckets,
            "files": {path.name: _describe(_map(path)) for path in sorted((folder / split).iterdir())},
        }
        for split, buckets in splits.items()
    }
    content = {"format": FORMAT, "made_from": made_from, "features": features, "splits": entries}
    text = json.dumps(content, indent=1)
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def open_folder(folder: str | Path, split: str) -> Arrays:
    """Return a split's arrays, mapped read-only, after a check of sizes and checksums at a few GB per second.

    Raises:
        InputError: there is no such folder or split.
        DamagedError: a file is missing, truncated or changed (also an InputError).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of arrays")
    manifest = _manifest(folder)
    if split not in manifest["splits"]:
        raise InputError(f"split: expected one of {', '.join(manifest['splits'])}, got {split!r}")
    entry = manifest["splits"][split]
    try:
        content = {
            name.replace("players-", "present-"): _checked(folder / split / name, description)
            for name, description in entry["files"].items()
        }
        buckets = tuple(entry["buckets"])
        x, present = (tuple(_array(content[f"{name}-{t}.npy"]) for t in buckets) for name in ("x", "present"))
        with np.load(io.BytesIO(content[_COLUMNS].data)) as columns:
            info = {name[5:]: columns[name] for name in columns.files if name.startswith("info_")}
            current = {current_name(name): columns[name] for name in columns.files}
            fields = {name: current[name] for name in _OWN}
            identities = {name: columns[name] for name in IDENTITIES}
        features = tuple(manifest.get("features", FEATURES))  # folders from before extras have the default ones
        return Arrays(buckets, x, present, **fields, identities=identities, info=info, features=features)
    except DamagedError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise DamagedError(f"{folder / split}: damaged arrays ({error})") from error


def save(splits: dict[str, Arrays], folder: str | Path) -> None:
    """Write arrays in memory as a folder for `open_folder`.

    Raises:
        InputError: the folder exists or is not writable; the features of the splits differ.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder}: exists; choose another folder")
    features = {arrays.features for arrays in splits.values()} or {FEATURES}
    if len(features) > 1:
        raise InputError(f"splits: expected the same features in all, got {' and '.join(map(', '.join, features))}")
    with building(folder, is_same=is_complete) as place:
        for split, arrays in splits.items():
            (place / split).mkdir()
            allocate = allocate_files(place / split)
            for t, x, present in zip(arrays.buckets, arrays.x, arrays.present, strict=True):
                allocate(f"x-{t}", x.shape, np.float32)[:] = x
                allocate(f"present-{t}", present.shape, np.bool_)[:] = present
            finish(arrays, place / split)
        write_manifest(place, {split: arrays.buckets for split, arrays in splits.items()}, {}, features.pop())


def is_complete(folder: Path) -> bool:
    """Return whether a builder has finished a folder of arrays."""
    return (folder / MANIFEST).is_file()


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] == FORMAT and isinstance(manifest["splits"], dict):
            return manifest
        reason = f"format {manifest['format']}, this version reads {FORMAT}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = type(error).__name__
    raise DamagedError(f"{folder / MANIFEST}: damaged manifest ({reason})")


def _map(path: Path) -> np.ndarray:
    return np.asarray(np.memmap(path, np.uint8, "r"))


def _describe(content: np.ndarray) -> dict[str, int]:
    return {"bytes": len(content), "crc32": zlib.crc32(content.data)}


def _array(content: np.ndarray) -> np.ndarray:
    """The array in a mapped .npy file, on the same mapping, whose pages the checksum has just loaded."""
    header = io.BytesIO(content[:4096].tobytes())
    np.lib.format.read_magic(header)
    shape, _, dtype = np.lib.format.read_array_header_1_0(header)
    return content[header.tell() :].view(dtype).reshape(shape)


def _checked(path: Path, description: dict[str, int]) -> np.ndarray:
    size = path.stat().st_size if path.is_file() else None
    if size is None:
        raise DamagedError(f"{path}: damaged arrays (the file is missing)")
    if size != description["bytes"]:
        raise DamagedError(f"{path}: damaged arrays ({size} bytes, {description['bytes']} were written)")
    content = _map(path)
    if _describe(content) != description:
        raise DamagedError(f"{path}: damaged arrays (the checksum differs from what was written)")
    return content
