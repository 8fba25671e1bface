"""A real game in the layouts of later years, the repairs on real tracking, and the league's text on real returns."""

import re

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.readers.descriptions import parse_return
from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tracking import read_tracking

NUMBERS = ("x", "y", "vx", "vy", "ax", "ay", "orientation")
TEAMS = {"home": "TEN", "away": "JAX"}


def merged(sources, **rules):
    chunks = list(read_tracking(sources, Rules(**rules)))
    frames = pl.concat([chunk.frames for chunk in chunks])
    return frames, pl.concat([chunk.plays for chunk in chunks]), chunks[0].report


@pytest.fixture
def game(real_data):
    """The real game of 2018 as published, its file of outcomes and its canonical form."""
    folder = real_data / "big_data_bowl"
    (path,), (outcomes,) = folder.glob("2021*tracking.parquet"), folder.glob("2021*outcomes.csv")
    return pl.read_parquet(path), outcomes, merged([path, outcomes])


def same(frames, true_frames, columns=NUMBERS):
    both = frames.join(true_frames, on=["game_id", "play_id", "player_id", "frame"], suffix="_true")
    assert len(both) == len(frames)
    for column in columns:
        np.testing.assert_allclose(both[column], both[f"{column}_true"], atol=1e-6, err_msg=column)


@pytest.mark.parametrize("layout", ["2023", "2024", "2025"])
def test_a_real_game_reads_the_same_in_later_layouts(game, layout, tmp_path):
    rows, outcomes, (frames, plays, report) = game
    club = pl.col("team").replace(TEAMS)
    people = rows.select("nflId", "displayName", "position").drop_nulls("nflId").unique("nflId")
    if layout == "2023":
        rows = rows.with_columns(team=club).drop("displayName", "position", "route")
    else:
        snap = pl.when(pl.col("event") == "ball_snap").then(pl.lit("SNAP")).otherwise(pl.lit("AFTER_SNAP"))
        kind = {"frameType": snap} if layout == "2025" else {}
        rows = rows.with_columns(club=club, **kind).drop("team", "position", "route")
    rows.write_parquet(tmp_path / "tracking.parquet")
    people.write_csv(tmp_path / "players.csv")
    later_frames, later_plays, later_report = merged([tmp_path, outcomes])
    assert (later_report.read, later_report.kept) == (report.read, report.kept)
    assert later_report.rejected == report.rejected
    same(later_frames, frames)
    assert len(later_frames) == len(frames)
    columns = ["game_id", "play_id", "passer_id", "passer", "result", "yards", "yards_to_goal"]
    assert later_plays.select(columns).equals(plays.select(columns))


def test_a_real_game_reads_the_same_in_the_layout_of_2026(game, tmp_path):
    _, outcomes, (frames, plays, _) = game
    published = game[0].with_columns(pl.col("gameId", "playId", "nflId", "frameId").cast(pl.Int64))
    keys = {"game_id": "gameId", "play_id": "playId", "nfl_id": "nflId", "frame_id": "frameId"}
    released = frames.select("play_id", "player_id", "offense", "frame").with_columns(pl.col("frame").cast(pl.Int64))
    snap = published.filter(pl.col("event") == "ball_snap").group_by("playId").agg(snap=pl.col("frameId").min())
    rows = (
        published.join(snap, on="playId")
        .with_columns(frame=pl.col("frameId") - pl.col("snap"))
        .join(released, left_on=["playId", "nflId", "frame"], right_on=["play_id", "player_id", "frame"])
        .join(plays.select("play_id", "passer_id", "yards_to_goal"), left_on="playId", right_on="play_id")
    )
    role = pl.when(pl.col("nflId") == pl.col("passer_id")).then(pl.lit("Passer"))
    left = pl.col("playDirection") == "left"
    rows = rows.select(
        **keys,
        player_name="displayName",
        player_position="position",
        player_side=pl.when("offense").then(pl.lit("Offense")).otherwise(pl.lit("Defense")),
        player_role=role.when("offense").then(pl.lit("Other Route Runner")).otherwise(pl.lit("Defensive Coverage")),
        play_direction="playDirection",
        absolute_yardline_number=pl.when(left)
        .then(10 + pl.col("yards_to_goal"))
        .otherwise(110 - pl.col("yards_to_goal")),
        **{name: name for name in ("x", "y", "s", "dir", "o")},
    )
    rows.write_csv(tmp_path / "input_2023_w01.csv")
    later_frames, later_plays, report = merged([tmp_path, outcomes])
    assert (report.read, report.kept) == (65, 65)
    assert report.repaired == {"ball at the snap placed by the line of scrimmage": 65}
    # there are no frames before the snap for the accelerations at the snap
    same(later_frames, frames, ("x", "y", "vx", "vy", "orientation"))
    same(later_frames.filter(pl.col("frame") >= 2), frames)
    assert len(later_frames) == len(frames)
    columns = ["game_id", "play_id", "passer_id", "passer", "result", "yards", "yards_to_goal", "frames"]
    assert later_plays.select(columns).equals(plays.select(columns))
    for column in ("ball_x", "ball_y"):
        assert (later_plays[column] - plays[column]).abs().max() < 0.6


def test_the_real_teams_overrule_a_wrong_direction_in_every_play(game, tmp_path):
    rows, outcomes, (frames, plays, _) = game
    swapped = rows.with_columns(pl.col("playDirection").replace({"left": "right", "right": "left"}))
    swapped.write_parquet(tmp_path / "tracking.parquet")
    later_frames, later_plays, report = merged([tmp_path, outcomes])
    assert report.repaired == {"direction of play contradicts the positions at the snap: replaced by theirs": 65}
    assert later_frames.equals(frames)
    assert later_plays.equals(plays)


def test_a_player_out_of_step_in_a_real_game_is_aligned(game, tmp_path):
    rows, outcomes, (frames, _, _) = game
    late = (pl.col("nflId") == rows["nflId"].drop_nulls().mode()[0]).fill_null(value=False)
    rows.with_columns(pl.col("frameId") + pl.when(late).then(4).otherwise(0)).write_parquet(tmp_path / "t.parquet")
    later, _, report = merged([tmp_path, outcomes])
    assert list(report.repaired) == ["frame numbers out of step with the time: aligned by it"]
    assert later.equals(frames)


@pytest.mark.slow
def test_the_highlights_own_counters_are_counted(real_data):
    chunks = list(read_tracking(real_data / "ngs_highlights"))
    counts = [c.report.repaired.get("frame numbers out of step with the time: aligned by it", 0) for c in chunks]
    assert sum(counts) == 10_387


@pytest.mark.slow
def test_net_yards_of_the_highlights(real_data):
    sources = sorted((real_data / "ngs_highlights").glob("*.parquet"))
    yards, net = (
        pl.concat([c.plays for c in read_tracking(sources, Rules(outcome=o))]) for o in ("yards", "net_yards")
    )
    assert len(net) == len(yards) == 146
    picked, scored = net["result"] == "IN", net["touchdown"]
    assert (net.filter(picked)["outcome"] <= 0).all()
    assert net.filter(scored)["outcome"].equals(net.filter(scored)["yards_to_goal"].cast(pl.Float64), check_names=False)
    rest = ~picked & ~scored
    assert net.filter(rest)["outcome"].equals(yards.filter(rest)["yards"], check_names=False)


def test_returns_agree_with_the_spots_in_the_leagues_text(real_data):
    """Distance from the spot of the catch to the end, in three seasons of interceptions without laterals."""
    table = pl.read_parquet(real_data / "play_by_play" / "dropbacks_2017_2019.parquet")
    texts = table.filter(pl.col("result") == "IN", ~pl.col("nullified"))["desc"].to_list()
    compared = wrong = 0
    for text in texts:
        after = text.rsplit("REVERSED", 1)[-1].partition("INTERCEPTED")[2]
        spots = [
            re.search(rf" {word} (?:([A-Z]+) )?(-?\d+){end}", after) for word, end in (("at", r"\. "), ("to", " for "))
        ]
        if "Lateral" in after or not all(spots):
            continue
        team = next((spot[1] for spot in spots if spot[1]), "")
        begin, end = (int(spot[2]) if spot[1] in (team, None) else 100 - int(spot[2]) for spot in spots)
        compared += 1
        wrong += abs(begin - end) != abs(parse_return(text) or 0.0)
    assert compared > 800
    assert wrong <= 1  # a second, illegal pass by the interceptor
