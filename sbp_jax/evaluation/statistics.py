"""Statistics of metrics over random seeds: means with intervals, differences paired by seed, fraction of a gap closed.

A table of metrics has one row per model and seed: the columns `arm` (name of the model), `seed`, and one per metric,
null where a training run has none.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy.stats import t as student

LEVEL = 0.95
Verdict = Literal["significantly better", "significantly worse", "no significant difference"]
VERDICTS: tuple[Verdict, ...] = ("significantly better", "significantly worse", "no significant difference")


@dataclass(frozen=True)
class MeanInterval:
    """A mean with Student's t interval of level 0.95: `mean` +- `half`, with half = t(0.975, n - 1) s / sqrt(n).

    Attributes:
        mean: of the sample.
        half: half of the interval's width; NaN for fewer than two values.
        count: n, the size of the sample.

    Example:
        >>> MeanInterval.of(np.array([1.0, 2.0, 3.0])).text(2)
        '2.00 ± 2.48'
    """

    mean: float
    half: float
    count: int

    @classmethod
    def of(cls, values: np.ndarray) -> "MeanInterval":
        """Return the interval of values [n]; mean and half are NaN where there is no value."""
        count = len(values)
        mean = float(np.mean(values)) if count else float("nan")
        if count < 2:
            return cls(mean, float("nan"), count)
        error = float(np.std(values, ddof=1)) / count**0.5
        return cls(mean, float(student.ppf(0.5 + LEVEL / 2, count - 1)) * error, count)

    @property
    def verdict(self) -> Verdict:
        """Verdict on a difference where lower is better; fewer than two values are not significant."""
        if not abs(self.mean) > self.half:
            return "no significant difference"
        return "significantly worse" if self.mean > 0 else "significantly better"

    def text(self, digits: int) -> str:
        """Return `mean ± half`, or the mean alone for a single value."""
        return f"{self.mean:.{digits}f}" + ("" if np.isnan(self.half) else f" ± {self.half:.{digits}f}")


def mean_interval(table: pl.DataFrame, arm: str, metric: str) -> MeanInterval:
    """Return a model's mean of a metric over its seeds, with its interval; NaN where it has no value of the metric.

    Example:
        >>> table = pl.DataFrame({"arm": ["a", "a"], "seed": [0, 1], "nll": [1.0, 3.0]})
        >>> mean_interval(table, "a", "nll").mean
        2.0
    """
    values = table.filter((pl.col("arm") == arm) & pl.col(metric).is_not_null())[metric]
    return MeanInterval.of(values.to_numpy().astype(np.float64))


def paired_values(table: pl.DataFrame, arm: str, reference: str, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a metric of two models on the n seeds that have both, [n] each; empty where they share no seed."""
    one, two = (table.filter(pl.col("arm") == each).select("seed", metric) for each in (arm, reference))
    both = one.join(two, on="seed", suffix="_reference").drop_nulls()
    return both[metric].to_numpy(), both[f"{metric}_reference"].to_numpy()


def paired_difference(table: pl.DataFrame, arm: str, reference: str, metric: str) -> MeanInterval | None:
    """Return the mean of `arm - reference`, paired by seed, with its interval: that of the paired t test.

    None where the two share no seed.

    Example:
        >>> table = pl.DataFrame({"arm": ["a", "a", "b", "b"], "seed": [0, 1, 0, 1], "nll": [1.0, 3.0, 2.0, 5.0]})
        >>> paired_difference(table, "a", "b", "nll").mean
        -1.5
    """
    one, two = paired_values(table, arm, reference, metric)
    return MeanInterval.of(one - two) if len(one) else None


def gap_closed(value: float, marginal: float, oracle: float) -> float:
    """Return the fraction of the gap between marginal and oracle that a metric closes.

    (marginal - value) / (marginal - oracle): 0 for the distribution that ignores the input, 1 for the true conditional
    distribution. It is negative where the metric is worse than the marginal's, and above 1 where a finite test sample
    favors it over the oracle.

    Raises:
        ZeroDivisionError: marginal and oracle have the same metric, so there is no gap.

    Example:
        >>> gap_closed(2.25, marginal=2.5, oracle=1.5)
        0.25
    """
    return (marginal - value) / (marginal - oracle)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and its standard error, s / sqrt(n), over the n finite values.

    The mean is NaN where no value is finite; the error is infinite where fewer than two are.
    """
    finite = values[np.isfinite(values)]
    error = finite.std(ddof=1) / np.sqrt(len(finite)) if len(finite) > 1 else np.inf
    return float(finite.mean()) if len(finite) else float("nan"), float(error)
