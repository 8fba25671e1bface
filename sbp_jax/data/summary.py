"""Hand-crafted columns of a play, as analysts feed them to trees: the situation, and the field at the throw."""

import numpy as np

from sbp_jax.data.extras import COMPLETE_DEFENSE
from sbp_jax.data.player_slots import MARKERS, OTHERS, PASSER, RECEIVERS
from sbp_jax.data.plays import FEATURES, FRAME_S, Sequences

_CLOSE_YARDS, _NEAR_YARDS, _OPEN_YARDS = 2.0, 5.0, 3.0
_X, _Y, _VX, _VY, _COS, _SIN = (
    FEATURES.index(name) for name in ("x", "y", "vx", "vy", "orientation_cos", "orientation_sin")
)


def situation(plays: Sequences) -> np.ndarray:
    """Return the inputs of a network of situations, NaN where missing [N, columns]."""
    half = plays.static.shape[1] // 2
    return np.where(plays.static[:, half:] > 0, np.nan, plays.static[:, :half])


def summary(plays: Sequences) -> np.ndarray:
    """Return the situation and a summary of the play's last frame, NaN where missing [N, columns].

    Passer: time since the snap, position, speed, distance to the nearest defender, and number of defenders within two
    and within five yards; the last three are missing unless all eleven defenders are tracked. Receivers, from the
    deepest to the shallowest: depth, distance to the nearest defender (separation), speed, closing speed of that
    defender, and distance from the line that the passer faces. Field: depth of the deepest defender, number of
    receivers with at least three yards of separation, mean separation, depth of the deepest open receiver, and depth
    and separation of the receiver whom the passer faces most.
    """
    last = plays.offsets[1:] - 1
    frames, present = plays.frames[last].astype(np.float64), plays.present[last]
    frames = np.where(present[:, :, None], frames, np.nan)
    with np.errstate(invalid="ignore"):
        return np.concatenate([situation(plays), _passer(plays, frames), *_receivers(frames)], axis=1)


def _passer(plays: Sequences, frames: np.ndarray) -> np.ndarray:
    x, y = (frames[:, PASSER, column] for column in (_X, _Y))
    distance = _distances(frames, x[:, None], y[:, None])[:, 0]
    complete = np.isfinite(distance).sum(axis=1) >= COMPLETE_DEFENSE
    columns = [
        (plays.lengths - 1) * FRAME_S,
        x,
        y,
        np.hypot(frames[:, PASSER, _VX], frames[:, PASSER, _VY]),
        np.where(complete, _least(distance), np.nan),
        np.where(complete, np.sum(distance < _CLOSE_YARDS, axis=1), np.nan),
        np.where(complete, np.sum(distance < _NEAR_YARDS, axis=1), np.nan),
    ]
    return np.stack(columns, axis=1)


def _receivers(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    receivers = frames[:, list(RECEIVERS)]
    x, y = receivers[:, :, _X], receivers[:, :, _Y]
    distance = _distances(frames, x, y)  # [N, receivers, defenders]
    unknown = np.isnan(distance)
    nearest = np.argmin(np.where(unknown, np.inf, distance), axis=2)
    separation = _least(distance)
    defenders = frames[:, [*MARKERS, *OTHERS]]
    marker = np.take_along_axis(defenders, nearest[:, :, None], axis=1)
    away_x, away_y = x - marker[:, :, _X], y - marker[:, :, _Y]
    projection = (receivers[:, :, _VX] - marker[:, :, _VX]) * away_x + (
        receivers[:, :, _VY] - marker[:, :, _VY]
    ) * away_y
    closing = -projection / np.maximum(separation, 0.1)
    passer = frames[:, PASSER]
    to_x, to_y = x - passer[:, None, _X], y - passer[:, None, _Y]
    range_ = np.maximum(np.hypot(to_x, to_y), 0.1)
    facing = (to_x * passer[:, None, _COS] + to_y * passer[:, None, _SIN]) / range_
    off_line = range_ * np.sqrt(np.maximum(1.0 - facing**2, 0.0))
    speed = np.hypot(receivers[:, :, _VX], receivers[:, :, _VY])
    order = np.argsort(np.where(np.isnan(x), np.inf, -x), axis=1)  # absent receivers come last
    of_each = [np.take_along_axis(column, order, axis=1) for column in (x, separation, speed, closing, off_line)]
    wide = separation >= _OPEN_YARDS
    target = np.argmax(np.where(np.isnan(facing), -np.inf, facing), axis=1)[:, None]
    field = [
        -_least(-defenders[:, :, _X]),
        wide.sum(axis=1),
        _mean(separation),
        -_least(-np.where(wide, x, np.nan)),
        np.take_along_axis(x, target, axis=1)[:, 0],
        np.take_along_axis(separation, target, axis=1)[:, 0],
    ]
    return np.concatenate(of_each, axis=1), np.stack(field, axis=1)


def _distances(frames: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distances from points [N, points] to the defenders, NaN for an absent one [N, points, defenders]."""
    defenders = frames[:, None, [*MARKERS, *OTHERS]]
    return np.hypot(defenders[..., _X] - x[:, :, None], defenders[..., _Y] - y[:, :, None])


def _least(values: np.ndarray) -> np.ndarray:
    """Minimum of the known values along the last axis, NaN if none is known."""
    smallest = np.where(np.isnan(values), np.inf, values).min(axis=-1)
    return np.where(np.isinf(smallest), np.nan, smallest)


def _mean(values: np.ndarray) -> np.ndarray:
    finite = ~np.isnan(values)
    count = finite.sum(axis=-1)
    return np.where(count > 0, np.where(finite, values, 0.0).sum(axis=-1) / np.maximum(count, 1), np.nan)
