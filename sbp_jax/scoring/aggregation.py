"""Aggregate play scores by group: shrunk toward the league, with intervals, on the scale from 50 to 99.

With m the league's average, R a group's reliability and u^2 the variance of its mean about the truth (see `league`):

    shrunk                    v = m + R (mean - m)
    90 % interval, analytic   v +- 1.645 sqrt(R) u         the posterior distribution of the truth
    90 % interval, bootstrap  v + sqrt(R) (mean* - mean)   quantiles over resamples mean* of the group's k games

docs/explanation/passing-score.md explains the intervals.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.special import ndtri, stdtrit

from sbp_jax.errors import InputError
from sbp_jax.scoring.league import LEVELS, League, Level, check_scores

INTERVAL = 0.9
BOOTSTRAPS = 1000
PASSER = ("passer_id", "passer")
# grouping columns of each level besides the passer
_KEYS: dict[str, tuple[str, ...]] = {
    "play": ("game_id", "play_id"),
    "drive": ("game_id", "drive"),
    "game": ("game_id",),
    "season": ("season",),
    "career": (),
}
_SCALED = {"passing_score": "shrunk", "passing_low": "low", "passing_high": "high"}
# columns of the result besides the groups, and intermediate columns
RESERVED = {"plays", "games", "reliability", "shrunk", "low", "high", "bootstrap_low", "bootstrap_high", "score", "pit"}
RESERVED |= {*_SCALED, "standard_error", "n", "total", "squares", "group"}
_CHUNK = 2**22  # maximum number of resampled entries in memory


def group_columns(by: Sequence[str]) -> tuple[list[str], Level]:
    """Return the grouping columns for levels, columns, or both ("season", "down"), and the level of the scale.

    The finest level counts; without a level the groups are careers.

    Raises:
        InputError: a word is duplicated, or `by` is a single string.
    """
    if isinstance(by, str):
        raise InputError(f"by: expected words in a list, got {by!r}")
    twice = sorted({word for word in by if by.count(word) > 1})
    if twice:
        raise InputError(f"by: {twice[0]!r} appears twice")
    level: Level = LEVELS[min((LEVELS.index(word) for word in by if word in LEVELS), default=-1)]
    columns = [*PASSER]
    for word in by:
        columns += _KEYS.get(word, (word,))
    return list(dict.fromkeys(columns)), level


def aggregate(
    plays: pl.DataFrame,
    by: Sequence[str],
    league: League,
    center: float | None = None,
    min_plays: int = 1,
    bootstraps: int = BOOTSTRAPS,
    seed: int = 0,
) -> pl.DataFrame:
    """Return the passing score of each group of plays, best first.

    Args:
        plays: one row per play: `passer_id, passer, game_id, score, pit`, and the columns in `by`.
        by: levels ("play", "drive", "game", "season", "career") and columns, as in `group_columns`.
        league: the league toward which groups are shrunk, with the scale.
        center: the league's average on these plays if it differs, as on a split; by default `league.mean`.
        min_plays: groups with fewer plays are excluded.
        bootstraps: number of resamples of the games; 0 omits the bootstrap columns.
        seed: seed of the resamples.

    Returns:
        The grouping columns, then `plays`, `games`, `passing_score` with `passing_low` and `passing_high` (analytic),
        `reliability`, `shrunk` (v) with `low` and `high` (analytic) and `bootstrap_low` and `bootstrap_high`, `score`
        (the mean normal score), `standard_error` (u), and `pit` (the mean mid-PIT).

    Raises:
        InputError: a column is missing, or no group has enough plays.
    """
    columns, level = group_columns(by)
    missing = [name for name in (*columns, "game_id", "score", "pit") if name not in plays.columns]
    if missing:
        raise InputError(f"by: no column {missing[0]!r}; there are {', '.join(plays.columns)}")
    clashes = [name for name in columns if name in RESERVED]
    if clashes:
        raise InputError(f"by: {clashes[0]!r} is a column of the leaderboard; rename the column")
    check_scores(plays)
    table = plays.select(*dict.fromkeys([*columns, "game_id"]), "score", "pit")
    games = table.group_by([*dict.fromkeys([*columns, "game_id"])], maintain_order=True).agg(
        n=pl.len().cast(pl.Int64), total=pl.col("score").cast(pl.Float64).sum()
    )
    cluster_sums = {"squares": (pl.col("n") ** 2).sum(), "games": pl.len()}
    groups = games.group_by(columns, maintain_order=True).agg(
        plays=pl.col("n").sum(), total=pl.col("total").sum(), **cluster_sums
    )
    pit = table.group_by(columns).agg(pit=pl.col("pit").cast(pl.Float64).mean())
    groups = groups.join(pit, on=columns, nulls_equal=True, maintain_order="left")
    groups = groups.filter(pl.col("plays") >= min_plays)
    if groups.is_empty():
        raise InputError(f"min_plays: no group of {', '.join(columns)} has {min_plays} plays")
    n, squares = groups["plays"].to_numpy().astype(float), groups["squares"].to_numpy()
    middle = league.mean if center is None else center
    mean = groups["total"].to_numpy() / n
    reliability, error = league.reliability(level, n, squares), np.sqrt(league.sampling(level, n, squares))
    shrunk = middle + reliability * (mean - middle)
    half = float(ndtri((1 + INTERVAL) / 2)) * np.sqrt(reliability) * error
    values = {"shrunk": shrunk, "low": shrunk - half, "high": shrunk + half}
    if bootstraps:
        away = _resampled(groups.select(columns), games, table, columns, bootstraps, seed)
        low, high = shrunk + np.sqrt(reliability) * away
        values |= {"bootstrap_low": low, "bootstrap_high": high}
    scale = {name: league.passing_score(values[key], level, middle) for name, key in _SCALED.items()}
    groups = groups.with_columns(
        **{name: pl.Series(value) for name, value in scale.items()},
        reliability=pl.Series(reliability),
        **{name: pl.Series(value) for name, value in values.items()},
        score=pl.Series(mean),
        standard_error=pl.Series(error),
    )
    results = ["plays", "games", *scale, "reliability", *values, "score", "standard_error", "pit"]
    # complete order: ties are broken by the groups' names
    order = ["shrunk", "score", *columns]
    return groups.select(*columns, *results).sort(order, descending=[True, True, *[False] * len(columns)])


def _resampled(
    groups: pl.DataFrame, games: pl.DataFrame, table: pl.DataFrame, columns: list[str], count: int, seed: int
) -> np.ndarray:
    """Quantiles of the resampled means minus the mean of each group, [2, groups]."""
    number = groups.with_row_index("group")
    clusters = games.join(number, on=columns, nulls_equal=True, maintain_order="left").drop_nulls("group")
    several = clusters.group_by("group").len().filter(pl.col("len") > 1)["group"]
    complete = clusters.filter(pl.col("group").is_in(several.implode()))
    singly = table.join(number, on=columns, nulls_equal=True, maintain_order="left").drop_nulls("group")
    singly = singly.filter(~pl.col("group").is_in(several.implode()))
    parts = pl.concat(
        [
            complete.select("group", "n", "total"),
            singly.select("group", n=pl.lit(1, pl.UInt32), total=pl.col("score").cast(pl.Float64)),
        ],
        how="vertical_relaxed",
    ).sort("group", maintain_order=True)
    group, n, total = (parts[name].to_numpy() for name in ("group", "n", "total"))
    starts, sizes = np.unique(group, return_index=True)[1], np.bincount(group, minlength=len(groups))
    levels = (1 - INTERVAL) / 2, (1 + INTERVAL) / 2
    low_high = np.empty((2, len(groups)))
    generator = np.random.default_rng(seed)
    # groups with equal numbers of clusters are resampled together
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        rows = starts[members][:, None] + np.arange(size)
        step = max(1, _CHUNK // (int(size) * count))
        for begin in range(0, len(members), step):
            part = rows[begin : begin + step]
            draws = generator.integers(0, size, (len(part), count, size))
            index = np.take_along_axis(np.broadcast_to(part[:, None, :], draws.shape), draws, axis=2)
            means = total[index].sum(axis=2) / n[index].sum(axis=2)
            away = means - (total[part].sum(axis=1) / n[part].sum(axis=1))[:, None]
            wide = _widening(int(size))
            low_high[:, members[begin : begin + step]] = np.quantile(wide * away, levels, axis=1)
    return low_high


def _widening(size: int) -> float:
    if size < 2:
        return 1.0
    level = (1 + INTERVAL) / 2
    return float(np.sqrt(size / (size - 1)) * stdtrit(size - 1, level) / ndtri(level))
