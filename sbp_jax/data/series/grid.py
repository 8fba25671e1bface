"""Find the regular grid of a series' times: equal steps, months, quarters and years, or days of the week.

Months have 28 to 31 days, years 365 or 366, a day across a change of the clock 23 or 25 hours, and business weeks have
no weekend. Such periods of a calendar count as one step each; a period without an observation is a missing step.
"""

from collections.abc import Callable
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


def times_after(clock: np.ndarray, step: float, period: str, leads: np.ndarray, index: int = -1) -> np.ndarray:
    """Return the times of the cells that follow that of one time by `leads` cells, float64 `[L]`, on the same clock.

    Args:
        clock: float64 `[N]`, times on the grid: local time in seconds since 1970 where the grid has a period.
        step, period: of the grid, see `Grid`.
        leads: integers `[L]`, 0 for the cell of the time itself.
        index: of the time in `clock`; by default the last one.
    """
    if not period:
        return clock[index] + leads * step
    day = _days(clock)
    time_of_day = clock[index] - day[index] * _DAY_S
    if period in ("business day", "weekday"):
        open_days = np.unique(_weekday(day.astype("datetime64[D]")))
        week, place = np.divmod(_open_day_number(day, open_days)[index] + leads, len(open_days))
        # weeks are numbered from Monday, 1969-12-29 or three days before 1970
        dates = week * _WEEKDAYS + (_WEEKDAYS - _THURSDAY) + open_days[place]
    elif period == "half-month":
        months, days, lengths = _dates(clock)
        second = int(days.max())
        half = 2 * int(months[index].astype(np.int64)) + int(days[index] == min(second, lengths[index])) + leads
        first = (half // 2).astype("datetime64[M]").astype("datetime64[D]")
        last = ((half // 2) + 1).astype("datetime64[M]").astype("datetime64[D]") - 1
        dates = np.where(half % 2 == 1, np.minimum(first + (second - 1), last), first + (int(days.min()) - 1))
    else:
        months = {"month": 1, "quarter": 3, "year": 12}.get(period) or int(period.split()[0])
        rule = _month_rule(clock)
        number = _dates(clock)[0][index].astype(np.int64) + months * leads
        month = number.astype("datetime64[M]")
        # a time that was streamed may be some days off the rule
        dates = month.astype("datetime64[D]") if rule is None else rule(month)
    return dates.astype("datetime64[D]").astype(np.int64) * _DAY_S + time_of_day


def cell_after(clock: np.ndarray, step: float, period: str, time: float) -> int | None:
    """Return how many cells a later time follows the last one by; None if it lies on no cell of the grid.

    Args:
        clock, step, period: see `times_after`.
        time: later than the last one, on the same clock.
    """
    ratio = (time - clock[-1]) / step
    if not period:
        near = int(np.round(ratio))
        fits = near >= 1 and (abs(ratio - near) <= _TOLERANCE + 1e-6 or ratio >= _LONG_GAP)
        return near if fits else None
    leads = np.arange(1, int(1.5 * ratio) + 4)
    distance = np.abs(times_after(clock, step, period, leads) - time)
    nearest = int(np.argmin(distance))
    return int(leads[nearest]) if distance[nearest] <= max(_TOLERANCE * step, _CLOCK_SHIFT_S) else None


def cells_on(clock: np.ndarray, step: float, period: str, times: np.ndarray) -> np.ndarray | None:
    """Return the cells of other times on a grid, int64 `[M]` from any start; None if one lies on no cell.

    Args:
        clock, step, period: see `times_after`.
        times: float64 `[M]`, increasing, on the same clock. Equal steps may have another phase.
    """
    if not period:
        ratio = np.diff(times) / step
        near = np.round(ratio)
        if np.any((near < 1) | (np.abs(ratio - near) > _TOLERANCE + 1e-6)):
            return None
        return _from_zero(np.concatenate([[0.0], np.cumsum(near)]))
    ends = (times[[0, -1]] - clock[-1]) / step
    leads = np.arange(int(1.5 * min(ends[0], 0.0)) - 4, int(1.5 * max(ends[1], 0.0)) + 5)
    grid = times_after(clock, step, period, leads)
    nearest = np.argmin(np.abs(grid[None, :] - times[:, None]), axis=1)
    far = np.abs(grid[nearest] - times) > max(_TOLERANCE * step, _CLOCK_SHIFT_S)
    return None if np.any(far) or np.any(np.diff(nearest) < 1) else nearest.astype(np.int64)


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
    number = _dates(wall)[0].astype(np.int64)
    if _month_rule(wall) is None or (np.diff(number) < 1).any():
        return None
    months = int(np.gcd.reduce(np.diff(number)))
    period = {1: "month", 3: "quarter", 12: "year"}.get(months, f"{months} months")
    return Grid(_from_zero((number - number[0]) // months), step, period)


def _month_rule(wall: np.ndarray) -> Callable[[np.ndarray], np.ndarray] | None:
    """The usual rule by which all times have their day of the month: months -> dates; None if they follow none."""
    months, days, lengths = _dates(wall)
    number, day, from_end = int(days.max()), int(days[0]), int(lengths[0] - days[0])
    weekday = int(_weekday(_days(wall[:1]).astype("datetime64[D]"))[0])

    def bounds(month: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]") - 1

    def same_day(month: np.ndarray) -> np.ndarray:
        first, last = bounds(month)
        return np.minimum(first + (number - 1), last)

    def same_from_end(month: np.ndarray) -> np.ndarray:
        return bounds(month)[1] - from_end

    def first_business_day(month: np.ndarray) -> np.ndarray:
        return np.busday_offset(bounds(month)[0], 0, roll="forward")

    def last_business_day(month: np.ndarray) -> np.ndarray:
        return np.busday_offset(bounds(month)[1], 0, roll="backward")

    def same_weekday(month: np.ndarray) -> np.ndarray:
        first = bounds(month)[0]
        return first + (weekday - _weekday(first)) % _WEEKDAYS + (day - 1) // _WEEKDAYS * _WEEKDAYS

    def same_weekday_from_end(month: np.ndarray) -> np.ndarray:
        last = bounds(month)[1]
        return last - (_weekday(last) - weekday) % _WEEKDAYS - from_end // _WEEKDAYS * _WEEKDAYS

    dates = months.astype("datetime64[D]") + (days - 1)
    rules = same_day, same_from_end, first_business_day, last_business_day, same_weekday, same_weekday_from_end
    return next((rule for rule in rules if (rule(months) == dates).all()), None)


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
    cell = _open_day_number(day, open_days)
    if _usual(np.diff(cell)) != 1:
        return None
    return Grid(_from_zero(cell), step, "business day" if open_days.tolist() == [0, 1, 2, 3, 4] else "weekday")


def _open_day_number(day: np.ndarray, open_days: np.ndarray) -> np.ndarray:
    """Number of open days up to each day."""
    weekday = _weekday(day.astype("datetime64[D]"))
    return (day - weekday) // _WEEKDAYS * len(open_days) + np.searchsorted(open_days, weekday)


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


def _from_zero(cell: np.ndarray) -> np.ndarray:
    return (cell - cell[0]).astype(np.int64)
