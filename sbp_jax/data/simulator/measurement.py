"""The motion of all players, and what the tracking system reports of it.

Positions have centimeter noise, speeds and angles errors of their own; all are rounded to two decimals, as in files.
"""

from dataclasses import dataclass, fields

import numpy as np

from sbp_jax.data.simulator.streams import GameStreams

SNAP_FRAME = 10
STEP_S = 0.1
_OFFSET_YARDS, _JITTER_YARDS = 0.03, 0.008  # of a player's chips: constant within a play, and from frame to frame
_SPEED_ERROR_YPS, _ACCELERATION_ERROR, _ORIENTATION_ERROR_DEG = 0.03, 0.1, 1.5
_DIRECTION_ERROR_DEG, _STANDSTILL_ERROR_DEG, _STANDSTILL_YPS = 1.0, 70.0, 0.15


@dataclass(frozen=True)
class Motion:
    """Tracks, [plays, frames, 22, ...]: `position` (yards), `velocity` (yd/s), `facing` (unit vector of the body)."""

    position: np.ndarray
    velocity: np.ndarray
    facing: np.ndarray


@dataclass(frozen=True)
class Noise:
    """Measurement errors for every possible frame of a play, so that none depends on the length of the play.

    `offset` [plays, 23, 2] and `jitter` [plays, frames, 23, 2] (yards; the last of the 23 is the ball), `speed`,
    `acceleration`, `direction`, `orientation` [plays, frames, 22] in standard deviations.
    """

    offset: np.ndarray
    jitter: np.ndarray
    speed: np.ndarray
    acceleration: np.ndarray
    direction: np.ndarray
    orientation: np.ndarray


@dataclass(frozen=True)
class Measured:
    """Reported values, [plays, frames, 22 or 23].

    `x`, `y` as in `play` (yards; the ball, if any, comes last); of players also `speed` (yd/s), `acceleration`
    (yd/s^2), and the angles counterclockwise from +x in degrees.
    """

    x: np.ndarray
    y: np.ndarray
    speed: np.ndarray
    acceleration: np.ndarray
    direction: np.ndarray
    orientation: np.ndarray


def draw_noise(streams: GameStreams, frames: int) -> Noise:
    """Draw the errors of one block of plays of at most `frames`."""
    return Noise(
        offset=_OFFSET_YARDS * streams.normal(23, 2),
        jitter=_JITTER_YARDS * streams.normal_single(frames, 23, 2),
        speed=streams.normal_single(frames, 22),
        acceleration=streams.normal_single(frames, 22),
        direction=streams.normal_single(frames, 22),
        orientation=streams.normal_single(frames, 22),
    )


def one_frame(motion: Motion, noise: Noise, frame: np.ndarray) -> tuple[Motion, Noise]:
    """Return motion and errors of one frame per play, `frame` [plays]; `measure` reports the same for it as in full."""
    rows = np.arange(len(frame))
    tracks = (getattr(motion, field.name)[rows, frame][:, None] for field in fields(motion))
    errors = (getattr(noise, field.name)[rows, frame][:, None] for field in fields(noise)[1:])
    return Motion(*tracks), Noise(noise.offset, *errors)


def measure(motion: Motion, ball: np.ndarray | None, noise: Noise) -> Measured:
    """Return the reported values of every frame, rounded to two decimals; without `ball` for the players alone."""
    frames = motion.position.shape[1]
    true = motion.position if ball is None else np.concatenate([motion.position, ball[:, :, None]], axis=2)
    bodies = true.shape[2]
    place = true + noise.offset[:, None, :bodies] + noise.jitter[:, :frames, :bodies]
    speed = np.hypot(motion.velocity[..., 0], motion.velocity[..., 1])
    change = np.diff(motion.velocity, axis=1, prepend=motion.velocity[:, :1]) / STEP_S
    heading = np.rad2deg(np.arctan2(motion.velocity[..., 1], motion.velocity[..., 0]))
    # a player at a standstill has no direction of motion: the reported one is mostly noise, as in real files
    blur = _DIRECTION_ERROR_DEG + _STANDSTILL_ERROR_DEG * np.exp(-speed / _STANDSTILL_YPS)
    body = np.rad2deg(np.arctan2(motion.facing[..., 1], motion.facing[..., 0]))
    return Measured(
        x=np.round(place[..., 0], 2),
        y=np.round(place[..., 1], 2),
        speed=np.round(np.abs(speed + _SPEED_ERROR_YPS * noise.speed[:, :frames]), 2),
        acceleration=np.round(
            np.abs(np.hypot(change[..., 0], change[..., 1]) + _ACCELERATION_ERROR * noise.acceleration[:, :frames]), 2
        ),
        direction=np.round(heading + blur * noise.direction[:, :frames], 2),
        orientation=np.round(body + _ORIENTATION_ERROR_DEG * noise.orientation[:, :frames], 2),
    )
