"""The distribution `release`: what happens after the release depends on its frame alone, in closed form.

It is a function of the frame as written in the tracking file, of the situation, and of the quarterback's skill z, which
no frame shows. The page `docs/explanation/simulator.md` has the formulas.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sbp_jax.data.simulator.play import DEFENSE, ELIGIBLE, QUARTERBACK, Situation
from sbp_jax.data.simulator.streams import GameStreams
from sbp_jax.data.simulator.throw import MAX_RETURN, Chances, Throw, pareto_cdf, pareto_quantile

_SKILL_ON_COMPLETION, _SKILL_ON_INTERCEPTION, _SKILL_ON_TACKLED, _SKILL_ON_BREAKAWAY = 0.145, -0.1, -0.05, 0.05
_TACKLED_CENTER, _TACKLED_SCALE = 0.5, 0.55
_RUN_POWER = 1.7
_TAIL_SHAPE, _TAIL_SCALE = 0.3, 10.0


@dataclass(frozen=True)
class ReleaseView:
    """Measurements in the frame of the release, [plays] each (yards); see `docs/explanation/simulator.md`."""

    target: np.ndarray
    separation: np.ndarray
    room: np.ndarray
    pressure_gap: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True)
class ReleaseParameters(Throw):
    """Parameters of `release` at average skill, [plays] each: logits, yards, and the bounds of the field."""

    completion_logit: np.ndarray
    interception_logit: np.ndarray
    tackled_logit: np.ndarray
    breakaway_logit: np.ndarray
    depth_yards: np.ndarray
    depth_sd_yards: np.ndarray
    run_yards: np.ndarray

    def throws(self) -> Iterator[tuple[np.ndarray | float, Throw]]:
        """Yield the throws that are possible, with their probabilities: one, as the receiver is known."""
        yield 1.0, self

    def drawn(self, streams: GameStreams) -> Throw:
        """Return the throws."""
        del streams
        return self

    def chances(self, skill: np.ndarray | float) -> Chances:
        complete = logistic(self.completion_logit + _SKILL_ON_COMPLETION * skill)
        intercepted = (1 - complete) * logistic(self.interception_logit + _SKILL_ON_INTERCEPTION * skill)
        tackled = logistic(self.tackled_logit + _SKILL_ON_TACKLED * skill)
        breakaway = (1 - tackled) * logistic(self.breakaway_logit + _SKILL_ON_BREAKAWAY * skill)
        return complete, intercepted, tackled, breakaway

    @property
    def center(self) -> np.ndarray:
        return np.rint(self.depth_yards)

    @property
    def _scatter(self) -> np.ndarray:
        return self.depth_sd_yards * np.sqrt(3.0) / np.pi

    def catch_cdf(self, offset: np.ndarray) -> np.ndarray:
        return logistic((offset + (self.center - self.depth_yards)[:, None]) / self._scatter[:, None])

    def catch_quantile(self, u: np.ndarray) -> np.ndarray:
        return self.depth_yards + self._scatter * logit(u)

    def run_cdfs(self, yards: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        tackled = logistic((yards + 0.5 - _TACKLED_CENTER) / _TACKLED_SCALE)
        run = self.run_yards[:, None]
        ahead = np.maximum(yards + 1.0, 0.0)
        free = -np.expm1(-((ahead / run) ** _RUN_POWER))
        return tackled, free, pareto_cdf(yards + 1.0 - np.rint(run), _TAIL_SHAPE, _TAIL_SCALE)

    def run_quantiles(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        tackled = np.ceil(_TACKLED_CENTER + _TACKLED_SCALE * logit(u) - 0.5)
        free = np.floor(self.run_yards * (-np.log1p(-u)) ** (1 / _RUN_POWER))
        return tackled, free, np.rint(self.run_yards) + np.floor(pareto_quantile(u, _TAIL_SHAPE, _TAIL_SCALE))


def view_release(position: np.ndarray, velocity: np.ndarray, facing: np.ndarray, to_goal: np.ndarray) -> ReleaseView:
    """Measure the frame of the release; `position`, `velocity` [plays, 22, 2], `facing` [plays] radians from +x."""
    rows = np.arange(len(position))
    passer, eligible = position[:, [QUARTERBACK]], position[:, ELIGIBLE]
    bearing = eligible - passer
    away = np.hypot(bearing[..., 0], bearing[..., 1])
    turn = np.arctan2(bearing[..., 1], bearing[..., 0]) - facing[:, None]
    turn = np.abs((turn + np.pi) % (2 * np.pi) - np.pi) + np.where(away < 5.0, np.pi, 0.0)
    target = np.argmin(turn, axis=1)
    gaps = eligible[:, :, None] - position[:, None, DEFENSE]
    nearest = np.clip(np.min(np.hypot(gaps[..., 0], gaps[..., 1]), axis=2), 0.4, 9.0)
    rush = passer - position[:, DEFENSE]
    pressure_gap = np.clip(np.min(np.hypot(rush[..., 0], rush[..., 1]), axis=1), 0.8, 8.0)
    flight_s = np.minimum(1.5, 0.2 + away[rows, target] / 22.0)
    depth = eligible[rows, target, 0] + velocity[rows, ELIGIBLE.start + target, 0] * flight_s
    return ReleaseView(
        target=target,
        separation=nearest[rows, target],
        room=np.mean(nearest, axis=1),
        pressure_gap=pressure_gap,
        depth=np.minimum(depth, to_goal + 9.0),
    )


def release_parameters(view: ReleaseView, situation: Situation) -> ReleaseParameters:
    """Return the distribution's parameters; the coefficients of the four linear forms are defined only here."""
    separation, room = np.log(view.separation / 3.0), (view.room - 3.5) / 3.0
    gap = np.log(view.pressure_gap / 3.0)
    deep = np.maximum(view.depth, 0.0) / 10.0
    close = np.exp(-situation.to_goal / 7.0)
    late = (situation.down >= 3).astype(float)
    behind = np.clip(3.0 - view.depth, 0.0, 8.0)
    completion = (
        1.21 + 0.6 * separation + 1.55 * room + 1.1 * gap - 0.9 * deep + 0.085 * deep**2 - 0.5 * close - 0.2 * late
    )
    interception = -3.28 - 0.4 * separation - 0.6 * room - 0.6 * gap + 0.22 * deep + 0.1 * late - 0.4 * close
    tackled = -0.6 - 0.7 * separation - 1.2 * room + 0.5 * np.minimum(deep, 1.5) + 0.3 * close - 0.35 * behind
    breakaway = -2.5 + 0.5 * separation + 1.2 * room + 0.3 * np.minimum(deep, 3.0)
    run = np.exp(1.5 + 0.2 * separation + 0.5 * room + 0.1 * deep) + 0.8 * behind
    return ReleaseParameters(
        completion_logit=completion,
        interception_logit=interception,
        tackled_logit=tackled,
        breakaway_logit=breakaway,
        depth_yards=view.depth,
        depth_sd_yards=0.9 + 0.45 * deep,
        run_yards=run,
        yards_to_goal=situation.to_goal.astype(np.int64),
        return_limit_yards=np.clip(np.rint(100 - situation.to_goal + view.depth), 0, MAX_RETURN).astype(np.int64),
    )


def logistic(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def logit(u: np.ndarray) -> np.ndarray:
    """Return the quantile of the standard logistic distribution; 0 is replaced by the smallest normal double."""
    u = np.maximum(u, np.finfo(float).tiny)
    return np.log(u) - np.log1p(-u)
