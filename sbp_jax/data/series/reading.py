"""Time series as windows: the observations up to a time, and the value some steps later.

A file has a column of times (dates, or numbers in any unit) and one of values, in order of time. The step of the grid
is the median distance between two times. If an observation or its value is missing, its cell of the grid is a gap,
masked in every window. Needs NumPy and Polars, never JAX.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs

from sbp_jax.data.readers.tables import check_column, numbers, read_file
from sbp_jax.errors import InputError

_TIME_NAMES = ("timestamp", "time", "datetime", "date", "ds", "t")
_SECOND = 1_000_000  # in Polars' microseconds
MAX_ABSOLUTE = 1e30  # of a value: squares in float32 stay finite on the series' own scale
# minimum scale, relative to the deviation of the training part: a flat window does not imply that nothing will change
_MIN_DEVIATION = 0.05


@dataclass(frozen=True, eq=False)
class Series:
    """Observations in order of time.

    Attributes:
        name: name of the file without its suffix.
        time: float64 `[N]`, increasing: seconds since 1970 if the file has dates, else as in the file.
        value: float64 `[N]`, finite.
        step: median distance between two times, in their unit.
        dated: whether times are dates.
        missing: number of rows of the file without a value.
    """

    name: str
    time: np.ndarray
    value: np.ndarray
    step: float
    dated: bool
    missing: int = 0

    def __len__(self) -> int:
        return len(self.value)

    @property
    def cell(self) -> np.ndarray:
        """Cell of each observation on the grid of steps, int64 `[N]` from 0."""
        return np.round((self.time - self.time[0]) / self.step).astype(np.int64)

    @property
    def gaps(self) -> int:
        """Number of cells without an observation between the first and the last one."""
        return int(self.cell[-1]) + 1 - len(self)


@dataclass(frozen=True, eq=False)
class Windows:
    """Observations before each outcome, on the series' grid; N windows of C cells, the last one `lead` before it.

    Attributes:
        value: float64 `[N, C]`, in the series' unit; 0 in gaps.
        seen: bool `[N, C]`, False in gaps and before the series began.
        outcome: float64 `[N]`.
        index: int64 `[N]`, number of the observation that is the outcome.
        location: float64 `[N]`, median of the window.
        scale: float64 `[N]`, mean absolute deviation of the window from its median, positive.
    """

    value: np.ndarray
    seen: np.ndarray
    outcome: np.ndarray
    index: np.ndarray
    location: np.ndarray
    scale: np.ndarray

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def scaled(self) -> np.ndarray:
        """(value - location) / scale, float64 `[N, C]`; 0, the value at the location, in gaps."""
        scaled = (self.value - self.location[:, None]) / self.scale[:, None]
        return np.where(self.seen, scaled, 0.0)


def read_series(path: str | Path, time: str = "", value: str = "") -> Series:
    """Read a series from a CSV, TSV or parquet file.

    Args:
        path: the file.
        time: column of times; empty: the only one of dates, or one with a usual name ("timestamp", "time", ...).
        value: column of values; empty: the only other numeric column.

    Raises:
        InputError: the file is missing or unreadable; a column is missing, ambiguous or of another kind; times do not
            increase, are missing, or are closer together than half of the median distance; values are not finite
            numbers; there are fewer than three observations, or all are equal. The message names the file and the row;
            row 1 is the first one below the header.
    """
    path = Path(path)
    table = read_file(path)
    time = time or _time_column(table, path)
    check_column(table, path, time)
    value = value or _value_column(table, path, time)
    check_column(table, path, value)
    if time == value:
        raise InputError(f"{path}: column {time!r}: times and values cannot be one column")
    at, dated = _times(table[time], path)
    values = numbers(table[value], path, value).fill_nan(None).to_numpy()
    for row in np.flatnonzero(np.abs(values) > MAX_ABSOLUTE)[:1]:
        raise InputError(
            f"{path}: column {value!r}: row {row + 1}: expected a number of at most {MAX_ABSOLUTE:g} in size, got "
            f"{values[row]:g}"
        )
    finite = ~np.isnan(values)
    if finite.sum() < 3:
        raise InputError(f"{path}: column {value!r}: expected at least 3 values, got {int(finite.sum())}")
    if np.ptp(values[finite]) == 0:
        raise InputError(f"{path}: column {value!r}: a constant series, every value is {values[finite][0]:g}")
    # the grid comes from all rows: a row without a value is a gap
    step = float(np.median(np.diff(at)))
    cells = np.round((at - at[0]) / step)
    for row in np.flatnonzero(np.diff(cells) < 1)[:1]:
        raise InputError(
            f"{path}: column {time!r}: rows {row + 1} and {row + 2} are {at[row + 1] - at[row]:g} apart, less than "
            f"half of the usual {step:g}; put the series on a grid first"
        )
    return Series(path.stem, at[finite], values[finite], step, dated, int((~finite).sum()))


def windows(series: Series, context: int, lead: int = 1, training: int | None = None) -> Windows:
    """Return the window of every outcome of a series that has enough observations before it.

    At least half of a window's cells must be observed. Location and scale are the window's own median and mean absolute
    deviation, so that series, and parts of a series, that differ by orders of magnitude look alike. The scale is at
    least a twentieth of the deviation of the series' training part.

    Args:
        series: the observations.
        context: number of cells of a window.
        lead: number of steps from its last cell to the outcome.
        training: number of observations, from the first, that determine the series' deviation; None uses all.

    Raises:
        InputError: context or lead is below 1; no outcome has a window; the training part is constant.
    """
    length = int(series.cell[-1]) + 1
    # half of a window must be observed
    for name, number, most in (("context", context, 2 * length), ("lead", lead, length - 1)):
        if number < 1:
            raise InputError(f"{name}: expected at least 1 step, got {number}")
        if number > most:
            raise InputError(f"{series.name}: {name}: the series is {length} steps long, too short for {number}")
    cell, train = series.cell, series.value[:training]
    deviation = float(np.mean(np.abs(train - np.median(train)))) if len(train) else 0.0
    if not deviation > 0:
        raise InputError(f"{series.name}: a constant series in its first {len(train)} observations, which train")
    grid = cell[:, None] + np.arange(1 - context, 1)[None, :] - lead
    place = np.searchsorted(cell, grid)
    nearest = np.minimum(place, len(cell) - 1)
    observed = (cell[nearest] == grid) & (grid >= 0)
    index = np.flatnonzero(2 * observed.sum(axis=1) >= context)
    if not len(index):
        raise InputError(
            f"{series.name}: {len(series)} observations are too short a series for a context of {context} and a lead "
            f"of {lead} steps"
        )
    observed = observed[index]
    value = np.where(observed, series.value[nearest[index]], np.nan)
    location = np.nanmedian(value, axis=1)
    scale = np.maximum(np.nanmean(np.abs(value - location[:, None]), axis=1), _MIN_DEVIATION * deviation)
    return Windows(np.where(observed, value, 0.0), observed, series.value[index], index, location, scale)


def _time_column(table: pl.DataFrame, path: Path) -> str:
    dated = table.select(cs.temporal()).columns
    usual = [name for name in table.columns if name.strip().lower() in _TIME_NAMES]
    for columns in (dated, usual):
        if len(columns) == 1:
            return columns[0]
    raise InputError(f"{path}: specify the column of times; it has {', '.join(table.columns)}")


def _value_column(table: pl.DataFrame, path: Path, time: str) -> str:
    numeric = [name for name in table.select(cs.numeric()).columns if name != time]
    if len(numeric) == 1:
        return numeric[0]
    others = [name for name in table.columns if name != time]
    if len(others) == 1:
        return others[0]  # reading it raises an error that describes the fault
    raise InputError(f"{path}: specify the column of values; besides {time!r} it has {', '.join(others) or 'none'}")


def _times(column: pl.Series, path: Path) -> tuple[np.ndarray, bool]:
    """Times as numbers, and whether they are dates."""
    name, dated = column.name, not column.dtype.is_numeric()
    if column.dtype == pl.String:
        column = _dates(column, path)
    if column.dtype in (pl.Date, pl.Datetime):
        at = column.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / _SECOND
    elif column.dtype.is_numeric():
        at = column.cast(pl.Float64)
    else:
        raise InputError(f"{path}: column {name!r}: expected dates or numbers, got {column.dtype}")
    times = at.fill_null(float("nan")).to_numpy()
    for row in np.flatnonzero(~np.isfinite(times))[:1]:
        raise InputError(f"{path}: column {name!r}: row {row + 1} has no time")
    if len(times) < 3:
        raise InputError(f"{path}: expected at least 3 rows, got {len(times)}")
    for row in np.flatnonzero(np.diff(times) <= 0)[:1]:
        what = "the same time as" if times[row + 1] == times[row] else "an earlier time than"
        raise InputError(f"{path}: column {name!r}: row {row + 2} has {what} the row before: {column[int(row) + 1]}")
    return times, dated


def _dates(column: pl.Series, path: Path) -> pl.Series:
    """Text as dates with the year first; formats with an ambiguous order of day and month are rejected."""
    dates = column.str.strip_chars().str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    bad = column.is_not_null() & (dates.is_null() | ~column.str.contains(r"^\s*\d{4}"))
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise InputError(
            f"{path}: column {column.name!r}: row {row + 1}: expected a date such as 2015-02-26 21:42:53, or a number, "
            f"got {column[row]!r}"
        )
    return dates
