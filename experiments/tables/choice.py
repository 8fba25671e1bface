"""What is scored and how it is averaged, for the tables that set ratings against winning."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import ndtri

from sbp_jax.scoring import League, aggregate

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
    SUCCESS: (pl.col("yards") > 0).cast(pl.Float64) - pl.col("success_chance").cast(pl.Float64),
}
# the same of the columns that the simulator's own law gives, which are named so
TRUE = "true_"
KNOWN = {how: f"{how} by the true law" for how in AVERAGED}


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


def under_the_true_law(plays: pl.DataFrame) -> pl.DataFrame:
    """Scored plays with what the true law says of them in the place of what a network does."""
    return plays.with_columns(**{name: pl.col(f"{TRUE}{name}") for name in ("pit", "score", "success_chance")})


def normal(pit: np.ndarray) -> np.ndarray:
    """Normal scores of PITs."""
    return ndtri(np.clip(pit, 1e-12, 1 - 1e-12))


def rated(plays: pl.DataFrame, choice: Choice) -> pl.DataFrame:
    """The choice's rating of each team's passers by season."""
    if choice.aggregation == SCORE:
        board = aggregate(plays, ("season", "team"), League.fit(plays), bootstraps=0)
        return board.select("season", "team", "passer_id", pl.col("passing_score").alias(choice.name))
    mean = AVERAGED[choice.aggregation].mean().alias(choice.name)
    return plays.group_by("season", "team", "passer_id").agg(mean)
