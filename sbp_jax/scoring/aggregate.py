"""From play scores to quarterbacks: mean, spread and standard error by group."""

from collections.abc import Sequence

import polars as pl

from sbp_jax.errors import InputError


def leaderboard(plays: pl.DataFrame, by: Sequence[str] = ("passer_id", "passer"), min_plays: int = 1) -> pl.DataFrame:
    """Mean play score of each group, best first.

    Args:
        plays: one row a play, with the columns `by`, `score` (normal score) and `pit` (mid-PIT).
        by: grouping columns.
        min_plays: groups with fewer plays are left out.

    Returns:
        The columns `by`, then plays, score (mean normal score), standard_error (of that mean, plays taken as
        independent; null for a single play), pit (mean mid-PIT).

    Raises:
        InputError: a column is missing, or no group has enough plays.
    """
    missing = [name for name in (*by, "score", "pit") if name not in plays.columns]
    if missing:
        raise InputError(f"plays: no column {missing[0]!r}; there are {', '.join(plays.columns)}")
    table = (
        plays.group_by(list(by))
        .agg(
            plays=pl.len(),
            score_mean=pl.col("score").mean(),
            standard_error=pl.col("score").std() / pl.len().cast(pl.Float64).sqrt(),
            pit_mean=pl.col("pit").mean(),
        )
        .rename({"score_mean": "score", "pit_mean": "pit"})
        .filter(pl.col("plays") >= min_plays)
        .sort(["score", *by], descending=[True, *[False] * len(by)])
    )
    if table.is_empty():
        raise InputError(f"min_plays: no group of {', '.join(by)} has {min_plays} plays")
    return table
