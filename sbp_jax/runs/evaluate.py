"""How good a run's predictions are on plays: one evaluation for every command and study."""

from dataclasses import dataclass

import numpy as np

from sbp_jax.data.plays import Plays
from sbp_jax.data.simulator.simulate import TrueDistribution
from sbp_jax.distributions import Binned, Quantized
from sbp_jax.distributions.base import Distribution
from sbp_jax.errors import InputError
from sbp_jax.evaluation.metrics import Metrics, pp_curve
from sbp_jax.evaluation.predictions import score_outcomes
from sbp_jax.runs.run import Run

YARDS = np.arange(-100, 111)  # no play gains or loses more than the field is long


@dataclass(frozen=True)
class Evaluation:
    """How good predictive distributions are on plays.

    Attributes:
        metrics: log score, CRPS, absolute error of the median and PP error.
        shares: the PP curve at `evaluation.metrics.LEVELS`.
    """

    metrics: Metrics
    shares: np.ndarray


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
    y = run.outcome.bounded(plays)
    scores = score_outcomes(run.predict(plays), y)
    return Evaluation(Metrics.of(scores, y), pp_curve(scores.pit_low, scores.pit_high))


def oracle(truth: TrueDistribution, plays: Plays) -> Distribution:
    """Return the simulator's conditional distribution of each play's yards, averaged over the league's skill, [N]."""
    truth = truth.select(plays.game_id, plays.play_id)
    with np.errstate(divide="ignore"):  # what cannot happen has log-probability -inf
        log_mass = np.log(truth.pmf(YARDS)).astype(np.float32)
    return Quantized(Binned(log_mass, np.append(YARDS, YARDS[-1] + 1) - 0.5))
