"""The readers on real files: counts, outcomes, passers, directions, speeds."""

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.features import read_plays
from sbp_jax.data.plays import FEATURES
from sbp_jax.data.readers.descriptions import parse_description
from sbp_jax.data.readers.formats import find_tables
from sbp_jax.data.readers.kinematics import VELOCITY_WINDOW, trailing_slope
from sbp_jax.data.readers.passers import find_offense, nearest_to_ball
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.rows import read_rows
from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.screen import Screen
from sbp_jax.data.readers.tracking import FRAME_COLUMNS, PLAY_COLUMNS, read_tracking
from sbp_jax.data.readers.windows import cut

GAME_2019, GAME_2021 = 2017090700, 2018120600


def game_2019(real_data):
    return sorted((real_data / "big_data_bowl").glob("2019*"))


def game_2021(real_data):
    return sorted((real_data / "big_data_bowl").glob("2021*"))


def sources(real_data):
    return {"2019": game_2019(real_data), "2021": game_2021(real_data), "highlights": real_data / "ngs_highlights"}


def outcomes(real_data, name):
    if name == "highlights":
        table = pl.read_csv(real_data / "ngs_highlights" / "outcomes_2017_2018.csv")
        yards = pl.when(pl.col("outcome") == "C").then("yards").otherwise(0)
        return table.select(game_id="gameId", play_id="playId", result="outcome", nullified="nullified", yards=yards)
    (path,) = (real_data / "big_data_bowl").glob(f"{name}*outcomes.csv")
    yards = pl.when(pl.col("result") == "C").then("yards_gained").otherwise(0)
    return pl.read_csv(path).select(
        game_id="gameId", play_id="playId", result="result", nullified="nullified", yards=yards
    )


READ: dict = {}


@pytest.fixture
def chunks(real_data):
    if not READ:
        READ.update({name: list(read_tracking(paths)) for name, paths in sources(real_data).items()})
    return READ


def total(chunks) -> ReadReport:
    report = ReadReport()
    for chunk in chunks:
        report = report + chunk.report
    return report


@pytest.mark.slow
def test_accounting(chunks):
    report = {name: total(parts) for name, parts in chunks.items()}
    # play 3528 is a scramble followed by an illegal throw; play 1343 has nobody of the offense
    assert (report["2019"].read, report["2019"].kept) == (177, 71)
    assert report["2019"].rejected == {"no snap": 13, "no release": 92, "not a pass": 1}
    assert report["2019"].examples["not a pass"] == [f"{GAME_2019}/3528"]
    assert report["2019"].repaired["empty rows dropped"] == 27
    assert (report["2021"].read, report["2021"].kept) == (73, 65)
    assert report["2021"].rejected == {"no release": 5, "nullified": 2, "no passer": 1}
    assert report["2021"].examples["no passer"] == [f"{GAME_2021}/1343"]
    assert (report["highlights"].read, report["highlights"].kept) == (146, 146)
    assert report["highlights"].formats == {"NGS highlights": 2, "plays": 1}
    for each in report.values():
        assert each.read == each.kept + sum(each.rejected.values())


@pytest.mark.slow
def test_every_outcome_agrees_with_the_outcome_files(chunks, real_data):
    for name, parts in chunks.items():
        plays = pl.concat([chunk.plays for chunk in parts])
        listed = plays.join(outcomes(real_data, name), on=["game_id", "play_id"], suffix="_listed")
        assert len(listed) == len(plays)
        assert listed.filter(pl.col("result") != pl.col("result_listed")).is_empty()
        assert listed.filter(pl.col("yards") != pl.col("yards_listed")).is_empty()
        assert not listed["nullified"].any()


@pytest.mark.slow
def test_the_highlights_have_their_outcomes_without_a_list(real_data):
    paths = sorted((real_data / "ngs_highlights").glob("*.parquet"))
    plays = pl.concat([chunk.plays for chunk in read_tracking(paths)])
    listed = plays.join(outcomes(real_data, "highlights"), on=["game_id", "play_id"], suffix="_listed")
    assert len(listed) == 146
    assert listed.filter(pl.col("result") != pl.col("result_listed")).is_empty()
    assert listed.filter(pl.col("yards") != pl.col("yards_listed")).is_empty()


def test_canonical_columns(chunks):
    for parts in chunks.values():
        for chunk in parts:
            assert tuple(chunk.frames.columns) == FRAME_COLUMNS
            assert tuple(chunk.plays.columns) == PLAY_COLUMNS
            sorted_frames = chunk.frames.sort("game_id", "play_id", "player_id", "frame")
            assert chunk.frames.equals(sorted_frames)
            assert chunk.frames["frame"].min() == 0
            assert np.isfinite(chunk.frames.select("x", "y", "vx", "vy", "ax", "ay").to_numpy()).all()


def test_the_offense_is_eleven_and_plays_toward_positive_x(chunks):
    for name, parts in chunks.items():
        for chunk in parts:
            snap = chunk.frames.filter(pl.col("frame") == 0).join(
                chunk.plays.select("game_id", "play_id", "passer_id", "ball_x"), on=["game_id", "play_id"]
            )
            if name != "2021":  # it does not publish linemen
                counts = snap.group_by("game_id", "play_id").agg(pl.col("offense").sum(), players=pl.len())
                assert counts["offense"].to_list() == [11] * len(counts)
                assert counts["players"].to_list() == [22] * len(counts)
            passer = snap.filter(pl.col("player_id") == pl.col("passer_id"))
            assert len(passer) == len(chunk.plays)
            assert passer["offense"].all()
            # in plays from under center the quarterback has the ball at the snap event
            assert (passer["x"] < passer["ball_x"] + 0.2).all()
            sides = snap.group_by("offense").agg(x=(pl.col("x") - pl.col("ball_x")).median()).sort("offense")
            assert sides["x"][0] > 1.0 > -0.3 > sides["x"][1]


def test_passers_agree_with_the_play_by_play(chunks, real_data):
    listed = pl.read_parquet(real_data / "play_by_play" / "dropbacks_2017_2019.parquet").select(
        "game_id", pl.col("play_id").cast(pl.Int64), listed="passer"
    )
    compared = 0
    for name in ("2019", "2021"):
        (chunk,) = chunks[name]
        both = chunk.plays.join(listed, on=["game_id", "play_id"])
        surname = pl.col("listed").str.split(".").list.last()
        assert both.filter(pl.col("passer").str.split(" ").list.last() != surname).is_empty()
        compared += len(both)
    assert compared == 71 + 65


def test_the_vote_names_the_passer_of_all_72_passes_without_positions(real_data):
    (table,) = [t for t in find_tables(game_2019(real_data)) if t.role == "tracking"]
    (rows,) = read_rows(table)
    rows = cut(rows.filter(pl.col("x").is_not_null()), Screen(table.path, Rules(), ReadReport()))
    rows = rows.filter(pl.col("frame") >= 0)
    voted = nearest_to_ball(rows)
    names = rows.select("player_id", "name").unique()
    assert len(voted) == 72
    assert voted.join(names, on="player_id")["name"].value_counts(sort=True).rows() == [
        ("Tom Brady", 37),
        ("Alex Smith", 35),
    ]
    assert len(find_offense(rows)) == 72


def test_orientation_is_turned_where_the_teams_show_it(chunks):
    first, second = chunks["highlights"]
    turned = "plays with orientation turned by a quarter or half circle"
    assert first.report.repaired[turned] == second.report.repaired[turned] == 1
    assert turned not in total(chunks["2021"]).repaired
    for chunk in (first, second, *chunks["2021"]):
        snap = chunk.frames.filter(pl.col("frame") == 0)
        facing = snap.group_by("game_id", "offense").agg(pl.col("orientation").cos().mean())
        assert (facing.filter("offense")["orientation"] > 0.3).mean() > 0.95
        assert (facing.filter(~pl.col("offense"))["orientation"] < -0.3).mean() > 0.95


def test_speeds_agree_with_the_change_of_position(chunks):
    for parts in chunks.values():
        for chunk in parts:
            key = ["game_id", "play_id", "player_id"]
            x, y = (pl.col(c).shift(-1).over(key) - pl.col(c).shift(1).over(key) for c in ("x", "y"))
            moved = (x**2 + y**2).sqrt() / 0.2
            speed = (pl.col("vx") ** 2 + pl.col("vy") ** 2).sqrt()
            difference = chunk.frames.select((moved - speed).abs().drop_nulls()).to_series()
            assert difference.median() < 0.2


def test_speeds_that_depend_on_the_future_are_derived_instead(chunks):
    kind = "plays with speeds smoothed over the future: derived from the positions"
    assert total(chunks["2019"]).repaired[kind] == 71
    first, second = chunks["highlights"]  # the seasons 2017 and 2018
    assert first.report.repaired[kind] == 1
    assert kind not in second.report.repaired
    assert kind not in total(chunks["2021"]).repaired


def test_derived_speeds_agree_with_given_ones(chunks):
    for chunk in (*chunks["2021"], chunks["highlights"][1]):
        frames = chunk.frames
        track = frames.select(pl.struct("game_id", "play_id", "player_id").rle_id()).to_series().to_numpy()
        places, frame = frames.select("x", "y").to_numpy(), frames["frame"].to_numpy()
        derived = trailing_slope(places, frame, track, VELOCITY_WINDOW)
        difference = np.hypot(*derived.T) - np.hypot(frames["vx"], frames["vy"])
        assert np.median(np.abs(difference)) < 0.2


def test_accelerations_agree_with_the_given_magnitudes(chunks, real_data):
    (chunk,) = chunks["2021"]
    (path,) = (real_data / "big_data_bowl").glob("2021*tracking.parquet")
    given = pl.read_parquet(path, columns=["gameId", "playId", "nflId", "frameId", "a", "event"])
    keys = {"game_id": "gameId", "play_id": "playId", "player_id": "nflId"}
    given = given.select(
        *(pl.col(column).cast(pl.Int64).alias(name) for name, column in keys.items()), "frameId", "a", "event"
    )
    snap = given.filter(pl.col("event") == "ball_snap").group_by("play_id").agg(snap=pl.col("frameId").min())
    given = given.join(snap, on="play_id").with_columns(frame=(pl.col("frameId") - pl.col("snap")).cast(pl.Int32))
    both = chunk.frames.join(given, on=["game_id", "play_id", "player_id", "frame"])
    magnitude = np.hypot(both["ax"], both["ay"])
    assert len(both) == len(chunk.frames)
    assert np.corrcoef(magnitude, both["a"])[0, 1] > 0.9


@pytest.mark.slow
def test_features_are_in_the_range_of_the_game(real_data):
    for name, paths in sources(real_data).items():
        plays, _ = read_plays(paths)
        values = dict(zip(FEATURES, np.moveaxis(plays.frames, -1, 0), strict=True))
        speed = np.hypot(values["vx"], values["vy"])
        unit = np.hypot(values["orientation_cos"], values["orientation_sin"])[plays.present]
        assert speed.max() < 12.5, name
        assert np.hypot(values["ax"], values["ay"]).max() < 25, name
        assert np.abs(values["y"]).max() < 35, name
        np.testing.assert_allclose(unit, 0.0 if name == "2019" else 1.0, atol=1e-6)


def test_the_description_parser_agrees_with_three_seasons_of_play_by_play(real_data):
    table = pl.read_parquet(real_data / "play_by_play" / "dropbacks_2017_2019.parquet").filter(
        ~pl.col("nullified"), ~pl.col("kneel_or_spike"), pl.col("result").is_in(["C", "I", "IN"]), pl.col("down") > 0
    )
    parsed = [parse_description(text)[:2] for text in table["desc"]]
    table = table.with_columns(
        parsed=pl.Series([result for result, _ in parsed]), yards=pl.Series([y for _, y in parsed])
    )
    # differences in the result are reversed rulings, where the table has the ruling before
    differ = table.filter(pl.col("parsed").ne_missing(pl.col("result")))
    assert len(differ) < 0.002 * len(table)
    assert differ["desc"].str.contains("REVERSED").mean() > 0.8
    # differences in yards are fumbles and penalties behind the spot where the run ended
    complete = table.filter(pl.col("parsed") == "C", pl.col("result") == "C")
    wrong = complete.filter(pl.col("yards").ne_missing(pl.col("yards_gained").cast(pl.Float64)))
    assert len(wrong) < 0.007 * len(complete)
    assert wrong["desc"].str.contains("FUMBLES|PENALTY").mean() > 0.8
