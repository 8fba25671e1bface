"""Every form of a game clock, in text, numbers and columns of times; other values are reported, not read."""

from datetime import date, datetime, time, timedelta

import polars as pl
import pytest

from sbp_jax.data.readers.clocks import read_clock


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        (["12:34", "12:34:00", ":09", "00:10", "15:00:00", None], [754, 754, 9, 10, 900, None]),
        (["15:00:00", "00:10:00"], [900, 10]),
        (["00:15:00", "00:12:34"], [900, 754]),
        (["00:15:00"], [900]),
        (["00:02:00", "00:59:00"], [2, 59]),  # no quarter has 59 minutes
        (["0 days 00:15:00", "0 days 00:00:09.000000"], [900, 9]),
        (["0 days 15:00:00"], [900]),
        (["3:00:00 PM", "12:34:00 PM", "12:09:00 AM"], [900, 754, 9]),
        (["1900-01-01 12:34:00"], [754]),
        (["PT12M34S", "12M 34S", "PT5S", "PT15M"], [754, 754, 5, 900]),
        (["754", "754.0", "9 secs"], [754, 754, 9]),
        ([754, 9], [754, 9]),
        ([754.0, 9.9, float("nan")], [754, 9, None]),
        ([0.625, 754 / 1440], [900, 754]),
        ([900 / 86400, 754 / 86400], [900, 754]),
        ([time(15), time(12, 34)], [900, 754]),
        ([time(0, 15), time(0, 12, 34)], [900, 754]),
        ([timedelta(minutes=15), timedelta(minutes=12, seconds=34)], [900, 754]),
        ([timedelta(hours=15), timedelta(hours=12, minutes=34)], [900, 754]),
        ([datetime(1900, 1, 1, 12, 34)], [754]),
        ([None, "NA", ""], [None, None, None]),
    ],
    ids=str,
)
def test_forms_that_are_read(values, seconds):
    clock, unread = read_clock(pl.Series("gameClock", values, strict=False))
    assert clock.to_list() == seconds
    assert clock.dtype == pl.Int64
    assert unread.null_count() == len(values)


@pytest.mark.parametrize(
    "values", [["half time"], ["20:15:37", "20:15:52"], ["2023-01-01"], ["-5"], [date(2023, 1, 1)], ["Q1 15:00"]]
)
def test_other_values_are_unread(values):
    clock, unread = read_clock(pl.Series("gameClock", values))
    assert clock.null_count() == len(values)
    assert unread.to_list() == [str(value) for value in values]
