"""The distribution `course`: what happens after the release depends on the play since the snap, not on one frame.

Everything that it uses is measured in the frames up to the release, as written in the tracking file. The receiver is
drawn: no frame shows for certain who it is. The page `docs/explanation/simulator.md` has the formulas and their sizes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from sbp_jax.data.simulator.measurement import SNAP_FRAME, STEP_S, Measured
from sbp_jax.data.simulator.play import DEFENSE, ELIGIBLE, QUARTERBACK, SHOULDERS_DEGREES, Situation
from sbp_jax.data.simulator.streams import GameStreams
from sbp_jax.data.simulator.throw import MAX_RETURN, Chances, Throw, pareto_cdf, pareto_quantile

RECEIVERS = 5
_AIM_FRAMES = np.arange(2, 9)  # before the release; in the last two the motion of the throw turns the shoulders
_OPEN_FRAMES, _PRESSURE_FRAMES, _FEET_FRAMES, _FAKE_FRAMES, _ROTATION_FRAMES = 15, 25, 5, (3, 13), 12
_TURN_FRAMES = np.arange(3, 19)  # before the release, at which a change of velocity over 0.3 s on either side is known
_RUN_POWER, _TAIL_SHAPE, _TAIL_SCALE = 3.2, 0.35, 14.0
_TACKLED_CENTER, _TACKLED_SCALE = 0.4, 0.8


@dataclass(frozen=True)
class CourseView:
    """Measurements in the frames up to the release, [plays, 5] by receiver or [plays] (yards, seconds, degrees).

    Attributes:
        turn: absolute angle from the shoulders' aim, from 0.8 s to 0.2 s before the release, to the receiver, mean.
        away: distance from the quarterback at the release.
        side: y of the receiver at the release, positive to the offense's left.
        separation: distance to the nearest defender at the release.
        open_s: seconds of the last 1.5 with a separation of more than about 2 yards.
        opening: increase of the separation over the last second.
        break_s: time from the receiver's sharpest change of velocity to the release.
        depth: where the ball would reach the receiver at his mean velocity of the last half second, at most 9 yards
            beyond the goal line.
        gap: distance from the quarterback to the nearest defender at the release.
        pressure_s: seconds of the last 2.5 with a gap of less than about 3.5 yards, from half a second after the snap.
        feet: mean speed of the quarterback over the last half second (yd/s).
        fake: between 0 and 1: whether quarterback and back met in the first second, play-action.
        rotation: mean shift to the offense's left of the two deepest defenders in the second after the snap.
    """

    turn: np.ndarray
    away: np.ndarray
    side: np.ndarray
    separation: np.ndarray
    open_s: np.ndarray
    opening: np.ndarray
    break_s: np.ndarray
    depth: np.ndarray
    gap: np.ndarray
    pressure_s: np.ndarray
    feet: np.ndarray
    fake: np.ndarray
    rotation: np.ndarray


def view_course(measured: Measured, release: np.ndarray, to_goal: np.ndarray) -> CourseView:
    """Measure the frames up to the release, frame `release` [plays] of `measured`."""
    position = np.stack([measured.x[..., :22], measured.y[..., :22]], axis=-1)
    rows = np.arange(len(release))

    def before(frames: np.ndarray | int) -> np.ndarray:
        """Positions so many frames before the release, [plays, *frames, 22, 2]."""
        index = np.reshape(release, (-1,) + (1,) * np.ndim(frames)) - frames
        return position[rows.reshape((-1,) + (1,) * np.ndim(frames)), np.maximum(index, 0)]

    last = before(np.arange(_PRESSURE_FRAMES))
    gaps = _distance(last[..., ELIGIBLE, None, :] - last[..., None, DEFENSE, :])
    separation = np.clip(np.min(gaps[:, : _OPEN_FRAMES + 1], axis=3), 0.3, 9.0)
    rush = np.clip(np.min(_distance(last[..., [QUARTERBACK], :] - last[..., DEFENSE, :]), axis=2), 0.8, 8.0)
    since_snap = release[:, None] - np.arange(_PRESSURE_FRAMES) - SNAP_FRAME
    pressed = _step((3.5 - rush) / 0.25) * (since_snap >= 5)

    bearing = last[..., ELIGIBLE, :] - last[..., [QUARTERBACK], :]
    direction = np.rad2deg(np.arctan2(bearing[..., 1], bearing[..., 0]))
    aim = measured.orientation[rows[:, None], release[:, None] - _AIM_FRAMES, QUARTERBACK]
    # before a throw the shoulders point to the right of the receiver, and turn toward him with the motion
    error = aim[..., None] + SHOULDERS_DEGREES[_AIM_FRAMES, None] - direction[:, _AIM_FRAMES]
    error = (error + 180.0) % 360.0 - 180.0
    turn = np.abs(np.mean(error, axis=1))

    now, away = last[:, 0], _distance(bearing[:, 0])
    speeding = (now - before(_FEET_FRAMES)) / (_FEET_FRAMES * STEP_S)
    flight_s = np.minimum(1.4, 0.15 + away / 20.0)
    depth = now[:, ELIGIBLE, 0] + speeding[:, ELIGIBLE, 0] * flight_s

    earlier, at, later = (before(_TURN_FRAMES + shift)[:, :, ELIGIBLE] for shift in (3, 0, -3))
    change = _distance(later - 2 * at + earlier) ** 4 + 1e-9
    steps = np.diff(last[:, : _FEET_FRAMES + 1, QUARTERBACK], axis=1)

    back = np.argmin(position[:, SNAP_FRAME, ELIGIBLE, 0], axis=1) + ELIGIBLE.start
    early = np.arange(*_FAKE_FRAMES) + SNAP_FRAME
    meeting = position[:, early, QUARTERBACK] - position[rows[:, None], early, back[:, None]]
    deepest = np.argsort(position[:, SNAP_FRAME, DEFENSE, 0], axis=1)[:, -2:] + DEFENSE.start
    shift = position[:, SNAP_FRAME + _ROTATION_FRAMES, :, 1] - position[:, SNAP_FRAME, :, 1]
    return CourseView(
        turn=turn,
        away=away,
        side=now[:, ELIGIBLE, 1],
        separation=separation[:, 0],
        open_s=STEP_S * np.sum(_step((separation[:, :_OPEN_FRAMES] - 2.0) / 0.25), axis=1),
        opening=separation[:, 0] - separation[:, 10],
        break_s=STEP_S * np.sum(change * _TURN_FRAMES[:, None], axis=1) / np.sum(change, axis=1),
        depth=np.minimum(depth, to_goal[:, None] + 9.0),
        gap=rush[:, 0],
        pressure_s=STEP_S * np.sum(pressed, axis=1),
        feet=np.mean(_distance(steps), axis=1) / STEP_S,
        fake=_step((1.15 - np.min(_distance(meeting), axis=1)) / 0.08),
        rotation=np.mean(np.take_along_axis(shift, deepest, axis=1), axis=1),
    )


@dataclass(frozen=True)
class Coefficients:
    """Sizes of the effects, in probits unless stated; a probit of 0.1 is about 4 percentage points of completions.

    Attributes:
        aim: degrees between shoulders and receiver at which his weight as a target is 42 % of that at 0.
        wanted: weight of a receiver without separation; an open one has 1 more.
        completion: without any effect.
        completion_separation: from covered to open at the release.
        completion_open: of each second for which the receiver has been open.
        completion_opening: of a gap that opens quickly over the last second, and minus that of one that closes.
        completion_timing: of a throw 1 s after the break, the best moment.
        completion_depth: from a short to a very long pass, negative.
        completion_pressure: of long pressure, negative.
        completion_gap: of a rusher one yard away at the release, negative.
        completion_feet: of each yd/s of the quarterback over the last half second, up to 3, negative.
        completion_fake: of play-action on a pass 16 yards deep.
        completion_rotation: of safeties that rotated to the receiver's side, negative; of the other side, positive.
        completion_close: on the goal line, negative.
        completion_third, completion_fourth: of the down, negative.
        interception, interception_covered, interception_depth, interception_pressure, interception_rotation,
            interception_fourth: the same for P(intercepted | not complete).
        tackled, tackled_separation, tackled_opening, tackled_depth, tackled_behind: for P(tackled at the catch).
        breakaway, breakaway_opening, breakaway_timing, breakaway_fake, breakaway_depth: for P(breaks away).
        run, run_separation, run_open, run_behind: median of a free run, in yards.
        scatter, scatter_depth, scatter_feet: mean yards by which a catch falls short of the depth, if it does.
    """

    aim: float = 12.0
    wanted: float = 0.2
    completion: float = 1.52
    completion_separation: float = 0.9
    completion_open: float = 1.3
    completion_opening: float = 1.0
    completion_timing: float = 1.5
    completion_depth: float = -3.5
    completion_pressure: float = -1.9
    completion_gap: float = -0.2
    completion_feet: float = -0.75
    completion_fake: float = 1.4
    completion_rotation: float = -1.7
    completion_close: float = -0.3
    completion_third: float = -0.29
    completion_fourth: float = -0.56
    interception: float = -2.3
    interception_covered: float = 0.4
    interception_depth: float = 0.5
    interception_pressure: float = 0.6
    interception_rotation: float = 0.5
    interception_fourth: float = 0.4
    tackled: float = 0.3
    tackled_separation: float = -1.0
    tackled_opening: float = -0.6
    tackled_depth: float = 0.6
    tackled_behind: float = -0.2
    breakaway: float = -2.1
    breakaway_opening: float = 0.8
    breakaway_timing: float = 0.6
    breakaway_fake: float = 0.7
    breakaway_depth: float = 0.5
    run: float = 1.5
    run_separation: float = 0.8
    run_open: float = 1.2
    run_behind: float = 0.6
    scatter: float = 0.55
    scatter_depth: float = 0.9
    scatter_feet: float = 0.12

    @classmethod
    def perturbed(cls, seed: int | None) -> "Coefficients":
        """Return the coefficients, each multiplied by its own factor from 0.7 to 1.3; unchanged for None."""
        if seed is None:
            return cls()
        names = [field.name for field in fields(cls)]
        factors = np.random.default_rng([seed, len(names)]).uniform(0.7, 1.3, len(names))
        return replace(cls(), **{n: getattr(cls(), n) * float(f) for n, f in zip(names, factors, strict=True)})


_SKILL_ON_COMPLETION, _SKILL_ON_INTERCEPTION, _SKILL_ON_TACKLED, _SKILL_ON_BREAKAWAY = 0.09, -0.06, -0.03, 0.03


@dataclass(frozen=True)
class _Effects:
    """Parameters of throws at average skill: probits, and yards; `short_yards` and `long_yards` are the mean errors of
    the catch depth either way."""

    completion: np.ndarray
    interception: np.ndarray
    tackled: np.ndarray
    breakaway: np.ndarray
    depth_yards: np.ndarray
    short_yards: np.ndarray
    long_yards: np.ndarray
    run_yards: np.ndarray


@dataclass(frozen=True)
class CourseThrow(_Effects, Throw):
    """Throws to one receiver, `target` 0 to 4; all arrays [plays]."""

    target: np.ndarray

    def chances(self, skill: np.ndarray | float) -> Chances:
        complete = _normal_cdf(self.completion + _SKILL_ON_COMPLETION * skill)
        intercepted = (1 - complete) * _normal_cdf(self.interception + _SKILL_ON_INTERCEPTION * skill)
        tackled = _normal_cdf(self.tackled + _SKILL_ON_TACKLED * skill)
        return complete, intercepted, tackled, (1 - tackled) * _normal_cdf(self.breakaway + _SKILL_ON_BREAKAWAY * skill)

    @property
    def center(self) -> np.ndarray:
        return np.rint(self.depth_yards)

    @property
    def _below(self) -> np.ndarray:
        """Probability of a catch short of the depth: the density has no jump there."""
        return self.short_yards / (self.short_yards + self.long_yards)

    def catch_cdf(self, offset: np.ndarray) -> np.ndarray:
        error = offset + (self.center - self.depth_yards)[:, None]
        below, short, far = self._below[:, None], self.short_yards[:, None], self.long_yards[:, None]
        beneath = below * np.exp(np.minimum(error, 0.0) / short)
        return np.where(error < 0, beneath, 1 - (1 - below) * np.exp(-np.maximum(error, 0.0) / far))

    def catch_quantile(self, u: np.ndarray) -> np.ndarray:
        below = self._below
        short = self.short_yards * np.log(np.maximum(np.minimum(u / below, 1.0), np.finfo(float).tiny))
        far = -self.long_yards * np.log(np.minimum((1 - u) / (1 - below), 1.0))
        return self.depth_yards + np.where(u < below, short, far)

    def run_cdfs(self, yards: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        run = self.run_yards[:, None]
        error = (yards + 0.5 - _TACKLED_CENTER) / _TACKLED_SCALE
        half = 0.5 * np.exp(-np.abs(error))
        ahead = (np.maximum(yards + 1.0, 0.0) / run) ** _RUN_POWER
        away = pareto_cdf(yards + 1.0 - np.rint(run), _TAIL_SHAPE, _TAIL_SCALE)
        return np.where(error < 0, half, 1 - half), ahead / (1 + ahead), away

    def run_quantiles(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        near = np.log(np.maximum(2 * np.minimum(u, 1 - u), np.finfo(float).tiny))
        tackled = np.ceil(_TACKLED_CENTER - 0.5 + _TACKLED_SCALE * np.where(u < 0.5, near, -near))
        free = np.floor(self.run_yards * (u / (1 - u)) ** (1 / _RUN_POWER))
        return tackled, free, np.rint(self.run_yards) + np.floor(pareto_quantile(u, _TAIL_SHAPE, _TAIL_SCALE))


@dataclass(frozen=True)
class CourseParameters(_Effects):
    """Throws to each receiver, [plays, 5], and the probability of each; `yards_to_goal` is [plays]."""

    target_probability: np.ndarray
    return_limit_yards: np.ndarray
    yards_to_goal: np.ndarray

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the column names of the parameters."""
        return tuple(field.name for field in fields(cls))

    def throws(self) -> Iterator[tuple[np.ndarray, Throw]]:
        """Yield the throws that are possible, with their probabilities."""
        for target in range(RECEIVERS):
            yield self.target_probability[:, target], self._to(np.full(len(self.yards_to_goal), target))

    def drawn(self, streams: GameStreams) -> CourseThrow:
        """Draw a receiver for each play."""
        return self._to(streams.pick(self.target_probability))

    def _to(self, target: np.ndarray) -> CourseThrow:
        rows = np.arange(len(target))
        shared = {field.name for field in fields(CourseThrow)} - {"target", "yards_to_goal"}
        return CourseThrow(
            target=target,
            yards_to_goal=self.yards_to_goal,
            **{name: getattr(self, name)[rows, target] for name in shared},
        )


def course_parameters(view: CourseView, situation: Situation, size: Coefficients) -> CourseParameters:
    """Return the parameters of the distribution; the forms of the effects are defined only here."""
    deep = np.maximum(view.depth, 0.0)
    separated = 1 - 2.0 ** (-view.separation / 2.0)
    opening = np.tanh(view.opening / 1.5)
    timing = np.exp(-(((view.break_s - 1.0) / 0.3) ** 2))
    length = deep / (deep + 12.0)
    pressed = (1 - np.exp(-view.pressure_s / 0.7))[:, None]
    moving = np.minimum(view.feet, 3.0)[:, None]
    fooled = view.fake[:, None] * np.exp(-(((deep - 16.0) / 10.0) ** 2))
    helped = np.tanh(view.rotation[:, None] * view.side / 15.0)
    close = np.exp(-situation.to_goal / 7.0)[:, None]
    third, fourth = ((situation.down == down)[:, None] for down in (3, 4))
    completion = (
        size.completion
        + size.completion_separation * separated
        + size.completion_open * (view.open_s - 0.8)
        + size.completion_opening * opening
        + size.completion_timing * timing
        + size.completion_depth * length
        + size.completion_pressure * pressed
        + size.completion_gap / view.gap[:, None]
        + size.completion_feet * moving
        + size.completion_fake * fooled
        + size.completion_rotation * helped
        + size.completion_close * close
        + size.completion_third * third
        + size.completion_fourth * fourth
    )
    interception = (
        size.interception
        + size.interception_covered * (1 - separated)
        + size.interception_depth * length
        + size.interception_pressure * pressed
        + size.interception_rotation * helped
        + size.interception_fourth * fourth
    )
    behind = np.clip(3.0 - view.depth, 0.0, 8.0)
    tackled = (
        size.tackled
        + size.tackled_separation * separated
        + size.tackled_opening * opening
        + size.tackled_depth * length
        + size.tackled_behind * behind
    )
    breakaway = (
        size.breakaway
        + size.breakaway_opening * opening
        + size.breakaway_timing * timing
        + size.breakaway_fake * fooled
        + size.breakaway_depth * length
    )
    run = size.run + size.run_separation * separated + size.run_open * view.open_s
    run = run + size.run_behind * behind
    scatter = size.scatter + size.scatter_depth * length + size.scatter_feet * moving
    reached = np.minimum(view.away / 5.0, 1.0) ** 3
    wanted = reached * (size.wanted + separated) / np.cosh(np.minimum(view.turn / size.aim, 30.0)) ** 2
    wanted = wanted + 1e-9
    own_goal = 100 - situation.to_goal[:, None]
    return CourseParameters(
        target_probability=wanted / np.sum(wanted, axis=1, keepdims=True),
        completion=completion,
        interception=interception,
        tackled=tackled,
        breakaway=breakaway,
        depth_yards=view.depth,
        short_yards=scatter,
        long_yards=0.7 * scatter,
        run_yards=run,
        return_limit_yards=np.clip(np.rint(own_goal + view.depth), 0, MAX_RETURN).astype(np.int64),
        yards_to_goal=situation.to_goal.astype(np.int64),
    )


def _distance(offset: np.ndarray) -> np.ndarray:
    return np.hypot(offset[..., 0], offset[..., 1])


def _step(x: np.ndarray) -> np.ndarray:
    """A smooth step from 0 to 1 around 0."""
    return 0.5 * (1 + np.tanh(x))


def _normal_cdf(x: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr  # its import takes longer than a command that does not simulate

    return ndtr(x)
