"""Arrays of a checkpoint read from Orbax's files with NumPy alone: nothing that is read runs, or claims more memory.

tree/
  NAME/.zarray   JSON: shape, type, chunk; must say what is expected
  NAME/0.0       the array's bytes, not compressed, one chunk

A file's size is compared with what is expected of it before it is read, so that memory is bounded by the expectation.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_DESCRIPTION_BYTES = 4096  # of a .zarray; Orbax writes some 200


class DamagedError(Exception):
    """A file that is missing, cut, changed or not what was written; the message says which and why."""


def read_arrays(folder: Path, expected: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> dict[str, np.ndarray]:
    """Read the arrays of a tree.

    Args:
        folder: the tree's.
        expected: type and shape of each array; nothing else is read, and nothing is read before all sizes fit.

    Raises:
        DamagedError: a file is missing, or says or holds something else.
    """
    files = {name: _chunk(folder / name, dtype, shape) for name, (dtype, shape) in expected.items()}
    arrays = {}
    for name, (dtype, shape) in expected.items():
        size = dtype.itemsize * math.prod(shape)
        arrays[name] = np.frombuffer(read_limited(files[name], size), np.uint8).view(dtype).reshape(shape)
    return arrays


def read_limited(path: Path, limit: int) -> bytes:
    """Content of a regular file of at most `limit` bytes; DamagedError otherwise."""
    try:
        if not path.is_file():  # neither a pipe, which would wait, nor a device without end
            raise DamagedError(f"{path.parent.name}/{path.name} is missing")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise DamagedError(f"{path.parent.name}/{path.name} cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise DamagedError(f"{path.parent.name}/{path.name} has more than {limit} bytes")
    return content


def read_json(path: Path, limit: int) -> Any:
    """Content of a JSON file of at most `limit` bytes; DamagedError otherwise."""
    content = read_limited(path, limit)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path.parent.name}/{path.name} is no JSON") from error


def _chunk(folder: Path, dtype: np.dtype, shape: tuple[int, ...]) -> Path:
    """The file of an array's bytes, whose description and size are as expected."""
    found = read_json(folder / ".zarray", _DESCRIPTION_BYTES)
    kind = dtype.name if dtype.kind == "V" else dtype.str  # types that NumPy does not have go by their names
    wanted = {"shape": list(shape), "chunks": list(shape), "dtype": kind, "zarr_format": 2, "order": "C"}
    wanted |= {"compressor": None, "filters": None, "fill_value": None, "dimension_separator": "."}
    if found != wanted:
        raise DamagedError(f"{folder.name}/.zarray does not describe {dtype.name} {list(shape)} in one plain chunk")
    file = folder / (".".join("0" * len(shape)) or "0")
    size = dtype.itemsize * math.prod(shape)
    if not file.is_file():
        raise DamagedError(f"{folder.name}/{file.name} is missing")
    if file.stat().st_size != size:
        raise DamagedError(f"{folder.name}/{file.name} has {file.stat().st_size} bytes, not {size}")
    return file
