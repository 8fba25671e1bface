"""The result of a forecaster: distributions, with their series and times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from sbp_jax.distributions.base import Distribution
from sbp_jax.errors import InputError
from sbp_jax.estimator.histories import Origins


@dataclass(frozen=True, eq=False)
class Forecast:
    """Distributions of values some steps after the origins of forecasts; N origins, L leads.

    Times are `datetime64[us]` if the series has dates, in UTC if these have a time zone; otherwise numbers, float64.

    Attributes:
        distribution: in the unit of the series, batch shape [N, L].
        series: id of the series of each origin, object [N]; "" for one series.
        origin: time of the last observation that each forecast uses, [N].
        last: that observation, float64 [N].
        leads: steps from the origin, increasing, int64 [L].
        times: times of the outcomes, [N, L].
        outcome: the known outcomes, float64 [N, L]; NaN if unknown.
    """

    distribution: Distribution
    series: np.ndarray
    origin: np.ndarray
    last: np.ndarray
    leads: np.ndarray
    times: np.ndarray
    outcome: np.ndarray

    @classmethod
    def of(cls, distribution: Distribution, origins: Origins, leads: np.ndarray, dated: bool) -> "Forecast":
        """Return the forecast of windows; seconds since 1970 become dates if `dated`."""
        origin, times = (_dates(each) if dated else each for each in (origins.origin, origins.times))
        return cls(distribution, origins.series, origin, origins.last, leads, times, origins.outcome)

    def __len__(self) -> int:
        return len(self.series)

    def to_polars(self, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> pl.DataFrame:
        """Return a table of quantiles, one row per origin and lead.

        Args:
            levels: probabilities of the quantiles; each gives a column with its name, such as "0.95".

        Raises:
            InputError: a level is not a probability.
        """
        if not all(0 <= level <= 1 for level in levels):
            raise InputError(f"levels: expected probabilities from 0 to 1, got {list(levels)}")
        count, width = self.outcome.shape
        columns: dict[str, Any] = {
            "series": pl.Series(np.repeat(self.series, width).tolist()),
            "origin": np.repeat(self.origin, width),
            "lead": np.tile(self.leads, count),
            "time": self.times.reshape(-1),
            "outcome": pl.Series(self.outcome.reshape(-1)).fill_nan(None),
        }
        for level in levels:
            columns[f"{level:g}"] = np.asarray(self.distribution.icdf(level), np.float64).reshape(-1)
        return pl.DataFrame(columns)


def _dates(seconds: np.ndarray) -> np.ndarray:
    return np.round(seconds * 1e6).astype(np.int64).astype("datetime64[us]")
