"""Faults with one sound remedy are corrected and counted; every repair is in the report."""

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.readers.tracking import read_tracking
from tests.data import fabricate, publishers

STEP = "frame numbers out of step with the time: aligned by it"
HOLE = "single missing frames of a player filled from his past"
TURNED = "direction of play contradicts the positions at the snap: replaced by theirs"


def read(folder):
    (chunk,) = read_tracking(folder)
    return chunk


def published(folder, table, layout="2021", change=lambda rows: rows):
    folder = publishers.publish(layout, table, folder)
    publishers.write(change(publishers.tracking(layout, table)), folder / "tracking.csv")
    return read(folder)


def numbers(frames):
    return frames.select("x", "y", "vx", "vy", "ax", "ay").to_numpy()


def shifted(by: int, *players: int):
    return lambda rows: rows.with_columns(frameId=pl.col("frameId") + by * pl.col("nflId").is_in(players).fill_null(0))


@pytest.mark.parametrize("layout", ["2021", "2023", "2024", "2025"])
def test_a_counter_out_of_step_is_aligned_by_time(layout, tmp_path):
    table = fabricate.play(seed=2)
    expected = published(tmp_path / "sound", table, layout)
    chunk = published(tmp_path / "shifted", table, layout, shifted(3, 1006, 1503 + 11))
    assert chunk.report.repaired == {STEP: 2 * 28}
    assert chunk.frames.equals(expected.frames)


def test_where_no_counter_can_be_trusted_the_time_is_the_clock(tmp_path):
    table = fabricate.play(seed=2)
    expected = published(tmp_path / "sound", table)

    def own_counters(rows):
        return rows.with_columns(frameId=pl.col("frameId") + pl.col("nflId").fill_null(0) % 9)

    assert published(tmp_path / "own", table, change=own_counters).frames.equals(expected.frames)


def test_times_cut_to_seconds_align_nothing(tmp_path):
    second = pl.lit("2018-09-09T17:00:03.000Z")
    chunk = published(tmp_path, fabricate.play(), change=lambda rows: rows.with_columns(time=second))
    assert chunk.report.repaired == {}


def without(player: int, *frames: int):
    gone = pl.col("nflId").eq_missing(player) & (pl.col("frameId") - fabricate.LEAD - 1).is_in(frames)
    return lambda rows: rows.filter(~gone)


@pytest.mark.parametrize("layout", ["2021", "2019", "2025"])
def test_a_hole_of_one_frame_is_filled_from_the_past(layout, tmp_path):
    table = fabricate.play(seed=2)
    expected = published(tmp_path / "sound", table, layout)
    frame = pl.col("frame.id" if layout == "2019" else "frameId").cast(pl.Int64) - fabricate.LEAD - 1
    gone = (pl.col("nflId") == 1006).fill_null(value=False) & frame.is_in([4, 9])
    chunk = published(tmp_path / "holes", table, layout, lambda rows: rows.filter(~gone))
    assert chunk.report.repaired == {HOLE: 2}
    # on a straight line the past determines the next frame exactly
    np.testing.assert_allclose(numbers(chunk.frames), numbers(expected.frames), atol=1e-6)


def test_the_filling_does_not_depend_on_later_frames(tmp_path):
    table = fabricate.play(seed=2)
    jump = (pl.col("nflId") == 1006) & (pl.col("frameId") > fabricate.LEAD + 1 + 9)

    def jumped(rows):
        return without(1006, 9)(rows).with_columns(x=pl.col("x") + 3.0 * jump.fill_null(value=False))

    places = [
        published(tmp_path / name, table, change=change).frames.filter(
            pl.col("player_id") == 1006, pl.col("frame") <= 9
        )
        for name, change in (("straight", without(1006, 9)), ("jumped", jumped))
    ]
    assert places[0].equals(places[1])
    assert places[0]["frame"].max() == 9


def test_longer_holes_and_ends_stay_open(tmp_path):
    table = fabricate.play(seed=2)
    chunk = published(tmp_path, table, change=without(1006, 4, 5, 19))
    assert chunk.report.repaired == {}
    there = chunk.frames.filter(pl.col("player_id") == 1006)["frame"].to_list()
    assert there == [frame for frame in range(20) if frame not in (4, 5, 19)]


def test_a_frame_that_nobody_has_is_no_hole_of_a_player(tmp_path):
    good, torn = fabricate.play(), fabricate.play(number=99)
    torn = torn.filter(pl.col("frameId") != fabricate.LEAD + 1 + 8)
    folder = publishers.publish("2021", pl.concat([good, torn]), tmp_path)
    report = read(folder).report
    assert report.rejected == {"frames missing between snap and release": 1}
    assert report.repaired == {}


@pytest.mark.sample(4)
@pytest.mark.parametrize("layout", ["2021", "2023", "2024", "2025", "2026", "highlights"])
@pytest.mark.parametrize("way", ["right", "left"])
def test_the_positions_overrule_the_recorded_direction(layout, way, tmp_path):
    table = fabricate.play(direction=way, seed=2)
    expected = published(tmp_path / "sound", table, layout)
    column = "play_direction" if layout == "2026" else "playDirection"
    swap = pl.col(column).replace({"left": "right", "right": "left"})
    chunk = published(tmp_path / "swapped", table, layout, lambda rows: rows.with_columns(swap))
    assert chunk.report.repaired == {**expected.report.repaired, TURNED: 1}
    assert chunk.frames.equals(expected.frames)


def test_teams_without_a_clear_lead_leave_the_recorded_direction(tmp_path):
    places = {"home": 39.75, "away": 40.25, "football": 40.0}
    table = fabricate.play(direction="right").with_columns(
        x=pl.col("team").replace_strict(places, return_dtype=pl.Float64), s=0.0, playDirection=pl.lit("left")
    )
    publishers.publish("2021", table, tmp_path)
    # the listed line would show that the direction is wrong
    plays = fabricate.plays_table(table).drop("yardlineSide", "yardlineNumber")
    fabricate.write(plays, tmp_path / "plays.csv")
    chunk = read(tmp_path)
    assert chunk.report.repaired.get(TURNED) is None
    assert sorted(chunk.frames["x"].unique()) == [79.75, 80.25]
