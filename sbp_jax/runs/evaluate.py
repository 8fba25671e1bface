"""How good a run's predictions are on plays: one evaluation for every command and study."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sbp_jax.data.plays import Plays
from sbp_jax.data.simulator.simulate import TrueLaw
from sbp_jax.errors import InputError
from sbp_jax.evaluation import (
    YARDS,
    IntegerForecast,
    Metrics,
    evaluate_continuous,
    evaluate_counts,
    integer_forecast,
    pp_curve,
)
from sbp_jax.evaluation import evaluate as evaluate_forecast
from sbp_jax.evaluation.metrics import BASE_LEVELS, LOWER_LEVELS, UPPER_LEVELS
from sbp_jax.runs.run import Run

LEVELS = np.concatenate([LOWER_LEVELS, BASE_LEVELS, UPPER_LEVELS])


@dataclass(frozen=True)
class Evaluation:
    """How good predictive distributions are on plays.

    Attributes:
        metrics: log score, CRPS, absolute error of the median, PP error and the rest.
        shares: the PP curve at `LEVELS`; None where outcomes are not integers.
    """

    metrics: Metrics
    shares: np.ndarray | None


def evaluate(run: Run, plays: Plays | None = None) -> Evaluation:
    """Evaluate a run's predictive distributions.

    Args:
        run: the run.
        plays: at least one; the test plays of the data set that it was trained on by default.

    Raises:
        InputError: no plays, or as `Run.plays` and `Run.score`.

    Example:
        >>> sbp.evaluate(sbp.load_run("runs/demo/sbp-1a2b3c4d")).metrics.crps  # doctest: +SKIP
    """
    plays = run.plays("test") if plays is None else plays
    if not len(plays):
        raise InputError("plays: expected at least one to evaluate on, got none")
    return evaluate_distribution(run.predict(plays), plays, run.whole, run.limit(plays))


def evaluate_distribution(
    distribution: Any, plays: Plays, whole: bool = True, limit: np.ndarray | None = None
) -> Evaluation:
    """Evaluate distributions of batch shape [N].

    Args:
        distribution: the distributions.
        plays: what they predict.
        whole: outcomes are integers, and evaluated by their probabilities; else by the density.
        limit: where the goal line bounds integer outcomes [N], see `integer_forecast`.
    """
    if not whole:
        return Evaluation(evaluate_continuous(distribution, plays.yards), None)
    if plays.unit is not None:  # counts of any size: no grid holds them all
        return Evaluation(evaluate_counts(distribution, plays.yards), None)
    forecast = integer_forecast(distribution, plays.yards, limit)
    return Evaluation(evaluate_forecast(forecast, plays.yards), pp_curve(forecast, LEVELS))


def oracle_forecast(law: TrueLaw, plays: Plays) -> IntegerForecast:
    """The simulator's law of each play, integrated over the league's skill."""
    law = law.select(plays.game_id, plays.play_id)
    mass = law.pmf(YARDS)
    cdf = np.cumsum(mass, axis=1)
    at = np.arange(len(plays)), (plays.yards - YARDS[0]).astype(int)
    return IntegerForecast(YARDS, cdf, np.log(mass[at]), cdf[at] - mass[at], cdf[at])
