"""Velocity, acceleration and orientation of tracked players, from the past alone.

Every derivative at a frame uses that frame and earlier ones only. Values at the release could therefore have been
computed live, and nothing about the ball's flight leaks in.
"""

import numpy as np
import polars as pl

from sbp_jax.data.plays import FRAME_S

FIELD_LENGTH_YARDS, FIELD_WIDTH_YARDS = 120.0, 53.3
# at the snap event the ball is already moving back: 0.9 yards behind the listed line (median of 145 plays of 2018)
BALL_BEHIND_LINE_YARDS = 0.9

# window lengths of the least-squares lines, in frames. Accelerations from 3 frames correlate 0.95 with the magnitudes
# published in files of 2021 (5 frames: 0.89, 7: 0.78). Positions are coarser than speeds: second derivatives use 5
VELOCITY_WINDOW = 3
ACCELERATION_WINDOW = 3
DERIVED_ACCELERATION_WINDOW = 5
LEAD = VELOCITY_WINDOW + DERIVED_ACCELERATION_WINDOW - 2  # frames before the snap used by the derivatives at the snap

_EVIDENCE_ROWS = 10
_EVIDENCE_STRENGTH = 0.4
_SMOOTHED_ROWS = 200
_SMOOTHED_YPS = 0.35


def trailing_slope(values: np.ndarray, frame: np.ndarray, track: np.ndarray, window: int) -> np.ndarray:
    """Return the slope per second of the least-squares line through each row and the frames just before it.

    slope = sum_k (t_k - mean t)(v_k - mean v) / sum_k (t_k - mean t)^2 over the rows of the same track whose frame lies
    in [frame - window + 1, frame] and whose value is known.

    Args:
        values: `[rows]` or `[rows, columns]`; NaN where unknown.
        frame: int `[rows]`, frame numbers of 0.1 s, increasing within a track.
        track: int `[rows]`, one number per player and play; the rows of a track are contiguous.
        window: frames of the line, at least 2.

    Returns:
        The slopes, shaped like `values`; 0 where fewer than two values are known.
    """
    shape = values.shape
    values = values[:, None] if values.ndim == 1 else values
    count, sum_t, sum_tt = (np.zeros(values.shape) for _ in range(3))
    sum_v, sum_tv = (np.zeros(values.shape) for _ in range(2))
    for lag in range(min(window, len(values))):
        rows = np.arange(lag, len(values))
        earlier = rows - lag
        back = frame[rows] - frame[earlier]
        near = (track[rows] == track[earlier]) & (back < window)
        finite = near[:, None] & np.isfinite(values[earlier])
        value = np.where(finite, values[earlier], 0.0)
        time = np.where(finite, -back[:, None] * FRAME_S, 0.0)
        count[rows] += finite
        sum_t[rows] += time
        sum_tt[rows] += time * time
        sum_v[rows] += value
        sum_tv[rows] += time * value
    spread = count * sum_tt - sum_t**2
    fit = count >= 2
    return np.where(fit, (count * sum_tv - sum_t * sum_v) / np.where(fit, spread, 1.0), 0.0).reshape(shape)


def add_motion(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `vx, vy` [yd/s], `ax, ay` [yd/s^2] and `orientation` [rad] to rows whose offense moves toward +x.

    Velocity is speed times direction of motion where both are given, else the trailing slope of the position;
    acceleration is the trailing slope of the velocity.

    Args:
        rows: sorted by track and frame, with `game_id, play_id, player_id, frame, x, y`, `s` [yd/s] and `dir, o`
            [degrees clockwise from +y, already turned with the field], null where not given.

    Returns:
        The rows; `orientation` is counter-clockwise from +x in (-pi, pi], null where not given.
    """
    track = rows.select(pl.struct("game_id", "play_id", "player_id").rle_id()).to_series().to_numpy()
    frame = rows["frame"].to_numpy()
    speed, heading = rows["s"].to_numpy(), np.deg2rad(rows["dir"].to_numpy())
    file_velocity = np.stack([speed * np.sin(heading), speed * np.cos(heading)], axis=1)
    finite = np.isfinite(file_velocity)
    velocity, acceleration = file_velocity, trailing_slope(file_velocity, frame, track, ACCELERATION_WINDOW)
    if not finite.all():
        places = rows.select("x", "y").to_numpy()
        velocity = np.where(finite, file_velocity, trailing_slope(places, frame, track, VELOCITY_WINDOW))
        twice = trailing_slope(velocity, frame, track, DERIVED_ACCELERATION_WINDOW)
        acceleration = np.where(finite, acceleration, twice)
    facing = np.pi / 2 - np.deg2rad(rows["o"].to_numpy())
    orientation = np.arctan2(np.sin(facing), np.cos(facing))
    return rows.with_columns(
        vx=velocity[:, 0],
        vy=velocity[:, 1],
        ax=acceleration[:, 0],
        ay=acceleration[:, 1],
        orientation=pl.Series(orientation).fill_nan(None),
    )


def orientation_turns(rows: pl.DataFrame) -> pl.DataFrame:
    """Return by how many quarter turns the files' `o` is off in each game, from the players' orientation at the snap.

    Average exp(i (o - e)) over all players at the snap, where e is the direction in which their side plays. The mean
    points to 0 in a sound game (within 32 degrees in 144 of 145 plays of 2018) and to a quarter turn in games of 2017
    and a few later ones. A game with fewer than 10 such rows or without a clear mean (resultant under 0.4) is left
    unchanged.

    Args:
        rows: `game_id, frame` (0 at the snap), `offense, direction` ("left" or "right": the offense's way), `o` in
            degrees clockwise from +y.

    Returns:
        `game_id, turns` (0 to 3) for the games with evidence.
    """
    toward_right = pl.col("offense") == (pl.col("direction") != "left")
    angle = (pl.col("o") - pl.when(toward_right).then(90.0).otherwise(270.0)).radians()
    lined_up = rows.filter(pl.col("frame") == 0, pl.col("o").is_finite())
    means = lined_up.group_by("game_id").agg(rows=pl.len(), cos=angle.cos().mean(), sin=angle.sin().mean())
    clear = (pl.col("cos") ** 2 + pl.col("sin") ** 2).sqrt() >= _EVIDENCE_STRENGTH
    turns = (pl.arctan2("sin", "cos") / (np.pi / 2)).round().cast(pl.Int64) % 4
    return means.filter(pl.col("rows") >= _EVIDENCE_ROWS, clear).select("game_id", turns=turns)


def smoothed_games(rows: pl.DataFrame) -> list[int]:
    """Return the games whose recorded velocities do not follow the positions.

    In files of 2017 `s` and `dir` are smoothed over a second that includes the future: a quarterback moves before the
    snap, and the values at the release depend on what follows. The median distance between the recorded velocity and
    the centered difference of the position is 0.49 and 0.51 yd/s in the two games of 2017, and at most 0.23 in the 115
    others; the threshold is 0.35. Games with fewer than 200 such rows are never returned.

    Args:
        rows: sorted by track and frame: `game_id, play_id, player_id, frame, x, y, s, dir`.
    """
    key = ["game_id", "play_id", "player_id"]
    step = pl.col("frame").shift(-1).over(key) - pl.col("frame").shift(1).over(key)
    shifts = [pl.col(c).shift(-1).over(key) - pl.col(c).shift(1).over(key) for c in ("x", "y")]
    heading = pl.col("dir").radians()
    file_velocity = [pl.col("s") * heading.sin(), pl.col("s") * heading.cos()]
    gaps = [(change / (2 * FRAME_S) - speed) ** 2 for change, speed in zip(shifts, file_velocity, strict=True)]
    distances = rows.select("game_id", gap=pl.sum_horizontal(gaps, ignore_nulls=False).sqrt(), step=step)
    distances = distances.filter(pl.col("step") == 2, pl.col("gap").is_finite()).group_by("game_id")
    medians = distances.agg(pl.col("gap").median(), rows=pl.len())
    return medians.filter(pl.col("rows") >= _SMOOTHED_ROWS, pl.col("gap") > _SMOOTHED_YPS)["game_id"].to_list()


def toward_positive_x(rows: pl.DataFrame) -> pl.DataFrame:
    """Return `rows` with plays to the left turned by a half turn, so that every offense moves toward +x."""
    leftward = pl.col("direction") == "left"
    return rows.with_columns(
        x=pl.when(leftward).then(FIELD_LENGTH_YARDS - pl.col("x")).otherwise("x"),
        y=pl.when(leftward).then(FIELD_WIDTH_YARDS - pl.col("y")).otherwise("y"),
        dir=pl.when(leftward).then(pl.col("dir") + 180.0).otherwise("dir"),
        o=pl.when(leftward).then(pl.col("o") + 180.0).otherwise("o"),
    )
