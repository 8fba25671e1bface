"""Motion of 22 players at 10 Hz by steering: each accelerates, within limits, toward the velocity his task asks for.

Coordinates as in `formation`. Frames 0-9 come before the snap, frame 10 is the snap.
"""

from dataclasses import dataclass

import numpy as np

from sbp_jax.data.simulator import formation as slots
from sbp_jax.data.simulator.calls import BLOCK, HITCH, SCREEN, Call, Concept
from sbp_jax.data.simulator.formation import (
    COVERAGE,
    ELIGIBLE,
    HALF_WIDTH_YARDS,
    LINEMEN,
    OTHERS,
    QUARTERBACK,
    Formation,
)
from sbp_jax.data.simulator.streams import GameStreams

SNAP_FRAME = 10
STEP_S = 0.1
GAZE_S = 1.0  # the quarterback settles on his target this long before the release
_RESPONSE = 0.42  # share of the wanted change of velocity made in one step
_TURN = 0.45  # share of the wanted turn of the body made in one step
_MAX_SPEED = np.array([6.5] + [5.2] * 5 + [9.3] * 5 + [9.3] * 5 + [7.5] * 6)  # yd/s by slot
_MAX_ACCELERATION = np.array([5.5] + [4.5] * 5 + [7.0] * 5 + [7.0] * 5 + [6.0] * 6)  # yd/s^2 by slot


@dataclass(frozen=True)
class Motion:
    """Tracks, [plays, frames, 22, ...]: `position` (yards), `velocity` (yd/s), `facing` (unit vector of the body)."""

    position: np.ndarray
    velocity: np.ndarray
    facing: np.ndarray


class Steering:
    """State of all players of a block of plays, advanced one frame at a time."""

    def __init__(self, formation: Formation, call: Call, to_goal: np.ndarray, streams: GameStreams):
        plays = len(to_goal)
        self.formation, self.call, self.to_goal = formation, call, to_goal
        self.top_speed = _MAX_SPEED * (1 + 0.04 * np.clip(streams.normal(22), -2, 2))
        self.side = np.where(streams.uniform() < 0.5, 1.0, -1.0)
        self.delay_s = 0.1 + 0.08 * streams.uniform(0, 1, 22)
        self.position = formation.start.copy()
        self.velocity = formation.drift.copy()
        self.facing = np.zeros((plays, 22, 2))
        self.facing[:, :11, 0], self.facing[:, 11:, 0] = 1.0, -1.0
        self.trail = [(self.position.copy(), self.velocity.copy())]  # what the coverage reacts to, some frames late

    def step(self, wanted: np.ndarray, look: np.ndarray) -> None:
        """One tenth of a second toward the `wanted` velocities, turning toward the `look` directions [plays, 22, 2]."""
        wanted = self._inside_the_field(wanted)
        speed = np.hypot(wanted[..., 0], wanted[..., 1])
        wanted = wanted * np.minimum(1.0, self.top_speed / np.maximum(speed, 1e-9))[..., None]
        change = _RESPONSE * (wanted - self.velocity)
        size = np.hypot(change[..., 0], change[..., 1])
        change *= np.minimum(1.0, _MAX_ACCELERATION * STEP_S / np.maximum(size, 1e-9))[..., None]
        self.velocity = self.velocity + change
        self.position = self.position + STEP_S * self.velocity
        self.facing = _unit(self.facing + _TURN * (_unit(look) - self.facing))
        self.trail.append((self.position, self.velocity))

    def _inside_the_field(self, wanted: np.ndarray) -> np.ndarray:
        """Slow down before the side lines and the end lines: the rest of the way lasts at least 0.9 seconds."""
        low = np.stack([self.to_goal - 109.5, np.full(len(self.to_goal), -HALF_WIDTH_YARDS + 0.4)], axis=-1)
        high = np.stack([self.to_goal + 9.5, np.full(len(self.to_goal), HALF_WIDTH_YARDS - 0.4)], axis=-1)
        return np.clip(wanted, (low[:, None] - self.position) / 0.9, (high[:, None] - self.position) / 0.9)

    def intentions(self, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """Wanted velocities and directions to look, before the release, `seconds` after the snap."""
        wanted = np.zeros_like(self.position)
        look = np.where(np.arange(22)[:, None] < 11, np.array([1.0, 0.0]), np.array([-1.0, 0.0])) + 0.0 * self.position
        self._receivers(seconds, wanted, look)
        self._quarterback(seconds, wanted, look)
        self._rush(seconds, wanted, look)
        self._cover(seconds, wanted, look)
        wanted *= (seconds >= self.delay_s)[..., None]
        return wanted, look

    def _receivers(self, seconds: float, wanted: np.ndarray, look: np.ndarray) -> None:
        call, place = self.call, self.position[:, ELIGIBLE]
        broken = seconds >= call.break_s
        since = np.maximum(seconds - call.break_s, 0.0)
        tired = np.where(since > 1.8, np.maximum(0.35, 1.0 - 0.6 * (since - 1.8)), 1.0)
        velocity = np.where(broken[..., None], call.broken * tired[..., None], call.stem)
        hitching = (call.route == HITCH) & (since > 0.7)
        velocity = np.where(hitching[..., None], 0.0, velocity)
        outward = np.where(place[..., 1] >= self.formation.ball_y[:, None], 1.0, -1.0)
        back = self.formation.start[:, ELIGIBLE, 0] < -3
        spot = np.stack([np.where(back, -4.5, -2.2) + 0 * outward, place[..., 1] * 0], axis=-1)
        spot[..., 1] = self.formation.ball_y[:, None] + outward * np.where(back, 8.5, 12.0)
        velocity = np.where((call.route == SCREEN)[..., None], _toward(spot, place, 0.9, 4.5), velocity)
        protect = np.stack(
            [self.position[:, [QUARTERBACK], 0] + 2.6 + 0 * outward, self.formation.ball_y[:, None] + outward * 1.7],
            axis=-1,
        )
        stalk = np.stack([place[..., 0] * 0 + 5.0, self.formation.start[:, ELIGIBLE, 1] * 0.95], axis=-1)
        block = np.where(back[..., None], _toward(protect, place, 0.7, 4.0), _toward(stalk, place, 1.2, 4.5))
        wanted[:, ELIGIBLE] = np.where((call.route == BLOCK)[..., None], block, velocity)
        to_passer = self.position[:, [QUARTERBACK]] - place
        turned = broken & (call.route != BLOCK)
        look[:, ELIGIBLE] = np.where(
            turned[..., None],
            _unit(to_passer) + 0.6 * _unit(self.velocity[:, ELIGIBLE]),
            self.velocity[:, ELIGIBLE] + [0.5, 0],
        )

    def _quarterback(self, seconds: float, wanted: np.ndarray, look: np.ndarray) -> None:
        call, place = self.call, self.position[:, QUARTERBACK]
        rusher = self.position[:, OTHERS]
        away = place[:, None] - rusher
        close = np.exp(-np.hypot(away[..., 0], away[..., 1]) / 1.6)
        push = np.sum(close[..., None] * _unit(away), axis=1) * 3.2
        wanted[:, QUARTERBACK] = _toward(call.drop, place, 0.55, 4.2) + push * (seconds > 1.0)
        rows = np.arange(len(place))
        to_target = self.position[rows, ELIGIBLE.start + call.target] - place
        gazing = seconds >= (call.release * STEP_S - GAZE_S)
        scan = np.array([1.0, 0.0]) + np.stack([0 * self.side, 0.45 * self.side * np.cos(2.2 * seconds)], axis=-1)
        look[:, QUARTERBACK] = np.where(gazing[:, None], to_target, scan)

    def _rush(self, seconds: float, wanted: np.ndarray, look: np.ndarray) -> None:
        """Rushers close on the quarterback to their planned distance at the release; linemen stand in their way."""
        call, passer = self.call, self.position[:, [QUARTERBACK]]
        rushing = np.arange(6) < self.formation.rushers[:, None]
        place, start = self.position[:, OTHERS], self.formation.start[:, OTHERS]
        progress = np.clip(seconds / (call.release * STEP_S), 0.0, 1.0)[:, None]
        eased = progress * (2 - progress)
        from_drop = start - call.drop[:, None]
        begin = np.hypot(from_drop[..., 0], from_drop[..., 1])
        gap = begin + (np.minimum(call.rush_gap, begin) - begin) * eased
        direction = _unit(from_drop * [1.0, 1.25])
        lane = passer + gap[..., None] * direction
        wanted[:, OTHERS] = np.where(rushing[..., None], _toward(lane, place, 0.3, 6.5), wanted[:, OTHERS])
        look[:, OTHERS] = np.where(rushing[..., None], passer - place, look[:, OTHERS])

        line_start = self.formation.start[:, LINEMEN]
        offset = np.abs(place[:, None, :, 1] - line_start[:, :, None, 1]) + 100.0 * ~rushing[:, None, :]
        nearest = np.take_along_axis(place, np.argmin(offset, axis=2)[..., None], axis=1)
        free = np.min(offset, axis=2) > 4.0
        pocket = 0.5 * passer + 0.5 * line_start + [0.4, 0.0]
        guard = np.where(free[..., None], pocket, passer + 0.72 * (nearest - passer))
        screen = (call.concept == Concept.SCREEN)[:, None, None] & (seconds > 1.0)
        ahead = self.position[:, LINEMEN] * [0.0, 1.0] + [2.5, 0.0] + self.side[:, None, None] * [0.0, 2.0]
        goal = np.where(screen, ahead, guard)
        wanted[:, LINEMEN] = _toward(goal, self.position[:, LINEMEN], 0.45, 4.6)
        look[:, LINEMEN] = nearest - self.position[:, LINEMEN] + [0.3, 0.0]

    def _cover(self, seconds: float, wanted: np.ndarray, look: np.ndarray) -> None:
        """Coverage mirrors its receivers a reaction time late, at the planned cushion; safeties stay over the top."""
        call, place = self.call, self.position[:, COVERAGE]
        frames = np.rint(call.lag_s / STEP_S).astype(int)
        seen, pace = (np.stack([step[kind][:, ELIGIBLE] for step in self.trail[-6:]]) for kind in (0, 1))
        age = np.minimum(frames, len(seen) - 1)
        rows = np.arange(len(place))
        seen, pace = seen[-1 - age, rows], pace[-1 - age, rows]
        apart = self.formation.start[:, COVERAGE] - self.formation.start[:, ELIGIBLE]
        settle = np.exp(-seconds / 0.85)
        offset = call.leverage * call.cushion[..., None]
        goal = seen + pace * call.lag_s[:, None, None] + offset * (1 - settle) + apart * settle
        follow = pace + (goal - place) / 0.5
        wanted[:, COVERAGE] = follow
        receiver, passer = seen - place, self.position[:, [QUARTERBACK]] - place
        look[:, COVERAGE] = np.where(
            call.man[:, None, None] & (seconds > 0.8), _unit(receiver) + 0.4 * _unit(passer), passer
        )

        deepest = np.max(self.position[:, ELIGIBLE, 0], axis=1)
        safety, home = self.position[:, OTHERS], self.formation.start[:, OTHERS]
        threat = np.mean(self.position[:, ELIGIBLE, 1], axis=1)
        high = home[..., 0] > 6.5
        x = np.where(high, np.maximum(home[..., 0], deepest[:, None] + 4.0 + 0.35 * (home[..., 0] - 11.5)), 6.5)
        x = np.minimum(x, self.to_goal[:, None] + 8.0)
        spot = np.stack([x, 0.8 * home[..., 1] + 0.35 * threat[:, None]], axis=-1)
        dropping = np.arange(6) >= self.formation.rushers[:, None]
        wanted[:, OTHERS] = np.where(dropping[..., None], _toward(spot, safety, 0.8, 7.0), wanted[:, OTHERS])
        look[:, OTHERS] = np.where(dropping[..., None], self.position[:, [QUARTERBACK]] - safety, look[:, OTHERS])


def run_to_release(steering: Steering) -> Motion:
    """Frames 0 to the latest release of the block, [plays, SNAP_FRAME + max release + 1, 22, 2] each.

    A play's rows after its own release show what would have gone on and must be ignored.
    """
    last = int(steering.call.release.max())
    before = np.arange(-SNAP_FRAME, 0)[:, None, None] * STEP_S
    calm = steering.formation.start[:, None] + steering.formation.drift[:, None] * before
    shape = (len(calm), SNAP_FRAME + last + 1, slots.PLAYERS, 2)
    position, velocity, facing = np.empty(shape), np.empty(shape), np.empty(shape)
    position[:, :SNAP_FRAME] = calm
    velocity[:, :SNAP_FRAME] = steering.formation.drift[:, None]
    facing[:, :SNAP_FRAME] = steering.facing[:, None]
    for frame in range(SNAP_FRAME, SNAP_FRAME + last + 1):
        position[:, frame], velocity[:, frame], facing[:, frame] = steering.position, steering.velocity, steering.facing
        steering.step(*steering.intentions((frame - SNAP_FRAME) * STEP_S))
    return Motion(position, velocity, facing)


def _unit(vector: np.ndarray) -> np.ndarray:
    """The vector over its length; zero stays zero."""
    return vector / np.maximum(np.hypot(vector[..., 0], vector[..., 1]), 1e-9)[..., None]


def _toward(goal: np.ndarray, place: np.ndarray, within_s: float, top_yps: float) -> np.ndarray:
    """Velocity that would reach `goal` in `within_s` seconds, at most `top_yps` fast."""
    velocity = (goal - place) / within_s
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    return velocity * np.minimum(1.0, top_yps / np.maximum(speed, 1e-9))[..., None]
