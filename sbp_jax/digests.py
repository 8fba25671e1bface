"""Digests that name files, configurations and players; written files depend on them, so they must never change."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def bytes_digest(content: bytes) -> str:
    """Return the SHA-256 of bytes, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits; the file need not fit into memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_digest(content: Any, files: Iterable[Path] = ()) -> str:
    """Return the SHA-256 of a JSON-serializable value with sorted keys, 64 hexadecimal digits.

    With `files`, the hash also covers the digests of their contents.
    """
    total = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for path in files:
        total.update(bytes.fromhex(file_digest(path)))
    return total.hexdigest()


def short_digest(*parts: Any) -> str:
    """Return eight hexadecimal digits that name JSON-serializable parts; equal parts have equal names."""
    return json_digest(parts)[:8]


def arrays_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of the names, types, shapes and bytes of all arrays, 64 hexadecimal digits."""
    total = hashlib.sha256(json.dumps(described(arrays)).encode())
    for name in sorted(arrays):
        total.update(np.ascontiguousarray(arrays[name]).tobytes())
    return total.hexdigest()


def described(arrays: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    """Return the type and shape of each array, as in JSON: {"params.kernel.value": ["float32", [3, 4]], ...}."""
    return {name: [np.dtype(array.dtype).name, list(array.shape)] for name, array in sorted(arrays.items())}


def text_number(text: str, size: int) -> int:
    """Return the BLAKE2b hash of a text as an integer of at most `size` bytes, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest(), "big")
