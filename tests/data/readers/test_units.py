"""Units inferred from the data: what can be derived is derived and counted, unreliable plays are malformed."""

import math

import polars as pl
import pytest

from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tracking import read_tracking
from tests.data import fabricate, publishers
from tests.data.readers.reading import fails

CONTRADICTED = "plays with recorded speeds or directions that the positions contradict: derived from them"
SMOOTHED = "plays with speeds smoothed over the future: derived from the positions"
UNFIT = "malformed: speeds and positions do not fit: other units, or not ten frames per second"
NOT_YARDS = "malformed: positions are not in yards"
RATE = "malformed: not ten frames per second"
METER = 0.9144


def read(sources):
    """The report and the frames of the kept plays, damaged plays counted."""
    chunks = list(read_tracking(sources, Rules("drop")))
    report = chunks[0].report
    for chunk in chunks[1:]:
        report = report + chunk.report
    return report, pl.concat([chunk.frames for chunk in chunks])


def written(folder, change, layout="2021"):
    """Two sound plays, the second of which is changed, and one more sound play, so that something is kept."""
    sound, other = fabricate.play(seed=2), fabricate.play(game=2018090901, seed=3)
    publishers.publish(layout, pl.concat([sound, other]), folder)
    rows = publishers.tracking(layout, pl.concat([sound, other]))
    game = "game_id" if layout == "2026" else "gameId"
    hit = pl.col(game) == 2018090901
    changed = change(rows.filter(hit)).cast(dict(rows.schema))
    fabricate.write(pl.concat([rows.filter(~hit), changed]), folder / "tracking.csv")
    return folder


def scaled(factor, *columns):
    return lambda rows: rows.with_columns(pl.col(c) * factor for c in columns)


@pytest.mark.sample(4)
@pytest.mark.parametrize("layout", publishers.LAYOUTS)
@pytest.mark.parametrize("factor", [2.0455, 3.0, 3.2918], ids=["mph", "ft/s", "km/h"])
def test_speeds_in_other_units_are_derived_where_the_rate_is_known(layout, factor, tmp_path):
    expected = read(written(tmp_path / "sound", lambda rows: rows, layout))[1]
    report, frames = read(written(tmp_path / "changed", scaled(factor, "s"), layout))
    if layout in ("2019", "2026"):  # no times, or times truncated to the same second: it may be the rate as well
        assert report.rejected == {UNFIT: 1}
        return
    assert (report.kept, report.repaired[CONTRADICTED]) == (2, 1)
    assert (frames["vx"] - expected["vx"]).abs().max() < 0.01


@pytest.mark.parametrize("layout", publishers.LAYOUTS)
def test_meters_per_second_with_positions_in_yards_are_derived(layout, tmp_path):
    report, _ = read(written(tmp_path, scaled(METER, "s"), layout))
    # with few and fast players the speeds look smoothed, which has the same remedy
    assert (report.kept, report.repaired.get(CONTRADICTED, 0) + report.repaired.get(SMOOTHED, 0)) == (2, 1)


@pytest.mark.parametrize("layout", publishers.LAYOUTS)
def test_positions_in_meters_are_malformed(layout, tmp_path):
    folder = written(tmp_path, scaled(METER, "x", "y"), layout)
    assert read(folder)[0].rejected == {NOT_YARDS: 1}
    fails(folder, "game 2018090901 play 75", "positions are not in yards", "1.094 times those of the positions")


def turned(rows):
    return rows.with_columns(dir=90 - pl.col("dir"))


def test_directions_that_contradict_the_motion_are_derived(tmp_path):
    expected = read(written(tmp_path / "sound", lambda rows: rows))[1]
    report, frames = read(written(tmp_path / "changed", turned))
    assert (report.kept, report.repaired[CONTRADICTED]) == (2, 1)
    for column in ("vx", "vy"):
        assert (frames[column] - expected[column]).abs().max() < 0.01


@pytest.mark.parametrize("layout", ["2021", "2026", "highlights"])
@pytest.mark.parametrize("columns", [("dir",), ("o",), ("dir", "o")], ids=lambda names: " and ".join(names))
@pytest.mark.parametrize("factor", [math.pi / 180, 1 / 360], ids=["radians", "turns"])
def test_one_play_with_angles_in_another_unit_is_malformed(factor, columns, layout, tmp_path):
    folder = written(tmp_path, scaled(factor, *columns), layout)
    assert read(folder)[0].rejected == {"malformed: angles are not in degrees": 1}
    fails(folder, "game 2018090901 play 75", "angles are not in degrees", f"values of {columns[0]} is beyond")


@pytest.mark.parametrize("hertz", [20, 5])
def test_another_rate_by_the_times_is_malformed(hertz, tmp_path):
    table = fabricate.play(game=2018090901, seed=3, frames=40)
    stamp = pl.datetime(2018, 9, 9, 17, 0, 3) + pl.duration(milliseconds=pl.col("frameId") * (1000 // hertz))
    rows = table.with_columns(time=stamp.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    sound = fabricate.play(seed=2)
    folder = publishers.publish("2021", pl.concat([sound, table]), tmp_path)
    fabricate.write(pl.concat([publishers.tracking("2021", sound), rows]), folder / "tracking.csv")
    assert read(folder)[0].rejected == {RATE: 1}
    fails(folder, "game 2018090901 play 75", f"{hertz}.0 frames per second by the times")


def test_players_with_speeds_who_stand_still_are_malformed(tmp_path):
    still = pl.col("x", "y").first().over("displayName")
    assert read(written(tmp_path, lambda rows: rows.with_columns(still)))[0].rejected == {UNFIT: 1}


def test_a_player_who_jumps_is_malformed(tmp_path):
    here = (pl.col("nflId") == 1007) & (pl.col("frameId") == 12)
    folder = written(tmp_path, lambda rows: rows.with_columns(x=pl.when(here).then(pl.col("x") + 9).otherwise("x")))
    assert read(folder)[0].rejected == {"malformed: a player jumps from one frame to the next": 1}
    fails(folder, "WR 7 by", "at frame 6")


def cut_of(real_data, year, *columns, factor=METER):
    (path,) = (real_data / "big_data_bowl").glob(f"{year}*tracking.parquet")
    (outcomes,) = (real_data / "big_data_bowl").glob(f"{year}*outcomes.csv")
    return scaled(factor, *columns)(pl.read_parquet(path)), outcomes


@pytest.mark.sample(1)
@pytest.mark.parametrize("year", ["2019", "2021"])
@pytest.mark.parametrize("columns", [("x", "y"), ("x", "y", "s")], ids=["positions", "positions and speeds"])
def test_every_play_of_a_real_game_in_meters_is_malformed(real_data, year, columns, tmp_path):
    rows, outcomes = cut_of(real_data, year, *columns)
    rows.write_parquet(tmp_path / "tracking.parquet")
    fails([tmp_path, outcomes], "none of", "malformed: positions are not in yards", malformed="drop")


@pytest.mark.parametrize("factor", [METER, 2.0455], ids=["m/s", "mph"])
def test_a_real_game_with_other_speeds_is_derived(real_data, factor, tmp_path):
    sound, outcomes = cut_of(real_data, "2021", factor=1.0)
    sound.write_parquet(tmp_path / "sound.parquet")
    expected = read([tmp_path / "sound.parquet", outcomes])[1]
    rows, _ = cut_of(real_data, "2021", "s", factor=factor)
    rows.write_parquet(tmp_path / "tracking.parquet")
    report, frames = read([tmp_path / "tracking.parquet", outcomes])
    assert report.kept == 65
    assert report.repaired[CONTRADICTED] >= 65  # counted before plays that are not passes are left out
    assert (frames["vx"] - expected["vx"]).abs().median() < 0.15
