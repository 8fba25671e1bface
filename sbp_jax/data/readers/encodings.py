"""Convert the text of tables to UTF-8 with decimal points; the bytes show what to convert.

| text | how it is recognized |
| --- | --- |
| UTF-16 | by its byte order mark, or a zero in every other byte at the beginning |
| Windows-1252 (Latin-1) | not UTF-8; beyond ASCII, only letters and typographic marks, and no sequence of UTF-8 |
| decimal commas (Excel in Europe) | semicolons separate the values; numbers have commas, never points |
| values padded with spaces | most column names are padded |
| row names in a column without a name (R's `write.table`) | every row has one field more than the header |
"""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from sbp_jax.data.readers.files import Frame, Place, archive_of, kind, on_disk, open_file
from sbp_jax.errors import InputError

SEPARATORS = ",\t;|"
_CHUNK = 2**20
_SAMPLE = 2**16
_UTF_16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
# Windows-1252 beyond its letters: quotes, dashes, ellipsis, euro, degree, fractions and the like; no stray symbols
_MARKS = set("‘’“”–—…€™ °©®½¼¾·«»ºª´\u00a0")
_SEPARATOR_LINE = re.compile(rb"^(?:\xef\xbb\xbf)?\"?sep=.\"?\r?\n", re.IGNORECASE)  # of Excel, before the header
_SCIENTIFIC = re.compile(rb"\d[eE]\+?\d")
_TWICE_ENCODED = re.compile(rb"[\xc2\xc3][\x80-\xbf]")
_DECIMAL_COMMA = re.compile(rb'(?m)(?:(?<=^)|(?<=;))("?)([+-]?\d+),(\d+(?:[eE][+-]?\d+)?)("?)(?=;|\r?$)')
_DECIMAL_POINT = re.compile(rb'(?m)(?:^|;)"?[+-]?\d+\.\d+"?(?:;|\r?$)')
LATIN, COMMAS = "files in Windows-1252 text: converted to UTF-8", "files with decimal commas: read as decimal points"
OPEN_END = "files without a line end after the last row: its last value may be cut off"


def separator(header: str, path: Path) -> str:
    """Return the separator of a text file from its header: the most frequent one; a tab in a .tsv or .txt file wins."""
    names = re.sub(r'"[^"]*"', "", header)
    if kind(path) in (".tsv", ".txt") and "\t" in names:
        return "\t"
    return max(SEPARATORS, key=names.count)


def header_of(path: Path) -> tuple[bytes, str]:
    """Return the first rows of a text file as UTF-8, and its separator."""
    with open_file(path) as file:
        begin = _SEPARATOR_LINE.sub(b"", file.read(_SAMPLE))
    name = _by_mark(begin)
    if name:
        text = begin[: len(begin) // 2 * 2].decode(name, errors="ignore")
    else:
        # a header in Windows-1252 may have any letter; its rows are checked when they are read
        is_utf_8 = _is_utf_8(begin)
        text = begin.decode("utf-8-sig", errors="ignore") if is_utf_8 else begin.decode("cp1252", errors="replace")
    first = text.split("\n", 1)[0]
    head = text[: text.rfind("\n") + 1] or text
    sep = separator(first, path)
    plain = _with_row_names(head.encode(), sep)
    return _without_padding(plain, sep) if _is_padded(plain, sep) else plain, sep


def as_utf8(path: Path) -> bytes | None:
    """Return a text file's content as UTF-8 with decimal points, or None if no conversion is needed.

    Raises:
        InputError: the file is damaged, its last row is cut off, or it is neither UTF-8 nor Windows-1252 text.
    """
    name, notes, sep, convert, _ = _inspect(path, _stamp(path))
    if not convert:
        return None
    with open_file(path) as file:
        content = file.read()
    if name not in ("utf-8", "ascii"):
        try:
            content = content.decode(name).encode()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: damaged UTF-16 text ({error.reason}); save it as UTF-8") from error
    content = _SEPARATOR_LINE.sub(b"", content)
    if COMMAS in notes:
        content = _DECIMAL_COMMA.sub(rb"\1\2.\3\4", content)
    content = _with_row_names(content, sep)
    return _without_padding(content, sep) if _is_padded(content, sep) else content


def notes_of(path: Place) -> Sequence[str]:
    """Return notes on a file's text for the report; errors as for `as_utf8`."""
    return () if isinstance(path, Frame) or kind(path) == ".parquet" else _inspect(path, _stamp(path))[1]


def may_round_ids(path: Place) -> bool:
    """Return whether a text file has numbers in scientific notation, which may be rounded; errors as for `as_utf8`."""
    return not isinstance(path, Frame) and kind(path) != ".parquet" and _inspect(path, _stamp(path))[4]


def _stamp(path: Path) -> tuple[int, int]:
    status = on_disk(path).stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(512)
def _inspect(path: Path, stamp: tuple[int, int]) -> tuple[str, tuple[str, ...], str, bool, bool]:
    """Encoding, notes, separator, whether to convert the text, and whether numbers are in scientific notation.

    `stamp` invalidates the cache.
    """
    del stamp
    with open_file(path) as file:
        begin = file.read(_SAMPLE)
    name = _by_mark(begin)
    last, scientific = b"", True
    if not name:
        with open_file(path) as file:
            name, last, scientific = _stream(file)
    notes = []
    if name == "other":
        name = _latin(path)
        notes.append(LATIN)
    head, sep = header_of(path)
    if last and not name.startswith("utf-16"):
        _refuse_cut(path, head, last, sep)
        notes.append(OPEN_END)
    decimal_commas = sep == ";" and _DECIMAL_COMMA.search(head) and not _DECIMAL_POINT.search(head)
    notes += [COMMAS] if decimal_commas else []
    has_row_names = begin and _with_row_names(begin, sep) != begin and name in ("utf-8", "ascii")
    other = (
        _SEPARATOR_LINE.search(begin) or decimal_commas or has_row_names or _is_padded(begin, sep) or archive_of(path)
    )
    convert = name not in ("utf-8", "ascii") or bool(other)
    return name, tuple(notes), sep, convert, scientific or bool(_SCIENTIFIC.search(begin))


def _by_mark(begin: bytes) -> str:
    if begin[:2] in _UTF_16:
        return "utf-16"
    if len(begin) >= 4 and begin[:2].count(0) == 1 and begin[2:4].count(0) == 1:
        return "utf-16-le" if begin[1] == 0 else "utf-16-be"
    return ""


def _stream(file: BinaryIO) -> tuple[str, bytes, bool]:
    """Encoding ("ascii", "utf-8", "other"), the last row without a line end, and whether a number has an exponent."""
    decoder, name, tail, scientific = codecs.getincrementaldecoder("utf-8")(), "ascii", b"", False
    end = b""  # of the previous chunk, which may split a number
    for chunk in iter(lambda: file.read(_CHUNK), b""):
        scientific = scientific or bool(_SCIENTIFIC.search(end + chunk))
        end = chunk[-2:]
        tail = chunk.rpartition(b"\n")[2] if b"\n" in chunk else tail + chunk
        if name == "other" or (chunk.isascii() and not decoder.getstate()[0]):
            continue
        try:
            decoder.decode(chunk)
            name = "utf-8"
        except UnicodeDecodeError:
            name = "other"
    if decoder.getstate()[0] and name != "other":
        name = "other"
    return name, tail.strip(b"\r"), scientific


def _is_utf_8(begin: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(begin)
    except UnicodeDecodeError:
        return False
    return True


def _latin(path: Path) -> str:
    """Name of the encoding of text that is not UTF-8; InputError unless it is Windows-1252."""
    with open_file(path) as file:
        content = file.read()
    foreign = {bytes([byte]) for byte in set(content) if byte > 127}
    try:
        letters = {byte.decode("cp1252") for byte in foreign}
        is_text = all(letter.isalpha() or letter in _MARKS for letter in letters)
    except UnicodeDecodeError:
        is_text = False
    if not is_text or _CONTROL.search(content) or _TWICE_ENCODED.search(content):
        row = next(number for number, line in enumerate(content.split(b"\n"), 1) if not _is_utf_8(line + b"\n"))
        raise InputError(
            f"{path}: row {row}: bytes that are neither UTF-8 nor Windows-1252 text: the file is damaged; download or "
            "copy it again"
        )
    return "cp1252"


def _refuse_cut(path: Path, head: bytes, last: bytes, sep: str) -> None:
    """Raise InputError if the last row, without a line end, has fewer fields than the header."""
    if b"\n" not in head:
        raise InputError(f"{path}: has no rows and no line end: the file is cut off; download or copy it again")
    header = _fields(head.split(b"\n", 1)[0].decode(errors="replace"), sep)
    row = _fields(last.decode(errors="replace"), sep)
    # the last line may be the end of a row with a quoted line break, which has an odd number of quotes
    if row < header and last.count(b'"') % 2 == 0:
        raise InputError(
            f"{path}: the last row has {row} of {header} values and no line end: the file is cut off; download or copy "
            "it again"
        )


def _is_padded(content: bytes, sep: str) -> bool:
    header = content[:_SAMPLE].split(b"\n", 1)[0].decode(errors="replace").rstrip("\r\n")
    names = _split(header, sep)
    return sep != "\t" and sum(name != name.strip(" ") for name in names) > len(names) / 2


def _without_padding(content: bytes, sep: str) -> bytes:
    text = io.StringIO(newline="")
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=sep, skipinitialspace=True)
    try:
        csv.writer(text, delimiter=sep, lineterminator="\n").writerows([value.strip() for value in row] for row in rows)
    except csv.Error:
        return content  # damaged: reading it names the place
    return text.getvalue().encode()


def _fields(line: str, sep: str) -> int:
    return len(_split(line.rstrip("\r\n"), sep))


def _split(line: str, sep: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=sep), [])
    except csv.Error:
        return line.split(sep)


def _with_row_names(content: bytes, sep: str) -> bytes:
    """The content with an empty first name in the header if the first rows have one field more, as R writes them."""
    lines = content[:_SAMPLE].split(b"\n")[:4]
    if len(lines) < 2:
        return content
    names = _fields(lines[0].decode(errors="replace"), sep)
    rows = [row.decode(errors="replace").rstrip("\r") for row in lines[1:3] if row.strip()]
    if not rows or any(_fields(row, sep) != names + 1 or row.endswith(sep) for row in rows):
        return content
    mark = b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b""
    return mark + sep.encode() + content[len(mark) :]
