"""From the release to the end of the play: the ball's flight and what the players make of it."""

from dataclasses import dataclass

import numpy as np

from sbp_jax.data.simulator.calls import MAX_RELEASE_FRAMES, Call
from sbp_jax.data.simulator.formation import COVERAGE, DEFENCE, ELIGIBLE, HALF_WIDTH_YARDS, QUARTERBACK, Formation
from sbp_jax.data.simulator.motion import SNAP_FRAME, STEP_S, Motion, Steering
from sbp_jax.data.simulator.outcome import COMPLETE, INCOMPLETE, INTERCEPTED, Outcomes

LONGEST_FLIGHT_FRAMES = 30
FRAMES_AFTER_ARRIVAL = 3
MAX_FRAMES = SNAP_FRAME + MAX_RELEASE_FRAMES + LONGEST_FLIGHT_FRAMES + FRAMES_AFTER_ARRIVAL
_BALL_SPEED_YPS = 22.0
EVENTS = (
    "None",
    "ball_snap",
    "pass_forward",
    "pass_arrived",
    "pass_outcome_caught",
    "pass_outcome_touchdown",
    "pass_outcome_incomplete",
    "pass_outcome_interception",
    "tackle",
)


@dataclass(frozen=True)
class Play:
    """Whole plays: `motion`, `ball` [plays, frames, 2], `event` codes [plays, frames], length in `frames`."""

    motion: Motion
    ball: np.ndarray
    event: np.ndarray
    frames: np.ndarray


def finish(
    steering: Steering, before: Motion, call: Call, formation: Formation, target: np.ndarray, outcomes: Outcomes
) -> Play:
    """Frames after the release, given the outcome; the frames up to it are those of `before`, untouched."""
    plays = len(target)
    rows = np.arange(plays)
    release = SNAP_FRAME + call.release
    place, pace, facing = (track[rows, release] for track in (before.position, before.velocity, before.facing))
    slot = ELIGIBLE.start + target
    flight_yards = np.hypot(
        outcomes.catch_yards - place[:, QUARTERBACK, 0], place[rows, slot, 1] - place[:, QUARTERBACK, 1]
    )
    flight = np.clip(np.rint((0.2 + flight_yards / _BALL_SPEED_YPS) / STEP_S), 3, LONGEST_FLIGHT_FRAMES).astype(int)
    catch_y = place[rows, slot, 1] + pace[rows, slot, 1] * np.minimum(1.5, flight * STEP_S)
    catch = np.stack([outcomes.catch_yards, np.clip(catch_y, -HALF_WIDTH_YARDS + 1, HALF_WIDTH_YARDS - 1)], axis=-1)
    frames = release + flight + FRAMES_AFTER_ARRIVAL + 1

    width = int(frames.max())
    tracks = [np.zeros((plays, width, *track.shape[2:])) for track in (before.position, before.velocity, before.facing)]
    shared = min(width, before.position.shape[1])
    for track, start in zip(tracks, (before.position, before.velocity, before.facing), strict=True):
        track[:, :shared] = start[:, :shared]
    steering.position, steering.velocity, steering.facing = place.copy(), pace.copy(), facing.copy()
    chaser = _chasers(place, catch, target, outcomes)
    for step in range(1, int((frames - release).max())):
        steering.step(*_after_release(steering, step, flight, catch, slot, chaser))
        live = np.flatnonzero(release + step < frames)
        for track, now in zip(tracks, (steering.position, steering.velocity, steering.facing), strict=True):
            track[live, release[live] + step] = now[live]
    motion = Motion(*tracks)
    ball = _ball(motion.position, formation, release, flight, catch, frames, outcomes)
    return Play(motion, ball, _events(outcomes, steering.to_goal, release, flight, frames, width), frames)


def _chasers(place: np.ndarray, catch: np.ndarray, target: np.ndarray, outcomes: Outcomes) -> np.ndarray:
    """The defender who plays the ball: the target's own, or on an interception whoever is nearest to the catch."""
    gap = place[:, DEFENCE] - catch[:, None]
    nearest = DEFENCE.start + np.argmin(np.hypot(gap[..., 0], gap[..., 1]), axis=1)
    return np.where(outcomes.result == INTERCEPTED, nearest, COVERAGE.start + target)


def _after_release(steering: Steering, step: int, flight, catch, slot, chaser) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(len(flight))
    wanted = 0.93 * steering.velocity
    wanted[:, :6] *= 0.8
    left_s = np.maximum((flight - step) * STEP_S, 0.25)
    arrived = (step > flight)[:, None]
    for who in (slot, chaser):
        rush = (catch - steering.position[rows, who]) / left_s[:, None]
        wanted[rows, who] = np.where(arrived, 0.7 * steering.velocity[rows, who], rush)
    return wanted, catch[:, None] - steering.position


def _ball(position, formation: Formation, release, flight, catch, frames, outcomes: Outcomes) -> np.ndarray:
    """The ball: at the line, with the quarterback, in flight, then with the catcher or on the grass."""
    plays, width = position.shape[:2]
    frame = np.arange(width)[None, :, None]
    spot = np.stack([np.zeros(plays), formation.ball_y], axis=-1)[:, None]
    held = position[:, :, QUARTERBACK] + [0.3, 0.0]
    share = np.clip((frame - SNAP_FRAME) / np.where(formation.shotgun, 6, 2)[:, None, None], 0, 1)
    ball = spot + share * (held - spot)
    thrown = position[np.arange(plays), release, QUARTERBACK][:, None] + [0.3, 0.0]
    flown = np.clip((frame - release[:, None, None]) / flight[:, None, None], 0, 1)
    ball = np.where(frame > release[:, None, None], thrown + flown * (catch[:, None] - thrown), ball)
    # An incomplete pass rolls on in the direction of its flight.
    beyond = np.maximum(frame - (release + flight)[:, None, None], 0) * (outcomes.result == INCOMPLETE)[:, None, None]
    way = catch[:, None] - thrown
    return ball + 0.5 * beyond * way / np.maximum(np.hypot(way[..., 0], way[..., 1]), 1e-9)[..., None]


def _events(outcomes: Outcomes, to_goal, release, flight, frames, width: int) -> np.ndarray:
    """Codes into EVENTS, [plays, frames]."""
    rows = np.arange(len(release))
    event = np.zeros((len(rows), width), dtype=np.int64)
    event[:, SNAP_FRAME] = EVENTS.index("ball_snap")
    event[rows, release] = EVENTS.index("pass_forward")
    event[rows, release + flight] = EVENTS.index("pass_arrived")
    scored = (outcomes.result == COMPLETE) & (outcomes.catch_yards >= to_goal)
    name = np.select(
        [scored, outcomes.result == COMPLETE, outcomes.result == INTERCEPTED],
        [EVENTS.index(f"pass_outcome_{kind}") for kind in ("touchdown", "caught", "interception")],
        EVENTS.index("pass_outcome_incomplete"),
    )
    event[rows, release + flight + 1] = name
    short = (outcomes.result == COMPLETE) & ~scored & (outcomes.yards - outcomes.catch_yards <= 2)
    event[rows[short], frames[short] - 1] = EVENTS.index("tackle")
    return event
