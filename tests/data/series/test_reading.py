"""Time series: columns inferred or named, gaps masked, windows of the past alone, errors that name the row."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.series.reading import Series, read_series, windows
from sbp_jax.errors import InputError

START = datetime(2015, 2, 26, 21, 42, 53)


def table(count=50, minutes=5):
    times = [START + timedelta(minutes=minutes * i) for i in range(count)]
    return pl.DataFrame({"timestamp": times, "value": [float(i * i % 17) for i in range(count)]})


def line(count=40, step=1.0, missing=()):
    """y[t] = t: a lead that is off by one shows."""
    at = np.array([i for i in range(count) if i not in missing], np.float64)
    return Series("line", at * step, at, step, dated=False)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_files_of_every_kind_hold_the_same_series(tmp_path, suffix):
    path = tmp_path / f"counts.{suffix}"
    if suffix == "parquet":
        table().write_parquet(path)
    else:
        table().write_csv(path, separator="," if suffix == "csv" else "\t")
    series = read_series(path)
    assert (series.name, len(series), series.step, series.dated, series.missing) == ("counts", 50, 300.0, True, 0)
    assert series.time[0] == datetime(2015, 2, 26, 21, 42, 53).timestamp() - datetime(1970, 1, 1).timestamp()
    assert series.value.tolist() == table()["value"].to_list()
    assert series.gaps == 0


def test_columns_are_inferred_or_named(tmp_path):
    path = tmp_path / "many.csv"
    table().with_columns(other=pl.lit(3), when=pl.int_range(pl.len()) * 2).write_csv(path)
    series = read_series(path, "when", "value")
    assert (series.step, series.dated, series.time[1]) == (2.0, False, 2.0)
    with pytest.raises(InputError, match="specify the column of values; besides 'timestamp' it"):
        read_series(path)
    with pytest.raises(InputError, match="did you mean 'value'"):
        read_series(path, value="valeu")
    table().rename({"timestamp": "moment"}).write_csv(path)
    with pytest.raises(InputError, match="specify the column of times; it has moment, value"):
        read_series(path)


def test_missing_rows_and_values_are_gaps(tmp_path):
    path = tmp_path / "holes.csv"
    rows = table(30).with_columns(value=pl.when(pl.int_range(pl.len()) != 7).then("value"))
    pl.concat([rows[:10], rows[14:]]).write_csv(path)
    series = read_series(path)
    assert (len(series), series.missing, series.gaps) == (25, 1, 5)
    result = windows(series, context=6)
    assert result.seen.sum(axis=1).min() == 3
    # cells 7 and 10 to 13 are gaps; of the six cells before 14, 15 and 16 only two are seen
    cells = series.cell[result.index]
    assert cells.tolist() == [*range(3, 7), 8, 9, *range(17, 30)]
    assert result.seen[cells == 17].tolist() == [[False, False, False, True, True, True]]


@pytest.mark.parametrize("lead", [1, 3])
@pytest.mark.parametrize("step", [1.0, 0.1, 86_400.0])
def test_a_window_ends_lead_steps_before_its_outcome(lead, step):
    result = windows(line(step=step), context=4, lead=lead)
    full = result.seen.all(axis=1)
    np.testing.assert_array_equal(result.value[full, -1], result.outcome[full] - lead)
    np.testing.assert_array_equal(np.diff(result.value[full], axis=1), 1.0)
    assert result.outcome[0] == lead + 1  # two of four cells are seen
    assert result.seen[0].tolist() == [False, False, True, True]


def test_gaps_and_scaling():
    result = windows(line(missing=(10, 11)), context=5)
    row = int(np.flatnonzero(result.outcome == 13)[0])
    assert result.value[row].tolist() == [8.0, 9.0, 0.0, 0.0, 12.0]
    assert result.seen[row].tolist() == [True, True, False, False, True]
    assert result.location[row] == 9.0
    assert result.scale[row] == pytest.approx((1 + 0 + 3) / 3)
    np.testing.assert_allclose(result.scaled[row], [-0.75, 0.0, 0.0, 0.0, 2.25])
    assert not np.isin([10.0, 11.0], result.outcome).any()


def test_series_that_differ_by_orders_of_magnitude_look_alike():
    random = np.random.default_rng(0)
    at, value = np.arange(200.0), random.standard_t(3, 200)
    one, large = (Series("s", at, factor * value + shift, 1.0, False) for factor, shift in ((1.0, 0.0), (1e6, 3e7)))
    np.testing.assert_allclose(windows(one, 10).scaled, windows(large, 10).scaled, rtol=1e-7, atol=1e-9)


def test_a_flat_window_has_a_scale_from_the_training_part_alone():
    value = np.concatenate([np.arange(10.0), np.full(20, 5.0), [1e9]])
    series = Series("flat", np.arange(31.0), value, 1.0, dated=False)
    result = windows(series, context=5, training=20)
    train = value[:20]
    assert result.scale[-1] == pytest.approx(0.05 * np.mean(np.abs(train - np.median(train))))
    with pytest.raises(InputError, match="flat: a constant series in its first 5 observations, which train"):
        windows(Series("flat", np.arange(31.0), np.where(np.arange(31) < 9, 2.0, value), 1.0, False), 5, training=5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[[0, 2, 1, 3, 4]], r"'timestamp': row 3 has an earlier time than the row before: 2015-02-26"),
        (lambda t: t[[0, 1, 1, 2, 3]], r"'timestamp': row 3 has the same time as the row before: 2015-02-26"),
        (lambda t: t.with_columns(value=pl.lit("many")), r"column 'value': expected numbers, got 'many'"),
        (lambda t: t.with_columns(value=pl.lit(2.5)), r"'value': a constant series, every value is 2.5"),
        (lambda t: t.with_columns(value=pl.lit(None, pl.Float64)), r"expected at least 3 values, got 0"),
        (lambda t: t[:2], r"expected at least 3 rows, got 2"),
        (lambda t: t.with_columns(value=pl.Series([1.0, float("inf")] * 25)), r"'value': row 2: expected .* at most"),
        (lambda t: t.with_columns(value=t["value"] * 1e39), r"'value': row \d+: expected .* at most 1e\+30"),
        (
            lambda t: t.with_columns(timestamp=pl.lit("01/02/2020")),
            r"row 1: expected a date such as .* got '01/02/2020'",
        ),
        (
            lambda t: t.with_columns(timestamp=pl.lit("02/26/2015")),
            r"row 1: expected a date such as .* got '02/26/2015'",
        ),
        (lambda t: t.with_columns(timestamp=pl.Series([None, *t["timestamp"][1:]])), r"row 1 has no time"),
        (
            lambda t: t.with_columns(
                timestamp=t["timestamp"].replace(t["timestamp"][4], t["timestamp"][3] + timedelta(0, 9))
            ),
            r"rows 4 and 5 are 9 apart, less than half of the usual 300; put the series on a grid first",
        ),
    ],
)
def test_errors_name_the_row(tmp_path, change, message):
    path = tmp_path / "mine.csv"
    change(table()).write_csv(path)
    with pytest.raises(InputError, match=message) as caught:
        read_series(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"context": 0}, "context: expected at least 1 step, got 0"),
        ({"context": 5, "lead": 0}, "lead: expected at least 1 step, got 0"),
        ({"context": 90}, "line: context: the series is 40 steps long, too short for 90"),
        ({"context": 10**9}, "line: context: the series is 40 steps long, too short for 1000000000"),
        ({"context": 5, "lead": 60}, "line: lead: the series is 40 steps long, too short for 60"),
        ({"context": 5, "lead": 10**30}, "lead: the series is 40 steps long"),
        ({"context": 35, "lead": 30}, "line: 40 observations are too short a series for a context of 35 and a lead of"),
    ],
)
def test_impossible_windows(arguments, message):
    with pytest.raises(InputError, match=message):
        windows(line(), **arguments)


def test_real_counts(real_data):
    for path in sorted((real_data / "twitter_volume").glob("*.csv")):
        series = read_series(path)
        assert len(series) > 15_000
        assert (series.step, series.dated) == (300.0, True)
        result = windows(series, context=100)
        assert len(result) > len(series) - 60
        assert np.isfinite(result.scaled).all()
