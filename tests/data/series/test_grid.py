"""Regular grids of a calendar: months, quarters, years, business days, days across a change of the clock."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from sbp_jax.config import SeriesConfig
from sbp_jax.data.series.reading import read_series, windows
from sbp_jax.data.series.windows import read_windows
from sbp_jax.errors import InputError

GAPS = (5, 6, *range(20, 45), 50)  # a missing step, two of them, and years of months


def dates(every, begin=date(2015, 1, 1), end=date(2060, 1, 1)):
    return pl.date_range(begin, end, every, eager=True)


def month_ends(every):
    return dates(every).dt.month_end()


def workday(days, roll):
    return pl.Series(np.busday_offset(days.to_numpy().astype("datetime64[D]"), 0, roll=roll))


def on_days(*weekdays):
    days = dates("1d", end=date(2016, 6, 1))
    return days.filter(days.dt.weekday().is_in(weekdays))


def ordinal(days, first, last):
    return days.filter(days.dt.day().is_between(first, last))


CALENDARS = {
    "month starts": (dates("1mo"), "month"),
    "month ends": (month_ends("1mo"), "month"),
    "two days before the month ends": (month_ends("1mo").dt.offset_by("-2d"), "month"),
    "the 15th": (dates("1mo", date(2015, 1, 15)), "month"),
    "first business days": (workday(dates("1mo"), "forward"), "month"),
    "last business days": (workday(month_ends("1mo"), "backward"), "month"),
    "third Fridays": (ordinal(dates("1w", date(2015, 1, 2)), 15, 21), "month"),
    "half-months": (pl.concat([dates("1mo"), dates("1mo", date(2015, 1, 15))]).sort(), "half-month"),
    "quarter starts": (dates("3mo"), "quarter"),
    "quarter ends": (month_ends("3mo"), "quarter"),
    "half-years": (dates("6mo"), "6 months"),
    "years": (dates("1y", end=date(2150, 1, 1)), "year"),
    "ends of years": (dates("1y", date(2015, 12, 31), date(2150, 12, 31)), "year"),
    "weeks": (dates("1w"), ""),
    "business days": (on_days(1, 2, 3, 4, 5), "business day"),
    "six days a week": (on_days(1, 2, 3, 4, 5, 6), "weekday"),
    "Sunday to Thursday": (on_days(7, 1, 2, 3, 4), "weekday"),
    "three days a week": (on_days(1, 3, 5), "weekday"),
    "days": (dates("1d", end=date(2016, 1, 1)), ""),
}


def read(path, times, value=None):
    values = np.arange(len(times), dtype=float) ** 2 % 17 if value is None else value
    table = pl.DataFrame({"date": times, "value": values})
    table.write_parquet(path) if path.suffix == ".parquet" else table.write_csv(path)
    return read_series(path)


@pytest.mark.parametrize("name", list(CALENDARS))
@pytest.mark.parametrize("gaps", [(), GAPS])
def test_periods_of_a_calendar_are_one_step_each(tmp_path, name, gaps):
    times, period = CALENDARS[name]
    kept = np.array([i for i in range(min(len(times), 300)) if i not in gaps])
    series = read(tmp_path / "a.csv", times[kept.tolist()])
    np.testing.assert_array_equal(series.cell, kept)
    assert (series.period, series.gaps, series.dated) == (period, len(gaps), True)


def test_missing_values_are_missing_periods(tmp_path):
    values = [None if i in (3, 30) else float(i) for i in range(60)]
    series = read(tmp_path / "a.csv", dates("1mo")[:60], values)
    assert (series.missing, series.gaps, len(series)) == (2, 2, 58)
    result = windows(series, context=4)
    np.testing.assert_array_equal(result.outcome, series.cell[result.index])
    assert result.seen[result.outcome == 32].tolist() == [[True, True, False, True]]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney", "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize("every", ["1d", "12h", "1h", "1w", "1mo", "3mo", "1y"])
@pytest.mark.parametrize("kind", ["with a zone", "with offsets", "in UTC"])
def test_a_change_of_the_clock_is_no_missing_step(tmp_path, zone, every, kind):
    begin = datetime(2019, 3, 1) if every != "1mo" else datetime(2015, 3, 1)
    span = {"1h": 2, "12h": 12, "1d": 20, "1w": 30}.get(every, 600)
    times = pl.datetime_range(begin, begin.replace(year=begin.year + span // 12, month=begin.month + span % 12), every,
                              time_zone=zone, eager=True)  # fmt: skip
    kept = np.array([i for i in range(len(times)) if i % 11])
    times = times[kept.tolist()]
    if kind == "with offsets":
        written = pl.Series([each.astimezone(ZoneInfo(zone)).isoformat() for each in times.to_list()])
        series = read(tmp_path / "a.csv", written)
    else:
        times = times if kind == "with a zone" else times.dt.convert_time_zone("UTC")
        series = read(tmp_path / "a.parquet", times)
    np.testing.assert_array_equal(series.cell, kept - 1)


@pytest.mark.parametrize(
    ("form", "every"),
    [("%Y-%m", "1mo"), ("%Y%m", "1mo"), ("%YM%m", "1mo"), ("%G-W%V", "1w"), ("%Y%m%d", "1d"), ("%Y", "1y")],
)
def test_periods_in_their_own_notation(tmp_path, form, every):
    times = dates(every, date(2015, 1, 5) if every == "1w" else date(2015, 1, 1), date(2110, 1, 1))[:90]
    kept = [i for i in range(90) if i % 8]
    series = read(tmp_path / "a.csv", times[kept].dt.strftime(form))
    np.testing.assert_array_equal(series.cell, np.array(kept) - 1)


def test_quarters_and_ranges_in_their_own_notation(tmp_path):
    quarters = [f"{2015 + i // 4}Q{i % 4 + 1}" for i in range(30) if i != 9]
    assert read(tmp_path / "a.csv", quarters).gaps == 1
    weeks = dates("1w", date(2015, 1, 5))[:30]
    spans = [f"{day}/{end}" for day, end in zip(weeks, weeks.dt.offset_by("6d"), strict=True)]
    series = read(tmp_path / "a.csv", spans)
    assert (series.gaps, series.step) == (0, 7 * 86_400.0)


def test_numbers_that_only_look_like_months_stay_numbers(tmp_path):
    series = read(tmp_path / "a.csv", [202001 + i for i in range(40)])
    assert (series.dated, series.gaps, series.step) == (False, 0, 1.0)


def test_one_weekend_may_be_two_missing_days(tmp_path):
    # Monday to Friday twice: the two days between may be missing ones
    series = read(tmp_path / "a.csv", on_days(1, 2, 3, 4, 5)[2:9])
    assert (series.period, series.gaps) == ("", 2)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            [date(2015, month, 1 if month != 6 else 17) for month in range(1, 13)],
            "rows 5 and 6 are 47 days apart, neither the usual 31 days nor a multiple of it, and no period of a",
        ),
        (
            [date(2015, 1, day) for day in (1, 6, 11, 16, 17, 22, 27)],
            "rows 4 and 5 are 1 day apart, less than half of the usual 5 days",
        ),
        ([0.0, 1.0, 2.0, 3.4, 4.4, 5.4], "rows 3 and 4 are 1.4 apart, neither the usual 1 nor a multiple of it"),
    ],
)
def test_an_irregular_step_is_named(tmp_path, times, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "a.csv", times)
    assert str(caught.value).endswith("; put the series on a grid first")


def test_a_repeated_hour_asks_for_offsets(tmp_path):
    clock = [datetime(2019, 10, 27, hour) for hour in (0, 1, 2, 2, 3)]
    with pytest.raises(InputError, match=r"row 4 has the same time as .*; local times need an offset from UTC"):
        read(tmp_path / "a.csv", clock)


def test_windows_on_a_calendar_are_others_than_those_of_equal_steps(tmp_path):
    """Equal steps keep the fingerprints of earlier versions; a calendar is part of the new one."""
    fingerprints = []
    for name in ("business days", "days"):
        path = tmp_path / f"{name}.csv"
        times = CALENDARS[name][0][:200]
        series = read(path, times)
        assert series.is_plain == (name == "days")
        fingerprints.append(read_windows(SeriesConfig(path=(str(path),), context=10)).fingerprint)
    assert len(set(fingerprints)) == 2
