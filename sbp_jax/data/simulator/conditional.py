"""The true conditional distribution of every simulated play, in closed form over integer yards.

It is a function of the frame of the release as written in the tracking file, of the situation, and of the quarterback's
skill z, which no frame shows. The page `docs/explanation/simulator.md` has the formulas.

`draw_outcomes` draws what happens after the release step by step, from its own random stream.
"""

from dataclasses import dataclass, fields

import numpy as np
import polars as pl

from sbp_jax.data.simulator.play import (
    COMPLETE,
    DEFENSE,
    ELIGIBLE,
    INCOMPLETE,
    INTERCEPTED,
    QUARTERBACK,
    Outcomes,
    Situation,
)
from sbp_jax.data.simulator.streams import GameStreams

SKILL_ON_COMPLETION, SKILL_ON_INTERCEPTION, SKILL_ON_TACKLED, SKILL_ON_BREAKAWAY = 0.145, -0.1, -0.05, 0.05
MAX_LOSS = 12
MAX_RETURN = 100
CATCH_REACH = 20  # maximum scatter of the catch depth, in yards either way
TACKLED_CENTER, TACKLED_SCALE = 0.5, 0.55
RUN_POWER = 1.7
TAIL_SHAPE, TAIL_SCALE = 0.3, 10.0
RETURN_NONE, RETURN_SHAPE, RETURN_SCALE = 0.4, 0.1, 14.0


@dataclass(frozen=True)
class ReleaseView:
    """Measurements in the frame of the release, [plays] each (yards); see `docs/explanation/simulator.md`."""

    target: np.ndarray
    separation: np.ndarray
    room: np.ndarray
    pressure_gap: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True)
class OutcomeParameters:
    """Parameters of the distribution at average skill, [plays] each: logits, yards, and the bounds of the field."""

    completion_logit: np.ndarray
    interception_logit: np.ndarray
    tackled_logit: np.ndarray
    breakaway_logit: np.ndarray
    depth_yards: np.ndarray
    depth_sd_yards: np.ndarray
    run_yards: np.ndarray
    yards_to_goal: np.ndarray
    return_limit_yards: np.ndarray

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the column names of the parameters."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def from_table(cls, table: pl.DataFrame) -> "OutcomeParameters":
        """Return the parameters in the columns of a table."""
        return cls(**{name: table[name].to_numpy() for name in cls.names()})

    def take(self, rows: np.ndarray) -> "OutcomeParameters":
        """Return the parameters of the plays at `rows`."""
        return OutcomeParameters(**{name: getattr(self, name)[rows] for name in self.names()})


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


def outcome_parameters(view: ReleaseView, situation: Situation) -> OutcomeParameters:
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
    return OutcomeParameters(
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


def chances(
    parameters: OutcomeParameters, skill: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return P(complete), P(intercepted), P(tackled | complete), P(breaks away | complete).

    `skill` is a number or [plays].
    """
    complete = logistic(parameters.completion_logit + SKILL_ON_COMPLETION * skill)
    intercepted = (1 - complete) * logistic(parameters.interception_logit + SKILL_ON_INTERCEPTION * skill)
    tackled = logistic(parameters.tackled_logit + SKILL_ON_TACKLED * skill)
    breakaway = (1 - tackled) * logistic(parameters.breakaway_logit + SKILL_ON_BREAKAWAY * skill)
    return complete, intercepted, tackled, breakaway


def catch_offset_pmf(parameters: OutcomeParameters) -> tuple[np.ndarray, np.ndarray]:
    """Return the center [plays] and P(catch depth = center + j), j = -20 .. 20, [plays, 41]; rows sum to one."""
    center = np.rint(parameters.depth_yards)
    edges = np.arange(-CATCH_REACH, CATCH_REACH) + 0.5
    scale = parameters.depth_sd_yards * np.sqrt(3.0) / np.pi
    cdf = logistic((edges + (center - parameters.depth_yards)[:, None]) / scale[:, None])
    return center.astype(np.int64), np.diff(cdf, prepend=0.0, append=1.0, axis=1)


def run_cdfs(parameters: OutcomeParameters, yards: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return P(C <= yards) if tackled at the catch, not tackled, and breaking away; `yards` [plays, values]."""
    tackled = logistic((yards + 0.5 - TACKLED_CENTER) / TACKLED_SCALE)
    run = parameters.run_yards[:, None]
    ahead = np.maximum(yards + 1.0, 0.0)
    free = -np.expm1(-((ahead / run) ** RUN_POWER))
    beyond = np.maximum(yards + 1.0 - np.rint(run), 0.0)
    away = -np.expm1(-np.log1p(TAIL_SHAPE * beyond / TAIL_SCALE) / TAIL_SHAPE)
    return tackled, free, away


def return_survival(yards: np.ndarray) -> np.ndarray:
    """Return P(interception return > yards), yards >= 0, before the end of the field stops it."""
    return (1 - RETURN_NONE) * np.exp(-np.log1p(RETURN_SHAPE * yards / RETURN_SCALE) / RETURN_SHAPE)


def largest_loss(parameters: OutcomeParameters) -> np.ndarray:
    """Return the maximum loss of a completed pass in yards, [plays]."""
    return np.minimum(MAX_LOSS, 100 - parameters.yards_to_goal)


def logistic(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def draw_outcomes(parameters: OutcomeParameters, skill: np.ndarray, streams: GameStreams) -> Outcomes:
    """Draw one outcome per play, for quarterbacks with the given `skill` [plays]."""
    complete, intercepted, tackled, breakaway = chances(parameters, skill)
    u = streams.uniform()
    result = np.where(u < complete, COMPLETE, np.where(u < complete + intercepted, INTERCEPTED, INCOMPLETE))
    scatter = parameters.depth_sd_yards * np.sqrt(3.0) / np.pi * _logit(streams.uniform())
    center = np.rint(parameters.depth_yards)
    catch = np.clip(np.rint(parameters.depth_yards + scatter), center - CATCH_REACH, center + CATCH_REACH)

    kind, u = streams.uniform(), streams.uniform()
    tackle_yards = np.ceil(TACKLED_CENTER + TACKLED_SCALE * _logit(u) - 0.5)
    free = np.floor(parameters.run_yards * (-np.log1p(-u)) ** (1 / RUN_POWER))
    away = np.rint(parameters.run_yards) + np.floor(_pareto(u, TAIL_SHAPE, TAIL_SCALE))
    after = np.where(kind < tackled, tackle_yards, np.where(kind < tackled + breakaway, away, free))
    gain = np.clip(catch + after, -largest_loss(parameters), parameters.yards_to_goal)

    return_yards = np.where(
        streams.uniform() < RETURN_NONE, 0, 1 + np.floor(_pareto(streams.uniform(), RETURN_SHAPE, RETURN_SCALE))
    )
    return_yards = np.minimum(return_yards, parameters.return_limit_yards)
    yards = np.where(result == COMPLETE, gain, 0)
    net = np.where(result == INTERCEPTED, -return_yards, yards)
    return Outcomes(result, catch.astype(np.int64), yards.astype(np.int64), net.astype(np.int64))


def _logit(u: np.ndarray) -> np.ndarray:
    """Quantile of the standard logistic distribution; probability 0 is replaced by the smallest normal double."""
    u = np.maximum(u, np.finfo(float).tiny)
    return np.log(u) - np.log1p(-u)


def _pareto(u: np.ndarray, shape: float, scale: float) -> np.ndarray:
    """Quantile of the generalized Pareto distribution."""
    return scale * np.expm1(-shape * np.log1p(-u)) / shape
