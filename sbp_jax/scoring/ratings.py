"""Traditional ratings from plays: passer rating, ANY/A, completion percentage, completion over expectation, EPA.

Each is a function of sums over plays, so it is defined for any grouping: `sums` adds them up, `rate` divides.
docs/explanation/passing-score.md has the formulas and the columns of plays.
"""

from collections.abc import Sequence

import polars as pl

from sbp_jax.errors import InputError

ATTEMPTS = ("C", "I", "IN")
NEEDED = ("result", "gain", "touchdown")
RATINGS = ("passer_rating", "any_a", "completion_percentage", "cpoe", "success_over_expectation", "epa_per_play")
# for a scored play: indicator of an outcome above 0 minus its predictive probability
OVER_CHANCE = (pl.col("outcome") > 0).cast(pl.Float64) - pl.col("success_chance").cast(pl.Float64)


def sums(plays: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Return counts and sums of each group of plays: the columns `by`, then the inputs of `rate`.

    `rated` is the sum of `score`, the plays' normal scores, if that column exists.

    Raises:
        InputError: a column is missing.
    """
    for name in (*by, *NEEDED):
        if name not in plays.columns:
            raise InputError(f"plays: no column {name!r}; there are {', '.join(plays.columns)}")
    attempt, complete = pl.col("result").is_in(ATTEMPTS), pl.col("result") == "C"
    gain = pl.col("gain").cast(pl.Float64)
    parts = {
        "plays": pl.len(),
        "attempts": attempt.sum(),
        "completions": complete.sum(),
        "yards": gain.filter(complete).sum(),
        "touchdowns": (complete & pl.col("touchdown")).sum(),
        "interceptions": (pl.col("result") == "IN").sum(),
        "sacks": (pl.col("result") == "S").sum(),
        "sack_yards": gain.filter(pl.col("result") == "S").sum(),
    }
    if "epa" in plays.columns:
        parts |= {"epa": pl.col("epa").cast(pl.Float64).sum(), "with_epa": pl.col("epa").is_not_null().sum()}
    if "expected_completion" in plays.columns:
        expected = pl.col("expected_completion")
        has_expectation = attempt & expected.is_not_null()
        parts["over_expectation"] = (complete.cast(pl.Float64) - expected).filter(has_expectation).sum()
        parts["with_expectation"] = has_expectation.sum()
    if {"outcome", "success_chance"} <= set(plays.columns):
        parts["over_chance"] = OVER_CHANCE.sum()
    if "score" in plays.columns:
        parts["rated"] = pl.col("score").cast(pl.Float64).sum()
    return plays.group_by(list(by), maintain_order=True).agg(**parts)


def rate(sums: pl.DataFrame) -> pl.DataFrame:
    """Return `sums` with the ratings that they allow, null for a row without attempts.

    The ratings are `passer_rating`, `any_a`, `completion_percentage`, `yards_per_attempt`, `cpoe` and
    `success_over_expectation` (percentage points), `epa_per_play` and `mean_score`.
    """
    attempts = _positive("attempts")
    per_attempt = {name: pl.col(name) / attempts for name in ("completions", "yards", "touchdowns", "interceptions")}
    terms = [
        5 * (per_attempt["completions"] - 0.3),
        (per_attempt["yards"] - 3) / 4,
        20 * per_attempt["touchdowns"],
        2.375 - 25 * per_attempt["interceptions"],
    ]
    adjusted = pl.col("yards") + pl.col("sack_yards") + 20 * pl.col("touchdowns") - 45 * pl.col("interceptions")
    dropbacks = pl.col("attempts") + pl.col("sacks")
    ratings = {
        "passer_rating": sum((term.clip(0, 2.375) for term in terms), pl.lit(0.0)) * (100 / 6),
        "any_a": adjusted / pl.when(dropbacks > 0).then(dropbacks),
        "completion_percentage": 100 * per_attempt["completions"],
        "yards_per_attempt": per_attempt["yards"],
    }
    if "over_expectation" in sums.columns:
        ratings["cpoe"] = 100 * pl.col("over_expectation") / _positive("with_expectation")
    if "epa" in sums.columns:
        ratings["epa_per_play"] = pl.col("epa") / _positive("with_epa")
    if "over_chance" in sums.columns:
        ratings["success_over_expectation"] = 100 * pl.col("over_chance") / pl.col("plays")
    if "rated" in sums.columns:
        ratings["mean_score"] = pl.col("rated") / pl.col("plays")
    return sums.with_columns(**ratings)


def rated(plays: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Return the traditional ratings of each group of plays that the columns allow."""
    if "gain" not in plays.columns or "result" not in plays.columns:
        return plays.select(columns).unique()
    table = rate(sums(plays.drop("score"), columns))
    return table.select(*columns, *(name for name in RATINGS if name in table.columns))


def _positive(name: str) -> pl.Expr:
    return pl.when(pl.col(name) > 0).then(pl.col(name).cast(pl.Float64))
