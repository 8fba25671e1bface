"""Helpers of the simulator's tests that read its files."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from sbp_jax.data.simulator.simulate import TrueDistribution

PLAY = ["gameId", "playId"]


def event_frame(tracking: pl.DataFrame, event: str) -> pl.DataFrame:
    """Frame of an event by play."""
    return tracking.filter(pl.col("event") == event).group_by(PLAY).agg(pl.col("frameId").min().alias(event))


def checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


Story = Callable[[dict, int, np.random.Generator, float | None], tuple[np.ndarray, np.ndarray]]


def check_story(folder: Path, picked: pl.DataFrame, story: Story, skill: float | None, count: int, seed: int) -> None:
    """Check that yards and net yards that `story` draws follow the distributions of the plays `picked`."""
    generator, p_values = np.random.default_rng(seed), []
    dist = TrueDistribution.read(folder).select(picked["gameId"].to_numpy(), picked["playId"].to_numpy())
    for number, row in enumerate(picked.iter_rows(named=True)):
        drawn = story(row, count, generator, skill)
        for outcome, values in zip(("yards", "net_yards"), drawn, strict=True):
            given = dist.given(skill, outcome)
            expected = count * given.pmf(given.support())[number]
            observed = np.array([(values == value).sum() for value in given.support()])
            assert observed.sum() == count
            # pool rare values, so that the chi-square approximation is valid
            rare = expected < 10
            pooled = [np.append(part[~rare], part[rare].sum()) for part in (observed, expected)]
            positive = pooled[1] > 0
            p_values.append(stats.chisquare(pooled[0][positive], pooled[1][positive], sum_check=False).pvalue)
    assert min(p_values) > 1e-4 / 2
    assert stats.kstest(p_values, "uniform").pvalue > 1e-4
