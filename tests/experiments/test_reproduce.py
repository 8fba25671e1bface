"""Published tables: metrics of known distributions, errors of the command, and a run on a few values end to end."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
import scipy.stats

from experiments import agreement, benchmark, marginals, parity, pp, reproduce, scale
from experiments.benchmarks import service_load
from experiments.shared import sinusoid as networks
from sbp_jax.data.series.sinusoid import draw, sinusoid
from sbp_jax.distributions import Normal
from sbp_jax.errors import InputError
from tests.plays import bare_plays

pytestmark = pytest.mark.unoptimized

COUNT = networks.TRAIN + networks.VALIDATION + networks.TEST


def test_metrics_of_a_known_distribution():
    random = np.random.default_rng(0)
    middle, count = np.linspace(-2.0, 2.0, 4000), 4000
    values = middle + 0.5 * random.normal(size=count)
    plays = bare_plays(values)
    metrics = networks.metrics_of(Normal(jnp.asarray(middle, jnp.float32), 0.5), plays)
    dist = scipy.stats.norm(middle, 0.5)
    low = np.floor(plays.outcome.astype(float) / networks.WIDTH) * networks.WIDTH
    assert metrics["nll"] == pytest.approx(-np.log(dist.cdf(low + networks.WIDTH) - dist.cdf(low)).mean(), rel=1e-5)
    assert metrics["crps"] == pytest.approx(0.5 / np.sqrt(np.pi), rel=0.03)
    assert metrics["mae"] == pytest.approx(np.abs(values - middle).mean(), rel=1e-5)
    assert metrics["spread"] == pytest.approx(middle.std(), rel=1e-5)
    assert metrics["pp_full"] < 0.02


def test_the_true_distribution_is_calibrated_and_sharp():
    values = draw(COUNT, 0)
    index = np.arange(COUNT - networks.TEST, COUNT)
    metrics = networks.oracle(bare_plays(values[index], play_id=index))
    assert metrics["pp_full"] < 0.03
    assert metrics["spread"] == pytest.approx(sinusoid(COUNT)[index].std(), rel=1e-3)
    wide = networks.metrics_of(Normal(jnp.full(networks.TEST, 5.0), 1.2), bare_plays(values[index], play_id=index))
    assert metrics["crps"] < 0.6 * wide["crps"]
    assert metrics["nll"] < wide["nll"] - 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected a table first; known: mae, pp, scale, twitter, detectors, capabilities, winning, all"),
        (["mea"], "unknown table 'mea'; known: mae, pp, scale, twitter, detectors, capabilities, winning, all"),
        (["pp", "--seeds", "0"], "--seeds: expected at least 1, got 0"),
        (["pp", "--sedes", "1"], "did you mean --seeds"),
    ],
)
def test_mistakes_are_one_line(words, message):
    with pytest.raises(InputError, match=message):
        reproduce.command(words)


@pytest.mark.parametrize(
    ("study", "words"),
    [
        (reproduce, ["pp"]),
        (agreement, ["tracking.csv"]),
        (marginals, ["seasons"]),
        (scale, []),
        (parity, []),
        (service_load, ["run"]),
        (benchmark, ["distribution"]),
        (benchmark, ["device"]),
    ],
)
def test_a_file_in_place_of_the_folder_is_one_line_before_any_work(study, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"^--out: file is a file, not a folder; name a folder$"):
        study.command([*words, "--out", "file"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_table_without_its_data_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    made = []
    monkeypatch.chdir(tmp_path)
    tables = {"mae": reproduce.TABLES["mae"], "pp": SimpleNamespace(TITLE="", make=lambda *_: made.append("pp") or [])}
    monkeypatch.setattr(reproduce, "TABLES", tables)
    with pytest.raises(InputError, match=r"not made: mae: nowhere.csv: not found; specify it with --play-by-play"):
        reproduce.command(["all", "--play-by-play", "nowhere.csv"])
    assert made == ["pp"]
    with pytest.raises(InputError, match=r"^nowhere.csv: not found; specify it with --play-by-play PATH"):
        reproduce.command(["mae", "--play-by-play", "nowhere.csv"])


@pytest.mark.parametrize(
    ("table", "flag"), [("mae", "play-by-play"), ("winning", "play-by-play"), ("twitter", "counts")]
)
def test_data_that_is_not_given_is_one_line_with_its_flag(table, flag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"^--{flag}: expected a path, got none"):
        reproduce.command([table])


@pytest.mark.slow
def test_the_table_is_made_and_resumed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, count in (("TRAIN", 500), ("VALIDATION", 100), ("TEST", 100)):
        monkeypatch.setattr(networks, name, count)
    reproduce.command(["pp", "--quick", "--seeds", "1", "--out", "results"])
    table = pl.read_parquet("results/pp/pp.parquet")
    assert table["arm"].to_list() == ["SBP", "Gaussian", "Marginal", "Oracle"]
    assert table.select(pp.METRICS.keys()).null_count().sum_horizontal().item() == 0
    crps = dict(table.select("arm", "crps").iter_rows())
    assert crps["Oracle"] < crps["SBP"] < crps["Marginal"]
    page = (tmp_path / "results/pp/pp.md").read_text()
    assert "| SBP, published |" in page
    assert (tmp_path / "results/pp/pp.png").is_file()
    capsys.readouterr()
    reproduce.command(["pp", "--quick", "--seeds", "1", "--out", "results"])  # nothing is trained again
    assert "train " not in capsys.readouterr().err
    assert table.equals(pl.read_parquet("results/pp/pp.parquet"))
