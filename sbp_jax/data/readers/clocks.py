"""Parse game clocks in the forms that publishers, R, pandas and spreadsheets write.

| form | example for 12 minutes 34 seconds |
| --- | --- |
| minutes and seconds | `12:34`; `:34` for 34 seconds |
| the same as a time of day, in 2021 and in spreadsheets | `12:34:00`, `12:34:00 PM` |
| hours, minutes and seconds, as R and pandas write them | `00:12:34`, `0 days 00:12:34` |
| units by letter, as R and standards write them | `12M 34S`, `PT12M34S` |
| seconds | `754`, `754.0`, `754 secs` |
| fraction of a day, as spreadsheets store times | 0.5236 (`12:34`) or 0.00873 (`0:12:34`) |
| times or durations in parquet | three parts |

The first of three parts is minutes if it is above zero in any row of the column, hours otherwise.
"""

import polars as pl

from sbp_jax.data.readers.tables import NULLS

QUARTER_S = 900
_DAY_S = 86_400
_PARTS = (
    r"^(?:\d{4}-\d\d-\d\d[T ]|0 days?,? \+?)?(?<first>\d{0,2}):(?<second>\d\d)"
    r"(?::(?<third>[0-5]\d)(?:\.\d+)?)?(?<half>\s?[AaPp][Mm])?$"
)
_UNITS = r"^(?:PT)?(?:(?<minutes>\d+)M)? ?(?:(?<seconds>\d+)(?:\.\d+)?S)?$"
_SECONDS = r"^(\d+(?:\.\d+)?)(?: ?(?:s|secs?|seconds?))?$"


def read_clock(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the seconds left in the quarter (Int64), and the values that do not parse, as text.

    Both are null where the clock is missing; the first is null where the second is not.
    """
    text = column.cast(pl.String) if not column.dtype.is_temporal() else column.dt.to_string()
    text = text.str.strip_chars()
    text = text.set(text.is_in(NULLS), None)
    if column.dtype.is_numeric():
        seconds = _from_numbers(column.cast(pl.Float64).fill_nan(None))
    elif column.dtype.is_temporal():
        seconds = _from_parts(_parts_of_times(column))
    else:
        number = text.str.extract(_SECONDS, 1).cast(pl.Float64)
        units = pl.DataFrame({"text": text}).select(pl.col("text").str.extract_groups(_UNITS)).unnest("text")
        has_units = pl.col("minutes").is_not_null() | pl.col("seconds").is_not_null()
        units = units.select(
            pl.when(has_units).then(
                60 * pl.col("minutes").cast(pl.Int64).fill_null(0) + pl.col("seconds").cast(pl.Int64).fill_null(0)
            )
        ).to_series()
        forms = (_from_parts(_parts_of_text(text)), units, _from_numbers(number))
        seconds = pl.select(pl.coalesce(*(form.alias(f"form_{i}") for i, form in enumerate(forms)))).to_series()
    seconds = seconds.alias("clock_s")
    return seconds, text.set(seconds.is_not_null(), None).alias("unread")


def _from_numbers(values: pl.Series) -> pl.Series:
    """Seconds, or fractions of a day if no number exceeds one and some are fractions."""
    largest = values.max()
    if isinstance(largest, float) and largest <= 1 and (values % 1 != 0).any():
        hours_first = largest <= (QUARTER_S + 0.5) / _DAY_S
        values = (values * (_DAY_S if hours_first else _DAY_S / 60)).round()
    return values.floor().cast(pl.Int64, strict=False)


def _parts_of_text(text: pl.Series) -> pl.DataFrame:
    parts = pl.DataFrame({"text": text}).select(pl.col("text").str.extract_groups(_PARTS)).unnest("text")
    afternoon = pl.col("half").str.to_lowercase().str.strip_chars() == "pm"
    parts = parts.with_columns(first=pl.when(pl.col("first") == "").then(pl.lit("0")).otherwise("first"))
    parts = parts.with_columns(pl.col("first", "second", "third").cast(pl.Int64))
    of_day = pl.col("first") % 12 + pl.when(afternoon).then(12).otherwise(0)
    return parts.with_columns(first=pl.when(pl.col("half").is_not_null()).then(of_day).otherwise("first"))


def _parts_of_times(column: pl.Series) -> pl.DataFrame:
    if column.dtype == pl.Duration:
        total = column.dt.total_seconds()
        return pl.DataFrame({"first": total // 3600, "second": total // 60 % 60, "third": total % 60})
    if column.dtype == pl.Date:
        return pl.DataFrame({name: [None] * len(column) for name in ("first", "second", "third")}).cast(pl.Int64)
    of_day = {"first": column.dt.hour(), "second": column.dt.minute(), "third": column.dt.second()}
    return pl.DataFrame(of_day).cast(pl.Int64)


def _from_parts(parts: pl.DataFrame) -> pl.Series:
    """Seconds of `first:second` or `first:second:third`; the column shows whether three parts begin with hours."""
    first, second, third = (pl.col(name) for name in ("first", "second", "third"))
    three = parts.filter(third.is_not_null())
    minutes_first = bool((three["first"] > 0).any())
    if minutes_first and (three["third"] > 0).any():
        seconds = pl.when(third.is_null()).then(60 * first + second)  # a time of day, not a game clock
    elif minutes_first or bool((three["second"] > QUARTER_S // 60).any() and not (three["third"] > 0).any()):
        seconds = 60 * first + second
    else:
        seconds = pl.when(third.is_null()).then(60 * first + second).otherwise(3600 * first + 60 * second + third)
    return parts.select(seconds.alias("clock_s")).to_series()
