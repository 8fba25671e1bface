"""Choices of the scored outcome and its aggregation, and scores under the simulator's true distribution."""

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
# name of a rating -> column of `ratings.rate`
RATINGS = {
    "passer rating": "passer_rating",
    "ANY/A": "any_a",
    "completion percentage": "completion_percentage",
    "CPOE": "cpoe",
    "yards per attempt": "yards_per_attempt",
    "EPA per play": "epa_per_play",
}
# quantity of a play that is averaged; the passing score is also shrunk toward the league
AVERAGED = {
    SCORE: pl.col("score").cast(pl.Float64),
    PIT: pl.col("pit").cast(pl.Float64),
    SUCCESS: OVER_CHANCE,
}


@dataclass(frozen=True)
class Choice:
    """A scored outcome, the plays that count, and their aggregation."""

    outcome: str
    plays: str
    aggregation: str

    @property
    def name(self) -> str:
        """Name of the choice in tables."""
        return f"{self.outcome} of {self.plays}, {self.aggregation}"


def rated(plays: pl.DataFrame, choice: Choice) -> pl.DataFrame:
    """Return the choice's rating of each team's passers by season."""
    if choice.aggregation == SCORE:
        board = aggregate(plays, ("season", "team"), League.fit(plays), bootstraps=0)
        return board.select("season", "team", "passer_id", pl.col("passing_score").alias(choice.name))
    mean = AVERAGED[choice.aggregation].mean().alias(choice.name)
    return plays.group_by("season", "team", "passer_id").agg(mean)


TRUE = "true_"  # prefix of the true distribution's columns
_GRADES = ("pit", "score", "success_chance")
KNOWN = {how: f"{how} by the true distribution" for how in AVERAGED}


def with_truth(plays: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """Return the plays with their grades under the simulator's true distribution and the intended depth of the pass."""
    dist = TrueDistribution.read(folder).select(plays["game_id"].to_numpy(), plays["play_id"].to_numpy())
    yards = plays["outcome"].to_numpy()
    pit = (dist.cdf(yards - 1) + dist.cdf(yards)) / 2
    grades = zip(_GRADES, (pit, normal(pit), 1 - dist.cdf(0)), strict=True)
    columns = {f"{TRUE}{name}": values for name, values in grades} | {"air_yards": dist.parameters.depth_yards}
    return plays.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def under_the_truth(plays: pl.DataFrame) -> pl.DataFrame:
    """Return scored plays with the true distribution's grades instead of the network's."""
    return plays.with_columns(**{name: pl.col(f"{TRUE}{name}") for name in _GRADES})


def normal(pit: np.ndarray) -> np.ndarray:
    """Return the normal scores of PITs."""
    return ndtri(np.clip(pit, 1e-12, 1 - 1e-12))
