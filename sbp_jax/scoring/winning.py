"""Ratings and winning: correlations over team-seasons with bootstrap intervals, and their paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sbp_jax.errors import InputError

INTERVAL = 0.9


@dataclass(frozen=True)
class Correlation:
    """A rating's correlation with an outcome of team-seasons, and its difference from the reference rating's.

    Attributes:
        rating: name of the rating.
        outcome: column of the outcome.
        value: Pearson's correlation (point-biserial for an outcome of 0 and 1); NaN if either does not vary.
        low, high: ends of the 90 % bootstrap interval over teams, whose seasons are resampled together.
        difference, difference_low, difference_high: the reference rating's correlation minus this one, with its
            interval over the same resamples; 0 for the reference itself.
        teams: number of team-seasons with all ratings.
    """

    rating: str
    outcome: str
    value: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    teams: int


def correlations(
    table: pl.DataFrame,
    ratings: Sequence[str],
    outcomes: Sequence[str],
    reference: str,
    bootstraps: int = 4000,
    seed: int = 0,
) -> list[Correlation]:
    """Return the correlation of every rating with every outcome, over the team-seasons that have all of them.

    Args:
        table: one row per team-season: `team`, the ratings and the outcomes.
        ratings: rating columns, including `reference`.
        outcomes: outcome columns, numbers or flags.
        reference: rating whose difference from every other rating is reported.
        bootstraps: number of resamples of the teams.
        seed: seed of the resamples.

    Raises:
        InputError: a column is missing, or fewer than three team-seasons have all ratings.
    """
    for name in ("team", *ratings, *outcomes):
        if name not in table.columns:
            raise InputError(f"team-seasons: no column {name!r}; there are {', '.join(table.columns)}")
    rows = table.with_columns(pl.col(*ratings, *outcomes).cast(pl.Float64).fill_nan(None))
    rows = rows.drop_nulls([*ratings, *outcomes])
    if len(rows) < 3:
        raise InputError(f"team-seasons: expected at least 3 with every rating and outcome, got {len(rows)}")
    _, team = np.unique(rows["team"].to_numpy(), return_inverse=True)
    generator = np.random.default_rng(seed)
    draws = generator.integers(0, team.max() + 1, (bootstraps, team.max() + 1))
    weight = np.apply_along_axis(np.bincount, 1, draws, minlength=team.max() + 1)[:, team].astype(float)
    weight = np.vstack([np.ones(len(rows)), weight])  # the first row is the sample itself
    values = {name: rows[name].to_numpy() for name in (*ratings, *outcomes)}
    result = []
    for outcome in outcomes:
        resampled = {name: _weighted(values[name], values[outcome], weight) for name in ratings}
        for name in ratings:
            lead = resampled[reference] - resampled[name]
            result.append(
                Correlation(name, outcome, *_estimate(resampled[name]), *_estimate(lead), teams=len(rows)),
            )
    return result


def primary_passers(plays: pl.DataFrame) -> pl.DataFrame:
    """Return each team-season's passer with the most plays: `season, team, passer_id, passer, plays`."""
    counts = plays.group_by("season", "team", "passer_id", "passer").agg(plays=pl.len())
    counts = counts.sort("plays", "passer_id", descending=[True, False])
    return counts.unique(["season", "team"], keep="first", maintain_order=True).sort("season", "team")


def rank_correlations(rated: Mapping[int, pl.DataFrame], ratings: Sequence[str], truth: str) -> pl.DataFrame:
    """Return Spearman's correlation of each rating with the truth in each league, by number of attempts.

    Args:
        rated: number of attempts -> table with one row per passer and league (`league`), the ratings and the truth.
        ratings: rating columns.
        truth: column of the truth.

    Returns:
        Rows of `attempts, league, rating, value`, in that order; NaN if all passers of a league have equal ratings.
    """
    parts = []
    for attempts, table in rated.items():
        by_league = table.group_by("league").agg(pl.corr(name, truth, method="spearman") for name in ratings)
        long = by_league.sort("league").unpivot(ratings, index="league", variable_name="rating")
        parts.append(long.select(pl.lit(attempts).alias("attempts"), "league", "rating", "value"))
    return pl.concat(parts)


def _weighted(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Pearson's correlation for each row of weights [rows]; NaN if either does not vary."""
    total = weight.sum(axis=1)
    ma, mb = weight @ a / total, weight @ b / total
    va, vb = weight @ (a * a) / total - ma**2, weight @ (b * b) / total - mb**2
    varies = (va > 1e-12 * ma**2) & (vb > 1e-12 * mb**2)
    covariance = weight @ (a * b) / total - ma * mb
    return np.where(varies, covariance / np.sqrt(np.where(varies, va * vb, 1.0)), np.nan)


def _estimate(values: np.ndarray) -> tuple[float, float, float]:
    finite = values[1:][np.isfinite(values[1:])]
    if not len(finite):
        return float(values[0]), float("nan"), float("nan")
    low, high = np.quantile(finite, ((1 - INTERVAL) / 2, (1 + INTERVAL) / 2)).tolist()
    return float(values[0]), low, high
