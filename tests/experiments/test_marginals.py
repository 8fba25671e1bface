"""Marginals of both samples: the numbers, the sentences on gaps, and one-line errors."""

import numpy as np
import polars as pl
import pytest

from experiments import marginals
from experiments.marginals import Sample
from sbp_jax.data.simulator.simulate import SimulationConfig, simulate
from sbp_jax.errors import InputError

pytestmark = pytest.mark.unoptimized


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("simulated") / "few", SimulationConfig(plays=200, seed=1))


@pytest.fixture
def real(tmp_path):
    """Play-by-play of 400 attempts, half complete for 10 yards, and rows that must not count."""
    counted = {"result": ["C", "I"] * 200, "yards_gained": [10, 0] * 200, "down": [1, 1, 2, 2] * 100}
    table = pl.DataFrame(counted).with_columns(week=pl.lit(3), nullified=pl.lit(value=False))
    other = pl.DataFrame({"result": ["C", "S", "C"], "yards_gained": [99, -9, 99], "down": [1, 1, 1]})
    other = other.with_columns(week=pl.Series([3, 3, 18]), nullified=pl.Series([True, False, False]))
    path = tmp_path / "plays.parquet"
    pl.concat([table, other.select(table.columns)], how="vertical_relaxed").write_parquet(path)
    return path


def test_table_figure_and_gaps_are_written(simulated, real, tmp_path, capsys):
    out = tmp_path / "out"
    marginals.command([str(simulated), "--real", str(real), "--out", str(out)])
    text = (out / "marginals.md").read_text(encoding="utf-8")
    assert "| plays | 200 | 400 |" in text
    assert "200 plays, 1 seasons filled game by game, seed 1" in text
    assert "python -m experiments.marginals" in text
    row = next(line for line in text.splitlines() if line.startswith("| complete, % |")).split("|")
    share = 100 * (pl.read_csv(simulated / "plays.csv")["passResult"] == "C").mean()
    assert [row[2].strip(), row[3].strip()] == [f"{share:.2f}", "50.00"]
    assert "- all downs, incomplete, %: " in text
    assert "- all downs, largest gain, yd: " in text
    assert (out / "marginals.png").stat().st_size > 20_000
    assert "| complete, % |" in capsys.readouterr().out


def test_without_real_plays_there_is_one_column_per_down(simulated, tmp_path):
    marginals.command([str(simulated), "--out", str(tmp_path)])
    text = (tmp_path / "marginals.md").read_text(encoding="utf-8")
    assert "real, all" not in text
    assert "Differences" not in text


def test_measures_of_a_known_sample():
    yards = np.concatenate([np.zeros(500), np.arange(1, 501)]).astype(int)
    result = np.where(yards > 0, "C", "I")
    sample = Sample(result, yards, np.repeat([1, 2], 500), np.arange(10, 110), np.full(100, -1))
    values = marginals.measures(sample, 0)
    assert values["complete, %"] == 50
    assert values["gain of zero, %"] == 50
    assert values["99 % quantile, yd"] == 490
    assert values["largest gain, yd"] == 500
    assert values["frames from snap to throw, 50 % quantile"] == 59
    second = marginals.measures(sample, 2)
    assert second["complete, %"] == 100
    assert np.isnan(second["0.1 % quantile, yd"])
    assert np.isnan(marginals.measures(sample, 4)["complete, %"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "plays.csv: not found; expected a folder written by the simulator"),
        (["FOLDER", "--real", "nosuch.parquet"], "nosuch.parquet: no such file"),
        (["FOLDER", "--real", "broken.parquet"], "broken.parquet: not a readable table"),
        (["FOLDER", "--real", "bare.csv"], "bare.csv has no column 'yards_gained'"),
        (["FOLDER", "--real", "none.csv"], "none.csv: no attempt"),
        (["FOLDER", "--real-tracking", "x"], "real-tracking: given without --real"),
    ],
)
def test_mistake_is_one_line(simulated, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.parquet").write_text("no table")
    (tmp_path / "bare.csv").write_text("result\nC\n")
    (tmp_path / "none.csv").write_text("result,yards_gained,down,week,nullified\nS,0,1,1,false\n")
    with pytest.raises(InputError, match=message) as caught:
        marginals.command([str(simulated) if word == "FOLDER" else word for word in words])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "experiments").exists()


def test_real_plays(simulated, real_data, tmp_path):
    source = real_data / "play_by_play" / "dropbacks_2017_2019.parquet"
    tracking = real_data / "big_data_bowl"
    words = [str(simulated), "--real", str(source), "--real-tracking", str(tracking), "--out", str(tmp_path)]
    marginals.command(words)
    assert "| plays | 200 | 52,785 |" in (tmp_path / "marginals.md").read_text(encoding="utf-8")
