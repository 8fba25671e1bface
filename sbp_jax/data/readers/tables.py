"""Tables in files: CSV, TSV, other text or parquet, each also gzipped or in a zip archive, read by the same rules.

The separator of a text file is the most frequent of comma, tab, semicolon and bar in its header; in a .tsv or .txt file
with a tab in its header it is the tab. A byte order mark is not part of the first column's name. `NULLS` stand for a
missing value. Text in another encoding than UTF-8 is converted (`encodings`).
"""

import difflib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from sbp_jax.data.readers.encodings import as_utf8, header_of
from sbp_jax.data.readers.files import (
    SUFFIXES,
    Frame,
    Place,
    archive_of,
    first_line,
    kind,
    open_file,
    refuse_stand_in,
)
from sbp_jax.errors import InputError

NULLS = ["", "NA", "N/A", "#N/A", "NaN", "nan", "None", "null"]
TRUE = ["true", "t", "yes", "y", "1", "1.0"]  # text of a flag that is set, in lower case
MAX_EXACT_INTEGER = 2**53  # beyond it, different integers can have the same Float64
_TWICE = "_duplicated_"  # in the name that the CSV reader gives the second of two columns of one name
_LETTERS = {letter: number for number, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1)}
# id of a game in nflverse: season, week, visitor and home team
_GAME_TEXT = r"^(\d{4})_(\d{1,2})_([A-Z]{2,3})_([A-Z]{2,3})$"
TEXT_GAME_SEASON = 10**7  # place value of the season in the number of such a game
_ROUNDED = r"^[+-]?\d(?:\.(\d*))?[eE]\+?(\d+)$"


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


def column_names(path: Place) -> tuple[str, ...]:
    """Return a file's column names; InputError if it is empty or not the kind of table that its name implies."""
    if isinstance(path, Frame):
        return tuple(path.rows.columns)
    refuse_stand_in(path)
    try:
        if kind(path) == ".parquet":
            return tuple(scan(path, {}).collect_schema().names())
        head, sep = header_of(path)
        table = pl.scan_csv(io.BytesIO(head), separator=sep, infer_schema_length=0, truncate_ragged_lines=True)
        return tuple(table.collect_schema().names())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(f"{path}: not a readable table ({first_line(error)})") from error


def refuse_twice(path: Place, columns: Sequence[str]) -> None:
    """Raise InputError if two columns have the same name."""
    twice = [name for name in columns if _TWICE in name and name.split(_TWICE)[0] in columns]
    twice = [name for name in twice if name.split(_TWICE)[0]]  # nameless columns are row numbers
    if twice:
        raise InputError(f"{path}: two columns are named {twice[0].split(_TWICE)[0]!r}")


def scan(path: Place, types: Mapping[str, Any], infer_rows: int | None = 0) -> pl.LazyFrame:
    """Open a file or frame lazily.

    In a text file, columns not in `types` are text; with `infer_rows` their types are inferred from that many rows
    (None: from all).

    Raises:
        InputError: the file is damaged or cut off, or its text has an unknown encoding.
    """
    if isinstance(path, Frame):
        return path.rows.lazy()
    if kind(path) == ".parquet":
        if path.suffix.lower() != ".gz" and archive_of(path) is None:
            return pl.scan_parquet(path, glob=False)
        with open_file(path) as file:
            return pl.scan_parquet(io.BytesIO(file.read()), glob=False)
    content = as_utf8(path)
    return pl.scan_csv(
        path if content is None else io.BytesIO(content),
        separator=header_of(path)[1],
        null_values=NULLS,
        schema_overrides=dict(types),
        infer_schema_length=infer_rows,
        glob=False,  # brackets and asterisks in a name are part of it
    )


def collect(frame: pl.LazyFrame, path: Place) -> pl.DataFrame:
    """Return the rows of a scan of `path`, with categories as text; InputError if they cannot be read."""
    try:
        return frame.with_columns(cs.by_dtype(pl.Categorical, pl.Enum).cast(pl.String)).collect()
    # a damaged parquet file panics in the reader, which is not an Exception
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(f"{path}: {first_line(error)}") from error


def cast_columns(
    frame: pl.DataFrame,
    path: Place,
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
    for name, column in integers.items():
        _refuse_rounded(frame[name], path, column)
    if "game_id" in integers:
        frame = frame.with_columns(league_games(frame["game_id"]))
    columns = [numbers(frame[name], path, column).alias(name) for name, column in {**integers, **real}.items()]
    words = (pl.col(name).cast(pl.String).str.strip_chars() for name in text)
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


def league_games(column: pl.Series) -> pl.Series:
    """Return game ids with nflverse's text ("1999_01_MIN_ATL") replaced by unique numbers.

    The digits are the season, the week, and five for the home team, which has one game per week. The number has one
    digit more than the league's, so the two never collide.
    """
    if column.dtype != pl.String or not column.str.contains(_GAME_TEXT).any():
        return column
    home = column.str.extract(_GAME_TEXT, 4)
    letters = [home.str.slice(at, 1).replace_strict(_LETTERS, default=0, return_dtype=pl.Int64) for at in range(3)]
    season, week = (column.str.extract(_GAME_TEXT, part).cast(pl.Int64) for part in (1, 2))
    number = season * TEXT_GAME_SEASON + week * 10**5 + letters[0] * 27**2 + letters[1] * 27 + letters[2]
    return pl.select(pl.coalesce(number.cast(pl.String), column).alias(column.name)).to_series()


def numbers(column: pl.Series, path: Place, name: str) -> pl.Series:
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


def _refuse_rounded(column: pl.Series, path: Place, name: str) -> None:
    """Raise InputError if an integer in scientific notation has too few digits: a program may have rounded it."""
    if column.dtype != pl.String:
        return
    text = column.str.strip_chars()
    digits = text.str.extract(_ROUNDED, 1).fill_null("").str.len_chars()
    rounded = column.filter(
        (digits < text.str.extract(_ROUNDED, 2).cast(pl.Int64, strict=False)).fill_null(value=False)
    )
    if len(rounded):
        raise InputError(
            f"{path}: column {name!r}: {str(rounded[0])!r} may be rounded; save it with all its digits, as a number "
            "without decimals or as text"
        )
