"""What a run's predictions are worth on plays: the same figures and forecasts wherever runs are judged."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sbp_jax.data.plays import Plays
from sbp_jax.data.simulator.simulate import TrueLaw
from sbp_jax.evaluation import (
    YARDS,
    IntegerForecast,
    Metrics,
    evaluate,
    evaluate_continuous,
    evaluate_counts,
    integer_forecast,
    pp_curve,
)
from sbp_jax.evaluation.metrics import BASE_LEVELS, LOWER_LEVELS, UPPER_LEVELS
from sbp_jax.runs.run import Run

LEVELS = np.concatenate([LOWER_LEVELS, BASE_LEVELS, UPPER_LEVELS])


@dataclass(frozen=True)
class Judged:
    """Figures of a run on plays, and its PP curve at `LEVELS`; None where outcomes are no whole numbers."""

    metrics: Metrics
    shares: np.ndarray | None


def judge(run: Run, plays: Plays) -> Judged:
    """A run's figures on plays, at least one; InputError as `Run.score`."""
    return judge_law(run.predict(plays), plays, run.whole, run.limit(plays))


def judge_law(law: Any, plays: Plays, whole: bool = True, limit: np.ndarray | None = None) -> Judged:
    """The figures of distributions of batch shape [N].

    Args:
        law: the distributions.
        plays: what they predict.
        whole: they are whole numbers, and judged so; else by the density.
        limit: where the goal line stops whole outcomes [N], see `integer_forecast`.
    """
    if not whole:
        return Judged(evaluate_continuous(law, plays.yards), None)
    if plays.unit is not None:  # counts of any size: no grid holds them all
        return Judged(evaluate_counts(law, plays.yards), None)
    forecast = integer_forecast(law, plays.yards, limit)
    return Judged(evaluate(forecast, plays.yards), pp_curve(forecast, LEVELS))


def oracle_forecast(law: TrueLaw, plays: Plays) -> IntegerForecast:
    """The simulator's law of each play, integrated over the league's skill."""
    law = law.select(plays.game_id, plays.play_id)
    mass = law.pmf(YARDS)
    cdf = np.cumsum(mass, axis=1)
    at = np.arange(len(plays)), (plays.yards - YARDS[0]).astype(int)
    return IntegerForecast(YARDS, cdf, np.log(mass[at]), cdf[at] - mass[at], cdf[at])
