"""A play with another origin, unit or orientation of the field is malformed, alone and in every layout."""

import math

import polars as pl
import pytest

from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.errors import InputError
from tests.data import fabricate, publishers
from tests.data.readers.reading import fails

X, Y = pl.col("x"), pl.col("y")
ORIGINS = {
    "midfield": (X - 60.0, Y - 26.65),
    "midfield along x": (X - 60.0,),
    "midfield along y": (Y - 26.65,),
    "goal line": (X - 10.0,),
    "meters off": (X + 12.0,),
    "mirrored": ((120.0 - X).alias("x"),),
    "turned": ((120.0 - X).alias("x"), (53.3 - Y).alias("y")),
    "feet": (X * 3.0, Y * 3.0, pl.col("s") * 3.0),
    "meters from midfield": ((X - 60.0) * 0.9144, (Y - 26.65) * 0.9144),
}
LAYOUTS = ["2021", "2023", "2024", "2025", "2026", "highlights"]


def moved(folder, layout, change, direction):
    """The listed line is that of `fabricate`, 69 yards to the goal."""
    table = fabricate.play(direction=direction, seed=3)
    publishers.publish(layout, table, folder)
    rows = publishers.tracking(layout, table).with_columns(change)
    return publishers.write(rows, folder / "tracking.csv").parent


@pytest.mark.sample(20)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("direction", ["right", "left"])
@pytest.mark.parametrize("origin", ORIGINS)
def test_one_play_with_another_origin_is_malformed(origin, direction, layout, tmp_path):
    message = fails(moved(tmp_path, layout, ORIGINS[origin], direction), "game 2018090900 play 75")
    assert "malformed = drop" in message
    fails(tmp_path, "none of 1 plays kept (malformed: ", malformed="drop")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("direction", ["right", "left"])
def test_the_same_play_at_its_place_is_read(direction, layout, tmp_path):
    (chunk,) = read_tracking(moved(tmp_path, layout, (), direction))
    assert chunk.plays["yards_to_goal"].to_list() == [69]


def test_without_a_listed_line_the_positions_off_the_field_show_the_origin(tmp_path):
    folder = moved(tmp_path, "2021", (Y - 12.0,), "right")
    plays = pl.read_csv(folder / "plays.csv").drop("yardlineSide", "yardlineNumber")
    plays.write_csv(folder / "plays.csv")
    fails(folder, "many positions off the field: another origin or unit", "% of the positions")


@pytest.mark.parametrize("behind", [-1.2, 2.6, 5.0])
def test_a_ball_that_is_already_on_its_way_is_no_other_origin(behind, tmp_path):
    """Within the range of the real plays, and for a snap that is tagged late."""
    ball = pl.col("team") == "football"
    table = fabricate.play().with_columns(x=pl.when(ball).then(41.0 - 0.9 - behind).otherwise("x"))
    (chunk,) = read_tracking(publishers.publish("2021", table, tmp_path))
    assert chunk.plays["yards_to_goal"].to_list() == [69]


def test_a_player_out_of_bounds_is_no_other_origin(tmp_path):
    table = fabricate.play()
    wide = (pl.col("displayName") == "WR 10") & (pl.col("frameId") > 12)
    table = table.with_columns(y=pl.when(wide).then(pl.col("y") - 3.5).otherwise("y"))
    table = table.with_columns(y=pl.when(pl.col("displayName") == "WR 10").then(pl.col("y") - 7.0).otherwise("y"))
    (chunk,) = read_tracking(publishers.publish("2021", table, tmp_path))
    assert (chunk.frames["y"] < 0.0).any()
    assert len(chunk.plays) == 1


@pytest.mark.parametrize("angles", ["as they are", "in degrees"])
def test_a_real_play_with_its_origin_at_midfield_is_malformed(angles, real_file, tmp_path):
    folder = real_file("09_origin_at_midfield")
    rows = pl.read_csv(folder / "coords.csv")
    if angles == "in degrees":
        rows = rows.with_columns(pl.col("o", "dir") * 180.0 / math.pi)
    rows.write_csv(tmp_path / "coords.csv")
    sources = [tmp_path, folder / "plays.csv", folder / "players.csv"]
    reason = "angles are not in degrees" if angles == "as they are" else "many positions off the field"
    with pytest.raises(InputError, match=f"game 2021091300 play 4845: {reason}"):
        list(read_tracking(sources))
    with pytest.raises(InputError, match=f"none of 1 plays kept \\(malformed: {reason}"):
        list(read_tracking(sources, Rules("drop")))


REAL = {"2019": 71, "2021": 65}


@pytest.mark.parametrize("year", REAL)
def test_no_real_play_is_taken_for_another_origin(year, real_data):
    (path,) = (real_data / "big_data_bowl").glob(f"{year}*tracking.parquet")
    (outcomes,) = (real_data / "big_data_bowl").glob(f"{year}*outcomes.csv")
    chunks = list(read_tracking([path, outcomes], Rules("drop")))
    assert sum(len(chunk.plays) for chunk in chunks) == REAL[year]
    assert not any(reason.startswith("malformed") for chunk in chunks for reason in chunk.report.rejected)
