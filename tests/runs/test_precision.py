"""Outcomes of many digits: a series far from zero is predicted as the same series at zero, or refused in one line."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import sbp_jax as sbp
from sbp_jax.cli import compare
from sbp_jax.config import Config, HeadConfig, SeriesConfig, TrainingConfig
from sbp_jax.data.series.windows import read_windows
from sbp_jax.errors import InputError
from sbp_jax.models.network import NetworkConfig
from sbp_jax.runs import gradients
from sbp_jax.runs.datasets import open_dataset
from sbp_jax.runs.evaluate import evaluate
from sbp_jax.runs.setup import set_up
from sbp_jax.runs.train import train_folder
from sbp_jax.training.check import check
from tests.slow import marked

pytestmark = pytest.mark.unoptimized

COUNT = 400


def config(path, values, **training):
    pl.DataFrame({"time": np.arange(len(values)), "value": values}).write_csv(path)
    return Config(
        data=SeriesConfig(path=(str(path),), context=12),
        network=NetworkConfig(encoder="flat", channels=4, layers=2, hidden=(8,), dropout=0.0),
        head=HeadConfig(low=-4.0, high=4.0, bins=20, support=(-1e4, 1e4)),
        training=TrainingConfig(epochs=2, batch_size=64, **training),
    )


def windows_of(path, values):
    data = config(path, values).data
    assert isinstance(data, SeriesConfig)
    return read_windows(data)


def trained(folder, values, **training):
    folder.mkdir(exist_ok=True)
    run_config = config(folder / "values.csv", values, **training)
    check(run_config)
    return sbp.load_run(train_folder(run_config, open_dataset(run_config.data), folder / "runs"))


def cents():
    return np.round(np.random.default_rng(0).normal(size=COUNT).cumsum() % 7, 0) / 100


def counts():
    return np.random.default_rng(1).poisson(40, COUNT).astype(np.int64)


# values at zero, the shift, and whether they are integers
SERIES = {"cents": (cents, 5_400_000, False), "counts": (counts, 2_000_000_000, True)}


@pytest.fixture(scope="module", params=marked(SERIES, ["counts"]))
def run(request, tmp_path_factory):
    """A run on a series far from zero, the shift, and whether its values are integers."""
    make, shift, integer = SERIES[request.param]
    values = make() + shift
    run = trained(tmp_path_factory.mktemp(request.param), values if integer else np.round(values, 2))
    return run, shift, integer


def at_zero(plays, shift):
    """The same windows without the shift; what the network sees of them is equal."""
    return replace(
        plays, outcome=plays.outcome - shift, info={**plays.info, "location": plays.info["location"] - shift}
    )


def test_outcomes_keep_their_digits(run):
    run, shift, integer = run
    plays = run.plays("test")
    values = SERIES["counts" if integer else "cents"][0]()
    np.testing.assert_allclose(plays.outcome - shift, values[plays.play_id], atol=1e-9)
    assert (plays.is_integer, run.integer, run.outcome.integer) == (integer, integer, integer)


def test_metrics_are_those_of_the_same_series_at_zero(run):
    run, shift, _ = run
    plays = run.plays("test")
    there, here = evaluate(run, plays).metrics, evaluate(run, at_zero(plays, shift)).metrics
    for name in ("nll", "crps", "mae"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), rel=2e-5)
    assert there.mae > 0


def test_training_saw_the_digits(run):
    run = run[0]
    plays = run.plays("validation")
    loss = -np.mean(np.asarray(run.predict(plays).log_prob(plays.outcome)))
    assert loss == pytest.approx(run.metrics["validation_loss"].min(), rel=1e-4)
    spread = float(np.std(plays.outcome))
    # no worse than a Gaussian of the outcomes' own spread by more than a nat
    assert loss < 0.5 * np.log(2 * np.pi * np.e) + np.log(spread) + 1


def test_predictions_are_in_the_unit_of_the_series(run):
    run, shift, _ = run
    plays = run.plays("test")
    near = at_zero(plays, shift)
    one, other = run.predict(near), run.predict(plays)
    unit = float(np.ptp(near.outcome))
    for method, q in (("median", ()), ("mean", ()), ("icdf", (0.9,)), ("isf", (0.1,))):
        located = np.asarray(getattr(other, method)(*q)) - shift
        np.testing.assert_allclose(located, getattr(one, method)(*q), atol=1e-5 * unit)
    for method in ("log_prob", "cdf", "crps"):
        value = getattr(other, method)(plays.outcome)
        np.testing.assert_allclose(value, getattr(one, method)(near.outcome), rtol=1e-4, atol=1e-5)
    assert other.batch_shape == (len(plays),)
    assert float(other[3].median()) == float(np.asarray(other.median())[3])
    latent = np.asarray(run.predict_latent(plays).median())
    np.testing.assert_allclose(latent - shift, run.predict_latent(near).median(), atol=1e-5 * unit)


def test_residuals(run):
    run, shift, _ = run
    plays = run.plays("test")
    one, other = run.residuals(at_zero(plays, shift)), run.residuals(plays)
    unit = float(np.ptp(plays.outcome))
    np.testing.assert_allclose(other["residual"], one["residual"], atol=1e-5 * unit)
    np.testing.assert_allclose(other["median"] - shift, one["median"], atol=1e-5 * unit)
    np.testing.assert_allclose(other["outcome"] - other["median"], other["residual"], atol=1e-6 * unit)
    np.testing.assert_allclose(other["success_chance"], 1.0)


def test_the_table_of_a_comparison_shows_small_errors(run, tmp_path, capsys):
    run, _, integer = run
    compare.command([str(run.path), "--out", str(tmp_path)])
    mae = evaluate(run).metrics.mae
    assert (f"| {mae:.3f} |" if integer else f"| {mae:.3g} |") in capsys.readouterr().out


def test_gradients_of_windows_are_checked_in_their_own_unit(run, monkeypatch):
    run, _, integer = run
    if integer:
        with pytest.raises(InputError, match="trained with interval on windows of a series"):
            gradients.of_a_run(run.path, 2)
        return
    checked = []
    monkeypatch.setattr(gradients, "check", lambda points, *_: checked.extend(points) or [])
    gradients.of_a_run(run.path, 30)
    plays = run.plays("test").select(np.arange(30))
    z = (plays.outcome - plays.info["location"]) / plays.info["scale"]
    np.testing.assert_allclose([point.y for point in checked], [*z, *z])


@pytest.mark.parametrize("shift", [5e7, 1e8, 1e10])
def test_decimals_far_from_zero_are_no_integers(tmp_path, shift):
    split = windows_of(tmp_path / "a.csv", shift + cents()).split("train")
    assert not split.is_integer
    assert windows_of(tmp_path / "b.csv", int(shift) + counts()).split("train").is_integer


def test_too_many_digits_for_float64(tmp_path):
    values = [f"9007199254740993.{i % 10}" for i in range(COUNT)]
    with pytest.raises(InputError, match=r"a\.csv: column 'value': .*more digits than float64 \(15\)|constant series"):
        windows_of(tmp_path / "a.csv", values)


def test_integers_of_a_wide_range_are_continuous(tmp_path):
    """Around 2e9 with deviations of 1e8, a cell of width 1 is below the resolution of float32."""
    values = 2_000_000_000 + (1e8 * np.random.default_rng(2).normal(size=COUNT)).astype(np.int64)
    wide = config(tmp_path / "a.csv", values)
    setup = set_up(wide, open_dataset(wide.data))
    assert not setup.outcome.integer
    assert setup.settled(wide).training.objective == "exact"
    asked = replace(wide, training=replace(wide.training, objective="interval"))
    with pytest.raises(InputError, match="integers that lie less than 8388608 from the median"):
        set_up(asked, open_dataset(asked.data))
