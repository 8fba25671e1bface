"""What the simulator's own law says of plays, beside what networks say."""

from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import ndtri

from experiments.winning.choice import AVERAGED
from sbp_jax.data.simulator.simulate import TrueLaw

TRUE = "true_"  # prefix of its columns
_SAID = ("pit", "score", "success_chance")
KNOWN = {how: f"{how} by the true law" for how in AVERAGED}


def with_truth(plays: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """The plays with what the simulator's own law says of them, and with the depth that the pass was aimed at."""
    law = TrueLaw.read(folder).select(plays["game_id"].to_numpy(), plays["play_id"].to_numpy())
    yards = plays["yards"].to_numpy()
    pit = (law.cdf(yards - 1) + law.cdf(yards)) / 2
    said = zip(_SAID, (pit, normal(pit), 1 - law.cdf(0)), strict=True)
    told = {f"{TRUE}{name}": values for name, values in said} | {"air_yards": law.parameters.depth_yards}
    return plays.with_columns(**{name: pl.Series(values) for name, values in told.items()})


def under_the_true_law(plays: pl.DataFrame) -> pl.DataFrame:
    """Scored plays with what the true law says of them in the place of what a network does."""
    return plays.with_columns(**{name: pl.col(f"{TRUE}{name}") for name in _SAID})


def normal(pit: np.ndarray) -> np.ndarray:
    """Normal scores of PITs."""
    return ndtri(np.clip(pit, 1e-12, 1 - 1e-12))
