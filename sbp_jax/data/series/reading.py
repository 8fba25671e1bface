"""Time series as windows: the observations up to a time, and the value some steps later.

A file has a column of times (dates, or numbers in any unit) and one of values, in order of time. `grid` determines the
grid on which the times lie. If an observation or its value is missing, its cell of the grid is a gap, masked in every
window. Needs NumPy and Polars, never JAX.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs

from sbp_jax.data.readers.tables import check_column, numbers, read_file
from sbp_jax.data.series.dates import Times, read_times
from sbp_jax.data.series.grid import Irregular, find_grid
from sbp_jax.errors import InputError

_TIME_NAMES = ("timestamp", "time", "datetime", "date", "ds", "t")
_PERIOD_NAMES = ("period", "year", "quarter", "month", "week", "day")
_DAY_S = 86_400.0
MAX_ABSOLUTE = 1e30  # of a value: squares in float32 stay finite on the series' own scale
_ROUNDING, _TOLERANCE = 2.0**-53, 1e-3  # relative rounding of float64; its maximum, in mean deviations
# minimum scale, relative to the deviation of the training part: a flat window does not imply that nothing will change
_MIN_DEVIATION = 0.05


@dataclass(frozen=True, eq=False)
class Series:
    """Observations in order of time.

    Attributes:
        name: name of the file without its suffix.
        time: float64 `[N]`, increasing: seconds since 1970 if the file has dates, else as in the file.
        value: float64 `[N]`, finite.
        step: usual distance between two times, in their unit.
        dated: whether times are dates.
        missing: number of rows of the file without a value.
        cells: int64 `[N]`, cell of each observation on the grid, from 0; None for equal steps.
        period: the calendar's period, such as "month" or "business day"; "" for equal steps.
        is_plain: whether earlier versions, which knew only equal steps between the file's numbers or dates, read the
            same times and cells.
        wall: float64 `[N]`, local time in seconds since 1970; None for numbers.
    """

    name: str
    time: np.ndarray
    value: np.ndarray
    step: float
    dated: bool
    missing: int = 0
    cells: np.ndarray | None = None
    period: str = ""
    is_plain: bool = True
    wall: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.value)

    @property
    def cell(self) -> np.ndarray:
        """Cell of each observation on the grid of steps, int64 `[N]` from 0."""
        return _equal_cells(self.time, self.step) if self.cells is None else self.cells

    @property
    def gaps(self) -> int:
        """Number of cells without an observation between the first and the last one."""
        return int(self.cell[-1]) + 1 - len(self)


@dataclass(frozen=True, eq=False)
class Contexts:
    """Windows of C cells before any times of a series; those of which at least half is observed.

    Attributes:
        value, seen, location, scale: see `Windows`.
        index: int64 `[N]`, number of each window among those that were requested.
    """

    value: np.ndarray
    seen: np.ndarray
    location: np.ndarray
    scale: np.ndarray
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.index)


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
            increase, are missing, or have no regular grid; values are not finite numbers; there are fewer than three
            observations, or all are equal. The message names the file and the row; row 1 is the first one below the
            header.
    """
    path = Path(path)
    table = read_file(path)
    time, value = columns_of(table, path, time, value)
    series = series_of(table, path, time, value, path.stem)
    check_varies(series, path, value)
    return series


def columns_of(table: pl.DataFrame, path: Path, time: str = "", value: str = "") -> tuple[str, str]:
    """Return the columns of times and values, found by their kinds and names where they are empty.

    Raises:
        InputError: a column is missing or ambiguous, or both are one; `path` names the table in the message.
    """
    time = time or _time_column(table, path)
    check_column(table, path, time)
    value = value or _value_column(table, path, time)
    check_column(table, path, value)
    if time == value:
        raise InputError(f"{path}: column {time!r}: times and values cannot be one column")
    return time, value


def series_of(table: pl.DataFrame, path: Path, time: str, value: str, name: str) -> Series:
    """Return the series in two columns of a table, see `read_series`; its values may be equal.

    Args:
        table: rows in order of time.
        path: names the table in messages.
        time, value: columns of the table.
        name: name of the series.
    """
    times = read_times(table[time], path)
    values = numbers(table[value], path, value).fill_nan(None).to_numpy()
    for row in np.flatnonzero(np.abs(values) > MAX_ABSOLUTE)[:1]:
        raise InputError(
            f"{path}: column {value!r}: row {row + 1}: expected a number of at most {MAX_ABSOLUTE:g} in size, got "
            f"{values[row]:g}"
        )
    finite = ~np.isnan(values)
    if finite.sum() < 3:
        raise InputError(f"{path}: column {value!r}: expected at least 3 values, got {int(finite.sum())}")
    # the grid comes from all rows: a row without a value is a gap
    grid = find_grid(times.at, times.wall)
    if isinstance(grid, Irregular):
        raise InputError(f"{path}: column {time!r}: {_irregularity(grid, times)}; put the series on a grid first")
    cells, raw = grid.cell[finite], times.raw[finite]
    return Series(
        name,
        times.at[finite],
        values[finite],
        grid.step,
        times.dated,
        int((~finite).sum()),
        cells - cells[0],
        grid.period,
        times.at is times.raw
        and np.array_equal(cells - cells[0], _equal_cells(raw, float(np.median(np.diff(times.raw))))),
        wall=None if times.wall is None else times.wall[finite],
    )


def check_varies(series: Series, path: Path, value: str) -> None:
    """Raise an InputError if all values of a series are equal, or differ in too few digits; `value` is the column."""
    values = series.value
    if np.ptp(values) == 0:
        raise InputError(f"{path}: column {value!r}: a constant series, every value is {values[0]:g}")
    deviation = float(np.mean(np.abs(values - np.median(values))))
    largest = float(np.max(np.abs(values)))
    if largest * _ROUNDING > _TOLERANCE * deviation:
        raise InputError(
            f"{path}: column {value!r}: values up to {largest:.10g} that differ by {deviation:.3g} on average have "
            f"more digits than float64 (15); subtract a constant from the column"
        )


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
    found = contexts(series, cell - lead, context, deviation)
    index = found.index
    if not len(index):
        raise InputError(
            f"{series.name}: {len(series)} observations are too short a series for a context of {context} and a lead "
            f"of {lead} steps"
        )
    return Windows(found.value, found.seen, series.value[index], index, found.location, found.scale)


def contexts(series: Series, last: np.ndarray, context: int, deviation: float) -> Contexts:
    """Return the windows that end at given cells, those of which at least half is observed; see `windows`.

    Args:
        series: the observations.
        last: int64 `[N]`, last cell of each window.
        context: number of cells of a window.
        deviation: mean absolute deviation of the series' training part; the scale is at least a twentieth of it.
    """
    cell = series.cell
    grid = last[:, None] + np.arange(1 - context, 1)[None, :]
    nearest = np.minimum(np.searchsorted(cell, grid), len(cell) - 1)
    observed = cell[nearest] == grid
    index = np.flatnonzero(2 * observed.sum(axis=1) >= context)
    observed = observed[index]
    value = np.where(observed, series.value[nearest[index]], np.nan)
    location = np.nanmedian(value, axis=1)
    scale = np.maximum(np.nanmean(np.abs(value - location[:, None]), axis=1), _MIN_DEVIATION * deviation)
    return Contexts(np.where(observed, value, 0.0), observed, location, scale, index)


def _time_column(table: pl.DataFrame, path: Path) -> str:
    dated = table.select(cs.temporal()).columns
    usual = [name for name in table.columns if name.strip().lower() in _TIME_NAMES]
    periods = [name for name in table.columns if name.strip().lower() in _PERIOD_NAMES]
    for columns in (dated, usual, periods):
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


def _equal_cells(at: np.ndarray, step: float) -> np.ndarray:
    return np.round((at - at[0]) / step).astype(np.int64)


def _irregularity(pair: Irregular, times: Times) -> str:
    """The two rows that do not fit the grid, and the reason."""
    unit, name = (_DAY_S, " days") if times.dated and pair.step >= _DAY_S else (1.0, "")
    distance, step = (
        f"{seconds / unit:g}{name}".removesuffix("s" if seconds == unit else "$")
        for seconds in (pair.distance, pair.step)
    )
    reason = (
        f"less than half of the usual {step}"
        if pair.distance < 0.5 * pair.step
        else f"neither the usual {step} nor a multiple of it, and no period of a calendar"
    )
    return f"rows {pair.row + 1} and {pair.row + 2} are {distance} apart, {reason}"
