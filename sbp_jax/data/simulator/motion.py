"""Motion of 22 players at 10 Hz, and the ball's flight after the release.

Each player accelerates, within bounds, toward the velocity that his task requires. Coordinates are those of `play`.
Frames 0-9 come before the snap, frame 10 is the snap.
"""

from dataclasses import dataclass

import numpy as np

from sbp_jax.data.simulator.measurement import SNAP_FRAME, STEP_S, Motion
from sbp_jax.data.simulator.play import (
    BLOCK,
    COVERAGE,
    DEFENSE,
    ELIGIBLE,
    HALF_WIDTH_YARDS,
    HITCH,
    LINEMEN,
    MAX_RELEASE_FRAMES,
    OTHERS,
    PLAYERS,
    QUARTERBACK,
    SCREEN,
    SHOULDERS_DEGREES,
    Call,
    Concept,
    Formation,
)
from sbp_jax.data.simulator.streams import GameStreams
from sbp_jax.data.simulator.throw import COMPLETE, INCOMPLETE, INTERCEPTED, Outcomes

_HIGH_YARDS = 6.5  # beyond the line: a safety
GAZE_S = 1.0  # the quarterback settles on his target this long before the release
_RESPONSE = 0.42  # fraction of the desired change of velocity made in one step
_TURN = 0.45  # fraction of the desired turn of the body made in one step
_MAX_SPEED = np.array([6.5] + [5.2] * 5 + [9.3] * 5 + [9.3] * 5 + [7.5] * 6)  # yd/s by slot
_MAX_ACCELERATION = np.array([5.5] + [4.5] * 5 + [7.0] * 5 + [7.0] * 5 + [6.0] * 6)  # yd/s^2 by slot


_SHOULDERS_LEAD = 2.4  # frames by which the body follows the command
_GAZE_DEGREES, _GAZE_KEPT = 29.0, 0.86  # standard deviation of their error, and its correlation from frame to frame


@dataclass(frozen=True)
class Course:
    """Variations of the play since the snap that the frame of the release does not show, [plays] each.

    Attributes:
        swing: log-ratio of each receiver's cushion until a second before the release to that at the end, [plays, 5].
        rush_power: a rush that comes early is above 1.
        slide: sideways velocity of the quarterback from 0.85 to 0.25 s before the release (yd/s).
        fake: play-action.
        rotation: y by which deep safeties move in the second after the snap; they end where they would otherwise stand.
        gaze: error of the shoulders' direction in degrees, by tenths of a second before the release, [plays, 13].
        delay: frames by which the release is later.
    """

    swing: np.ndarray
    rush_power: np.ndarray
    slide: np.ndarray
    fake: np.ndarray
    rotation: np.ndarray
    gaze: np.ndarray
    delay: np.ndarray


def draw_course(call: Call, down: np.ndarray, streams: GameStreams) -> Course:
    """Draw the variations of the plays of a block."""
    swing = 0.6 * streams.normal(5)
    rush_power = np.exp(0.8 * streams.normal())
    slide = streams.normal() * np.where(streams.uniform() < 0.45, 2.4, 0.0)
    fakes = np.isin(call.concept, (Concept.INTERMEDIATE, Concept.DEEP)) * np.where(down <= 2, 0.4, 0.1)
    fake = streams.uniform() < fakes
    rotation = np.where(streams.uniform() < 0.5, 5.5 * streams.normal(), 0.0)
    steps = streams.normal(len(SHOULDERS_DEGREES))
    gaze = [steps[:, 0]]
    for k in range(1, steps.shape[1]):
        gaze.append(_GAZE_KEPT * gaze[-1] + np.sqrt(1 - _GAZE_KEPT**2) * steps[:, k])
    late = streams.uniform() < np.where(call.concept == Concept.SCREEN, 0.0, 0.06)
    delay = np.where(late, np.rint(10 * streams.uniform(0.5, 2.5)), 0).astype(int)
    delay = np.minimum(delay, MAX_RELEASE_FRAMES - 1 - call.release)
    return Course(swing, rush_power, slide, fake, rotation, _GAZE_DEGREES * np.stack(gaze, axis=1), delay)


class Steering:
    """State of all players of a block of plays, advanced one frame at a time."""

    def __init__(
        self,
        formation: Formation,
        call: Call,
        to_goal: np.ndarray,
        streams: GameStreams,
        course: Course | None = None,
    ):
        plays = len(to_goal)
        self.formation, self.call, self.to_goal, self.course = formation, call, to_goal, course
        self.top_speed = _MAX_SPEED * (1 + 0.04 * np.clip(streams.normal(22), -2, 2))
        self.side = np.where(streams.uniform() < 0.5, 1.0, -1.0)
        self.delay_s = 0.1 + 0.08 * streams.uniform(0, 1, 22)
        self.position = formation.start.copy()
        if course is not None:
            deep = formation.start[:, OTHERS, 0] > _HIGH_YARDS
            self.position[:, OTHERS, 1] -= course.rotation[:, None] * deep
        self.velocity = formation.drift.copy()
        self.facing = np.zeros((plays, 22, 2))
        self.facing[:, :11, 0], self.facing[:, 11:, 0] = 1.0, -1.0
        self.trail = [(self.position.copy(), self.velocity.copy())]  # the coverage reacts to it with a lag

    def step(self, command: np.ndarray, look: np.ndarray) -> None:
        """Advance 0.1 s toward the velocities in `command`, turning toward the directions in `look` [plays, 22, 2]."""
        command = self._inside_the_field(command)
        speed = np.hypot(command[..., 0], command[..., 1])
        command = command * np.minimum(1.0, self.top_speed / np.maximum(speed, 1e-9))[..., None]
        change = _RESPONSE * (command - self.velocity)
        size = np.hypot(change[..., 0], change[..., 1])
        change *= np.minimum(1.0, _MAX_ACCELERATION * STEP_S / np.maximum(size, 1e-9))[..., None]
        self.velocity = self.velocity + change
        self.position = self.position + STEP_S * self.velocity
        self.facing = _unit(self.facing + _TURN * (_unit(look) - self.facing))
        self.trail.append((self.position, self.velocity))

    def _inside_the_field(self, command: np.ndarray) -> np.ndarray:
        """Slow down before the sidelines and the end lines: the remaining distance takes at least 0.9 seconds."""
        low = np.stack([self.to_goal - 109.5, np.full(len(self.to_goal), -HALF_WIDTH_YARDS + 0.4)], axis=-1)
        high = np.stack([self.to_goal + 9.5, np.full(len(self.to_goal), HALF_WIDTH_YARDS - 0.4)], axis=-1)
        return np.clip(command, (low[:, None] - self.position) / 0.9, (high[:, None] - self.position) / 0.9)

    def intentions(self, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """Return desired velocities and directions to look, before the release, `seconds` after the snap."""
        command = np.zeros_like(self.position)
        look = np.where(np.arange(22)[:, None] < 11, np.array([1.0, 0.0]), np.array([-1.0, 0.0])) + 0.0 * self.position
        self._receivers(seconds, command, look)
        self._quarterback(seconds, command, look)
        self._rush(seconds, command, look)
        self._cover(seconds, command, look)
        if self.course is not None:
            self._fake(self.course.fake, seconds, command)
        command *= (seconds >= self.delay_s)[..., None]
        return command, look

    def _until_release(self, seconds: float) -> np.ndarray:
        return self.call.release * STEP_S - seconds

    def _fake(self, fake: np.ndarray, seconds: float, command: np.ndarray) -> None:
        """Quarterback and back meet, and the linebackers step up."""
        if seconds > 1.1:
            return
        rows = np.arange(len(fake))
        back = ELIGIBLE.start + np.argmin(self.formation.start[:, ELIGIBLE, 0], axis=1)
        middle = 0.5 * (self.position[:, QUARTERBACK] + self.position[rows, back])
        for who in (np.full(len(fake), QUARTERBACK), back):
            meet = _toward(middle, self.position[rows, who], 0.3, 4.5)
            command[rows, who] = np.where(fake[:, None], meet, command[rows, who])
        low = self.formation.start[:, OTHERS, 0] <= _HIGH_YARDS
        bites = fake[:, None] & low & (np.arange(6) >= self.formation.rushers[:, None])
        command[:, OTHERS] = np.where(bites[..., None], [-2.5, 0.0], command[:, OTHERS])

    def _receivers(self, seconds: float, command: np.ndarray, look: np.ndarray) -> None:
        call, place = self.call, self.position[:, ELIGIBLE]
        past_break = seconds >= call.break_s
        since = np.maximum(seconds - call.break_s, 0.0)
        tired = np.where(since > 1.8, np.maximum(0.35, 1.0 - 0.6 * (since - 1.8)), 1.0)
        velocity = np.where(past_break[..., None], call.broken * tired[..., None], call.stem)
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
        command[:, ELIGIBLE] = np.where((call.route == BLOCK)[..., None], block, velocity)
        to_passer = self.position[:, [QUARTERBACK]] - place
        looks_back = past_break & (call.route != BLOCK)
        look[:, ELIGIBLE] = np.where(
            looks_back[..., None],
            _unit(to_passer) + 0.6 * _unit(self.velocity[:, ELIGIBLE]),
            self.velocity[:, ELIGIBLE] + [0.5, 0],
        )

    def _quarterback(self, seconds: float, command: np.ndarray, look: np.ndarray) -> None:
        call, place = self.call, self.position[:, QUARTERBACK]
        rusher = self.position[:, OTHERS]
        away = place[:, None] - rusher
        close = np.exp(-np.hypot(away[..., 0], away[..., 1]) / 1.6)
        push = np.sum(close[..., None] * _unit(away), axis=1) * 3.2
        command[:, QUARTERBACK] = _toward(call.drop, place, 0.55, 4.2) + push * (seconds > 1.0)
        if self.course is not None:
            left_s = self._until_release(seconds)
            command[:, QUARTERBACK, 1] += self.course.slide * ((left_s < 0.85) & (left_s > 0.25))
        rows = np.arange(len(place))
        to_target = self.position[rows, ELIGIBLE.start + call.target] - place
        if self.course is not None:
            to_target = self._shoulders(self.course.gaze, to_target, seconds)
        gazing = seconds >= (call.release * STEP_S - GAZE_S)
        scan = np.array([1.0, 0.0]) + np.stack([0 * self.side, 0.45 * self.side * np.cos(2.2 * seconds)], axis=-1)
        look[:, QUARTERBACK] = np.where(gazing[:, None], to_target, scan)

    def _shoulders(self, gaze: np.ndarray, to_target: np.ndarray, seconds: float) -> np.ndarray:
        """Direction of the shoulders of a throw, which turn with the motion and never point exactly at the target."""
        left = np.rint(self._until_release(seconds) / STEP_S)
        kept = np.clip(left, 0, gaze.shape[1] - 1).astype(int)
        first, second = SHOULDERS_DEGREES[:2]
        frames = np.concatenate([[-3], np.arange(len(SHOULDERS_DEGREES))])  # and after the release
        usual = np.concatenate([[first - 3 * (second - first)], SHOULDERS_DEGREES])
        right = np.interp(left - _SHOULDERS_LEAD, frames, usual) + gaze[np.arange(len(gaze)), kept]
        turn = -np.deg2rad(right)
        x, y = to_target[:, 0], to_target[:, 1]
        return np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=-1)

    def _rush(self, seconds: float, command: np.ndarray, look: np.ndarray) -> None:
        """Rushers close on the quarterback to their planned distance at the release; linemen block their way."""
        call, passer = self.call, self.position[:, [QUARTERBACK]]
        rushing = np.arange(6) < self.formation.rushers[:, None]
        place, start = self.position[:, OTHERS], self.formation.start[:, OTHERS]
        progress = np.clip(seconds / (call.release * STEP_S), 0.0, 1.0)[:, None]
        fraction = progress * (2 - progress)
        if self.course is not None:
            fraction = 1 - (1 - fraction) ** self.course.rush_power[:, None]
        from_drop = start - call.drop[:, None]
        begin = np.hypot(from_drop[..., 0], from_drop[..., 1])
        gap = begin + (np.minimum(call.rush_gap, begin) - begin) * fraction
        direction = _unit(from_drop * [1.0, 1.25])
        lane = passer + gap[..., None] * direction
        command[:, OTHERS] = np.where(rushing[..., None], _toward(lane, place, 0.3, 6.5), command[:, OTHERS])
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
        command[:, LINEMEN] = _toward(goal, self.position[:, LINEMEN], 0.45, 4.6)
        look[:, LINEMEN] = nearest - self.position[:, LINEMEN] + [0.3, 0.0]

    def _cover(self, seconds: float, command: np.ndarray, look: np.ndarray) -> None:
        """Coverage mirrors its receivers with a reaction time, at the planned cushion; safeties stay over the top."""
        call, place = self.call, self.position[:, COVERAGE]
        frames = np.rint(call.lag_s / STEP_S).astype(int)
        receivers, pace = (np.stack([step[kind][:, ELIGIBLE] for step in self.trail[-6:]]) for kind in (0, 1))
        age = np.minimum(frames, len(receivers) - 1)
        rows = np.arange(len(place))
        receivers, pace = receivers[-1 - age, rows], pace[-1 - age, rows]
        separation = self.formation.start[:, COVERAGE] - self.formation.start[:, ELIGIBLE]
        settle = np.exp(-seconds / 0.85)
        offset = call.leverage * call.cushion[..., None]
        if self.course is not None:
            earlier = np.clip((self._until_release(seconds) - 0.25) / 0.6, 0.0, 1.0)[:, None]
            offset = offset * np.exp(self.course.swing * earlier**2 * (3 - 2 * earlier))[..., None]
        goal = receivers + pace * call.lag_s[:, None, None] + offset * (1 - settle) + separation * settle
        follow = pace + (goal - place) / 0.5
        command[:, COVERAGE] = follow
        receiver, passer = receivers - place, self.position[:, [QUARTERBACK]] - place
        look[:, COVERAGE] = np.where(
            call.man[:, None, None] & (seconds > 0.8), _unit(receiver) + 0.4 * _unit(passer), passer
        )

        deepest = np.max(self.position[:, ELIGIBLE, 0], axis=1)
        safety, home = self.position[:, OTHERS], self.formation.start[:, OTHERS]
        threat = np.mean(self.position[:, ELIGIBLE, 1], axis=1)
        high = home[..., 0] > _HIGH_YARDS
        x = np.where(high, np.maximum(home[..., 0], deepest[:, None] + 4.0 + 0.35 * (home[..., 0] - 11.5)), 6.5)
        x = np.minimum(x, self.to_goal[:, None] + 8.0)
        spot = np.stack([x, 0.8 * home[..., 1] + 0.35 * threat[:, None]], axis=-1)
        dropping = np.arange(6) >= self.formation.rushers[:, None]
        command[:, OTHERS] = np.where(dropping[..., None], _toward(spot, safety, 0.8, 7.0), command[:, OTHERS])
        look[:, OTHERS] = np.where(dropping[..., None], self.position[:, [QUARTERBACK]] - safety, look[:, OTHERS])


def run_to_release(steering: Steering) -> Motion:
    """Simulate frames 0 to the latest release of the block, [plays, SNAP_FRAME + max release + 1, 22, 2] each.

    A play's rows after its own release continue the motion without a throw and must be ignored.
    """
    last = int(steering.call.release.max())
    before = np.arange(-SNAP_FRAME, 0)[:, None, None] * STEP_S
    calm = steering.position[:, None] + steering.formation.drift[:, None] * before
    shape = (len(calm), SNAP_FRAME + last + 1, PLAYERS, 2)
    position, velocity, facing = np.empty(shape), np.empty(shape), np.empty(shape)
    position[:, :SNAP_FRAME] = calm
    velocity[:, :SNAP_FRAME] = steering.formation.drift[:, None]
    facing[:, :SNAP_FRAME] = steering.facing[:, None]
    for frame in range(SNAP_FRAME, SNAP_FRAME + last + 1):
        position[:, frame], velocity[:, frame], facing[:, frame] = steering.position, steering.velocity, steering.facing
        steering.step(*steering.intentions((frame - SNAP_FRAME) * STEP_S))
    return Motion(position, velocity, facing)


def _unit(vector: np.ndarray) -> np.ndarray:
    """The vector divided by its length; zero stays zero."""
    return vector / np.maximum(np.hypot(vector[..., 0], vector[..., 1]), 1e-9)[..., None]


def _toward(goal: np.ndarray, place: np.ndarray, within_s: float, top_yps: float) -> np.ndarray:
    """Velocity that would reach `goal` in `within_s` seconds, with speed at most `top_yps`."""
    velocity = (goal - place) / within_s
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    return velocity * np.minimum(1.0, top_yps / np.maximum(speed, 1e-9))[..., None]


MAX_FLIGHT_FRAMES = 30
FRAMES_AFTER_ARRIVAL = 3
MAX_FRAMES = SNAP_FRAME + MAX_RELEASE_FRAMES + MAX_FLIGHT_FRAMES + FRAMES_AFTER_ARRIVAL
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
    """Complete plays: `motion`, `ball` [plays, frames, 2], `event` codes [plays, frames], length in `frames`."""

    motion: Motion
    ball: np.ndarray
    event: np.ndarray
    frames: np.ndarray


def finish(
    steering: Steering, before: Motion, call: Call, formation: Formation, target: np.ndarray, outcomes: Outcomes
) -> Play:
    """Simulate the frames after the release, given the outcome; the earlier frames are those of `before`."""
    plays = len(target)
    rows = np.arange(plays)
    release = SNAP_FRAME + call.release
    place, pace, facing = (track[rows, release] for track in (before.position, before.velocity, before.facing))
    slot = ELIGIBLE.start + target
    flight_yards = np.hypot(
        outcomes.catch_yards - place[:, QUARTERBACK, 0], place[rows, slot, 1] - place[:, QUARTERBACK, 1]
    )
    flight = np.clip(np.rint((0.2 + flight_yards / _BALL_SPEED_YPS) / STEP_S), 3, MAX_FLIGHT_FRAMES).astype(int)
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
    """The defender who plays the ball: the target's own, or on an interception the one nearest to the catch."""
    gap = place[:, DEFENSE] - catch[:, None]
    nearest = DEFENSE.start + np.argmin(np.hypot(gap[..., 0], gap[..., 1]), axis=1)
    return np.where(outcomes.result == INTERCEPTED, nearest, COVERAGE.start + target)


def _after_release(steering: Steering, step: int, flight, catch, slot, chaser) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(len(flight))
    command = 0.93 * steering.velocity
    command[:, :6] *= 0.8
    left_s = np.maximum((flight - step) * STEP_S, 0.25)
    arrived = (step > flight)[:, None]
    for who in (slot, chaser):
        rush = (catch - steering.position[rows, who]) / left_s[:, None]
        command[rows, who] = np.where(arrived, 0.7 * steering.velocity[rows, who], rush)
    return command, catch[:, None] - steering.position


def _ball(position, formation: Formation, release, flight, catch, frames, outcomes: Outcomes) -> np.ndarray:
    """The ball: at the line, with the quarterback, in flight, then with the catcher or on the ground."""
    plays, width = position.shape[:2]
    frame = np.arange(width)[None, :, None]
    spot = np.stack([np.zeros(plays), formation.ball_y], axis=-1)[:, None]
    hand = position[:, :, QUARTERBACK] + [0.3, 0.0]
    fraction = np.clip((frame - SNAP_FRAME) / np.where(formation.shotgun, 6, 2)[:, None, None], 0, 1)
    ball = spot + fraction * (hand - spot)
    origin = position[np.arange(plays), release, QUARTERBACK][:, None] + [0.3, 0.0]
    progress = np.clip((frame - release[:, None, None]) / flight[:, None, None], 0, 1)
    ball = np.where(frame > release[:, None, None], origin + progress * (catch[:, None] - origin), ball)
    # an incomplete pass keeps rolling in the direction of its flight
    beyond = np.maximum(frame - (release + flight)[:, None, None], 0) * (outcomes.result == INCOMPLETE)[:, None, None]
    course = catch[:, None] - origin
    return ball + 0.5 * beyond * course / np.maximum(np.hypot(course[..., 0], course[..., 1]), 1e-9)[..., None]


def _events(outcomes: Outcomes, to_goal, release, flight, frames, width: int) -> np.ndarray:
    """Codes into EVENTS, [plays, frames]."""
    rows = np.arange(len(release))
    event = np.zeros((len(rows), width), dtype=np.int64)
    event[:, SNAP_FRAME] = EVENTS.index("ball_snap")
    event[rows, release] = EVENTS.index("pass_forward")
    event[rows, release + flight] = EVENTS.index("pass_arrived")
    touchdown = (outcomes.result == COMPLETE) & (outcomes.catch_yards >= to_goal)
    name = np.select(
        [touchdown, outcomes.result == COMPLETE, outcomes.result == INTERCEPTED],
        [EVENTS.index(f"pass_outcome_{kind}") for kind in ("touchdown", "caught", "interception")],
        EVENTS.index("pass_outcome_incomplete"),
    )
    event[rows, release + flight + 1] = name
    short = (outcomes.result == COMPLETE) & ~touchdown & (outcomes.yards - outcomes.catch_yards <= 2)
    event[rows[short], frames[short] - 1] = EVENTS.index("tackle")
    return event
