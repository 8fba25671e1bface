"""Find the regular grid of a series' times: equal steps, months, quarters and years, or days of the week.

Months have 28 to 31 days, years 365 or 366, a day across a change of the clock 23 or 25 hours, and business weeks have
no weekend. Such periods of a calendar count as one step each; a period without an observation is a missing step.
"""

from dataclasses import dataclass

import numpy as np

_DAY_S = 86_400.0
_CLOCK_SHIFT_S = 3 * 3600.0  # maximum shift of a time of day by a change of the clock
_MIN_HALF_MONTH_S, _MIN_MONTH_S = 12.5 * _DAY_S, 27 * _DAY_S
_TOLERANCE = 0.25  # difference of a distance from a multiple of the usual step, relative to it
_LONG_GAP = 4.0  # usual steps; after a longer gap the phase may differ, as after a restart of the recorder
_MIN_ABSENCES = 4  # days without an observation before weekdays count as days off: two weekends
_THURSDAY, _WEEKDAYS = 3, 7  # the weekday of 1970-01-01, from Monday


@dataclass(frozen=True)
class Grid:
    """Cells of a series' times on its grid.

    Attributes:
        cell: int64 `[N]`, increasing from 0.
        step: the usual distance between two times, in their unit.
        period: the calendar's period, such as "month" or "weekday"; "" for equal steps.
    """

    cell: np.ndarray
    step: float
    period: str = ""


@dataclass(frozen=True)
class Irregular:
    """Two successive times that fit no grid: those of `row` and `row + 1`, their distance, and the usual distance."""

    row: int
    distance: float
    step: float


def find_grid(at: np.ndarray, wall: np.ndarray | None = None) -> Grid | Irregular:
    """Return the grid of times, or the first two times that do not fit one.

    Args:
        at: float64 `[N]`, increasing, at least three.
        wall: float64 `[N]`, local time in seconds since 1970 for dates; None for numbers.
    """
    step = _usual(np.diff(at))
    if wall is not None:
        rule = _weekdays if step < _MIN_HALF_MONTH_S else _half_months if step < _MIN_MONTH_S else _months
        calendar = rule(wall, step)
        if calendar is not None:
            return calendar
    grid = _equal(at, step)
    if isinstance(grid, Irregular) and wall is not None:
        local = _equal(wall, _usual(np.diff(wall)))
        return local if isinstance(local, Grid) else grid
    return grid


def _usual(distances: np.ndarray) -> float:
    """The lower median: a distance that occurs, even if two are equally frequent."""
    return float(np.quantile(distances, 0.5, method="lower"))


def _equal(at: np.ndarray, step: float) -> Grid | Irregular:
    """Equal steps, each a multiple of the usual one up to the tolerance."""
    ratio = np.diff(at) / step
    near = np.round(ratio)
    irregular = (near < 1) | ((np.abs(ratio - near) > _TOLERANCE + 1e-6) & (ratio < _LONG_GAP))
    for row in np.flatnonzero(irregular)[:1]:
        return Irregular(int(row), float(at[row + 1] - at[row]), step)
    return Grid(_from_zero(np.concatenate([[0.0], np.cumsum(near)])), step)


def _months(wall: np.ndarray, step: float) -> Grid | None:
    """One time per month, quarter, half-year or year, on the same day by one of the usual rules."""
    month, day, length = _dates(wall)
    first = month.astype("datetime64[D]")
    date, weekday = first + (day - 1), _weekday(first + (day - 1))
    fits = (
        bool((day == np.minimum(day.max(), length)).all()),  # a day of the month, or its last one
        _is_constant(length - day),
        bool((date == np.busday_offset(first, 0, roll="forward")).all()),  # the first business day
        bool((date == np.busday_offset(first + (length - 1), 0, roll="backward")).all()),  # the last one
        _is_constant(weekday) and (_is_constant((day - 1) // _WEEKDAYS) or _is_constant((length - day) // _WEEKDAYS)),
    )
    number = month.astype(np.int64)
    if not any(fits) or (np.diff(number) < 1).any():
        return None
    months = int(np.gcd.reduce(np.diff(number)))
    period = {1: "month", 3: "quarter", 12: "year"}.get(months, f"{months} months")
    return Grid(_from_zero((number - number[0]) // months), step, period)


def _half_months(wall: np.ndarray, step: float) -> Grid | None:
    """Two times per month on the same two days, such as the 15th and the last one."""
    month, day, length = _dates(wall)
    is_second = day == np.minimum(day.max(), length)
    first = np.unique(day[~is_second])
    cell = 2 * month.astype(np.int64) + is_second
    if len(first) != 1 or (np.diff(cell) < 1).any():
        return None
    return Grid(_from_zero(cell), step, "half-month")


def _weekdays(wall: np.ndarray, step: float) -> Grid | None:
    """At most one time per day, only on some days of the week, such as business days."""
    day = _days(wall)
    if (np.abs(wall - wall[0] - (day - day[0]) * _DAY_S) > _CLOCK_SHIFT_S).any() or (np.diff(day) < 1).any():
        return None
    weekday = _weekday(day.astype("datetime64[D]"))
    open_days = np.unique(weekday)
    all_weekdays = _weekday(np.arange(day[0], day[-1] + 1).astype("datetime64[D]"))
    if not 1 < len(open_days) < _WEEKDAYS or np.sum(~np.isin(all_weekdays, open_days)) < _MIN_ABSENCES:
        return None
    # number of open days up to each day
    cell = (day - weekday) // _WEEKDAYS * len(open_days) + np.searchsorted(open_days, weekday)
    if _usual(np.diff(cell)) != 1:
        return None
    return Grid(_from_zero(cell), step, "business day" if open_days.tolist() == [0, 1, 2, 3, 4] else "weekday")


def _days(wall: np.ndarray) -> np.ndarray:
    """Days since 1970, int64, rounded at the first one's time of day, so that a change of the clock moves none."""
    time_of_day = np.mod(wall[0], _DAY_S)
    return np.round((wall - time_of_day) / _DAY_S).astype(np.int64)


def _dates(wall: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Month as datetime64, day of the month from 1, and number of days of the month."""
    date = _days(wall).astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    first, after = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
    return month, (date - first).astype(np.int64) + 1, (after - first).astype(np.int64)


def _weekday(date: np.ndarray) -> np.ndarray:
    return (date.astype("datetime64[D]").astype(np.int64) + _THURSDAY) % _WEEKDAYS


def _is_constant(values: np.ndarray) -> bool:
    return bool((values == values[0]).all())


def _from_zero(cell: np.ndarray) -> np.ndarray:
    return (cell - cell[0]).astype(np.int64)
