"""What is scored and how it is averaged, for the tables that set ratings against winning."""

from dataclasses import dataclass

import polars as pl

from sbp_jax.scoring import League, aggregate

OUTCOMES = ("win_pct", "made_playoffs")
SCORE, PIT = "passing score", "mean PIT"
# the columns of `ratings.rate`, by what they are called
RATINGS = {
    "passer rating": "passer_rating",
    "ANY/A": "any_a",
    "completion percentage": "completion_percentage",
    "CPOE": "cpoe",
    "yards per attempt": "yards_per_attempt",
    "EPA per play": "epa_per_play",
}


@dataclass(frozen=True)
class Choice:
    """What is scored and how it is averaged."""

    outcome: str
    plays: str
    aggregation: str

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.outcome} of {self.plays}, {self.aggregation}"


def averaged(choice: Choice) -> pl.Expr:
    return pl.col("pit" if choice.aggregation == PIT else "score").cast(pl.Float64).alias("score")


def rated(plays: pl.DataFrame, choice: Choice) -> pl.DataFrame:
    """The choice's rating of each team's passers by season."""
    if choice.aggregation == PIT:
        found = plays.group_by("season", "team", "passer_id").agg(pl.col("pit").mean().alias(choice.name))
    else:
        board = aggregate(plays, ("season", "team"), League.fit(plays), bootstraps=0)
        found = board.select("season", "team", "passer_id", pl.col("passing_score").alias(choice.name))
    return found
