"""Bodies in motion: 22 of them and the ball in every frame, within human limits."""

import numpy as np
import polars as pl

from tests.data.simulator.files import PLAY, event_frame


def test_every_frame_has_22_players_the_ball_and_one_quarterback(tracking):
    frames = tracking.group_by(*PLAY, "frameId").agg(
        pl.len().alias("rows"),
        pl.col("nflId").n_unique().alias("bodies"),
        (pl.col("team") == "home").sum().alias("home"),
        (pl.col("team") == "away").sum().alias("away"),
        (pl.col("position") == "QB").sum().alias("quarterbacks"),
        pl.col("event").n_unique().alias("events"),
    )
    for name, value in {"rows": 23, "bodies": 23, "home": 11, "away": 11, "quarterbacks": 1, "events": 1}.items():
        assert frames[name].unique().to_list() == [value], name
    ball = tracking.filter(pl.col("team") == "football")
    assert ball["displayName"].unique().to_list() == ["Football"]
    assert ball.select("o", "dir", "nflId", "position", "route").null_count().row(0) == (ball.height,) * 5
    counted = tracking.group_by(PLAY).agg(pl.col("frameId").max(), pl.col("frameId").n_unique().alias("n"))
    assert (counted["frameId"] == counted["n"]).all()


def test_time_from_snap_to_release(tracking, truth):
    snap, release = event_frame(tracking, "ball_snap"), event_frame(tracking, "pass_forward")
    assert snap["ball_snap"].unique().to_list() == [11]
    frames = (release["pass_forward"] - 10).to_numpy()
    counted = truth["release_frames"].to_numpy()
    np.testing.assert_array_equal(np.sort(frames), np.sort(counted[: len(frames)]))
    assert counted.min() >= 13
    assert counted.max() <= 66
    assert 25 <= np.median(counted) <= 31


def test_motion_stays_within_human_limits(tracking):
    people = tracking.filter(pl.col("team") != "football").sort(*PLAY, "nflId", "frameId")
    step = people.select(
        "s",
        "a",
        "dis",
        (pl.col("x").diff().over(*PLAY, "nflId")).alias("dx"),
        (pl.col("y").diff().over(*PLAY, "nflId")).alias("dy"),
        "dir",
    ).drop_nulls()
    assert people["s"].max() < 10.6
    assert people["a"].max() < 8.0
    assert people.select(pl.col("x").is_between(-1, 121) & pl.col("y").is_between(-1, 54.3)).to_series().all()
    moved = np.hypot(step["dx"].to_numpy(), step["dy"].to_numpy())
    np.testing.assert_allclose(step["dis"], moved, atol=0.0051)
    assert np.sqrt(np.mean(np.square(10 * moved - step["s"].to_numpy()))) < 0.25
    fast = step.filter(pl.col("s") > 3)
    course = np.rad2deg(np.arctan2(fast["dx"], fast["dy"]))
    off = np.abs((course - fast["dir"] + 180) % 360 - 180)
    assert np.quantile(off, 0.99) < 8
    assert people.select(
        ((pl.col("o") >= 0) & (pl.col("o") < 360) & (pl.col("dir") >= 0) & (pl.col("dir") < 360)).all()
    ).item()
