"""Series in frames and arrays, and the times that follow them."""

import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from sbp_jax.data.series.frames import read_frame, read_time
from sbp_jax.data.series.grid import cell_after, cells_on, times_after
from sbp_jax.errors import InputError

VALUES = np.random.default_rng(0).normal(size=60)


def after(days: np.ndarray, count: int = 3, index: int = -1) -> list[str]:
    """Dates of the next cells of a series of dates."""
    frame = pl.DataFrame({"day": days.astype("datetime64[us]"), "value": VALUES[: len(days)]})
    series = read_frame(frame)[1][""]
    assert series.wall is not None
    times = times_after(series.wall, series.step, series.period, np.arange(1, count + 1), index)
    return times.astype("datetime64[s]").astype("datetime64[D]").astype(str).tolist()


MONDAY = np.datetime64("2024-01-01")
BUSINESS = np.busday_offset(MONDAY, np.arange(30))
FIRSTS = np.arange("2020-01", "2021-12", dtype="datetime64[M]").astype("datetime64[D]")
ENDS = np.arange("2020-02", "2022-01", dtype="datetime64[M]").astype("datetime64[D]") - 1


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (MONDAY + np.arange(30), ["2024-01-31", "2024-02-01", "2024-02-02"]),
        (BUSINESS, ["2024-02-12", "2024-02-13", "2024-02-14"]),
        (BUSINESS[:-2], ["2024-02-08", "2024-02-09", "2024-02-12"]),
        (FIRSTS, ["2021-12-01", "2022-01-01", "2022-02-01"]),
        (np.delete(FIRSTS, [3, 4, 9]), ["2021-12-01", "2022-01-01", "2022-02-01"]),
        (ENDS, ["2021-12-31", "2022-01-31", "2022-02-28"]),
        (np.busday_offset(ENDS, 0, roll="backward"), ["2021-12-31", "2022-01-31", "2022-02-28"]),
        (np.busday_offset(ENDS[:-3], 0, roll="backward"), ["2021-09-30", "2021-10-29", "2021-11-30"]),
        (FIRSTS[::3] + 14, ["2022-01-15", "2022-04-15", "2022-07-15"]),
        (FIRSTS[::12], ["2022-01-01", "2023-01-01", "2024-01-01"]),
        (np.sort(np.concatenate([FIRSTS + 14, ENDS[:-1]])), ["2021-11-30", "2021-12-15", "2021-12-31"]),
        # second Tuesdays
        (FIRSTS + (1 - (FIRSTS.astype(int) + 3)) % 7 + 7, ["2021-12-14", "2022-01-11", "2022-02-08"]),
    ],
)
def test_the_next_times_follow_the_calendar(days: np.ndarray, expected: list[str]) -> None:
    if len(days) < 3:
        days = np.array(["2019-01-01", *days.astype(str)], "datetime64[D]")
    days = days.astype("datetime64[D]")
    assert after(days) == expected
    # each is one cell further, at any time of the clock; the day between two is on none
    series = read_frame(pl.DataFrame({"day": days.astype("datetime64[us]"), "value": VALUES[: len(days)]}))[1][""]
    clock: Any = series.wall
    ahead = times_after(clock, series.step, series.period, np.arange(1, 4))
    assert [cell_after(clock, series.step, series.period, float(each)) for each in ahead] == [1, 2, 3]
    # from any time, the same cells
    cells = series.cell
    again = times_after(clock, series.step, series.period, cells[-1] + np.arange(1, 4), 0)
    np.testing.assert_array_equal(again, ahead)


def test_times_between_cells_are_on_none() -> None:
    clock = np.arange(0.0, 100.0, 10.0)
    assert [cell_after(clock, 10.0, "", time) for time in (100.0, 101.0, 120.0, 104.0, 91.0)] == [1, 1, 3, None, None]
    days = BUSINESS.astype("datetime64[s]").astype(np.int64).astype(float)
    saturday = float(np.datetime64("2024-02-10", "s").astype(np.int64))
    assert cell_after(days, 86_400.0, "business day", saturday) is None


def test_few_times_lie_on_a_known_grid() -> None:
    days = BUSINESS.astype("datetime64[s]").astype(np.int64).astype(float)
    week = days[3:9]  # with one weekend
    cells = cells_on(days, 86_400.0, "business day", week)
    assert cells is not None
    assert np.diff(cells).tolist() == [1] * 5
    later = cells_on(days[:10], 86_400.0, "business day", days[[20, 22, 25]])
    assert later is not None
    assert np.diff(later).tolist() == [2, 3]
    assert cells_on(days, 86_400.0, "business day", week + 2 * 86_400) is None
    assert cells_on(np.arange(9.0), 1.0, "", np.array([20.5, 22.5, 25.5])).tolist() == [0, 2, 5]  # pyright: ignore
    assert cells_on(np.arange(9.0), 1.0, "", np.array([20.5, 21.0])) is None


def test_frames_of_any_kind_are_the_same_series() -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(60)]
    text = [str(day) for day in days]
    frames = (
        pl.DataFrame({"day": days, "value": VALUES}),
        pl.DataFrame({"day": text, "value": VALUES}).lazy(),
        pa.table({"day": [datetime.datetime.combine(day, datetime.time()) for day in days], "value": VALUES}),
    )
    series = [read_frame(frame, "day")[1][""] for frame in frames]
    for each in series:
        np.testing.assert_array_equal(each.time, series[0].time)
        np.testing.assert_array_equal(each.value, VALUES)
        assert each.dated
    array = VALUES.copy()
    array[5] = np.nan
    columns, found = read_frame(array)
    assert columns.is_array
    assert found[""].cell[4:6].tolist() == [4, 6]


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_the_index_of_a_pandas_series_is_its_times(zone: str | None) -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2024-03-25", periods=60, freq="D", tz=zone)
    frame = pandas.DataFrame({"day": index, "value": VALUES})
    series = [read_frame(each)[1][""] for each in (frame, pandas.Series(VALUES, index))]
    np.testing.assert_array_equal(series[0].time, series[1].time)
    np.testing.assert_array_equal(series[0].wall, series[1].wall)  # pyright: ignore[reportArgumentType]
    months = pandas.Series(VALUES, pandas.period_range("2020-01", periods=60, freq="M"))
    series = read_frame(months)[1][""]
    assert (series.dated, series.period) == (True, "month")


def test_column_names_are_different_texts() -> None:
    pandas = pytest.importorskip("pandas")
    for names, message in (([0, 1], "text, got 0"), (["t", "t"], "different column names")):
        frame = pandas.DataFrame(np.arange(20.0).reshape(10, 2), columns=names)
        with pytest.raises(InputError, match=f"frame: expected .*{message}"):
            read_frame(frame)


def test_alternating_series_are_apart() -> None:
    frame = pl.DataFrame({"t": np.repeat(np.arange(10), 2), "id": [7, 3] * 10, "y": VALUES[:20]})
    _, found = read_frame(frame, value="y", series="id")
    assert list(found) == [7, 3]
    np.testing.assert_array_equal(found[3].value, VALUES[1:20:2])
    with pytest.raises(InputError, match="series 7: column 't': row 10 has the same time as the row before: 8"):
        read_frame(frame.with_columns(pl.col("t").clip(upper_bound=8)), value="y", series="id")
    with pytest.raises(InputError, match="times, values and ids of series are separate columns"):
        read_frame(frame, value="y", series="y")


@pytest.mark.parametrize(
    ("value", "at", "dated"),
    [
        ("2024-05", 1_714_521_600.0, True),
        (datetime.date(2024, 5, 1), 1_714_521_600.0, True),
        (np.datetime64("2024-05-01T00:00"), 1_714_521_600.0, True),
        (
            datetime.datetime(2024, 5, 1, 2, tzinfo=ZoneInfo("Europe/Berlin")),
            1_714_521_600.0,
            True,
        ),
        (202405, 1_714_521_600.0, True),
        (np.float32(2.5), 2.5, False),
    ],
)
def test_one_time_is_read_as_a_column(value: Any, at: float, dated: bool) -> None:
    times = read_time(value)
    assert times.at.tolist() == [at]
    assert times.dated == dated


@pytest.mark.parametrize("value", [None, float("nan"), "May", True, [1]])
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="time: expected a"):
        read_time(value)
