"""A network with extras on an outcome that is not an integer: refused, trained, restored, scored."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import sbp_jax as sbp
from sbp_jax.config import Config, DataConfig, HeadConfig, TrainingConfig
from sbp_jax.data.extras import feature_names
from sbp_jax.data.plays import FEATURES
from sbp_jax.data.prepared.dataset import load
from sbp_jax.errors import InputError
from sbp_jax.models.network import NetworkConfig
from sbp_jax.runs.datasets import open_dataset
from sbp_jax.runs.evaluate import evaluate
from sbp_jax.runs.report import grid_points
from sbp_jax.runs.setup import set_up
from sbp_jax.runs.train import train_folder
from sbp_jax.training.outcome import Outcome
from tests.data import fabricate

pytestmark = pytest.mark.unoptimized

EXTRAS = ("rusher_distance_yards", "time_since_snap_s")


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Config:
    """A small network on fabricated plays whose values are multiples of a quarter point."""
    root = tmp_path_factory.mktemp("outcomes")
    source = fabricate.folder(root / "files", plays=4, games=8)
    plays = pl.read_csv(source / "plays.csv", infer_schema_length=None)
    plays.with_columns(epa=pl.int_range(pl.len()) / 4 - 3).write_csv(source / "plays.csv")
    return Config(
        data=DataConfig(source=(str(source),), cache=str(root / "data"), outcome="epa", extras=EXTRAS),
        network=NetworkConfig(channels=4, layers=1, hidden=(8,)),
        head=HeadConfig(kind="gaussian", low=-6.0, high=6.0, bins=13),
        training=TrainingConfig(objective="exact", epochs=1, batch_size=8, buckets=(16,)),
    )


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    dataset = open_dataset(config.data)
    return sbp.load_run(train_folder(config, dataset, tmp_path_factory.mktemp("runs")))


def test_the_data_are_those_asked_for(config):
    dataset = open_dataset(config.data)
    plays = dataset.split("train")
    assert plays.features == feature_names(EXTRAS)
    assert not plays.is_integer
    assert open_dataset(replace(config.data, extras=EXTRAS[::-1])).path == dataset.path
    others = [replace(config.data, extras=()), replace(config.data, outcome="yards")]
    assert len({dataset.path, *(open_dataset(data).path for data in others)}) == 3


def with_outcome(config, folder, values):
    """The configuration on fabricated plays with other values of the outcome."""
    source = fabricate.folder(folder / "files", plays=4, games=8)
    plays = pl.read_csv(source / "plays.csv", infer_schema_length=None)
    plays.with_columns(epa=pl.Series(values(np.arange(len(plays))))).write_csv(source / "plays.csv")
    return replace(config, data=replace(config.data, source=(str(source),), cache=str(folder / "data")))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        # decimals of which float32 makes integers
        (lambda i: 5e7 + i + 0.25, r"play \d+ of game \d+: the outcome 500000\d\d.25 has more digits than can be pred"),
        (lambda i: 2**24 + 1 + 2 * i, r"the outcome 167772\d\d has more digits than can be predicted \(7\); subtract"),
        # float32 holds these integers, but not the ends of their cells
        (lambda i: 2_000_000_000 + 128 * i, "epa has integers up to 2000003\\d\\d\\d; .* integers below 8388608"),
        (
            lambda i: 1e5 + i % 2 * 2**-7,
            "epa has values around 100000.* that differ by .* more digits than a network",
        ),
    ],
)
def test_outcomes_of_too_many_digits_are_refused(config, tmp_path, values, message):
    asked = with_outcome(config, tmp_path, values)
    with pytest.raises(InputError, match=message) as caught:
        set_up(asked, open_dataset(asked.data))
    assert "\n" not in str(caught.value)


def test_counts_of_a_thousand_are_integers(config, tmp_path):
    asked = with_outcome(config, tmp_path, lambda i: 2_000_000 + 7 * i % 1000)
    assert set_up(asked, open_dataset(asked.data)).outcome.integer


@pytest.mark.parametrize(
    ("low", "high", "integer", "first", "last", "step"),
    [
        (-10.5, 60.5, True, -11, 61, 1),
        (0.0, 500.0, True, 0, 498, 6),
        (2_000_000.0, 2_000_900.0, True, 2_000_000, 2_000_891, 11),
        (0.0, 1.0, True, 0, 1, 1),
        (-4.0, 4.0, False, -4.0, 4.0, 0.1),
    ],
)
def test_a_page_shows_outcomes_over_the_bins(low, high, integer, first, last, step):
    grid = grid_points(low, high, Outcome("points", integer, in_yards=False))
    assert (grid[0], grid[-1]) == (first, last)
    np.testing.assert_allclose(np.diff(grid), step)


def test_the_run_is_restored_and_evaluated_by_its_density(run, config):
    assert run.config == config
    assert not run.integer
    plays = load(run.dataset, "validation")
    dist = run.predict(plays)
    np.testing.assert_allclose(run.metrics["validation_loss"][0], -np.mean(dist.log_prob(plays.outcome)), rtol=1e-5)
    table = run.score(plays)
    np.testing.assert_allclose(table["pit"], dist.cdf(plays.outcome), atol=1e-6)


def test_plays_with_other_features_are_refused(run):
    plays = load(run.dataset, "test")
    plain = replace(plays, frames=plays.frames[..., :8], features=FEATURES)
    with pytest.raises(
        InputError, match=r"^plays: the network takes rusher_distance_yards, .*, the plays have no extras$"
    ):
        run.predict(plain)


def test_a_run_on_integers_scores_no_others(run):
    plays = load(run.dataset, "test")
    yards_run = replace(run, integer=True)
    with pytest.raises(InputError, match=r"^plays: the run was trained on integers"):
        yards_run.score(plays)
    assert yards_run.score(replace(plays, outcome=np.round(plays.outcome)))["pit"].is_between(0, 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["auto", "interval"])
def test_gains_end_at_the_goal_line_whatever_the_objective(config, tmp_path, objective):
    settings = TrainingConfig(objective=objective, epochs=1, batch_size=8, buckets=(16,))
    yards = replace(config, data=replace(config.data, outcome="net_yards"), training=settings)
    run = sbp.load_run(train_folder(yards, open_dataset(yards.data), tmp_path))
    assert run.config.training.objective == ("censored" if objective == "auto" else "interval")
    plays = run.plays("train")
    touchdown = np.arange(len(plays)) % 3 == 1
    plays = replace(plays, outcome=np.where(touchdown, plays.info["yards_to_goal"], plays.outcome))
    latent = run.predict_latent(plays)
    np.testing.assert_array_equal(plays.outcome >= plays.info["yards_to_goal"], touchdown)
    within = np.asarray(latent.interval_log_prob(plays.outcome - 0.5, plays.outcome + 0.5))
    beyond = np.asarray(latent.log_survival_function(plays.outcome - 0.5))
    table = run.residuals(plays)
    np.testing.assert_allclose(table["log_prob"], np.where(touchdown, beyond, within), rtol=1e-5)
    at = np.where(touchdown, 1.0, np.asarray(latent.cdf(plays.outcome + 0.5)))
    np.testing.assert_allclose(table["pit"], (np.asarray(latent.cdf(plays.outcome - 0.5)) + at) / 2, atol=1e-6)
    assert np.all(table["median"].to_numpy() <= plays.info["yards_to_goal"])
    assert evaluate(run, plays).metrics.nll == pytest.approx(-table["log_prob"].mean(), rel=1e-5)
    validation = run.plays("validation")
    scored = run.residuals(validation)["log_prob"].to_numpy()
    if objective == "interval":
        ends = validation.outcome - 0.5, validation.outcome + 0.5
        scored = np.asarray(run.predict_latent(validation).interval_log_prob(*ends))
    assert run.metrics["validation_loss"][0] == pytest.approx(-np.mean(scored), rel=1e-5)
    with pytest.warns(UserWarning, match="no column yards_to_goal"):
        run.score(replace(plays, info={}))


def test_interval_stops_before_training_and_so_do_other_plays(config, tmp_path):
    dataset = open_dataset(config.data)
    interval = replace(config, training=replace(config.training, objective="interval"))
    with pytest.raises(InputError, match=r"^training\.objective: interval requires integers, .* epa .* choose exact$"):
        train_folder(interval, dataset, tmp_path)
    other = replace(config, data=replace(config.data, extras=()))
    with pytest.raises(InputError, match=r"^plays: the network takes no extras"):
        train_folder(other, dataset, tmp_path)
    assert list(tmp_path.iterdir()) == []
