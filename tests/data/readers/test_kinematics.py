"""Derivatives from the past alone, and the two kinds of evidence against a file's own angles and speeds."""

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.readers.kinematics import add_motion, orientation_turns, smoothed_games, trailing_slope

KEY = {"game_id": 1, "play_id": 2, "player_id": 3}


def test_the_slope_of_a_line_is_exact_across_gaps_and_unknown_values():
    frame = np.array([0, 1, 2, 4, 5, 6])
    values = 3.0 - 2.0 * frame / 10
    values[2] = np.nan
    slope = trailing_slope(values, frame, np.zeros(6, int), window=3)
    # frame 2 uses 0 and 1; frame 4 uses itself alone, since 2 is unknown
    np.testing.assert_allclose(slope, [0.0, -2.0, -2.0, 0.0, -2.0, -2.0], atol=1e-12)


def test_the_slope_is_the_least_squares_line():
    random = np.random.default_rng(0)
    values, frame = random.normal(size=(40, 2)), np.arange(40)
    slope = trailing_slope(values, frame, np.zeros(40, int), window=5)
    for i in range(5, 40):
        fit = np.polynomial.polynomial.polyfit(frame[i - 4 : i + 1] / 10, values[i - 4 : i + 1], 1)
        np.testing.assert_allclose(slope[i], fit[1], atol=1e-10)


def test_the_slope_never_looks_ahead_nor_at_another_player():
    random = np.random.default_rng(0)
    values, frame, track = random.normal(size=30), np.tile(np.arange(15), 2), np.repeat([0, 1], 15)
    slope = trailing_slope(values, frame, track, window=4)
    changed = values.copy()
    changed[10:] += 100.0
    np.testing.assert_array_equal(trailing_slope(changed, frame, track, window=4)[:10], slope[:10])
    alone = trailing_slope(values[15:], frame[15:], track[15:], window=4)
    np.testing.assert_array_equal(slope[15:], alone)


def test_no_rows_no_slopes():
    assert trailing_slope(np.empty((0, 2)), np.empty(0, int), np.empty(0, int), window=3).shape == (0, 2)


def circle(frames: int = 60, speed: float = 5.0, radius: float = 8.0, given: bool = True) -> pl.DataFrame:
    """A player on a circle, counterclockwise: his acceleration points to the center, with size speed^2 / radius."""
    frame = np.arange(frames)
    angle = speed / radius * frame / 10
    heading = np.rad2deg(angle + np.pi / 2)
    return pl.DataFrame(
        {
            "frame": frame,
            "x": radius * np.cos(angle),
            "y": radius * np.sin(angle),
            "s": np.full(frames, speed if given else None, dtype=object if not given else float),
            "dir": (90.0 - heading) % 360,
            "o": (90.0 - heading) % 360,
        },
        schema_overrides={"s": pl.Float64},
    ).with_columns(**{name: pl.lit(value) for name, value in KEY.items()})


@pytest.mark.parametrize(("given", "lag_s"), [(True, 0.1), (False, 0.3)])
def test_motion_on_a_circle(given, lag_s):
    rows = add_motion(circle(given=given)).tail(-10)
    speed = np.hypot(rows["vx"], rows["vy"])
    acceleration = np.hypot(rows["ax"], rows["ay"])
    # a line over a window of an arc is shorter than the arc: sinc of half its angle
    np.testing.assert_allclose(speed, 5.0, rtol=2e-3)
    np.testing.assert_allclose(acceleration, 25 / 8, rtol=8e-3)
    toward = np.arctan2(rows["ay"], rows["ax"]) - np.arctan2(-rows["y"], -rows["x"])
    np.testing.assert_allclose(np.angle(np.exp(1j * toward.to_numpy())), -lag_s * 5.0 / 8.0, atol=2e-3)


def test_orientation_is_counter_clockwise_from_the_offenses_way():
    compass = [0.0, 90.0, 180.0, 270.0, 359.0, 1.0]
    rows = circle(6).with_columns(o=pl.Series(compass))
    expected = np.deg2rad([90.0, 0.0, -90.0, 180.0, 91.0, 89.0])
    turned = np.exp(1j * add_motion(rows)["orientation"].to_numpy())
    np.testing.assert_allclose(turned, np.exp(1j * expected), atol=1e-12)
    unknown = add_motion(circle(6).with_columns(o=pl.lit(None, pl.Float64)))
    assert unknown["orientation"].null_count() == 6


def line_up(turned: float, seed: int = 0, players: int = 22) -> pl.DataFrame:
    offense = np.arange(players) < players // 2
    noise = np.random.default_rng(seed).normal(scale=25.0, size=players)
    return pl.DataFrame(
        {"game_id": 7, "frame": 0, "offense": offense, "direction": "left", "o": np.where(offense, 270.0, 90.0)}
    ).with_columns(o=(pl.col("o") + noise + turned) % 360)


@pytest.mark.parametrize(("turned", "turns"), [(0.0, 0), (90.0, 1), (180.0, 2), (270.0, 3), (30.0, 0)])
def test_turned_orientation_is_detected(turned, turns):
    assert orientation_turns(line_up(turned)).rows() == [(7, turns)]


def test_orientation_without_evidence_is_left_alone():
    assert orientation_turns(line_up(90.0, players=8)).is_empty()
    every_way = line_up(0.0).with_columns(o=pl.Series(np.linspace(0, 360, 22, endpoint=False)), offense=True)
    assert orientation_turns(every_way).is_empty()


def test_speeds_ahead_of_the_positions_are_detected():
    rows = pl.concat([circle(300), circle(300, speed=6.0).with_columns(game_id=pl.lit(9))])
    assert smoothed_games(rows) == []
    ahead = pl.col("dir").shift(-4).over("game_id")
    assert smoothed_games(rows.with_columns(dir=pl.when(pl.col("game_id") == 9).then(ahead).otherwise("dir"))) == [9]
    assert smoothed_games(rows.head(150).with_columns(dir=ahead)) == []
