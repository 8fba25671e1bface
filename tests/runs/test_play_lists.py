"""A network of situations alone, on a list of plays without tracking: trained, restored, evaluated, scored."""

import numpy as np
import polars as pl
import pytest

import sbp_jax as sbp
from sbp_jax.cli import score
from sbp_jax.config import Config, DataConfig, HeadConfig, TrainingConfig
from sbp_jax.models.network import NetworkConfig
from sbp_jax.runs.datasets import open_dataset
from sbp_jax.runs.evaluate import evaluate
from sbp_jax.runs.train import train_folder

pytestmark = pytest.mark.unoptimized

GAMES, PLAYS = 24, 20


def table() -> pl.DataFrame:
    """Complete passes that gain about their distance, with one passer per game, identified only by name."""
    random = np.random.default_rng(4)
    count = GAMES * PLAYS
    distance = random.integers(2, 25, count)
    game = np.repeat(np.arange(GAMES), PLAYS)
    return pl.DataFrame(
        {
            "gameId": 2021091200 + game,
            "playId": np.tile(np.arange(PLAYS), GAMES),
            "quarter": 1 + np.tile(np.arange(PLAYS), GAMES) // 5,
            "down": random.integers(1, 4, count),
            "yardsToGo": distance,
            "possessionTeam": np.where(game % 2, "NE", "BUF"),
            "yardlineSide": np.where(game % 2, "NE", "BUF"),
            "yardlineNumber": 25,
            "gameClock": "10:00",
            "passResult": "C",
            "prePenaltyPlayResult": distance + random.integers(-1, 2, count),
            "playDescription": [f"P.Passer{i % 6} pass short left to R.Receiver for some yards." for i in game],
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("listed")
    table().write_csv(root / "plays.csv")
    config = Config(
        data=DataConfig(source=(str(root / "plays.csv"),), cache=str(root / "data"), tracking=False),
        network=NetworkConfig(encoder="none", hidden=(16,)),
        head=HeadConfig(bins=71),
        training=TrainingConfig(epochs=30, batch_size=32),
    )
    return sbp.load_run(train_folder(config, open_dataset(config.data), root / "runs"))


@pytest.mark.slow
def test_it_learns_from_the_situation_alone(run):
    plays = run.plays("test")
    assert not plays.present.any()
    distance = plays.static[:, 1]
    assert np.corrcoef(run.predict(plays).median(), distance)[0, 1] > 0.9
    assert np.isfinite(evaluate(run, plays).metrics.nll)


@pytest.mark.slow
def test_its_passers_are_scored(run, capsys):
    score.command([str(run.path), "--of", "test"])
    leaders = pl.read_parquet(run.path / "scores/leaderboard.parquet")
    names, printed = set(run.plays("test").passer), capsys.readouterr().out
    assert set(leaders["passer"]) == names <= {f"P.Passer{i}" for i in range(6)}
    assert len(names) > 1
    assert all(name in printed for name in names)
