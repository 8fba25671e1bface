"""The same true play in the layout of every publisher: the same canonical frames, as far as the layout has them."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.features import read_plays
from sbp_jax.data.readers.formats import find_tables
from sbp_jax.data.readers.layouts import LAYOUTS
from sbp_jax.data.readers.tracking import FRAME_COLUMNS, PLAY_COLUMNS, read_tracking
from sbp_jax.errors import InputError
from tests.data import fabricate, publishers

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "tracking-data.md"
KEY = ["game_id", "play_id", "player_id", "frame"]
SITUATION = ("season", "week", "quarter", "clock_s", "down", "distance", "yards_to_goal", "score_difference", "home")
SITUATION += ("team", "passer_id", "passer", "result", "yards", "touchdown", "frames")
layouts = pytest.mark.parametrize("layout", publishers.LAYOUTS)


def read(sources):
    (chunk,) = read_tracking(sources)
    return chunk


def one_play(direction="right", seed=3):
    return fabricate.play(direction=direction, seed=seed)


@pytest.fixture(params=["right", "left"])
def truth(request, tmp_path):
    """The play in its original 2021 layout."""
    table = one_play(request.param)
    return table, read(publishers.publish("2021", table, tmp_path / "truth"))


@pytest.mark.sample(4)
@layouts
def test_the_same_play_gives_the_same_canonical_frames(truth, layout, tmp_path):
    table, true = truth
    chunk = read(publishers.publish(layout, table, tmp_path / layout))
    assert tuple(chunk.frames.columns) == FRAME_COLUMNS
    assert tuple(chunk.plays.columns) == PLAY_COLUMNS
    both = chunk.frames.join(true.frames, on=KEY, suffix="_true")
    assert len(both) == len(chunk.frames)
    assert both["frame"].max() == 19
    for column in ("x", "y", "vx", "vy", "ax", "ay"):
        np.testing.assert_allclose(both[column], both[f"{column}_true"], atol=1e-6, err_msg=column)
    assert both["offense"].equals(both["offense_true"])
    assert both["name"].equals(both["name_true"])
    missing = {"orientation", "position"} if layout == "2019" else set()
    for column in {"orientation", "position"}:
        expected = both[f"{column}_true"]
        assert both[column].null_count() == len(both) if column in missing else both[column].equals(expected)
    assert chunk.plays["format"].to_list() == [publishers.LAYOUTS[layout]]


@layouts
def test_the_columns_are_as_documented(layout, tmp_path):
    _, frames, plays = re.split(r"^## Canonical (?:frames|plays)$", PAGE.read_text(encoding="utf-8"), flags=re.M)
    cells = [line.split("|")[1:3] for line in frames.splitlines() if line.startswith("| ")][2:]
    documented = {name.strip(" `"): kind.strip() for names, kind in cells for name in names.split(",")}
    chunk = read(publishers.publish(layout, one_play(), tmp_path))
    assert {name: str(kind) for name, kind in chunk.frames.schema.items()} == documented
    words = set(re.findall(r"\w+", plays.split("\n## ")[0]))
    assert set(chunk.plays.columns) <= words


@pytest.mark.parametrize("layout", ["2023", "2024", "2025", "2026"])
def test_the_same_play_gives_the_same_situation(truth, layout, tmp_path):
    table, true = truth
    chunk = read(publishers.publish(layout, table, tmp_path / layout))
    for column in SITUATION:
        assert chunk.plays[column].to_list() == true.plays[column].to_list(), column
    exact = layout != "2026"  # its ball is placed relative to the line of scrimmage: 41 - 0.9 yards
    np.testing.assert_allclose(chunk.plays["ball_x"], true.plays["ball_x"], atol=1e-9 if exact else 0.11)
    np.testing.assert_allclose(chunk.plays["ball_y"], true.plays["ball_y"], atol=1e-9 if exact else 0.51)


@pytest.mark.sample(8)
@layouts
@pytest.mark.parametrize("kind", publishers.FILE_KINDS)
def test_every_file_kind_reads_the_same(layout, kind, tmp_path):
    expected = read(publishers.publish(layout, one_play(), tmp_path / "csv"))
    chunk = read(publishers.publish(layout, one_play(), tmp_path / "other", kind))
    np.testing.assert_allclose(
        chunk.frames.select(pl.col(pl.Float64)).to_numpy(), expected.frames.select(pl.col(pl.Float64)).to_numpy()
    )
    assert chunk.plays.drop("ball_x", "ball_y").equals(expected.plays.drop("ball_x", "ball_y"))


@pytest.mark.parametrize("layout", publishers.TRACKING)
def test_missing_ids_and_angles_as_text_or_nan_in_parquet(layout, tmp_path):
    expected = read(publishers.publish(layout, one_play(), tmp_path))
    (tmp_path / "tracking.csv").unlink()
    rows = publishers.tracking(layout, one_play())
    ident = "nfl_id" if layout == "2026" else "nflId"
    rows = rows.with_columns(
        pl.col(ident).cast(pl.Float64).fill_null(float("nan")), pl.col("o", "dir").cast(pl.String).fill_null("NA")
    )
    publishers.write(rows, tmp_path / "tracking.parquet")
    assert read(tmp_path).frames.equals(expected.frames)


@layouts
def test_fewer_than_22_players_are_masked(layout, tmp_path):
    table = one_play().filter(~pl.col("position").is_in(publishers.LINEMEN).fill_null(value=False))
    plays, _ = read_plays(publishers.publish(layout, table, tmp_path))
    count = 22 - 5 - (4 if layout == "2026" else 0)
    assert plays.present.sum(axis=1).tolist() == [count] * 20
    assert plays.present[:, 0].all()
    assert np.all(plays.frames[~plays.present] == 0)
    assert np.isfinite(plays.frames).all()


@pytest.mark.parametrize("event", [None, "man_in_motion"])
def test_frame_types_of_2025_stand_in_for_the_event_of_the_snap(event, tmp_path):
    expected = read(publishers.publish("2025", one_play(), tmp_path))
    renamed = pl.when(pl.col("event") == "ball_snap").then(pl.lit(event, pl.String)).otherwise("event")
    rows = publishers.tracking("2025", one_play()).with_columns(event=renamed)
    publishers.write(rows, tmp_path / "tracking.csv")
    assert read(tmp_path).frames.equals(expected.frames)


def test_linemen_of_2026_leave_their_slots_empty(tmp_path):
    plays, _ = read_plays(publishers.publish("2026", one_play(), tmp_path))
    assert not plays.present[:, 1:6].any()
    assert plays.present[:, 6:11].all()


@layouts
def test_a_missing_column_is_named_with_the_file(layout, tmp_path):
    known = next(each for each in LAYOUTS if each.name == publishers.LAYOUTS[layout])
    rows = publishers.tracking(layout, one_play())
    # without its frame types 2025 is the layout of 2024
    for column in [c for c in known.required.values() if c != "frameType"]:
        path = publishers.write(rows.drop(column), tmp_path / f"without_{column}.csv")
        with pytest.raises(InputError) as caught:
            find_tables(path)
        message = str(caught.value)
        assert "\n" not in message
        assert str(path) in message
        assert f"{column} (" in message or f"{column}, " in message
        assert known.name in message


def test_a_player_without_id_and_name_is_named(tmp_path):
    folder = publishers.publish("2023", one_play(), tmp_path)
    ident = pl.when(pl.col("nflId") != 1006).then("nflId")
    publishers.write(publishers.tracking("2023", one_play()).with_columns(nflId=ident), folder / "tracking.csv")
    with pytest.raises(InputError, match=r"tracking\.csv: 28 rows of players have no nflId$"):
        read(folder)


def test_tracking_of_no_known_layout_is_named(tmp_path):
    path = publishers.write(pl.DataFrame({"x": [1.0], "y": [2.0], "player": ["A"]}), tmp_path / "soccer.csv")
    with pytest.raises(InputError, match=r"soccer\.csv: looks like tracking but is missing the column\(s\) "):
        find_tables(path)


def test_every_file_is_accounted_for(tmp_path):
    reports = {name: read(publishers.publish(name, one_play(), tmp_path / name)).report for name in ("2023", "2024")}
    assert reports["2023"].formats == {"Big Data Bowl 2023": 1, "plays": 1, "games": 1, "players": 1}
    assert [name.rsplit("/", 1)[-1] for name in reports["2023"].ignored] == ["pffScoutingData.csv"]
    assert [name.rsplit("/", 1)[-1] for name in reports["2024"].ignored] == ["tackles.csv"]
    report = read(publishers.publish("2025", one_play(), tmp_path / "2025")).report
    assert report.formats == {"Big Data Bowl 2025": 1, "plays": 1, "games": 1, "players": 1, "pressures": 1}
    report = read(publishers.publish("2026", one_play(), tmp_path / "2026")).report
    assert report.formats == {"Big Data Bowl 2026": 1, "plays": 1, "frames after the throw": 1}
    assert report.repaired == {"ball at the snap placed by the line of scrimmage": 1}


def test_frames_after_the_throw_change_nothing(tmp_path):
    rows = publishers.tracking("2026", one_play())
    folder = publishers.publish("2026", one_play(), tmp_path)
    before = read(folder)
    moved = rows.with_columns(ball_land_x=0.0, ball_land_y=0.0, num_frames_output=99)
    publishers.write(moved, folder / "tracking.csv")
    (folder / "output_2023_w04.csv").unlink()
    after = read(folder)
    assert after.frames.equals(before.frames)
    assert after.plays.equals(before.plays)


def test_one_file_a_week_or_a_game_in_a_folder_a_folder_below_or_a_list(tmp_path):
    first, second = one_play(), fabricate.play(game=2018090901, seed=4)
    both = pl.concat([first, second])
    lists = publishers.lists("2024", both)
    week = tmp_path / "week"
    week.mkdir()
    publishers.write(publishers.tracking("2024", both), week / "tracking_week_1.csv")
    games, deep = tmp_path / "games", tmp_path / "deep"
    for folder in (games, deep / "train"):
        folder.mkdir(parents=True)
        for number, table in enumerate((first, second)):
            publishers.write(publishers.tracking("2024", table), folder / f"tracking_{number}.csv.gz")
    for folder in (week, games, deep):
        for name, content in lists.items():
            publishers.write(content, folder / name)
    listed = [*sorted(games.iterdir()), games / "plays.csv"]  # a file named twice is one file
    expected = pl.concat([chunk.frames for chunk in read_tracking(week)])
    assert expected["game_id"].n_unique() == 2
    for sources in (games, deep, listed, [deep / "train", deep / "plays.csv", deep / "players.csv"]):
        assert pl.concat([chunk.frames for chunk in read_tracking(sources)]).equals(expected)


def test_subfolders_without_tracking_are_ignored(tmp_path):
    folder = publishers.publish("2021", one_play(), tmp_path)
    (folder / "truth").mkdir()
    publishers.write(fabricate.plays_table(one_play(), yards=50.0), folder / "truth" / "plays.csv")
    assert read(folder).plays["yards"].to_list() == [7.0]


@pytest.mark.parametrize("kind", [".csv.gz", ".parquet.gz"])
def test_a_damaged_gzip_is_named(kind, tmp_path):
    folder = publishers.publish("2021", one_play(), tmp_path, kind)
    path = folder / f"tracking{kind}"
    for content in (b"no gzip at all", path.read_bytes()[: path.stat().st_size // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"tracking{kind}") as caught:
            list(read_tracking(folder))
        assert "\n" not in str(caught.value)
