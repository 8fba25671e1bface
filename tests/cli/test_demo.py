"""The demo: its rank correlation, and end to end at two sizes."""

import json
from pathlib import Path

import polars as pl
import pytest

from sbp_jax.cli import demo
from sbp_jax.runs.demo import rank_correlation


def test_rank_correlation_of_known_orders():
    table = pl.DataFrame({"passer_id": [7, 8, 9], "passing_score": [3.0, 2.0, 1.0]})
    assert rank_correlation(table, {7: 1.0, 8: 0.0, 9: -2.0}) == pytest.approx(1.0)
    assert rank_correlation(table, {7: -1.0, 8: 0.0, 9: 2.0}) == pytest.approx(-1.0)


@pytest.mark.slow
def test_demo_leaves_summary_and_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo.command(["--smoke"])
    summary = json.loads(Path("runs/demo/summary.json").read_text())
    assert list(summary["models"]) == ["sbp", "gaussian", "marginal", "oracle"]
    for model in summary["models"].values():
        assert set(model) == {"nll", "crps", "mae", "pp"}
        assert set(model["pp"]) == {"lower", "base", "upper", "full"}
    assert sum(summary["plays"].values()) == 900
    assert summary["models"]["oracle"]["crps"] < summary["models"]["marginal"]["crps"]
    for name in ("training", "densities", "pp", "leaderboard"):
        assert Path(f"runs/demo/figures/{name}.png").stat().st_size > 10_000


@pytest.mark.slow
def test_default_demo_beats_the_marginal_and_the_gaussian_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo.command([])
    summary = json.loads(Path("runs/demo/summary.json").read_text())
    models = summary["models"]
    for baseline in ("marginal", "gaussian"):
        assert models["sbp"]["nll"] < models[baseline]["nll"]
        assert models["sbp"]["crps"] < models[baseline]["crps"]
    gap = models["marginal"]["crps"] - models["oracle"]["crps"]
    assert models["marginal"]["crps"] - models["sbp"]["crps"] >= 0.6 * gap
    assert models["sbp"]["pp"]["full"] < 0.02
    assert summary["skill_rank_correlation"] > 0
