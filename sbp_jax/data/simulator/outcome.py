"""Drawing what happens after the release, step by step as the law tells it, from a random stream of its own."""

from dataclasses import dataclass

import numpy as np

from sbp_jax.data.simulator.law import (
    CATCH_REACH,
    RETURN_NONE,
    RETURN_SCALE,
    RETURN_SHAPE,
    RUN_POWER,
    TACKLED_CENTRE,
    TACKLED_SCALE,
    TAIL_SCALE,
    TAIL_SHAPE,
    LawParameters,
    chances,
    largest_loss,
)
from sbp_jax.data.simulator.streams import GameStreams

COMPLETE, INCOMPLETE, INTERCEPTED = "C", "I", "IN"


@dataclass(frozen=True)
class Outcomes:
    """What came of the passes, [plays] each: `result` C, I or IN, catch depth, yards, net yards, all in whole yards."""

    result: np.ndarray
    catch_yards: np.ndarray
    yards: np.ndarray
    net_yards: np.ndarray


def draw_outcomes(law: LawParameters, skill: np.ndarray, streams: GameStreams) -> Outcomes:
    """One outcome a play, for quarterbacks of the given `skill` [plays]."""
    complete, intercepted, tackled, breakaway = chances(law, skill)
    u = streams.uniform()
    result = np.where(u < complete, COMPLETE, np.where(u < complete + intercepted, INTERCEPTED, INCOMPLETE))
    scatter = law.depth_sd_yards * np.sqrt(3.0) / np.pi * _logit(streams.uniform())
    centre = np.rint(law.depth_yards)
    catch = np.clip(np.rint(law.depth_yards + scatter), centre - CATCH_REACH, centre + CATCH_REACH)

    kind, u = streams.uniform(), streams.uniform()
    held = np.ceil(TACKLED_CENTRE + TACKLED_SCALE * _logit(u) - 0.5)
    free = np.floor(law.run_yards * (-np.log1p(-u)) ** (1 / RUN_POWER))
    away = np.rint(law.run_yards) + np.floor(_pareto(u, TAIL_SHAPE, TAIL_SCALE))
    after = np.where(kind < tackled, held, np.where(kind < tackled + breakaway, away, free))
    gained = np.clip(catch + after, -largest_loss(law), law.yards_to_goal)

    returned = np.where(
        streams.uniform() < RETURN_NONE, 0, 1 + np.floor(_pareto(streams.uniform(), RETURN_SHAPE, RETURN_SCALE))
    )
    returned = np.minimum(returned, law.return_limit_yards)
    yards = np.where(result == COMPLETE, gained, 0)
    net = np.where(result == INTERCEPTED, -returned, yards)
    return Outcomes(result, catch.astype(np.int64), yards.astype(np.int64), net.astype(np.int64))


def _logit(u: np.ndarray) -> np.ndarray:
    """Quantile of the standard logistic distribution; zero probability is moved to the smallest double above it."""
    u = np.maximum(u, np.finfo(float).tiny)
    return np.log(u) - np.log1p(-u)


def _pareto(u: np.ndarray, shape: float, scale: float) -> np.ndarray:
    """Quantile of the generalized Pareto distribution."""
    return scale * np.expm1(-shape * np.log1p(-u)) / shape
