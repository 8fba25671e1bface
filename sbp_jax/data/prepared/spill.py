"""Files in which TFDS shuffles more records than it keeps in memory (1 GB), without TensorFlow, its own way to them."""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from tensorflow_datasets.core import shuffle

_HEAD = struct.Struct("=16sQ")  # key and length of a record


class Bucket:
    """Records of a range of keys in a file, with the methods of TFDS's own bucket; open while it is written alone."""

    def __init__(self, path: Any) -> None:
        self._path = Path(path)
        self._length = 0
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes of the records."""
        return self._size

    def __len__(self) -> int:
        return self._length

    def add(self, key: int, data: bytes) -> None:
        """Append a record."""
        if not self._length:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:  # a thousand buckets are more files than a process may have open
            file.write(_HEAD.pack(key.to_bytes(16, "little"), len(data)) + data)
        self._length += 1
        self._size += len(data)

    def read_values(self) -> Iterator[tuple[int, bytes]]:
        """Yield key and record in the order they came."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            while head := file.read(_HEAD.size):
                key, size = _HEAD.unpack(head)
                yield int.from_bytes(key, "little"), file.read(size)

    def del_file(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


def spilling() -> contextlib.AbstractContextManager[Any]:
    """While it holds, TFDS keeps what it shuffles in `Bucket`s; the order of the records is the same."""
    return mock.patch.object(shuffle, "_Bucket", Bucket)
