"""Every known layout and file kind gives the same plays; plays that are not passes are counted."""

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.plays import STATIC_FEATURES
from sbp_jax.data.readers.rules import Rules
from sbp_jax.errors import InputError
from tests.data import fabricate
from tests.data.readers.reading import fails, read

COMPLETE = "(:10) (Shotgun) Q.Back pass short left to W.Receiver to CLE 41 for 7 yards (A.Tackler)."


@pytest.mark.parametrize("name", ["a.csv", "b.tsv", "c.parquet"])
def test_every_file_kind_reads_the_same(table, write, name):
    plays, report = read(write(table, name))
    assert (report.read, report.kept) == (1, 1)
    assert report.formats == {"Big Data Bowl 2021": 1, "plays": 1}
    assert plays.lengths.tolist() == [20]
    assert plays.outcome.tolist() == [7.0]
    np.testing.assert_allclose(plays.frames[-1, 0, :4], [-5.0 - 3.8, 0.0, -2.0, 0.0], atol=1e-5)


def test_the_layouts_agree_on_one_play(table, tmp_path):
    outcomes = fabricate.plays_table(table)
    layouts = {
        "2021": table,
        "2019": fabricate.as_2019(table),
        "highlights": fabricate.as_highlights(table, COMPLETE),
    }
    read_back = {}
    for name, rows in layouts.items():
        folder = tmp_path / name
        folder.mkdir()
        fabricate.write(rows, folder / "tracking.csv")
        if name != "highlights":
            fabricate.write(outcomes, folder / "plays.csv")
        read_back[name], _ = read(folder)
    first = read_back["2021"]
    for name, plays in read_back.items():
        np.testing.assert_allclose(plays.frames[..., :6], first.frames[..., :6], atol=1e-5, err_msg=name)
        np.testing.assert_array_equal(plays.passer_id, first.passer_id)
        assert plays.outcome.tolist() == [7.0]
        assert plays.info["result"].tolist() == ["C"]
    np.testing.assert_array_equal(read_back["2019"].frames[..., 6:], 0.0)
    np.testing.assert_array_equal(read_back["highlights"].frames[..., 6:], first.frames[..., 6:])


def test_situation_of_the_2021_layout(tmp_path):
    plays, _ = read(fabricate.folder(tmp_path))
    situation = dict(zip(STATIC_FEATURES, plays.static[0].tolist(), strict=True))
    assert situation == {
        "down": 3.0,
        "distance": 8.0,
        "yards_to_goal": 69.0,
        "quarter": 2.0,
        "clock_s": 754.0,
        "score_difference": -7.0,
        "week": 4.0,
        "home": 1.0,
        **{name: 0.0 for name in STATIC_FEATURES if name.endswith("_missing")},
    }
    assert set(plays.info["team"]) == {"TEN"}
    assert set(plays.info["season"]) == {2018}


def test_situation_of_the_highlights_layout(table, write):
    plays, _ = read(write(fabricate.as_highlights(table, COMPLETE), listed=False))
    assert plays.static[0].tolist() == [2.0, 5.0, 69.0, 4.0, 10.0, 4.0, 1.0, 1.0, *[0.0] * 8]
    assert plays.info["team"].tolist() == ["PIT"]


def test_unlisted_features_are_marked_missing(table, write):
    outcomes = pl.DataFrame({"gameId": [2018090900], "playId": [75], "result": ["C"], "yards_gained": [7]})
    plays, _ = read(write(fabricate.as_2019(table), outcomes=outcomes))
    situation = dict(zip(STATIC_FEATURES, plays.static[0].tolist(), strict=True))
    for name in ("down", "distance", "quarter", "clock_s", "score_difference", "week"):
        assert situation[name] == 0.0
        assert situation[f"{name}_missing"] == 1.0
    assert situation["yards_to_goal"] == 69.0  # 110 - 40 - 0.9, rounded
    assert situation["home"] == 1.0
    assert situation["home_missing"] == 0.0


@pytest.mark.parametrize(
    ("result", "yards", "gain"), [("I", None, 0.0), ("IN", 35.0, 0.0), ("I", 12.0, 0.0), ("C", -3.0, -3.0)]
)
def test_yards_are_counted_as_the_league_does(table, write, result, yards, gain):
    plays, _ = read(write(table, outcomes=fabricate.plays_table(table, result=result, yards=yards)))
    assert plays.outcome.tolist() == [gain]
    assert plays.info["result"].tolist() == [result]


def test_positions_come_from_the_players_file_where_tracking_has_none(table, write, tmp_path):
    players = table.filter(pl.col("nflId").is_not_null()).select("nflId", "position").unique()
    fabricate.write(players, tmp_path / "players.csv")
    plays, report = read(write(table.drop("position")))
    assert plays.passer.tolist() == ["QB 0"]
    assert report.formats["players"] == 1


def test_copies_of_a_play_are_kept_once_and_counted(table, tmp_path):
    rows = fabricate.as_highlights(table, COMPLETE)
    again = fabricate.as_highlights(table, COMPLETE, copy="play_data/b.tsv")
    fabricate.write(pl.concat([rows, again]), tmp_path / "both.csv")
    fabricate.write(rows, tmp_path / "third.csv")
    plays, report = read(tmp_path)
    assert len(plays) == 1
    assert (report.read, report.kept, report.rejected) == (3, 1, {"duplicate copy": 2})


def test_repeated_rows_are_dropped_and_counted(table, write):
    twice = pl.concat([table, table.filter(pl.col("frameId").is_in([10, 11]))])
    plays, report = read(write(twice))
    assert report.repaired == {"duplicate (player, time) rows dropped": 46}
    np.testing.assert_array_equal(plays.frames, read(write(table))[0].frames)


def test_empty_rows_are_dropped_and_counted(table, write):
    rows = fabricate.as_2019(table)
    blank = (
        rows.filter(pl.col("displayName") == "FS 21")
        .head(4)
        .with_columns(pl.lit(None, pl.Float64).alias(c) for c in ("x", "y", "s", "dis", "dir"))
    )
    _, report = read(write(pl.concat([rows, blank.with_columns(pl.lit("Nobody").alias("displayName"))])))
    assert report.repaired == {"empty rows dropped": 4}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event": pl.col("event").replace("ball_snap", "None")}, "no snap"),
        ({"event": pl.col("event").replace("pass_forward", "qb_sack")}, "no release"),
        ({"event": pl.col("event").replace("pass_forward", "run")}, "no release"),
    ],
)
def test_plays_without_a_pass_are_counted(table, write, change, reason):
    other = fabricate.play(number=99)
    plays, report = read(write(pl.concat([table.with_columns(**change), other])))
    assert plays.play_id.tolist() == [99]
    assert report.rejected == {reason: 1}
    assert report.examples == {reason: ["2018090900/75"]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"passResult": pl.lit("S")}, "not a pass"),
        ({"passResult": pl.lit(None, pl.String)}, "not a pass"),
        (
            {"playDescription": pl.lit("Q.Back pass to X. PENALTY on TEN, Holding, enforced at JAX 4 - No Play.")},
            "nullified",
        ),
        ({"playDescription": pl.lit("TWO-POINT CONVERSION ATTEMPT. Q.Back pass is complete.")}, "two-point try"),
        ({"playId": pl.lit(76)}, "no outcome listed"),
    ],
)
def test_plays_without_a_counted_attempt_are_counted(table, write, change, reason):
    other = fabricate.play(number=99)
    outcomes = pl.concat(
        [fabricate.plays_table(table).with_columns(**change), fabricate.plays_table(other)], how="vertical_relaxed"
    )
    plays, report = read(write(pl.concat([table, other]), outcomes=outcomes))
    assert plays.play_id.tolist() == [99]
    assert report.rejected == {reason: 1}
    assert report.read == report.kept + sum(report.rejected.values())


def test_length_bounds(table, write):
    long = fabricate.play(number=99, frames=40)
    folder = write(pl.concat([table, long]))
    assert read(folder, max_frames=39)[1].rejected == {"too many frames": 1}
    assert read(folder, min_frames=21)[1].rejected == {"too few frames": 1}
    assert read(folder, min_frames=20, max_frames=40)[1].kept == 2


def test_unrelated_files_are_ignored_in_a_folder_and_refused_by_name(tmp_path):
    fabricate.folder(tmp_path)
    (tmp_path / "notes.csv").write_text("color,taste\nred,sweet\n")
    (tmp_path / "pffScoutingData.csv").write_text("gameId,playId,nflId,pff_role\n1,2,3,Pass\n")
    _, report = read(tmp_path)
    assert sorted(name.rsplit("/", 1)[-1] for name in report.ignored) == ["notes.csv", "pffScoutingData.csv"]
    fails([tmp_path, tmp_path / "notes.csv"], "notes.csv", "color")


def test_bad_rules_are_named():
    with pytest.raises(InputError, match="min_frames"):
        Rules(min_frames=9, max_frames=8)
