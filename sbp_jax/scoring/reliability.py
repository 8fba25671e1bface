"""How much of a rating is the passer's own: split halves of his games, and one season against the next.

Two halves of a passer's season are rated apart and correlated over passers, r; a whole season, twice as long, has the
reliability 2 r / (1 + r) (Spearman and Brown). One season against the next adds what changes between them.
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
        rating: its name.
        value: the correlation; NaN where fewer than three passers have both.
        low, high: of a 90 % bootstrap interval over passers.
        pairs: passer-seasons, or pairs of seasons.
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
    """Spearman-Brown reliability of a season by random halves of the passers' games.

    Args:
        plays: as `ratings.sums` takes them, with `passer_id, season, game_id`.
        ratings: columns of `ratings.rate`.
        min_plays: of a passer's season.
        splits: into halves, whose correlations are averaged.
        bootstraps: resamples of the passers.
        seed: of both.

    Raises:
        InputError: a column is missing; no passer has a season of that many plays and two games.
    """
    keys = ["passer_id", "season"]
    games = sums(plays, [*keys, "game_id"])
    whole = games.group_by(keys).agg(all=pl.col("plays").sum(), games=pl.len())
    whole = whole.filter((pl.col("all") >= min_plays) & (pl.col("games") > 1)).sort(keys).with_row_index("number")
    if whole.is_empty():
        raise InputError(f"min_plays: no passer has a season of {min_plays} plays in two games")
    games = games.join(whole.select(*keys, "number"), on=keys, maintain_order="left").sort("number", "game_id")
    number = games["number"].to_numpy()
    generator = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    for _ in range(splits):
        # each passer's games in random order, dealt out in turn
        order = np.lexsort((generator.random(len(number)), number))
        starts = np.flatnonzero(np.diff(number, prepend=-1))
        half = np.empty(len(number), int)
        half[order] = (np.arange(len(number)) - starts[number]) % 2
        summed = games.with_columns(half=pl.Series(half)).drop(*keys, "game_id").group_by("number", "half").sum()
        found = rate(summed).sort("half", "number")
        parts.append(found.select(ratings).to_numpy().reshape(2, len(whole), len(ratings)))
    values = np.stack(parts)  # [splits, halves, passers, ratings]
    drawn = generator.integers(0, len(whole), (bootstraps, len(whole)))
    result = []
    for at, name in enumerate(ratings):
        a, b = values[:, 0, :, at], values[:, 1, :, at]
        estimate = _stepped_up(_correlations(a, b))
        again = [_stepped_up(_correlations(a[:, chosen], b[:, chosen])) for chosen in drawn]
        result.append(_reliability(name, estimate, again, len(whole)))
    return result


def year_to_year(
    plays: pl.DataFrame, ratings: Sequence[str], min_plays: int = 200, bootstraps: int = 500, seed: int = 0
) -> list[Reliability]:
    """Correlation of a passer's season with his next one; arguments as `split_half`.

    Raises:
        InputError: a column is missing.
    """
    seasons = rate(sums(plays, ["passer_id", "season"])).filter(pl.col("plays") >= min_plays)
    following = seasons.with_columns(season=pl.col("season") - 1)
    pairs = seasons.join(following, on=["passer_id", "season"], suffix="_next").sort("passer_id", "season")
    # seasons of one passer are drawn together
    _, passer = np.unique(pairs["passer_id"].to_numpy(), return_inverse=True)
    members = [np.flatnonzero(passer == each) for each in range(passer.max() + 1)] if len(pairs) else []
    generator, result = np.random.default_rng(seed), []
    drawn = [
        np.concatenate([members[each] for each in generator.integers(0, len(members), len(members))])
        for _ in range(bootstraps if members else 0)
    ]
    for name in ratings:
        a, b = (pairs[column].cast(pl.Float64).to_numpy() for column in (name, f"{name}_next"))
        again = [float(_correlations(a[None, chosen], b[None, chosen])[0]) for chosen in drawn]
        result.append(_reliability(name, float(_correlations(a[None], b[None])[0]), again, len(pairs)))
    return result


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's correlation along the last axis, over the pairs that have both; NaN of fewer than three."""
    known = np.isfinite(a) & np.isfinite(b)
    count = known.sum(axis=-1)
    some = np.maximum(count, 1)
    a, b = np.where(known, a, 0.0), np.where(known, b, 0.0)
    da, db = (np.where(known, v - (v.sum(axis=-1) / some)[..., None], 0.0) for v in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (da * db).sum(axis=-1) / np.sqrt((da**2).sum(axis=-1) * (db**2).sum(axis=-1))
    return np.where(count >= 3, found, np.nan)


def _stepped_up(correlations: np.ndarray) -> float:
    found = correlations[np.isfinite(correlations)]
    if not len(found):
        return float("nan")
    mean = float(found.mean())
    return 2 * mean / (1 + mean)


def _reliability(name: str, value: float, again: Sequence[float], pairs: int) -> Reliability:
    known = np.array([each for each in again if np.isfinite(each)])
    low, high = np.quantile(known, (0.05, 0.95)).tolist() if len(known) else (float("nan"), float("nan"))
    return Reliability(name, value, low, high, pairs)
