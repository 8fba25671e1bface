"""Evaluate a run's predictions on plays, in the same way for every command and study."""

from dataclasses import dataclass

import numpy as np

from sbp_jax.data.plays import Sequences
from sbp_jax.data.simulator.simulate import TrueDistribution
from sbp_jax.distributions import Binned, Quantized
from sbp_jax.distributions.base import Distribution
from sbp_jax.errors import InputError
from sbp_jax.evaluation.metrics import Metrics, pp_curve
from sbp_jax.evaluation.predictions import score_outcomes
from sbp_jax.runs.run import Run

YARDS = np.arange(-100, 111)  # no play gains or loses more than the length of the field


@dataclass(frozen=True)
class Evaluation:
    """Metrics of predictive distributions on plays.

    Attributes:
        metrics: log score, CRPS, absolute error of the median and PP error.
        shares: the PP curve at `evaluation.metrics.LEVELS`.
    """

    metrics: Metrics
    shares: np.ndarray


def evaluate(run: Run, plays: Sequences | None = None) -> Evaluation:
    """Evaluate a run's predictive distributions.

    Args:
        run: the run.
        plays: at least one play; by default the test plays of the run's data set.

    Returns:
        The metrics and the PP curve.

    Raises:
        InputError: there are no plays; see also `Run.plays` and `Run.score`.

    Example:
        >>> sbp.evaluate(sbp.load_run("runs/demo/sbp-1a2b3c4d")).metrics.crps  # doctest: +SKIP
    """
    plays = run.plays("test") if plays is None else plays
    if not len(plays):
        raise InputError("plays: expected at least one to evaluate on, got none")
    y = run.outcome.bounded(plays)
    scores = score_outcomes(run.predict(plays), y)
    return Evaluation(Metrics.of(scores, y), pp_curve(scores.pit_low, scores.pit_high))


def oracle(truth: TrueDistribution, plays: Sequences) -> Distribution:
    """Return the simulator's conditional distribution of each play's yards, averaged over passers' skill, [N]."""
    truth = truth.select(plays.game_id, plays.play_id)
    with np.errstate(divide="ignore"):  # impossible outcomes have log-probability -inf
        log_mass = np.log(truth.pmf(YARDS)).astype(np.float32)
    return Quantized(Binned(log_mass, np.append(YARDS, YARDS[-1] + 1) - 0.5))
