"""The series of a forecaster: their last observations, and windows with the outcomes some steps after them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from sbp_jax.data.series.dates import Times
from sbp_jax.data.series.frames import Columns, Id, as_id, is_frame, read_frame, read_time
from sbp_jax.data.series.grid import cell_after, cells_on, times_after
from sbp_jax.data.series.reading import MAX_ABSOLUTE, Contexts, Series, Windows, contexts
from sbp_jax.data.series.windows import WINDOW_STATIC, as_sequences
from sbp_jax.errors import InputError

_YEAR_S = 365.2425 * 86_400.0
STATIC = (*WINDOW_STATIC, "year_cos", "year_sin")
MIN_YEARS = 2.0  # in a shorter series, a season cannot be distinguished from a trend
_MIN_TAIL = 100  # observations that show the rule of a calendar, such as the last business day of a month


@dataclass(frozen=True, eq=False)
class History:
    """The last observations of a series.

    Attributes:
        series: the observations; cells count from any start.
        deviation: mean absolute deviation of its training part from its median.
    """

    series: Series
    deviation: float

    def tail(self, context: int) -> "History":
        """Return the part that is needed for a window of `context` cells and for the calendar."""
        count, series = max(context, _MIN_TAIL), self.series
        if len(series) <= count:
            return self
        last = {
            name: None if getattr(series, name) is None else getattr(series, name)[-count:]
            for name in ("time", "value", "wall")
        }
        return replace(self, series=replace(series, cells=series.cell[-count:], **last))

    def observed(self, context: int) -> int:
        """Return the number of observations in the last `context` cells."""
        cell = self.series.cell
        return int(np.sum(cell > cell[-1] - context))

    def placed(self, series: Series, label: str) -> Series:
        """Return another part of the series with its cells on this grid, which a few rows may not determine.

        Raises:
            InputError: a time is not on the grid; `label` names the series.
        """
        own = self.series
        if series.dated == own.dated:
            if series.period == own.period and 0.7 < series.step / own.step < 1.4:
                return series
            clocks = (own.wall, series.wall) if own.period else (own.time, series.time)
            if clocks[0] is not None and clocks[1] is not None:
                cells = cells_on(clocks[0], own.step, own.period, clocks[1])
                if cells is not None:
                    return replace(series, cells=cells, step=own.step, period=own.period)
        raise InputError(
            f"{label}: expected times on the grid of fit, {own.period or 'equal steps'} of about {own.step:g}, got "
            f"{series.period or 'equal steps'} of {series.step:g}"
        )

    def extended(self, times: Times | None, value: float, label: str) -> "History":
        """Return the history with one more observation, at the next cell if no time is given.

        Raises:
            InputError: the time is not later than the last one, is a date where the series has numbers or vice versa,
                or is not on the grid; `label` names the series.
        """
        series = self.series
        at, wall = (self.times_after(np.array([1]))[0], None) if times is None else self._clock(times, label)
        if times is None and series.wall is not None:
            wall = at + (series.wall[-1] - series.time[-1])
        if not at > series.time[-1]:
            what = "the same time as" if at == series.time[-1] else "an earlier time than"
            raise InputError(f"time: {label}: expected a time after the last one, got {what} the last one")
        ahead = None
        if series.period and series.wall is not None and wall is not None:
            ahead = cell_after(series.wall, series.step, series.period, wall)
        elif not series.period:
            ahead = cell_after(series.time, series.step, "", at)
            if ahead is None and series.wall is not None and wall is not None:
                ahead = cell_after(series.wall, series.step, "", wall)
        if ahead is None:
            raise InputError(
                f"time: {label}: expected a time on the series' grid, whose {series.period or 'step'} is about "
                f"{series.step:g}{' seconds' if series.dated else ''}, got one {at - series.time[-1]:g} after the last"
            )
        return replace(
            self,
            series=replace(
                series,
                time=np.append(series.time, at),
                value=np.append(series.value, value),
                cells=np.append(series.cell, series.cell[-1] + ahead),
                wall=None if series.wall is None else np.append(series.wall, at if wall is None else wall),
            ),
        )

    def _clock(self, times: Times, label: str) -> tuple[float, float | None]:
        if self.series.dated != times.dated and not (times.dated and times.at[0] != times.raw[0]):
            expected, got = ("a date", "a number") if self.series.dated else ("a number", "a date")
            raise InputError(f"time: {label}: expected {expected}, as in fit, got {got}")
        if not self.series.dated:
            return float(times.raw[0]), None
        return float(times.at[0]), None if times.wall is None else float(times.wall[0])

    def times_after(self, leads: np.ndarray, index: int = -1) -> Float64[np.ndarray, " leads"]:
        """Return the times of the cells `leads` after an observation, at the last observation's offset from UTC."""
        series = self.series
        if not series.period or series.wall is None:
            return times_after(series.time, series.step, "", leads, index)
        offset = series.wall[-1] - series.time[-1]
        return times_after(series.wall, series.step, series.period, leads, index) - offset

    def times_of(self, cells: np.ndarray) -> Float64[np.ndarray, "..."]:
        """Return the times of cells; for cells with an observation, its time."""
        series, cell = self.series, self.series.cell
        if series.period:
            at = self.times_after((cells - cell[0]).reshape(-1), 0).reshape(cells.shape)
        else:
            at = np.interp(cells, cell, series.time) + np.maximum(cells - cell[-1], 0) * series.step
        place = np.minimum(np.searchsorted(cell, cells), len(cell) - 1)
        return np.where(cell[place] == cells, series.time[place], at)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        series = self.series
        arrays = {name: getattr(series, name) for name in ("time", "value", "wall")} | {"cells": series.cell}
        return {
            "deviation": self.deviation,
            **{name: getattr(series, name) for name in ("name", "step", "dated", "period")},
            **{name: None if each is None else each.tolist() for name, each in arrays.items()},
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "History":
        """Return the history that `to_json` described."""
        arrays = {name: np.array(saved[name], np.float64) for name in ("time", "value")}
        wall = None if saved["wall"] is None else np.array(saved["wall"], np.float64)
        rest = {name: saved[name] for name in ("name", "step", "dated", "period")}
        series = Series(**arrays, **rest, cells=np.array(saved["cells"], np.int64), wall=wall)
        return cls(series, float(saved["deviation"]))


@dataclass(eq=False)
class Observations:
    """The series of a fitted forecaster, to which observations are added.

    Attributes:
        columns: columns of the frames that describe them.
        histories: the end of each series, by id.
        integer: whether all values are integers.
    """

    columns: Columns
    histories: dict[Id, History] = field(default_factory=dict)
    integer: bool = False

    @property
    def dated(self) -> bool:
        """Whether times are dates."""
        return any(each.series.dated for each in self.histories.values())

    def label(self, id: Id) -> str:
        """Return the name of a series in messages."""
        return "frame" if self.columns.series is None else f"series {id!r}"

    def read(self, frame: Any) -> dict[Id, History]:
        """Return series of another frame with the same columns.

        Raises:
            InputError: see `read_frame`; or a series is not in `histories`, its grid differs, or its values are not
                integers although theirs are.
        """
        columns = self.columns
        if is_frame(frame) == columns.is_array:
            expected = "an array" if columns.is_array else "a data frame"
            raise InputError(f"frame: expected {expected}, as in fit, got {type(frame).__name__}")
        names = (None, None, None) if columns.is_array else (columns.time, columns.value, columns.series)
        _, others = read_frame(frame, *names)
        unknown = [id for id in others if id not in self.histories]
        if unknown:
            shown = ", ".join(repr(each) for each in unknown[:3])
            raise InputError(f"series: expected series of fit in column {columns.series!r}, got {shown}")
        for each in others.values():
            self._check_integers(each.value)
        own = self.histories
        return {id: History(own[id].placed(each, self.label(id)), own[id].deviation) for id, each in others.items()}

    def add(self, value: Any, time: Any, series: Any, context: int) -> tuple[Id, History]:
        """Add an observation, and return the id and the history of its series; see `SBPForecaster.update`."""
        id = self._id(series)
        times = None if time is None else read_time(time)
        history = self.histories[id].extended(times, self._value(value), self.label(id)).tail(context)
        self.histories[id] = history
        return id, history

    def _id(self, series: Any) -> Id:
        if series is None:
            if self.columns.series is not None:
                raise InputError("series: expected the id of a series, as in fit")
            return ""
        id = as_id(series)
        if self.columns.series is None or id not in self.histories:
            raise InputError(f"series: expected a series of fit, got {series!r}")
        return id

    def _value(self, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise InputError(f"value: expected a number, got {value!r}") from None
        if not abs(number) <= MAX_ABSOLUTE:
            raise InputError(f"value: expected a finite number of magnitude at most {MAX_ABSOLUTE:g}, got {number}")
        self._check_integers(np.array([number]))
        return number

    def _check_integers(self, values: np.ndarray) -> None:
        bad = values[values != np.round(values)]
        if self.integer and len(bad):
            raise InputError(
                f"value: expected integers, as in fit, got {bad[0]:g}; integer=False treats them as real numbers"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        histories = [[id, each.to_json()] for id, each in self.histories.items()]
        return {"columns": asdict(self.columns), "histories": histories, "integer": self.integer}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Observations":
        """Return the observations that `to_json` described."""
        histories = {id: History.from_json(each) for id, each in saved["histories"]}
        return cls(Columns(**saved["columns"]), histories, bool(saved["integer"]))


@dataclass(frozen=True, eq=False)
class Origins:
    """Windows that end at an observation, the origin of a forecast, and the outcomes after it; N windows, L leads.

    Attributes:
        series: id of each window's series, object [N].
        frames: the observations on the window's own scale, and whether there is one, float32 [N, C, 2].
        static: the columns `STATIC`, float64 [N, S].
        location, scale: median and mean absolute deviation of each window, float64 [N].
        last: value at the origin, float64 [N].
        outcome: float64 [N, L]; NaN where there is no observation.
        order: position of each outcome's cell in the series, from 0 at the first observation, int64 [N, L].
        origin: time of the origin, float64 [N].
        times: time of each outcome, float64 [N, L].
    """

    series: np.ndarray
    frames: np.ndarray
    static: np.ndarray
    location: np.ndarray
    scale: np.ndarray
    last: np.ndarray
    outcome: np.ndarray
    order: np.ndarray
    origin: np.ndarray
    times: np.ndarray

    def __len__(self) -> int:
        return len(self.series)

    @classmethod
    def of(
        cls, id: Id, history: History, context: int, leads: np.ndarray, yearly: bool, latest: bool = False
    ) -> "Origins":
        """Return the windows of a series, or only the last one; windows with more gaps than observations are left out.

        Args:
            id: id of the series.
            history: its observations, and the deviation that sets a lower bound for scales.
            context: number of cells of a window.
            leads: steps from the origin to the outcomes, int64 [L].
            yearly: whether the season of the year is a static feature.
            latest: return only the last window.
        """
        series = history.series
        last = series.cell[-1:] if latest else series.cell
        windows = contexts(series, last, context, history.deviation)
        index = windows.index + (len(series) - len(last))
        target = series.cell[index][:, None] + leads[None, :]
        place = np.minimum(np.searchsorted(series.cell, target), len(series) - 1)
        outcome = np.where(series.cell[place] == target, series.value[place], np.nan)
        frames, static = _inputs(series, windows, index, yearly)
        return cls(
            series=np.array([id] * len(index), object),
            frames=frames,
            static=static,
            location=windows.location,
            scale=windows.scale,
            last=series.value[index],
            outcome=outcome,
            order=target - series.cell[0],
            origin=series.time[index],
            times=history.times_of(target),
        )

    @classmethod
    def concatenate(cls, parts: list["Origins"]) -> "Origins":
        """Return the windows of several series, concatenated."""
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__})

    def select(self, rows: np.ndarray) -> "Origins":
        """Return the windows of a mask or an index."""
        return Origins(**{name: getattr(self, name)[rows] for name in Origins.__annotations__})


def _inputs(
    series: Series, windows: Contexts, index: np.ndarray, yearly: bool
) -> tuple[Float32[np.ndarray, "rows frames features"], Float64[np.ndarray, "rows statics"]]:
    """Frames and static columns of windows that end at the observations `index`."""
    cells = Windows(windows.value, windows.seen, series.value[index], index, windows.location, windows.scale)
    plays = as_sequences(series, cells)
    static = np.zeros((len(index), len(STATIC)))
    static[:, : len(WINDOW_STATIC)] = plays.static
    if yearly and series.dated:
        angle = 2 * np.pi * np.mod(series.time[index], _YEAR_S) / _YEAR_S
        static[:, -2], static[:, -1] = np.cos(angle), np.sin(angle)
    return plays.frames.reshape(*windows.value.shape, len(plays.features)), static


def is_yearly(histories: Mapping[Id, History]) -> bool:
    """Return whether one of the series spans two years, so that the season of the year can be learned."""
    spans = [each.series.time[-1] - each.series.time[0] for each in histories.values() if each.series.dated]
    return bool(max(spans, default=0.0) >= MIN_YEARS * _YEAR_S)
