"""Figures are written and show their data; tables contain the numbers."""

import numpy as np
import polars as pl
import pytest
from matplotlib.image import imread

from sbp_jax.reporting import figures
from sbp_jax.reporting.tables import markdown, metrics_table


def ink(path):
    """Fraction of the picture that is not white."""
    return float((imread(path)[..., :3].min(axis=-1) < 0.95).mean())


@pytest.mark.slow
def test_every_figure_is_drawn(tmp_path):
    rows = [{"epoch": e, "training_loss": 3 - e / 10, "validation_loss": 3 - e / 20} for e in range(1, 6)]
    figures.training_curves(tmp_path / "a.png", {"sbp": rows, "gaussian": rows})
    yards = np.arange(-20, 60)
    probability = np.exp(-0.5 * (yards / 8.0) ** 2)
    panel = figures.DensityPanel("one", yards, {"sbp": probability / probability.sum()}, 7.0, (-3.0, 21.0))
    figures.predictive_densities(tmp_path / "b.png", [panel] * 5)
    levels = np.linspace(0.001, 0.999, 99)
    figures.pp_plot(tmp_path / "c.png", levels, {"sbp": levels**1.1, "oracle": levels}, 0.05, 0.95)
    board = pl.DataFrame(
        {
            "passer_id": [1, 2],
            "passer": ["A", "B"],
            "plays": [30, 1],
            "passing_score": [80.0, 60.0],
            "passing_low": [75.0, 52.0],
            "passing_high": [84.0, 90.0],
        }
    )
    figures.leaderboard(tmp_path / "d.png", board, figures.Truth({1: 1.0, 2: -0.5}, 1.0))
    figures.leaderboard(tmp_path / "e.png", board)
    for name in "abcde":
        assert 0.005 < ink(tmp_path / f"{name}.png") < 0.6, name


def test_training_without_validation_is_drawn(tmp_path):
    rows = [{"epoch": 1, "training_loss": 2.0, "validation_loss": float("nan")}]
    figures.training_curves(tmp_path / "a.png", {"sbp": rows})
    assert ink(tmp_path / "a.png") > 0.005


def test_tables():
    assert markdown(["a", "b"], [["x", 1]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    pp = {"lower": 0.1, "base": 0.2, "upper": 0.3, "full": 0.25}
    table = metrics_table({"sbp": {"nll": 2.5, "crps": 4.25, "mae": 6.0, "pp": pp}})
    assert "| SBP network | 2.5000 | 4.2500 | 6.000 | 0.1000 | 0.2000 | 0.3000 | 0.2500 |" in table
