"""Where tables are: data frames in memory, and files as bytes.

Files are on disk, gzipped, or in a zip archive, whose members have paths such as `weeks.zip/week_1.csv`.
"""

import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import polars as pl

from sbp_jax.errors import InputError

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # with members, and without; a table may have a column PK
_ROWS = 2**20  # of a frame, hashed at a time
MAX_MEMBER_BYTES = 4 * 2**30  # a member of an archive is read into memory
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError)
# first bytes of other files under the name of a table -> what the file is and what to do
_STAND_INS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the data; fetch the data with `git lfs pull`",
    b"<!doctype": "is a web page saved under this name; download the table itself (Raw or Download, logged in)",
    b"<html": "is a web page saved under this name; download the table itself (Raw or Download, logged in)",
    b"<?xml": "is XML, not a table; save the table as CSV",
    b'{"': "is JSON, not a table; save the table as CSV, or check the message in it",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook; save the sheet as CSV",
}


@dataclass(frozen=True, eq=False)
class Frame:
    """A data frame in place of a file; `sbp_jax.data.readers.frames` makes them.

    Attributes:
        name: what messages call it.
        rows: its values, with the types of a parquet file.
    """

    name: str
    rows: pl.DataFrame

    def __str__(self) -> str:
        return self.name

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names, types and values in order, 64 hexadecimal digits.

        Equal frames have equal digests, however their values lie in memory and whatever a missing value hides there.
        """
        total = hashlib.sha256(json.dumps({name: str(dtype) for name, dtype in self.rows.schema.items()}).encode())
        for column in self.rows:
            total.update(column.is_null().to_numpy().tobytes())
            values = column.to_physical() if column.dtype.is_temporal() else column
            if values.dtype.is_numeric() and not values.dtype.is_decimal():
                total.update(values.fill_null(0).to_numpy().tobytes())
                continue
            if values.dtype != pl.String:
                values = pl.Series(
                    [None if value is None else str(value) for value in values.to_list()], dtype=pl.String
                )
            for part in values.fill_null("").to_frame().iter_slices(_ROWS):
                text = part.to_series()
                total.update(text.str.len_bytes().to_numpy().tobytes())
                total.update(text.str.join("").item().encode())
        return total.hexdigest()


Place = Path | Frame
Source = str | Place


def kind(path: Place) -> str:
    """Return the suffix of a file's name in lower case, without `.gz`; frames are typed, as parquet is."""
    if isinstance(path, Frame):
        return ".parquet"
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def is_hidden(path: Path) -> bool:
    """Return whether the operating system or a program, not the user, wrote a file (macOS, Excel, version control)."""
    return path.name.startswith((".", "~$")) or path.name == "__MACOSX"


def archive_of(path: Path) -> Path | None:
    """Return the zip archive that contains a path, or None for a file or folder on disk."""
    return next((p for p in path.parents if p.suffix.lower() == ".zip" and p.is_file()), None)


def on_disk(path: Path) -> Path:
    """Return the file on disk that contains a table: the file itself, or its archive."""
    return archive_of(path) or path


def places(sources: Source | Sequence[Source]) -> list[Place]:
    """Return one or several sources as a list of paths and frames."""
    every = [sources] if isinstance(sources, Source) else sources
    return [source if isinstance(source, Frame) else Path(source) for source in every]


def members(archive: Path) -> dict[Path, int]:
    """Return the tables in a zip archive and their sizes in bytes; InputError if it is damaged."""
    try:
        with zipfile.ZipFile(archive) as file:
            inside = {archive / entry.filename: entry for entry in file.infolist() if not entry.is_dir()}
    except (*_DAMAGED, OSError) as error:
        raise InputError(f"{archive}: not a readable zip archive ({error}); download or copy it again") from error
    return {
        path: entry.file_size
        for path, entry in sorted(inside.items())
        if kind(path) in SUFFIXES and not any(is_hidden(part) for part in (path, *path.relative_to(archive).parents))
    }


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file or a member of an archive for reading in binary, decompressed if it is gzipped.

    Raises:
        InputError: the file is unreadable or damaged, or the member is encrypted or too large.
    """
    try:
        with _open(path) as file:
            begin = file.read(2)
        with _open(path) as file:
            if begin != GZIP:
                if path.suffix.lower() == ".gz":
                    raise InputError(f"{path}: not a readable table (not a gzipped file)")
                yield file
            else:
                with gzip.open(file) as content:
                    yield io.BufferedReader(content)
    except (*_DAMAGED, OSError, RuntimeError) as error:
        raise InputError(f"{path}: not a readable table ({first_line(error)})") from error


def refuse_stand_in(path: Path) -> None:
    """Raise InputError if a file is empty or is not the kind of table that its name implies."""
    with open_file(path) as file:
        begin = file.read(256)
    if not begin:
        raise InputError(f"{path}: the file is empty")
    is_parquet = begin.startswith(b"PAR1")
    if begin.startswith(_ZIP) or (is_parquet and kind(path) != ".parquet"):
        what = "parquet; name it .parquet" if is_parquet else "a zip archive or a workbook; unpack it to CSV"
        raise InputError(f"{path}: is {what}")
    start = begin.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for sign, what in _STAND_INS.items():
        if start.startswith(sign):
            raise InputError(f"{path}: {what}")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    archive = archive_of(path)
    if archive is None:
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(archive) as container:
        entry = container.getinfo(path.relative_to(archive).as_posix())
        if entry.flag_bits & 1:
            raise InputError(f"{path}: the archive is encrypted; unpack it")
        if entry.file_size > MAX_MEMBER_BYTES:
            raise InputError(f"{path}: has more than {MAX_MEMBER_BYTES >> 30} GiB; unpack the archive")
        with container.open(entry) as member:
            yield io.BufferedReader(member)  # type: ignore[type-var]
