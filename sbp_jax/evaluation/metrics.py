"""Figures of merit of a predictive distribution, the same for every model.

For integer outcomes a distribution counts as the integer-valued forecast that it implies, P(Y <= k) = F(k + 1/2): a
continuous distribution, a Gaussian and the simulator's integer distribution are then judged alike.
"""

from dataclasses import asdict, dataclass

import numpy as np

from sbp_jax.errors import InputError

# Levels of the public notebook of the method: 25 in each tail from 0.001, 81 in the base.
LOWER_LEVELS = np.linspace(0.001, 0.049, 25)
BASE_LEVELS = np.linspace(0.05, 0.95, 81)
UPPER_LEVELS = np.linspace(0.951, 0.999, 25)


@dataclass(frozen=True)
class IntegerForecast:
    """Predictive distributions of integer outcomes on a common grid.

    Attributes:
        grid: consecutive integers [V] that hold all but a negligible mass.
        cdf: P(Y <= grid) [N, V].
        log_prob: log P(Y = y) [N] of the outcomes, from the distribution and not from differences on the grid.
        cdf_below: P(Y <= y - 1) [N].
        cdf_at: P(Y <= y) [N].
    """

    grid: np.ndarray
    cdf: np.ndarray
    log_prob: np.ndarray
    cdf_below: np.ndarray
    cdf_at: np.ndarray

    def __post_init__(self) -> None:
        if self.cdf.shape != (len(self.log_prob), len(self.grid)):
            raise InputError(f"cdf: expected shape {(len(self.log_prob), len(self.grid))}, got {self.cdf.shape}")


@dataclass(frozen=True)
class PPError:
    """Mean |y_q - q| over the levels of a region; y_q is the share of outcomes below the predictive q-quantile."""

    lower: float
    base: float
    upper: float
    full: float


@dataclass(frozen=True)
class Metrics:
    """Figures of one model on one test set; all but `pp` are means over the outcomes.

    Attributes:
        nll: -log P(Y = y), nats; of outcomes that are no whole numbers -log f(y), f per unit of the outcome.
        crps: continuous ranked probability score, in the outcome's unit.
        mae: |y - predictive median|, in the outcome's unit.
        pp: error of the probability-probability plot.
    """

    nll: float
    crps: float
    mae: float
    pp: PPError

    def to_dict(self) -> dict:
        """Nested dictionary of plain numbers."""
        return asdict(self)

    def flat(self) -> dict[str, float]:
        """Return the metrics under one name each: `pp_full` is `full` of `pp`."""
        pp = {f"pp_{region}": value for region, value in asdict(self.pp).items()}
        return {"nll": self.nll, "crps": self.crps, "mae": self.mae, **pp}


def integer_crps(forecast: IntegerForecast, y: np.ndarray) -> np.ndarray:
    """CRPS of each outcome [N]: sum_k (P(Y <= k) - 1{y <= k})^2, as in Gneiting and Raftery 2007, on the integers."""
    reached = np.asarray(y)[:, None] <= forecast.grid[None, :]
    return np.sum((forecast.cdf - reached) ** 2, axis=1)


def integer_median(forecast: IntegerForecast) -> np.ndarray:
    """Smallest integer k with P(Y <= k) >= 1/2 [N]."""
    return forecast.grid[np.argmax(forecast.cdf >= 0.5, axis=1)]


def pp_curve(forecast: IntegerForecast, levels: np.ndarray) -> np.ndarray:
    """Share of outcomes below the predictive q-quantile for each level q [L].

    An integer outcome holds the levels from P(Y < y) to P(Y <= y); it counts below a level in between by the share of
    that interval below it: the non-randomized PIT of Czado, Gneiting and Held 2009, whose mean is q under the truth.
    """
    return _shares(forecast.cdf_below, forecast.cdf_at, levels)


def _shares(below: np.ndarray, at: np.ndarray, levels: np.ndarray) -> np.ndarray:
    width = np.maximum(at - below, np.finfo(np.float64).tiny)[:, None]
    return np.mean(np.clip((levels[None, :] - below[:, None]) / width, 0.0, 1.0), axis=0)


def pp_error(forecast: IntegerForecast) -> PPError:
    """Error of the PP plot by region."""
    return pp_error_between(forecast.cdf_below, forecast.cdf_at)


def pp_error_between(below: np.ndarray, at: np.ndarray) -> PPError:
    """The same from P(Y < y) and P(Y <= y) of the outcomes, [N] both; equal where the distribution is continuous."""
    errors = [np.abs(_shares(below, at, levels) - levels) for levels in (LOWER_LEVELS, BASE_LEVELS, UPPER_LEVELS)]
    lower, base, upper = (float(np.mean(e)) for e in errors)
    return PPError(lower, base, upper, float(np.mean(np.concatenate(errors))))


def evaluate(forecast: IntegerForecast, y: np.ndarray) -> Metrics:
    """All figures of the forecasts of the outcomes y [N].

    Raises:
        InputError: an outcome is not an integer, or there is none.
    """
    y = np.asarray(y)
    if len(y) == 0 or len(y) != len(forecast.log_prob):
        raise InputError(f"y: expected {len(forecast.log_prob)} outcomes and at least one, got {len(y)}")
    if not np.all(y == np.round(y)):
        raise InputError(f"y: expected integer outcomes, got {y[y != np.round(y)][0]}")
    return Metrics(
        nll=float(-np.mean(forecast.log_prob)),
        crps=float(np.mean(integer_crps(forecast, y))),
        mae=float(np.mean(np.abs(y - integer_median(forecast)))),
        pp=pp_error(forecast),
    )
