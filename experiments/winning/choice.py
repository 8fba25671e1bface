"""What is scored and how it is averaged, for the tables that set ratings against winning."""

from dataclasses import dataclass

import polars as pl

from sbp_jax.scoring import League, aggregate
from sbp_jax.scoring.ratings import OVER_CHANCE

OUTCOMES = ("win_pct", "made_playoffs")
SCORE, PIT, SUCCESS = "passing score", "mean PIT", "success over expectation"
# the columns of `ratings.rate`, by what they are called
RATINGS = {
    "passer rating": "passer_rating",
    "ANY/A": "any_a",
    "completion percentage": "completion_percentage",
    "CPOE": "cpoe",
    "yards per attempt": "yards_per_attempt",
    "EPA per play": "epa_per_play",
}
# what of a play is averaged; the passing score is shrunk too, toward the league
AVERAGED = {
    SCORE: pl.col("score").cast(pl.Float64),
    PIT: pl.col("pit").cast(pl.Float64),
    SUCCESS: OVER_CHANCE,
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


def rated(plays: pl.DataFrame, choice: Choice) -> pl.DataFrame:
    """The choice's rating of each team's passers by season."""
    if choice.aggregation == SCORE:
        board = aggregate(plays, ("season", "team"), League.fit(plays), bootstraps=0)
        return board.select("season", "team", "passer_id", pl.col("passing_score").alias(choice.name))
    mean = AVERAGED[choice.aggregation].mean().alias(choice.name)
    return plays.group_by("season", "team", "passer_id").agg(mean)
