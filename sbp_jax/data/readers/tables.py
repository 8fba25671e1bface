"""Tables in files: CSV, TSV, other text or parquet, each also gzipped, read by the same rules everywhere.

The separator of a text file is the most frequent of comma, tab and semicolon in its header; in a .tsv or .txt file with
a tab in its header it is the tab. A byte order mark is not part of the first column's name. `NULLS` stand for a missing
value. Text is UTF-8.
"""

import difflib
import gzip
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from sbp_jax.errors import InputError

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
SEPARATORS = ",\t;"
NULLS = ["", "NA", "N/A", "#N/A", "NaN", "nan", "None", "null"]
MAX_EXACT_INTEGER = 2**53  # beyond it, different integers can have the same Float64
_TWICE = "_duplicated_"  # in the name that the CSV reader gives the second of two columns of one name
_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DAMAGED_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True)
class Column:
    """Values of a numeric column.

    Attributes:
        name: name of the column.
        values: finite numbers, in the file's order.
        missing: number of rows left out because they have no number.
    """

    name: str
    values: np.ndarray
    missing: int

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return len(np.unique(self.values))

    @property
    def is_whole(self) -> bool:
        """Whether every value is an integer."""
        return bool((self.values == np.round(self.values)).all())


def read_file(path: Path) -> pl.DataFrame:
    """Return the table of a file; error messages name the file.

    Raises:
        InputError: the file is missing, empty, unreadable or of another kind, or two columns have one name.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if kind(path) not in SUFFIXES:
        raise InputError(
            f"{path}: expected a file that ends in .csv, .tsv, .txt or .parquet, or in one of them and .gz"
        )
    refuse_twice(path, column_names(path))
    return collect(scan(path, {}, infer_rows=None), path)


def read_column(path: Path, name: str | None = None) -> Column:
    """Return a numeric column of a CSV, TSV or parquet file; without a name, the only numeric one.

    Raises:
        InputError: the file is missing or unreadable, or the column is missing or not numeric.
    """
    table = read_file(path)
    numeric = [column for column in table.columns if table.schema[column].is_numeric()]
    if name is None:
        if len(numeric) != 1:
            description = f"has the numeric columns {', '.join(numeric)}" if numeric else "has no numeric column"
            raise InputError(f"column: say which with --column NAME; {path} {description}")
        name = numeric[0]
    check_column(table, path, name)
    try:
        values = numbers(table[name], path, name).fill_null(float("nan")).to_numpy()
    except InputError as error:
        first = next((value for value in table[name].to_list() if value is not None), None)
        raise InputError(f"column: {name!r} of {path} holds no numbers, but values like {first!r}") from error
    infinite = np.isinf(values)
    if infinite.any():
        raise InputError(f"column: {name!r} of {path} holds an infinite number in row {int(np.argmax(infinite)) + 1}")
    missing = np.isnan(values)
    return Column(name, values[~missing], int(missing.sum()))


def check_column(table: pl.DataFrame, path: Path, name: str) -> None:
    """Check that a table has a column; raise InputError with the nearest name if it does not."""
    if name not in table.columns:
        near = difflib.get_close_matches(name, table.columns, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(table.columns)}"
        raise InputError(f"column: {path} has no column {name!r}{hint}")


def kind(path: Path) -> str:
    """Return the suffix for the kind of a file, in lower case and without that of gzip."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def column_names(path: Path) -> tuple[str, ...]:
    """Return the names of a file's columns; InputError if it is empty or not the kind of table its name implies."""
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    with path.open("rb") as file:
        begin = file.read(4)
    if begin.startswith(b"PK") or (begin == b"PAR1" and kind(path) != ".parquet"):
        what = "parquet; name it .parquet" if begin == b"PAR1" else "a zip archive or a workbook; unpack it to CSV"
        raise InputError(f"{path}: is {what}")
    try:
        return tuple(scan(path, {}).collect_schema().names())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: not a readable table ({first_line(error)})") from error


def refuse_twice(path: Path, columns: Sequence[str]) -> None:
    """Raise InputError if two columns have the same name."""
    twice = [name for name in columns if _TWICE in name and name.split(_TWICE)[0] in columns]
    if twice:
        raise InputError(f"{path}: two columns are named {twice[0].split(_TWICE)[0]!r}")


def scan(path: Path, types: Mapping[str, Any], infer_rows: int | None = 0) -> pl.LazyFrame:
    """Open a file lazily.

    In a text file, columns not in `types` are text; with `infer_rows` their types are inferred from that many rows
    (None: from all).

    Raises:
        InputError: a gzipped file is damaged, or text is UTF-16.
    """
    try:
        if kind(path) == ".parquet":
            is_gzip = path.suffix.lower() == ".gz"
            return pl.scan_parquet(io.BytesIO(gzip.decompress(path.read_bytes())) if is_gzip else path, glob=False)
        separator = _separator(path)
    except _DAMAGED_GZIP as error:
        raise InputError(f"{path}: not a readable table ({first_line(error)})") from error
    return pl.scan_csv(
        path,
        separator=separator,
        null_values=NULLS,
        schema_overrides=dict(types),
        infer_schema_length=infer_rows,
        glob=False,  # brackets and asterisks in a name are part of it
    )


def collect(frame: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """Return the rows of a scan of `path`, with categories as text; InputError if they cannot be read."""
    try:
        return frame.with_columns(cs.by_dtype(pl.Categorical, pl.Enum).cast(pl.String)).collect()
    # a damaged parquet file panics in the reader, which is not an Exception
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(f"{path}: {first_line(error)}") from error


def cast_columns(
    frame: pl.DataFrame,
    path: Path,
    integers: Mapping[str, str],
    real: Mapping[str, str] = MappingProxyType({}),
    text: Sequence[str] = (),
) -> pl.DataFrame:
    """Return `frame` with columns as Int64 (`integers`), Float64 (`real`) or String.

    Args:
        frame: table of the file at `path`.
        path: path for messages.
        integers, real: the columns' names -> the file's names for them.
        text: names of columns; entries that stand for a missing value become null.

    Raises:
        InputError: a value is not a number, or one of `integers` is not an integer or is too large.
    """
    columns = [numbers(frame[name], path, column).alias(name) for name, column in {**integers, **real}.items()]
    words = (pl.col(name).cast(pl.String) for name in text)
    frame = frame.with_columns(columns).with_columns(pl.when(~each.is_in(NULLS)).then(each) for each in words)
    for name, column in integers.items():
        value = frame[name].fill_nan(None)
        invalid = value.filter(value % 1 != 0)
        if len(invalid):
            raise InputError(f"{path}: column {column!r}: expected integers, got {invalid[0]}")
        if (value.abs() > MAX_EXACT_INTEGER).any():
            raise InputError(f"{path}: column {column!r}: expected integers of at most 15 digits")
        frame = frame.with_columns(value.cast(pl.Int64))
    return frame


def numbers(column: pl.Series, path: Path, name: str) -> pl.Series:
    """Return the column as Float64, null where missing; InputError names the first value that is not a number."""
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return column.cast(pl.Float64)
    value = None
    if column.dtype == pl.String:
        # parquet may store as text what a text file marks as missing
        column = column.set(column.str.strip_chars().is_in(NULLS), None)
        value = column.str.strip_chars().cast(pl.Float64, strict=False)
    bad = column.filter(column.is_not_null() & (value.is_null() if value is not None else True))
    if len(bad):
        raise InputError(f"{path}: column {name!r}: expected numbers, got {str(bad[0])[:40]!r}")
    return column.cast(pl.Float64) if value is None else value


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _separator(path: Path) -> str:
    with path.open("rb") as file:
        is_gzip = file.read(2) == _GZIP
    if path.suffix.lower() == ".gz" and not is_gzip:
        raise InputError(f"{path}: not a readable table (not a gzipped file)")
    with gzip.open(path) if is_gzip else path.open("rb") as file:
        header = file.readline()
    if header.startswith(_UTF_16):
        raise InputError(f"{path}: is UTF-16 text; save it as UTF-8")
    names = re.sub(r'"[^"]*"', "", header.decode(errors="replace"))
    if kind(path) in (".tsv", ".txt") and "\t" in names:
        return "\t"
    return max(SEPARATORS, key=names.count)
