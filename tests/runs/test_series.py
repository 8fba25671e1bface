"""Time series from file to metrics: trained, restored, evaluated in their own unit, denied what only plays have."""

import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import sbp_jax as sbp
from sbp_jax import configs
from sbp_jax.cli import compare, train
from sbp_jax.cli.flags import parse_named
from sbp_jax.config import Config, HeadConfig, SeriesConfig, TrainingConfig
from sbp_jax.errors import InputError
from sbp_jax.evaluation import evaluate as metrics
from sbp_jax.models.network import NetworkConfig
from sbp_jax.runs.datasets import open_dataset
from sbp_jax.runs.evaluate import evaluate
from sbp_jax.runs.setup import set_up
from sbp_jax.runs.train import train_folder
from sbp_jax.training.check import check

pytestmark = pytest.mark.unoptimized

WAVE, NOISE = 50.0, 3.0


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Two series of one shape, one of them a thousand times as large."""
    root = tmp_path_factory.mktemp("series")
    random = np.random.default_rng(0)
    for name, factor in (("small", 1.0), ("large", 1e3)):
        at = np.arange(900)
        value = factor * (WAVE * np.sin(2 * np.pi * at / 20) + NOISE * random.normal(size=len(at)))
        pl.DataFrame({"time": at, "value": value}).write_csv(root / f"{name}.csv")
    return Config(
        data=SeriesConfig(path=tuple(str(root / f"{name}.csv") for name in ("small", "large")), context=24),
        network=NetworkConfig(encoder="flat", channels=8, layers=3, hidden=(16,), dropout=0.0),
        head=HeadConfig(low=-4.0, high=4.0, bins=40, support=(-1e4, 1e4)),
        training=TrainingConfig(objective="exact", epochs=12, batch_size=64),
    )


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    check(config)
    return sbp.load_run(train_folder(config, open_dataset(config.data), tmp_path_factory.mktemp("runs")))


@pytest.mark.slow
def test_it_learns_what_comes_next_whatever_the_size(run):
    plays = run.plays("test")
    for number, factor in ((0, 1.0), (1, 1e3)):
        chosen = plays.select(plays.game_id == number)
        error = np.abs(np.asarray(run.predict(chosen).median()) - chosen.outcome).mean() / factor
        marginal = np.abs(np.asarray(run.marginal(chosen).median()) - chosen.outcome).mean() / factor
        assert error < 0.4 * marginal
        # the density is in the series' unit
        shift = -np.asarray(run.predict(chosen).log_prob(chosen.outcome)).mean() - np.log(factor)
        assert np.log(NOISE) < shift < np.log(WAVE)


@pytest.mark.slow
def test_validation_loss_is_recorded_in_the_series_unit(run):
    plays = run.plays("validation")
    loss = -np.asarray(run.predict(plays).log_prob(plays.outcome)).mean()
    np.testing.assert_allclose(loss, run.metrics["validation_loss"].min(), rtol=1e-5)


@pytest.mark.slow
def test_figures_and_residuals(run):
    plays = run.plays("test")
    result = evaluate(run, plays).metrics
    table = run.residuals(plays)
    assert result.nll == pytest.approx(-table["log_prob"].mean(), rel=1e-5)
    assert result.mae == pytest.approx(table["residual"].abs().mean(), rel=1e-4)
    assert set(table["passer"]) == {"small", "large"}
    assert result.nll < metrics(run.marginal(plays), plays.outcome).nll


@pytest.mark.slow
def test_moved_files_are_found_and_changed_ones_refused(run, config, tmp_path):
    for path in config.data.path:
        shutil.copy(path, tmp_path)
    assert len(run.plays("test", tmp_path)) == len(run.plays("test"))
    pl.read_csv(tmp_path / "small.csv").head(800).write_csv(tmp_path / "small.csv")
    with pytest.raises(InputError, match="its plays are not those"):
        run.plays("test", tmp_path)


@pytest.mark.slow
def test_runs_are_compared(run, tmp_path, capsys):
    compare.command([str(run.path), "--out", str(tmp_path)])
    assert "NLL" in capsys.readouterr().out


def test_the_command_line_knows_series():
    name, options = parse_named(train.Options, ["series", "--data.path", "a.csv", "b.csv", "--data.lead", "3"], "train")
    assert (name, options.config.data) == (
        "series",
        replace(configs.get("series").data, path=("a.csv", "b.csv"), lead=3),
    )
    with pytest.raises(InputError, match="unknown argument '--data"):
        parse_named(train.Options, ["series", "--data.source", "a.csv"], "sbp train")


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        (
            "network",
            {"encoder": "attention"},
            "network.encoder: attention requires players",
        ),
        ("training", {"per_frame": True}, "training.per-frame: requires plays"),
        (
            "training",
            {"objective": "censored"},
            "training.objective: censored requires plays",
        ),
        ("data", {"test": 1.5}, "data.test: expected a share from 0 to 0.99"),
    ],
)
def test_what_only_plays_have_is_refused(config, section, change, message):
    with pytest.raises(InputError, match=message):
        check(replace(config, **{section: replace(getattr(config, section), **change)}))


def test_counts_are_asked_for_as_such(config):
    dataset = open_dataset(config.data)
    with pytest.raises(InputError, match=r"interval requires integers, and the outcome value has"):
        set_up(replace(config, training=replace(config.training, objective="interval")), dataset)
