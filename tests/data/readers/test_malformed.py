"""Damaged plays stop the reading with one line, or are counted; a bad file gives one line that names it."""

import polars as pl
import pytest

from tests.data import fabricate, publishers
from tests.data.readers.reading import fails, read


def extra_player(table):
    return pl.concat([table, table.filter(pl.col("nflId") == 1003).with_columns(nflId=pl.lit(9999, pl.Int64))])


def at(frame: int, column: str, value: float):
    here = (pl.col("frameId") == frame) & (pl.col("nflId") == 1007)
    return lambda table: table.with_columns(pl.when(here).then(value).otherwise(column).alias(column))


@pytest.mark.parametrize(
    ("damage", "reason", "detail"),
    [
        (extra_player, "more than 22 players in a frame", "23 players"),
        (at(10, "x", float("nan")), "coordinates are not finite numbers", "WR 7 at frame 4"),
        (at(10, "y", float("inf")), "coordinates are not finite numbers", "y = inf"),
        (at(10, "x", -15.01), "coordinates far off the field", "x = -15.01"),
        (at(10, "y", 75.01), "coordinates far off the field", "WR 7 at frame 4"),
    ],
)
def test_damaged_tracking_stops_or_is_counted(table, write, damage, reason, detail):
    folder = write(pl.concat([fabricate.play(number=99), damage(table)]), "tracking.parquet")
    fabricate.write(fabricate.plays_table(table, fabricate.play(number=99)), folder / "plays.csv")
    fails(folder, "tracking.parquet", "game 2018090900 play 75", reason, detail, "malformed = drop")
    plays, report = read(folder, "drop")
    assert plays.play_id.tolist() == [99]
    assert report.rejected == {f"malformed: {reason}": 1}


def test_damage_outside_the_window_does_not_matter(table, write):
    before, after = at(3, "x", 500.0), at(27, "x", 500.0)
    assert read(write(after(before(table))))[1].kept == 1


@pytest.mark.parametrize(
    ("second", "reason"),
    [({"offensePlayResult": 9.0}, "two different outcomes"), ({"passResult": "I"}, "two different outcomes")],
)
def test_two_outcomes_of_one_play(table, write, second, reason):
    outcomes = fabricate.plays_table(table)
    other = fabricate.play(number=99)
    both = pl.concat([outcomes, outcomes.with_columns(**{k: pl.lit(v) for k, v in second.items()})])
    folder = write(pl.concat([table, other]), outcomes=pl.concat([both, fabricate.plays_table(other)]))
    fails(folder, "game 2018090900 play 75", reason)
    assert read(folder, "drop")[1].rejected == {f"malformed: {reason}": 1}


def test_the_same_outcome_listed_twice_is_no_damage(table, write):
    outcomes = fabricate.plays_table(table)
    assert read(write(table, outcomes=pl.concat([outcomes, outcomes])))[1].kept == 1


def test_a_completion_without_yards(table, write):
    folder = write(table, outcomes=fabricate.plays_table(table, yards=None))
    fails(folder, "yards missing on a completion")
    fails(folder, "none of 1 plays kept", "malformed: yards missing on a completion 1", malformed="drop")


def test_missing_path(tmp_path):
    fails(tmp_path / "nowhere", "nowhere", "no such file or folder")


def test_empty_folder(tmp_path):
    fails(tmp_path, "no tracking file found")


def test_empty_file(tmp_path):
    (tmp_path / "tracking.csv").touch()
    fails(tmp_path, "tracking.csv", "empty")


def test_header_alone(table, write):
    fails(write(table.head(0), outcomes=fabricate.plays_table(table)), "tracking.csv", "no rows")


def test_a_file_that_is_no_table(tmp_path):
    (tmp_path / "tracking.parquet").write_bytes(b"PAR1 nothing")
    fails(tmp_path, "tracking.parquet", "not a readable table")


@pytest.mark.parametrize("column", ["x", "y", "gameId", "playId", "frameId", "team", "event", "displayName", "nflId"])
def test_a_missing_tracking_column_is_named(table, write, column):
    outcomes = fabricate.plays_table(table)
    fails(write(table.drop(column), outcomes=outcomes), "tracking.csv", column, "Big Data Bowl 2021")


@pytest.mark.parametrize(("column", "named"), [("passResult", "passResult"), ("yards", "offensePlayResult")])
def test_a_missing_outcome_column_is_named(table, write, column, named):
    gone = ["offensePlayResult", "playResult"] if column == "yards" else [column]
    fails(write(table, outcomes=fabricate.plays_table(table).drop(gone)), "plays.csv", named)


def test_a_value_that_is_no_number_is_named(table, write):
    text = table.with_columns(pl.col("x").cast(pl.String).replace(table["x"].cast(pl.String)[3], "forty"))
    fails(write(text), "tracking.csv", "forty")


def test_a_broken_frame_number_is_named(table, write):
    fails(write(table.with_columns(frameId=pl.col("frameId") + 0.5)), "frameId", "integers")


def test_a_broken_time_is_named(table, write):
    rows = fabricate.as_highlights(table, publishers.DESCRIPTION).with_columns(time=pl.lit("ten past three"))
    fails(write(rows, listed=False), "'time'", "ten past three")
