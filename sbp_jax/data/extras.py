"""Optional features of a player, chosen by name and appended to the eight of `features`.

The page `docs/explanation/features.md` lists them, and the formats in which each is known. A column is 0 for players
without the measurement; a column `..._known` is 1 where the value was measured. `target_defenders` describes a
completed play, so it is not for live scoring.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sbp_jax.data.player_slots import PASSER, RECEIVERS
from sbp_jax.data.plays import FEATURES
from sbp_jax.data.readers.rules import EXTRAS, TARGET_DEFENDERS, check_extras

TARGET_YARDS = 2.0
COMPLETE_DEFENSE = 11


@dataclass(frozen=True, eq=False)
class Scene:
    """Positions and roles of the players, by slot.

    Args:
        x, y: yards, float64 `[frames, 22]`, arbitrary for absent players.
        speed: magnitude of the velocity, yards per second, float64 `[frames, 22]`.
        present: bool `[frames, 22]`.
        defender: bool `[frames, 22]`, whether the player in the slot plays for the defense, whichever slot it is.
        target: bool `[frames, 22]`, whether the ball is thrown to the player; at most one per frame.
        seconds: since the snap, float64 `[frames]`.
    """

    x: np.ndarray
    y: np.ndarray
    speed: np.ndarray
    present: np.ndarray
    defender: np.ndarray
    target: np.ndarray
    seconds: np.ndarray

    def to_defenders(self, slot: np.ndarray) -> np.ndarray:
        """Return the distance in yards from the player in `slot` (int `[frames]`) to each defender, inf if absent."""
        frame = np.arange(len(slot))
        gap = np.hypot(self.x - self.x[frame, slot][:, None], self.y - self.y[frame, slot][:, None])
        return np.where(self.defender & self.present, gap, np.inf)


def measure(names: Iterable[str], scene: Scene) -> np.ndarray:
    """Return the columns of the extras `names`, float32 `[frames, 22, columns]`, 0 for absent players."""
    parts = [_MEASURES[name](scene) for name in check_extras(names)]
    values = np.concatenate(parts, axis=-1) if parts else np.zeros((*scene.present.shape, 0))
    return np.where(scene.present[:, :, None], values, 0.0).astype(np.float32)


def feature_names(names: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names of a player's features with the extras `names`: the eight, then each extra's columns."""
    return (*FEATURES, *(column for name in check_extras(names) for column in EXTRAS[name]))


def _receiver_separation(scene: Scene) -> np.ndarray:
    values = np.zeros((*scene.present.shape, 2))
    for slot in RECEIVERS:
        # a defender without a free slot of the defense may be in a receiver's slot
        receiver = scene.present[:, slot] & ~scene.defender[:, slot]
        values[:, slot] = np.where(receiver[:, None], _nearest(scene, slot), 0.0)
    return values


def _rusher_distance(scene: Scene) -> np.ndarray:
    # some formats omit the rushers; the nearest defender in coverage is not the nearest rusher
    complete = (scene.defender & scene.present).sum(axis=1) >= COMPLETE_DEFENSE
    values = np.zeros((*scene.present.shape, 2))
    values[:, PASSER] = np.where(complete[:, None], _nearest(scene, PASSER), 0.0)
    return values


def _nearest(scene: Scene, slot: int) -> np.ndarray:
    """Distance to the nearest defender and whether there is one, `[frames, 2]`."""
    nearest = scene.to_defenders(np.full(len(scene.seconds), slot)).min(axis=1)
    exists = np.isfinite(nearest)
    return np.stack([np.where(exists, nearest, 0.0), exists], axis=1)


def _target_defenders(scene: Scene) -> np.ndarray:
    values = np.zeros((*scene.present.shape, 3))
    frame, slot = np.nonzero(scene.target)
    near = scene.to_defenders(np.argmax(scene.target, axis=1)) <= TARGET_YARDS
    has_defender = (scene.defender & scene.present).any(axis=1)
    values[frame, slot, 0] = 1.0
    values[frame, slot, 1] = near.sum(axis=1)[frame]
    values[frame, slot, 2] = np.take(has_defender, frame)
    return values


def _quarterback_speed(scene: Scene) -> np.ndarray:
    values = np.zeros((*scene.present.shape, 1))
    values[:, PASSER, 0] = scene.speed[:, PASSER]
    return values


def _time_since_snap(scene: Scene) -> np.ndarray:
    return np.broadcast_to(scene.seconds[:, None, None], (*scene.present.shape, 1))


_MEASURES = {
    "receiver_separation_yards": _receiver_separation,
    TARGET_DEFENDERS: _target_defenders,
    "rusher_distance_yards": _rusher_distance,
    "quarterback_speed_yps": _quarterback_speed,
    "time_since_snap_s": _time_since_snap,
}
