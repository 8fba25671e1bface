"""Reliability of ratings: split halves of a passer's games, and consecutive seasons.

Two halves of a passer's season are rated separately; r is their correlation over passers. A full season, twice as long,
has reliability 2 r / (1 + r) (Spearman and Brown). Consecutive seasons also include changes between seasons.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sbp_jax.errors import InputError
from sbp_jax.scoring.ratings import rate, sums


@dataclass(frozen=True)
class Reliability:
    """A rating's correlation with itself on other plays.

    Attributes:
        rating: name of the rating.
        value: the correlation; NaN if fewer than three passers have both values.
        low, high: ends of a 90 % bootstrap interval over passers.
        pairs: number of passer-seasons, or of pairs of seasons.
    """

    rating: str
    value: float
    low: float
    high: float
    pairs: int


def split_half(
    plays: pl.DataFrame,
    ratings: Sequence[str],
    min_plays: int = 200,
    splits: int = 50,
    bootstraps: int = 500,
    seed: int = 0,
) -> list[Reliability]:
    """Return the Spearman-Brown reliability of a season from random halves of the passers' games.

    Args:
        plays: plays as in `ratings.sums`, with `passer_id, season, game_id`.
        ratings: columns of `ratings.rate`.
        min_plays: minimum number of plays in a passer's season.
        splits: number of random splits into halves, whose correlations are averaged.
        bootstraps: number of resamples of the passers.
        seed: seed of splits and resamples.

    Raises:
        InputError: a column is missing, or no passer has a season with that many plays in two games.
    """
    keys = ["passer_id", "season"]
    games = sums(plays, [*keys, "game_id"])
    passer_seasons = games.group_by(keys).agg(all=pl.col("plays").sum(), games=pl.len())
    passer_seasons = (
        passer_seasons.filter((pl.col("all") >= min_plays) & (pl.col("games") > 1)).sort(keys).with_row_index("number")
    )
    if passer_seasons.is_empty():
        raise InputError(f"min_plays: no passer has a season of {min_plays} plays in two games")
    games = games.join(passer_seasons.select(*keys, "number"), on=keys, maintain_order="left").sort("number", "game_id")
    number = games["number"].to_numpy()
    generator = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    for _ in range(splits):
        # each passer's games in random order, assigned to the halves alternately
        permutation = np.lexsort((generator.random(len(number)), number))
        starts = np.flatnonzero(np.diff(number, prepend=-1))
        half = np.empty(len(number), int)
        half[permutation] = (np.arange(len(number)) - starts[number]) % 2
        summed = games.with_columns(half=pl.Series(half)).drop(*keys, "game_id").group_by("number", "half").sum()
        halves = rate(summed).sort("half", "number")
        parts.append(halves.select(ratings).to_numpy().reshape(2, len(passer_seasons), len(ratings)))
    values = np.stack(parts)  # [splits, halves, passers, ratings]
    resamples = generator.integers(0, len(passer_seasons), (bootstraps, len(passer_seasons)))
    result = []
    for at, name in enumerate(ratings):
        a, b = values[:, 0, :, at], values[:, 1, :, at]
        estimate = _stepped_up(_correlations(a, b))
        again = [_stepped_up(_correlations(a[:, sample], b[:, sample])) for sample in resamples]
        result.append(_reliability(name, estimate, again, len(passer_seasons)))
    return result


def year_to_year(
    plays: pl.DataFrame, ratings: Sequence[str], min_plays: int = 200, bootstraps: int = 500, seed: int = 0
) -> list[Reliability]:
    """Return the correlation of a passer's season with his next one; arguments as in `split_half`.

    Raises:
        InputError: a column is missing.
    """
    seasons = rate(sums(plays, ["passer_id", "season"])).filter(pl.col("plays") >= min_plays)
    following = seasons.with_columns(season=pl.col("season") - 1)
    pairs = seasons.join(following, on=["passer_id", "season"], suffix="_next").sort("passer_id", "season")
    # seasons of one passer are resampled together
    _, passer = np.unique(pairs["passer_id"].to_numpy(), return_inverse=True)
    members = [np.flatnonzero(passer == each) for each in range(passer.max() + 1)] if len(pairs) else []
    generator, result = np.random.default_rng(seed), []
    resamples = [
        np.concatenate([members[each] for each in generator.integers(0, len(members), len(members))])
        for _ in range(bootstraps if members else 0)
    ]
    for name in ratings:
        a, b = (pairs[column].cast(pl.Float64).to_numpy() for column in (name, f"{name}_next"))
        again = [float(_correlations(a[None, sample], b[None, sample])[0]) for sample in resamples]
        result.append(_reliability(name, float(_correlations(a[None], b[None])[0]), again, len(pairs)))
    return result


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's correlation along the last axis over complete pairs; NaN for fewer than three."""
    complete = np.isfinite(a) & np.isfinite(b)
    count = complete.sum(axis=-1)
    some = np.maximum(count, 1)
    a, b = np.where(complete, a, 0.0), np.where(complete, b, 0.0)
    da, db = (np.where(complete, v - (v.sum(axis=-1) / some)[..., None], 0.0) for v in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (da * db).sum(axis=-1) / np.sqrt((da**2).sum(axis=-1) * (db**2).sum(axis=-1))
    return np.where(count >= 3, r, np.nan)


def _stepped_up(correlations: np.ndarray) -> float:
    finite = correlations[np.isfinite(correlations)]
    if not len(finite):
        return float("nan")
    mean = float(finite.mean())
    return 2 * mean / (1 + mean)


def _reliability(name: str, value: float, again: Sequence[float], pairs: int) -> Reliability:
    finite = np.array([each for each in again if np.isfinite(each)])
    low, high = np.quantile(finite, (0.05, 0.95)).tolist() if len(finite) else (float("nan"), float("nan"))
    return Reliability(name, value, low, high, pairs)
