"""Time series in data frames and arrays: columns of times, values and ids, read by the same rules as files.

A pandas, polars or pyarrow frame has one row per observation. Rows of a series are in order of time; rows of several
series may be interleaved. Needs NumPy, Polars and Narwhals, never JAX.
"""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from narwhals.exceptions import DuplicateError

from sbp_jax.data.readers.tables import check_column
from sbp_jax.data.series.dates import Times, clock_times
from sbp_jax.data.series.reading import Series, columns_of, series_of
from sbp_jax.errors import InputError

Id = str | int
_NAME = "frame"  # the argument, in messages
_TIME, _VALUE = "time", "value"  # columns of an array


@dataclass(frozen=True)
class Columns:
    """Columns of a frame.

    Attributes:
        time, value: names of the columns of times and values.
        series: name of the column of ids; None for one series.
        is_array: whether the data are an array, whose times are the numbers of its elements from 0.
    """

    time: str
    value: str
    series: str | None = None
    is_array: bool = False


def read_frame(
    frame: Any, time: str | None = None, value: str | None = None, series: str | None = None
) -> tuple[Columns, dict[Id, Series]]:
    """Read series from a data frame, or one series from an array [N], where NaN is a gap.

    Args:
        frame: pandas, polars or pyarrow frame, or an array, a list or a series of values. A pandas series with dates or
            periods as its index has these times.
        time: column of times; None: the only one of dates, or one with a usual name ("timestamp", "time", ...).
        value: column of values; None: the only other numeric column.
        series: column that identifies the series, text or integers; None for one series.

    Returns:
        The columns, and the series by id in order of first appearance; the id of a single series is "".

    Raises:
        InputError: the frame is empty or of an unknown kind; a column is missing, ambiguous or of another kind; times
            are missing, not increasing, or have no regular grid; a value is not a number. The message names the series
            and the row within it, counted from 1.
    """
    native = _native(frame)
    if isinstance(native, nw.LazyFrame):
        native = native.collect()
    if not isinstance(native, nw.DataFrame):
        if time is not None or value is not None or series is not None:
            raise InputError(f"time, value, series: expected only with a data frame, got {type(frame).__name__}")
        table, columns = _array_table(native, frame), Columns(_TIME, _VALUE, is_array=True)
    else:
        if not len(native):
            raise InputError(f"{_NAME}: expected rows, got an empty frame")
        for column in native.columns:
            if not isinstance(column, str):
                raise InputError(f"{_NAME}: expected column names that are text, got {column!r}")
        for column in (time, value, series):
            if column is not None:
                check_column(pl.DataFrame(schema=list(native.columns)), Path(_NAME), column)
        if series is not None and series in (time, value):
            raise InputError(f"{_NAME}: column {series!r}: times, values and ids of series are separate columns")
        table = pl.DataFrame([_polars(native[column], column) for column in native.columns])
        try:
            columns = Columns(*_detected(table, Path(_NAME), time, value, series), series)
        except InputError as error:
            raise InputError(f"{error}{_index_hint(frame)}") from None
    if series is None:
        return columns, {"": series_of(table, Path(_NAME), columns.time, columns.value, "")}
    ids = table[series]
    if ids.null_count():
        raise InputError(
            f"{_NAME}: column {series!r}: row {int(ids.is_null().arg_max() or 0) + 1} has no id of a series"
        )
    parts = {as_id(part[series][0]): part for part in table.partition_by(series, maintain_order=True)}
    return columns, {
        each: series_of(part, Path(f"series {each!r}"), columns.time, columns.value, str(each))
        for each, part in parts.items()
    }


def is_frame(frame: Any) -> bool:
    """Return whether data are a frame of pandas, polars or pyarrow, not an array or a single column."""
    return isinstance(_native(frame), nw.DataFrame | nw.LazyFrame)


def _native(frame: Any) -> Any:
    try:
        return nw.from_native(frame, pass_through=True, allow_series=True)
    except DuplicateError:
        raise InputError(f"{_NAME}: expected different column names, but one is repeated") from None


def as_id(value: Any) -> Id:
    """Return the id of a series as an integer if it is one, otherwise as text."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    is_integer = isinstance(value, float) and value.is_integer()
    return int(value) if is_integer else str(value)


def read_time(value: Any) -> Times:
    """Return one time as `read_times` reads a column of them: a date, text, or a number, as arrays `[1]`.

    Raises:
        InputError: it is no time, or a number that is not finite.
    """
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    elif isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, str | int | float | datetime.date) or isinstance(value, bool):
        raise InputError(f"time: expected a date, text or a number, got {type(value).__name__}")
    # two equal times, as integers such as 202001 are months only if all of several are
    try:
        times = clock_times(pl.Series("time", [value, value]), Path("time"))
    except InputError as error:
        raise InputError(f"time: expected a time, got {value!r} ({error})") from None
    return Times(times.at[:1], None if times.wall is None else times.wall[:1], times.dated, times.raw[:1])


def _detected(
    table: pl.DataFrame, path: Path, time: str | None, value: str | None, series: str | None
) -> tuple[str, str]:
    return columns_of(table if series is None else table.drop(series), path, time or "", value or "")


def _index_hint(frame: Any) -> str:
    """What to do if the times of a pandas frame are its index."""
    kind = getattr(getattr(getattr(frame, "index", None), "dtype", None), "kind", "")
    return "; frame.reset_index() makes a column of an index of times" if kind == "M" else ""


def _array_table(native: Any, frame: Any) -> pl.DataFrame:
    """A table of times and values of an array, a list or a series."""
    values = native.to_numpy() if isinstance(native, nw.Series) else np.asarray(frame)
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise InputError(
            f"{_NAME}: expected a data frame or numbers [N], got {type(frame).__name__} of shape {list(values.shape)} "
            f"and type {values.dtype}"
        )
    if not len(values):
        raise InputError(f"{_NAME}: expected values, got an empty array")
    times = _index_times(frame)
    times = pl.Series(_TIME, np.arange(len(values))) if times is None else times
    return pl.DataFrame({_TIME: times, _VALUE: np.asarray(values, np.float64)})


def _index_times(frame: Any) -> pl.Series | None:
    """The dates in the index of a pandas series, in its time zone; starts of periods; None for another index."""
    index = getattr(frame, "index", None)
    if type(index).__name__ == "PeriodIndex":
        index = index.to_timestamp()  # pyright: ignore[reportOptionalMemberAccess]
    if getattr(getattr(index, "dtype", None), "kind", "") != "M":
        return None
    return _polars(nw.from_native(index.to_series(), series_only=True), _TIME)  # pyright: ignore[reportOptionalMemberAccess]


def _polars(column: Any, name: str) -> pl.Series:
    """A column in Polars, without pandas' conversion, which needs pyarrow."""
    dtype = column.dtype
    if column.implementation.is_polars():
        series = column.to_native()
        return series.cast(pl.String) if dtype in (nw.Categorical, nw.Enum) else series
    if dtype.is_numeric() or dtype == nw.Boolean:
        return pl.Series(name, column.cast(nw.Float64).to_numpy()).fill_nan(None)
    if isinstance(dtype, nw.Datetime):
        microseconds = [_known(each) for each in column.dt.timestamp("us").to_list()]
        times = pl.Series(name, microseconds, dtype=pl.Int64).cast(pl.Datetime("us"))
        zone = dtype.time_zone
        return times if zone is None else times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    values = [_known(each) for each in column.to_list()]
    kinds = {type(each) for each in values if each is not None}
    if kinds and all(issubclass(kind, datetime.date) for kind in kinds):
        return pl.Series(name, values)
    if kinds and all(issubclass(kind, int | float) and kind is not bool for kind in kinds):
        return pl.Series(name, [None if each is None else float(each) for each in values], dtype=pl.Float64)
    return pl.Series(name, [None if each is None else str(each) for each in values], dtype=pl.String)


def _known(value: Any) -> Any:
    """A value, None where it is missing: NaN and NaT differ from themselves."""
    return None if value is None or value != value else value
