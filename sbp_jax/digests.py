"""Digests that name files, configurations and players; what they name was written with them, so they never change."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def bytes_digest(content: bytes) -> str:
    """Return the SHA-256 of some bytes, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits; the file need not fit into memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_digest(content: Any, files: Iterable[Path] = ()) -> str:
    """Return the SHA-256 of a JSON-serializable value, its keys in order, 64 hexadecimal digits.

    With `files`, the digests of their contents follow, so that the result names both.
    """
    total = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for path in files:
        total.update(bytes.fromhex(file_digest(path)))
    return total.hexdigest()


def text_number(text: str, size: int) -> int:
    """Return a number of at most `size` bytes, the same on every machine, that stands for a text (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest(), "big")
