"""True skill by attempts: the grades of all outcomes agree with those of the outcomes that occurred."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from experiments.winning import simulated as recovery
from experiments.winning.choice import AVERAGED, KNOWN, RATINGS, with_truth
from sbp_jax.config import Config, DataConfig, HeadConfig, TrainingConfig
from sbp_jax.data.simulator.simulate import SimulationConfig, TrueDistribution, simulate
from sbp_jax.models.network import NetworkConfig
from sbp_jax.runs.crossfit import crossfit
from sbp_jax.runs.score import open_target, parts_of, score_plays, with_expectation

pytestmark = [pytest.mark.unoptimized, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recovery") / "files"
    simulate(folder, SimulationConfig(plays=600, seed=3))
    return folder


@pytest.fixture(scope="module")
def target(folder):
    config = Config(
        data=DataConfig(source=(str(folder / "plays.csv"),), cache=str(folder.parent / "data"), tracking=False),
        network=NetworkConfig(encoder="none", hidden=(16,)),
        head=HeadConfig(bins=71),
        training=TrainingConfig(epochs=2, batch_size=32),
    )
    return open_target(crossfit(config, 2, "game", folder.parent / "runs"))


@pytest.fixture(scope="module")
def plays(target, folder):
    return with_expectation(with_truth(score_plays(target), folder))


def test_every_outcome_is_graded_as_the_one_that_occurred(target, folder, plays):
    dist, grades = recovery.every_outcome(target, TrueDistribution.read(folder))
    ids = pl.DataFrame({"game_id": dist.game_id, "play_id": dist.play_id})
    observed = ids.join(plays, on=["game_id", "play_id"], maintain_order="left")
    assert len(observed) == 600
    place = observed["outcome"].to_numpy().astype(int) - dist.support()[0]
    for name, values in grades.items():
        np.testing.assert_allclose(values[np.arange(600), place], observed[name], rtol=1e-5, atol=1e-6)
    gains = dist.pmf(dist.support()) @ (dist.support() > 0)
    np.testing.assert_allclose(observed["true_success_chance"], gains, rtol=1e-12)
    chances = np.concatenate([run.predict_latent(part).survival_function(0.5) for run, part in parts_of(target, "all")])
    np.testing.assert_allclose(observed["success_chance"], chances, rtol=1e-5, atol=1e-6)


def test_leagues_have_every_rating_and_recover_skill(target, folder, plays, monkeypatch):
    monkeypatch.setattr(recovery, "ATTEMPTS", (20, 50, 300))
    ratings = {name: column for name, column in RATINGS.items() if column != "epa_per_play"}
    drawn = {}
    true = TrueDistribution.redrawn
    monkeypatch.setattr(
        TrueDistribution, "redrawn", lambda dist, skill, seed: drawn.setdefault(seed, true(dist, 12 * skill, seed))
    )
    table = recovery.recovery(target, plays, folder, ratings, leagues=4)
    assert table.attempts == [20, 50]  # at 300 attempts there are only two passers
    assert table.about.startswith("4 leagues of 12 passers")
    assert table.ratings == [*AVERAGED, *KNOWN.values(), *ratings]
    assert len(drawn) == 4
    for name in table.ratings:
        assert table.of(name, 50).shape == (4,)
        assert table.value(name, 50) > 0.6  # skills are spread twelve times as far as in the simulator


def test_redrawn_outcomes_follow_the_distribution_at_their_skill(folder):
    dist = TrueDistribution.read(folder)
    pit = []
    for seed in range(10):
        skill = np.random.default_rng(seed).choice([-3.0, 3.0], len(dist))
        yards = dist.redrawn(skill, seed).yards
        at = np.where(skill > 0, dist.given(3).cdf(yards), dist.given(-3).cdf(yards))
        below = np.where(skill > 0, dist.given(3).cdf(yards - 1), dist.given(-3).cdf(yards - 1))
        pit.append(below + np.random.default_rng(100 + seed).random(len(dist)) * (at - below))
    assert stats.kstest(np.concatenate(pit), "uniform").pvalue > 1e-3
