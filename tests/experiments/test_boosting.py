"""XGBoost as a baseline: its tuning and its predictions."""

import json

import numpy as np
import pytest

from experiments.shared import study as passes
from sbp_jax.evaluation import boosting
from tests.plays import random_plays

pytest.importorskip("xgboost")


@pytest.fixture(scope="module")
def sample():
    """A skewed outcome that depends on one of two columns; the other is missing in half of the rows."""
    random = np.random.default_rng(0)
    x = random.normal(size=(1500, 2))
    y = 3.0 * (x[:, 0] > 0) + random.exponential(2.0, 1500)
    x[::2, 1] = np.nan
    return x, y, np.repeat(np.arange(150), 10)


@pytest.mark.slow
def test_each_loss_has_its_own_target(sample, tmp_path, monkeypatch):
    monkeypatch.setattr(boosting, "DEPTHS", (2,))
    monkeypatch.setattr(boosting, "PATIENCE", 10)
    x, y, games = sample
    side = x[:, 0] > 0
    for loss, low in (("squared", 2.0), ("absolute", 2.0 * np.log(2.0))):
        file = tmp_path / f"{loss}.json"
        trees = boosting.tuned(x, y, games, loss, file)
        assert trees.rounds < boosting.MOST_ROUNDS
        predicted = boosting.grown(trees, x, y, loss, 0)(x)
        assert predicted[~side].mean() == pytest.approx(low, abs=0.25)
        assert predicted[side].mean() == pytest.approx(3.0 + low, abs=0.25)
        file.write_text(json.dumps({"depth": 1, "weight": 1.0, "rounds": 3}))
        assert boosting.tuned(x, y, games, loss, file) == boosting.Trees(1, 1.0, 3)  # a saved result is not tuned again


def test_the_test_plays_are_always_the_same(monkeypatch):
    monkeypatch.setattr(passes, "TEST_PLAYS", 4)
    plays = random_plays(9)
    once = passes.sampled(plays)
    assert len(once) == 4
    assert passes.sampled(plays).play_id.tolist() == once.play_id.tolist()
    assert len(passes.sampled(random_plays(3))) == 3
