"""The ratings before ours, from plays: passer rating, ANY/A, completion percentage, completion over expectation, EPA.

Each is a function of sums over plays, so that any grouping has it: `sums` adds them up, `rate` divides. Plays are
dropbacks with the columns `result` (C complete, I incomplete, IN intercepted, S sack, R run), `gain` [yards as the
league counts them, a sack's negative], `touchdown`, and where given `epa` [points], `expected_completion`, and of a
run's `yards`, the outcome that it scores, the `success_chance`.

    passer rating     100 (a + b + c + d) / 6, each term within [0, 2.375]: a = 5 (cmp/att - 0.3),
                      b = (yds/att - 3) / 4, c = 20 td/att, d = 2.375 - 25 int/att   (the league's formula of 1973)
    ANY/A             (yds - sack yards + 20 td - 45 int) / (att + sacks)
    CPOE              100 (cmp - expected completions) / att
    success over      100 (plays with an outcome above 0 - their sum of success_chance) / plays: like CPOE, expected of
    expectation       the predictive distribution instead of a regression; of EPA the success rate over expectation
"""

from collections.abc import Sequence

import polars as pl

from sbp_jax.errors import InputError

ATTEMPTS = ("C", "I", "IN")
NEEDED = ("result", "gain", "touchdown")
RATINGS = ("passer_rating", "any_a", "completion_percentage", "cpoe", "success_over_expectation", "epa_per_play")
# of a scored play: whether its outcome was above 0, over the predictive distribution's chance of that
OVER_CHANCE = (pl.col("yards") > 0).cast(pl.Float64) - pl.col("success_chance").cast(pl.Float64)


def sums(plays: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Counts and sums of each group of plays: the columns `by`, then what `rate` divides.

    `rated` is the sum of `score`, the plays' normal scores, where there are any.

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
        known = attempt & expected.is_not_null()
        parts["over_expectation"] = (complete.cast(pl.Float64) - expected).filter(known).sum()
        parts["with_expectation"] = known.sum()
    if {"yards", "success_chance"} <= set(plays.columns):
        parts["over_chance"] = OVER_CHANCE.sum()
    if "score" in plays.columns:
        parts["rated"] = pl.col("score").cast(pl.Float64).sum()
    return plays.group_by(list(by), maintain_order=True).agg(**parts)


def rate(sums: pl.DataFrame) -> pl.DataFrame:
    """`sums` with the ratings of each row, null where it has no attempt: those that the sums allow.

    `passer_rating`, `any_a`, `completion_percentage`, `yards_per_attempt`, `cpoe` and `success_over_expectation`
    (percentage points), `epa_per_play` and `mean_score`.
    """
    attempts = _positive("attempts")
    share = {name: pl.col(name) / attempts for name in ("completions", "yards", "touchdowns", "interceptions")}
    terms = [
        5 * (share["completions"] - 0.3),
        (share["yards"] - 3) / 4,
        20 * share["touchdowns"],
        2.375 - 25 * share["interceptions"],
    ]
    adjusted = pl.col("yards") + pl.col("sack_yards") + 20 * pl.col("touchdowns") - 45 * pl.col("interceptions")
    dropbacks = pl.col("attempts") + pl.col("sacks")
    found = {
        "passer_rating": sum((term.clip(0, 2.375) for term in terms), pl.lit(0.0)) * (100 / 6),
        "any_a": adjusted / pl.when(dropbacks > 0).then(dropbacks),
        "completion_percentage": 100 * share["completions"],
        "yards_per_attempt": share["yards"],
    }
    if "over_expectation" in sums.columns:
        found["cpoe"] = 100 * pl.col("over_expectation") / _positive("with_expectation")
    if "epa" in sums.columns:
        found["epa_per_play"] = pl.col("epa") / _positive("with_epa")
    if "over_chance" in sums.columns:
        found["success_over_expectation"] = 100 * pl.col("over_chance") / pl.col("plays")
    if "rated" in sums.columns:
        found["mean_score"] = pl.col("rated") / pl.col("plays")
    return sums.with_columns(**found)


def rated(plays: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Return the traditional ratings of each group of plays, those that the columns allow."""
    if "gain" not in plays.columns or "result" not in plays.columns:
        return plays.select(columns).unique()
    table = rate(sums(plays.drop("score"), columns))
    return table.select(*columns, *(name for name in RATINGS if name in table.columns))


def _positive(name: str) -> pl.Expr:
    return pl.when(pl.col(name) > 0).then(pl.col(name).cast(pl.Float64))
