"""Similarity of the simulated plays to real ones, and how much of their distribution the frames reveal."""

import numpy as np
import polars as pl

from sbp_jax.data.simulator.simulate import TrueDistribution
from tests.data.simulator.files import PLAY, event_frame

YARDS = np.arange(-12, 100)


def test_marginals_are_near_the_real_ones(folder, plays):
    """Expected marginal over 3,000 plays, against the attempts of the regular seasons 2017-2019."""
    dist = TrueDistribution.read(folder)
    complete, incomplete, intercepted = dist.result_probabilities().mean(axis=0)
    assert 0.62 < complete < 0.67
    assert 0.30 < incomplete < 0.36
    assert 0.018 < intercepted < 0.032
    marginal = np.cumsum(dist.pmf(YARDS).mean(axis=0))
    at = dict(zip(YARDS.tolist(), marginal.tolist(), strict=True))
    assert 0.34 < at[0] - at[-1] < 0.40
    assert 0.010 < at[-1] < 0.030
    quantiles = [int(YARDS[np.searchsorted(marginal, level)]) for level in (0.001, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999)]
    for quantile, low, high in zip(quantiles, (-8, -3, -1, 4, 22, 37, 60), (-4, -1, 0, 6, 28, 48, 80), strict=True):
        assert low <= quantile <= high, quantiles
    assert 6.5 < dist.mean().mean() < 8.0
    assert plays["offensePlayResult"].max() <= 99


def test_knowing_the_distribution_is_worth_an_eighth_to_a_quarter_of_the_crps(folder):
    dist = TrueDistribution.read(folder)
    cdf = np.cumsum(dist.pmf(YARDS), axis=1)
    oracle = np.sum(cdf * (1 - cdf), axis=1).mean()  # the expected CRPS of a distribution under itself
    pooled = cdf.mean(axis=0)
    marginal = np.sum(pooled * (1 - pooled))
    assert 0.125 < 1 - oracle / marginal < 0.25


def test_signals_show_in_raw_coordinates(tracking, truth):
    """A linear read-out of five averages of coordinates at the release explains much of the conditional
    distribution."""
    release = event_frame(tracking, "pass_forward")
    frame = tracking.join(release, on=PLAY).filter(pl.col("frameId") == pl.col("pass_forward"))
    eligible = pl.col("position").is_in(["WR", "TE", "RB", "FB"])
    cover = pl.col("position").is_in(["CB", "SS", "OLB", "ILB", "FS"])
    front = pl.col("position").is_in(["DT", "NT", "DE"])
    passer_x = pl.col("x").filter(pl.col("position") == "QB").first()
    signals = frame.group_by(PLAY).agg(
        pl.col("x").filter(eligible).mean() - passer_x.alias("passer"),
        (pl.col("x").filter(cover).mean() - pl.col("x").filter(eligible).mean()).alias("cover"),
        (pl.col("x").filter(front).mean() - passer_x).alias("front"),
        pl.col("pass_forward").first().alias("frames"),
        (pl.col("s") * pl.col("dir").radians().sin()).filter(eligible).mean().alias("pace"),
    )
    table = signals.with_columns(pl.col(PLAY).cast(pl.Int64)).join(truth, on=PLAY)
    design = np.column_stack([table.select("x", "cover", "front", "frames", "pace").to_numpy(), np.ones(table.height)])
    complete = 1 / (1 + np.exp(-table["completion_logit"].to_numpy()))
    for target, least in ((complete, 0.5), (table["depth_yards"].to_numpy(), 0.6)):
        residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
        assert 1 - residual.var() / target.var() > least
