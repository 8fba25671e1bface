"""What is scored and how it is averaged, and what the simulator's own distribution says of the same plays."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import ndtri

from sbp_jax.data.simulator.simulate import TrueDistribution
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


TRUE = "true_"  # prefix of its columns
_SAID = ("pit", "score", "success_chance")
KNOWN = {how: f"{how} by the true distribution" for how in AVERAGED}


def with_truth(plays: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """The plays with what the simulator's own distribution says of them, and with the depth that the pass was aimed
    at."""
    dist = TrueDistribution.read(folder).select(plays["game_id"].to_numpy(), plays["play_id"].to_numpy())
    yards = plays["yards"].to_numpy()
    pit = (dist.cdf(yards - 1) + dist.cdf(yards)) / 2
    said = zip(_SAID, (pit, normal(pit), 1 - dist.cdf(0)), strict=True)
    told = {f"{TRUE}{name}": values for name, values in said} | {"air_yards": dist.parameters.depth_yards}
    return plays.with_columns(**{name: pl.Series(values) for name, values in told.items()})


def under_the_truth(plays: pl.DataFrame) -> pl.DataFrame:
    """Scored plays with what the true distribution says of them in the place of what a network does."""
    return plays.with_columns(**{name: pl.col(f"{TRUE}{name}") for name in _SAID})


def normal(pit: np.ndarray) -> np.ndarray:
    """Normal scores of PITs."""
    return ndtri(np.clip(pit, 1e-12, 1 - 1e-12))
