"""Read a checkpoint's arrays from Orbax's files with NumPy alone: no code in a file runs, and memory is bounded.

tree/
  NAME/.zarray   JSON: shape, type, chunk; must match what is expected
  NAME/0.0       the array's bytes, uncompressed, in one chunk

The size of each file is checked before it is read, so that reading takes no more memory than expected.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_DESCRIPTION_BYTES = 4096  # maximum size of a .zarray file; Orbax writes about 200 bytes


class DamagedError(Exception):
    """A file is missing, truncated, modified or unexpected; the message names it and the reason."""


def read_arrays(folder: Path, expected: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> dict[str, np.ndarray]:
    """Read the arrays of a tree.

    Args:
        folder: the tree's folder.
        expected: type and shape of each array; nothing else is read, and nothing is read until all sizes match.

    Raises:
        DamagedError: a file is missing or does not match what is expected.
    """
    files = {name: _chunk(folder / name, dtype, shape) for name, (dtype, shape) in expected.items()}
    arrays = {}
    for name, (dtype, shape) in expected.items():
        size = dtype.itemsize * math.prod(shape)
        arrays[name] = np.frombuffer(read_limited(files[name], size), np.uint8).view(dtype).reshape(shape)
    return arrays


def read_limited(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes; raise DamagedError otherwise."""
    try:
        if not path.is_file():  # a pipe would block, and a device may have no end
            raise DamagedError(f"{path.parent.name}/{path.name} is missing")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise DamagedError(f"{path.parent.name}/{path.name} cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise DamagedError(f"{path.parent.name}/{path.name} has more than {limit} bytes")
    return content


def read_json(path: Path, limit: int) -> Any:
    """Return the content of a JSON file of at most `limit` bytes; raise DamagedError otherwise."""
    content = read_limited(path, limit)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path.parent.name}/{path.name} is not JSON") from error


def _chunk(folder: Path, dtype: np.dtype, shape: tuple[int, ...]) -> Path:
    """The file of an array's bytes, after checking its description and size."""
    actual = read_json(folder / ".zarray", _DESCRIPTION_BYTES)
    kind = dtype.name if dtype.kind == "V" else dtype.str  # types that NumPy does not have are identified by name
    expected = {"shape": list(shape), "chunks": list(shape), "dtype": kind, "zarr_format": 2, "order": "C"}
    expected |= {"compressor": None, "filters": None, "fill_value": None, "dimension_separator": "."}
    if actual != expected:
        raise DamagedError(f"{folder.name}/.zarray does not describe {dtype.name} {list(shape)} in one plain chunk")
    file = folder / (".".join("0" * len(shape)) or "0")
    size = dtype.itemsize * math.prod(shape)
    if not file.is_file():
        raise DamagedError(f"{folder.name}/{file.name} is missing")
    if file.stat().st_size != size:
        raise DamagedError(f"{folder.name}/{file.name} has {file.stat().st_size} bytes, not {size}")
    return file
