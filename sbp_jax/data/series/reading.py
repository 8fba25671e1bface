"""Time series as windows: what was seen of a series up to a time, and its value some steps later.

A file has a column of times (dates, or numbers in any unit) and one of values, in order of time. Its grid is the usual
distance between two times; where an observation is missing, or its value is, the cell of the grid is a gap, masked in
every window. Needs NumPy and Polars, never JAX.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs

from sbp_jax.data.readers.tables import check_column, numbers, read_file
from sbp_jax.errors import InputError

_TIME_NAMES = ("timestamp", "time", "datetime", "date", "ds", "t")
_SECOND = 1_000_000  # of Polars' microseconds
# of a training part's own deviation: a window that happens to be flat is no reason to expect no change
MAX_ABSOLUTE = 1e30  # of a value: squares of what is computed in float32 stay finite on its own scale
_MIN_DEVIATION = 0.05


@dataclass(frozen=True, eq=False)
class Series:
    """Observations in order of time.

    Attributes:
        name: of the file, without its suffix.
        time: float64 `[N]`, increasing: seconds since 1970 where the file has dates, else as the file has them.
        value: float64 `[N]`, finite.
        step: the usual distance between two times, in their unit.
        dated: times are dates.
        missing: rows of the file without a value.
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
        """Place of each observation on the grid of steps, int64 `[N]` from 0."""
        return np.round((self.time - self.time[0]) / self.step).astype(np.int64)

    @property
    def gaps(self) -> int:
        """Cells of the grid between the first and the last observation that have none."""
        return int(self.cell[-1]) + 1 - len(self)


@dataclass(frozen=True, eq=False)
class Windows:
    """What was seen before each outcome, on the series' grid; N windows of C cells, the last one `lead` before it.

    Attributes:
        value: float64 `[N, C]`, in the series' unit; 0 in gaps.
        seen: bool `[N, C]`, False in gaps and before the series began.
        outcome: float64 `[N]`.
        index: int64 `[N]`, which observation the outcome is.
        location: float64 `[N]`, the window's median.
        scale: float64 `[N]`, its mean deviation from that, positive.
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
        """(value - location) / scale, float64 `[N, C]`; 0, the location's own, in gaps."""
        scaled = (self.value - self.location[:, None]) / self.scale[:, None]
        return np.where(self.seen, scaled, 0.0)


def read_series(path: str | Path, time: str = "", value: str = "") -> Series:
    """Read a series from a CSV, TSV or parquet file.

    Args:
        path: the file.
        time: its column of times; without, the only one of dates, or one of a usual name ("timestamp", "time", ...).
        value: its column of values; without, the only numeric one beside the times.

    Raises:
        InputError: a missing or unreadable file; a column that is missing, not told or of another kind; times that do
            not increase, are missing, or are closer together than half of the usual distance; values that are not
            finite numbers; fewer than three observations, or all of one value. The line names the file and the row,
            the first one below the header being row 1.
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
    known = ~np.isnan(values)
    if known.sum() < 3:
        raise InputError(f"{path}: column {value!r}: expected at least 3 values, got {int(known.sum())}")
    if np.ptp(values[known]) == 0:
        raise InputError(f"{path}: column {value!r}: a constant series, every value is {values[known][0]:g}")
    # the grid is that of all rows: one without a value is a gap of it
    step = float(np.median(np.diff(at)))
    cells = np.round((at - at[0]) / step)
    for row in np.flatnonzero(np.diff(cells) < 1)[:1]:
        raise InputError(
            f"{path}: column {time!r}: rows {row + 1} and {row + 2} are {at[row + 1] - at[row]:g} apart, less than "
            f"half of the usual {step:g}; put the series on a grid first"
        )
    return Series(path.stem, at[known], values[known], step, dated, int((~known).sum()))


def windows(series: Series, context: int, lead: int = 1, training: int | None = None) -> Windows:
    """Every outcome of a series that has something before it to go by.

    A window counts if at least half of its cells are seen. Its location and scale are its own median and mean absolute
    deviation, so that series, and times of a series, that differ by orders of magnitude look alike; the scale is at
    least a twentieth of the deviation of the series' training part.

    Args:
        series: the observations.
        context: cells of a window.
        lead: steps from its last cell to the outcome.
        training: how many of the observations, from the first, may tell of the series as a whole; all without.

    Raises:
        InputError: a context or lead below 1; no outcome has a window; a constant training part.
    """
    length = int(series.cell[-1]) + 1
    # half of a window must be seen
    for name, number, most in (("context", context, 2 * length), ("lead", lead, length - 1)):
        if number < 1:
            raise InputError(f"{name}: expected at least 1 step, got {number}")
        if number > most:
            raise InputError(f"{series.name}: {name}: the series is {length} steps long, too short for {number}")
    cell, told = series.cell, series.value[:training]
    deviation = float(np.mean(np.abs(told - np.median(told)))) if len(told) else 0.0
    if not deviation > 0:
        raise InputError(f"{series.name}: a constant series in its first {len(told)} observations, which train")
    wanted = cell[:, None] + np.arange(1 - context, 1)[None, :] - lead
    place = np.searchsorted(cell, wanted)
    found = np.minimum(place, len(cell) - 1)
    seen = (cell[found] == wanted) & (wanted >= 0)
    index = np.flatnonzero(2 * seen.sum(axis=1) >= context)
    if not len(index):
        raise InputError(
            f"{series.name}: {len(series)} observations are too short a series for a context of {context} and a lead "
            f"of {lead} steps"
        )
    seen = seen[index]
    value = np.where(seen, series.value[found[index]], np.nan)
    location = np.nanmedian(value, axis=1)
    scale = np.maximum(np.nanmean(np.abs(value - location[:, None]), axis=1), _MIN_DEVIATION * deviation)
    return Windows(np.where(seen, value, 0.0), seen, series.value[index], index, location, scale)


def _time_column(table: pl.DataFrame, path: Path) -> str:
    dated = table.select(cs.temporal()).columns
    usual = [name for name in table.columns if name.strip().lower() in _TIME_NAMES]
    for found in (dated, usual):
        if len(found) == 1:
            return found[0]
    raise InputError(f"{path}: say which column has the times; it has {', '.join(table.columns)}")


def _value_column(table: pl.DataFrame, path: Path, time: str) -> str:
    found = [name for name in table.select(cs.numeric()).columns if name != time]
    if len(found) == 1:
        return found[0]
    beside = [name for name in table.columns if name != time]
    if len(beside) == 1:
        return beside[0]  # what is wrong with it is told when it is read
    raise InputError(f"{path}: say which column has the values; beside {time!r} it has {', '.join(beside) or 'none'}")


def _times(column: pl.Series, path: Path) -> tuple[np.ndarray, bool]:
    """The times as numbers, and whether they are dates."""
    name, dated = column.name, not column.dtype.is_numeric()
    if column.dtype == pl.String:
        column = _parsed(column, path)
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


def _parsed(column: pl.Series, path: Path) -> pl.Series:
    """Text as dates, the year first: days and months in an order that only their writer knows are refused."""
    parsed = column.str.strip_chars().str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    bad = column.is_not_null() & (parsed.is_null() | ~column.str.contains(r"^\s*\d{4}"))
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise InputError(
            f"{path}: column {column.name!r}: row {row + 1}: expected a date such as 2015-02-26 21:42:53, or a number, "
            f"got {column[row]!r}"
        )
    return parsed
