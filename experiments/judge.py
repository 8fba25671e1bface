"""What a run's predictions are worth on plays: the same figures and forecasts wherever runs are judged."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from sbp_jax.data.batching import Plays
from sbp_jax.data.simulate import TrueLaw
from sbp_jax.evaluation import (
    YARDS,
    IntegerForecast,
    Metrics,
    evaluate,
    evaluate_continuous,
    integer_forecast,
    pp_curve,
)
from sbp_jax.evaluation.metrics import BASE_LEVELS, LOWER_LEVELS, UPPER_LEVELS
from sbp_jax.run import Run

LEVELS = np.concatenate([LOWER_LEVELS, BASE_LEVELS, UPPER_LEVELS])


@dataclass(frozen=True)
class Judged:
    """Figures of a run on plays, and its PP curve at `LEVELS`; None where outcomes are no whole numbers."""

    metrics: Metrics
    shares: np.ndarray | None


def judge(run: Run, plays: Plays) -> Judged:
    """A run's figures on plays, at least one; InputError as `Run.score`."""
    return judge_law(run.predict(plays), plays.yards, run.whole, run.limit(plays))


def judge_law(law: Any, yards: np.ndarray, whole: bool = True, limit: np.ndarray | None = None) -> Judged:
    """The figures of distributions of batch shape [N].

    Args:
        law: the distributions.
        yards: outcomes [N].
        whole: they are whole numbers, and judged so; else by the density.
        limit: where the goal line stops whole outcomes [N], see `integer_forecast`.
    """
    if not whole:
        return Judged(evaluate_continuous(law, yards), None)
    forecast = integer_forecast(law, yards, limit)
    return Judged(evaluate(forecast, yards), pp_curve(forecast, LEVELS))


def marginal_distribution(run: Run, count: int) -> Any:
    """The marginal that the run's network starts from, once a play."""
    offset = run.model.offset[...]
    return run.model.head(jnp.broadcast_to(offset[None, :], (count, offset.shape[0])))


def oracle_forecast(law: TrueLaw, plays: Plays) -> IntegerForecast:
    """The simulator's law of each play, integrated over the league's skill."""
    law = law.select(plays.game_id, plays.play_id)
    mass = law.pmf(YARDS)
    cdf = np.cumsum(mass, axis=1)
    at = np.arange(len(plays)), (plays.yards - YARDS[0]).astype(int)
    return IntegerForecast(YARDS, cdf, np.log(mass[at]), cdf[at] - mass[at], cdf[at])
