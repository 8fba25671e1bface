"""Metrics of predictive distributions, the same for every model, and their components."""

from dataclasses import asdict, dataclass

import numpy as np

# Levels from the method's public notebook: 25 in each tail from 0.001, 81 in the base.
LOWER_LEVELS = np.linspace(0.001, 0.049, 25)
BASE_LEVELS = np.linspace(0.05, 0.95, 81)
UPPER_LEVELS = np.linspace(0.951, 0.999, 25)
LEVELS = np.concatenate([LOWER_LEVELS, BASE_LEVELS, UPPER_LEVELS])


@dataclass(frozen=True, eq=False)
class OutcomeScores:
    """Scores of predictive distributions, one value per outcome, float64 [N] each.

    Attributes:
        log_prob: log P(Y = y) in nats where y is an atom, as for a `Quantized` distribution; else log f(y), with f per
            unit of the outcome. Sums are comparable across models that use the same measure.
        crps: continuous ranked probability score, in the outcome's unit.
        median: predictive median; for integers, the least k with P(Y <= k) >= 1/2.
        pit_low: P(Y < y).
        pit_high: P(Y <= y).
    """

    log_prob: np.ndarray
    crps: np.ndarray
    median: np.ndarray
    pit_low: np.ndarray
    pit_high: np.ndarray


@dataclass(frozen=True)
class PPError:
    """Mean |y_q - q| over the levels of a region; y_q is the fraction of outcomes below the predictive q-quantile."""

    lower: float
    base: float
    upper: float
    full: float


@dataclass(frozen=True)
class Metrics:
    """Metrics of one model on one test set; all but `pp` are means over the outcomes.

    Attributes:
        nll: negative log score in nats, of `OutcomeScores.log_prob`.
        crps: continuous ranked probability score, in the outcome's unit.
        mae: |y - predictive median|, in the outcome's unit.
        pp: error of the probability-probability plot.
    """

    nll: float
    crps: float
    mae: float
    pp: PPError

    @classmethod
    def of(cls, scores: OutcomeScores, y: np.ndarray, unit: np.ndarray | float = 1.0) -> "Metrics":
        """Return the metrics of scored outcomes.

        Args:
            scores: scores of the outcomes.
            y: the outcomes [N].
            unit: unit of CRPS and error, [N] or one for all, so that outcomes of any size count equally.
        """
        return cls(
            nll=float(-np.mean(scores.log_prob)),
            crps=float(np.mean(scores.crps / unit)),
            mae=float(np.mean(np.abs(y - scores.median) / unit)),
            pp=pp_error(scores.pit_low, scores.pit_high),
        )

    def to_dict(self) -> dict:
        """Return a nested dictionary of plain numbers."""
        return asdict(self)

    def flat(self) -> dict[str, float]:
        """Return the metrics in a flat dictionary: `pp_full` is `full` of `pp`."""
        pp = {f"pp_{region}": value for region, value in asdict(self.pp).items()}
        return {"nll": self.nll, "crps": self.crps, "mae": self.mae, **pp}


def pp_curve(low: np.ndarray, high: np.ndarray, levels: np.ndarray = LEVELS) -> np.ndarray:
    """Return the fraction of outcomes below the predictive q-quantile for each level q [L].

    An outcome at an atom covers the levels from P(Y < y) to P(Y <= y). For a level in between, it counts with the
    fraction of that interval below the level: the non-randomized PIT of Czado, Gneiting and Held (2009), whose mean is
    q under the truth.

    Args:
        low: P(Y < y) [N].
        high: P(Y <= y) [N], equal where there is no atom.
        levels: probabilities.
    """
    width = np.maximum(high - low, np.finfo(np.float64).tiny)[:, None]
    return np.mean(np.clip((levels[None, :] - low[:, None]) / width, 0.0, 1.0), axis=0)


def pp_error(low: np.ndarray, high: np.ndarray) -> PPError:
    """Return the error of the PP plot by region, from P(Y < y) and P(Y <= y) [N]."""
    errors = [np.abs(pp_curve(low, high, levels) - levels) for levels in (LOWER_LEVELS, BASE_LEVELS, UPPER_LEVELS)]
    lower, base, upper = (float(np.mean(e)) for e in errors)
    return PPError(lower, base, upper, float(np.mean(np.concatenate(errors))))
