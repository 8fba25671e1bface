"""Columns of times: calendar dates and periods in their usual forms, or numbers in any unit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from sbp_jax.errors import InputError

_SECOND = 1_000_000  # in Polars' microseconds
_OFFSET = r"\d{2}:\d{2}.*([+-]\d{2}):?(\d{2})$"  # of a date with a time of day
_PERIODS = (  # pattern of year and part, kind of period
    (r"^(\d{4})-?[Mm]?(0[1-9]|1[0-2])$", "month"),
    (r"^(\d{4})-?[Qq]([1-4])$", "quarter"),
    (r"^(\d{4})-?[Ww](0[1-9]|[1-4]\d|5[0-3])$", "week"),
    (r"^(\d{4})()$", "year"),
)
_YEARS = (1700, 2300)  # range of the years in integers such as 20200131 or 202001


@dataclass(frozen=True)
class Times:
    """Times of a series.

    Attributes:
        at: float64 `[N]`, increasing: seconds since 1970 if the column has dates, else as in the file.
        wall: float64 `[N]`, local time in seconds since 1970; None for numbers.
        dated: whether the column has dates.
        raw: float64 `[N]`, `at` with the numbers in the file instead of dates written as integers.
    """

    at: np.ndarray
    wall: np.ndarray | None
    dated: bool
    raw: np.ndarray


def read_times(column: pl.Series, path: Path) -> Times:
    """Return the times of a column.

    Dates have the table's date type, or are text with the year first, with or without a time of day and its offset from
    UTC; 2020-01, 2020Q1, 2020-W05 and 2020-01-06/2020-01-12 are periods. Integers such as 202001 or 20200131 are months
    or days if all integers of the column are.

    Raises:
        InputError: the message names the file and the first row that is not a date, has no time, or is not later than
            the row before.
    """
    times = clock_times(column, path)
    at, name = times.raw, column.name
    if len(at) < 3:
        raise InputError(f"{path}: expected at least 3 rows, got {len(at)}")
    for row in np.flatnonzero(np.diff(at) <= 0)[:1]:
        what = "the same time as" if at[row + 1] == at[row] else "an earlier time than"
        has_clock = not column.dtype.is_numeric() and np.any(np.mod(at, 86_400))
        hint = "; local times need an offset from UTC where the clock is set back" if has_clock else ""
        raise InputError(
            f"{path}: column {name!r}: row {row + 2} has {what} the row before: {column[int(row) + 1]}{hint}"
        )
    return times


def clock_times(column: pl.Series, path: Path) -> Times:
    """Return the times of a column in any order, see `read_times`; InputError names the first that is no time."""
    name, dated = column.name, not column.dtype.is_numeric()
    wall = None
    if column.dtype == pl.String:
        column, offset = _text_dates(column, path)
        wall = _seconds(column) + offset
    elif column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
        wall = _seconds(column)
    elif isinstance(column.dtype, pl.Datetime):
        wall = _seconds(column.dt.replace_time_zone(None))
    elif column.dtype.is_numeric():
        wall = _coded_dates(column)
    else:
        raise InputError(f"{path}: column {name!r}: expected dates or numbers, got {column.dtype}")
    at = _seconds(column) if dated else column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    for row in np.flatnonzero(~np.isfinite(at))[:1]:
        raise InputError(f"{path}: column {name!r}: row {row + 1} has no time")
    return Times(at if dated or wall is None else wall, wall, dated or wall is not None, raw=at)


def _seconds(dates: pl.Series) -> np.ndarray:
    return (dates.dt.epoch("us").cast(pl.Float64) / _SECOND).fill_null(float("nan")).to_numpy()


def _text_dates(column: pl.Series, path: Path) -> tuple[pl.Series, np.ndarray]:
    """Text as dates with the year first, and offsets of local clocks in seconds.

    Formats with an ambiguous order of day and month are rejected.
    """
    text = column.str.strip_chars()
    start = text.str.replace(r"^(\d{4}-\d{2}-\d{2}[^/]*)/\d{4}-.*$", "$1")  # a period from one date to another
    dates = start.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    for pattern, period in _PERIODS:
        if dates.is_null().any() and (text.is_null() | text.str.contains(pattern)).all():
            dates = _first_days(text, pattern, period)
    bad = column.is_not_null() & (dates.is_null() | ~text.str.contains(r"^\d{4}"))
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise InputError(
            f"{path}: column {column.name!r}: row {row + 1}: expected a date such as 2015-02-26 21:42:53, a period "
            f"such as 2015-02 or 2015Q1, or a number, got {column[row]!r}"
        )
    hours, minutes = (start.str.extract(_OFFSET, group).cast(pl.Float64).fill_null(0.0).to_numpy() for group in (1, 2))
    return dates, 3600 * hours + np.copysign(60 * minutes, hours)


def _first_days(text: pl.Series, pattern: str, period: str) -> pl.Series:
    year, part = text.str.extract(pattern, 1), text.str.extract(pattern, 2)
    if period == "week":
        day = (year + "-W" + part + "-1").str.to_date("%G-W%V-%u", strict=False)
    elif period == "year":
        day = (year + "-01-01").str.to_date("%Y-%m-%d", strict=False)
    else:
        month = part.cast(pl.Int64) if period == "month" else 3 * part.cast(pl.Int64) - 2
        day = (year + "-" + month.cast(pl.String).str.zfill(2) + "-01").str.to_date("%Y-%m-%d", strict=False)
    return day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _coded_dates(column: pl.Series) -> np.ndarray | None:
    """Integers such as 20200131 or 202001 in seconds since 1970; None unless all of them are dates."""
    values = column.cast(pl.Float64).drop_nulls().to_numpy()
    if len(values) < len(column) or not len(values) or not np.all(values == np.round(values)):
        return None
    low, high = values.min(), values.max()
    for factor, form in ((1e4, "%Y%m%d"), (1e2, "%Y%m")):
        if _YEARS[0] * factor <= low and high < _YEARS[1] * factor and len(values) > 1:
            text = pl.Series(values.astype(np.int64)).cast(pl.String) + ("" if form == "%Y%m%d" else "01")
            dates = text.str.to_date("%Y%m%d", strict=False)
            if not dates.is_null().any():
                return _seconds(dates.cast(pl.Datetime("us")))
    return None
