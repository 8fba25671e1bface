"""The command on a column: it writes tables, figures and a summary, and every user error is one line."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from scipy import stats

from sbp_jax.cli import thresholds
from sbp_jax.data.readers.tables import read_column
from sbp_jax.errors import InputError
from sbp_jax.evaluation import fit_tail, return_levels

pytestmark = pytest.mark.unoptimized

TABLES = ("fit", "mean_excess", "stability", "return_levels", "pp", "qq")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y = stats.genpareto.rvs(0.2, scale=3, size=1000, random_state=0)
    table = pl.DataFrame({"yards": y, "whole": np.round(10 * y).astype(int), "name": ["x"] * 1000})
    table.write_csv(tmp_path / "plays.csv")
    table.write_csv(tmp_path / "plays.tsv", separator="\t")
    table.write_parquet(tmp_path / "plays.parquet")
    table.select("yards", "name").write_csv(tmp_path / "one.csv")
    return tmp_path


@pytest.mark.slow
def test_both_tails_of_a_column(folder, capsys):
    thresholds.command(["plays.csv", "--column", "yards", "--tail", "both", "--tail-mass", "0.1"])
    printed = capsys.readouterr().out
    out = folder / "runs" / "thresholds" / "plays-yards"
    summary = (out / "summary.md").read_text(encoding="utf-8")
    assert printed.startswith(summary.rstrip("\n"))
    assert "1000 observations, none missing." in summary
    assert "Ties" not in summary
    for name in TABLES:
        assert set(pl.read_csv(out / f"{name}.csv")["tail"].unique()) == {"lower", "upper"}
    for side in ("lower", "upper"):
        assert (out / f"{side}.png").stat().st_size > 20_000
    y = pl.read_csv("plays.csv")["yards"].to_numpy()
    tail = fit_tail(y, 0.1)
    fit = pl.read_csv(out / "fit.csv").row(1, named=True)
    assert (fit["count"], fit["size"]) == (100, 1000)
    assert fit["shape"] == pytest.approx(tail.fit.shape, rel=1e-12)
    assert fit["shape_low"] < fit["shape"] < fit["shape_high"]
    assert f"| upper | {tail.threshold:.4g} | 100 | 1000 | 0.1 | {tail.fit.shape:.4g} |" in summary
    levels = pl.read_csv(out / "return_levels.csv").filter(tail="upper")
    assert levels["period"].to_list() == [20, 50, 100, 200, 500, 1000, 2000, 5000, 10000]
    expected = return_levels(tail, levels["period"].to_numpy())
    np.testing.assert_allclose(levels["level"], expected.levels, rtol=1e-12)
    np.testing.assert_allclose(levels["profile_high"], expected.profile.high, rtol=1e-9)


@pytest.mark.sample(1)
@pytest.mark.parametrize(("column", "shift"), [("cents", 5_400_000), ("counts", 2_000_000_000)])
def test_thresholds_far_from_zero_are_written_out(folder, column, shift, capsys):
    random = np.random.default_rng(1)
    values = np.round(random.standard_t(4, 1000), 2) if column == "cents" else random.poisson(300, 1000)
    pl.DataFrame({column: values + shift}).write_csv("far.csv")
    thresholds.command(["far.csv", "--out", "far"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| upper")]
    written = [float(row[1].replace(",", "")) - shift for row in rows[1:20]]
    assert len(set(written)) == len(written)
    tail = fit_tail(values, 0.05)
    assert float(rows[0][1].replace(",", "")) - shift == pytest.approx(tail.threshold, abs=0.006)
    assert float(pl.read_csv("far/fit.csv")["shape"][0]) == pytest.approx(tail.fit.shape, rel=1e-5)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_every_format_holds_the_same_column(folder, suffix):
    column = read_column(folder / f"plays.{suffix}", "whole")
    np.testing.assert_array_equal(column.values, pl.read_csv(folder / "plays.csv")["whole"].to_numpy())
    assert column.is_whole
    assert column.missing == 0


@pytest.mark.slow
def test_the_only_numeric_column_needs_no_name(folder):
    thresholds.command(["one.csv", "--out", "here"])
    assert (folder / "here" / "upper.png").is_file()
    assert not (folder / "here" / "lower.png").exists()
    assert not (folder / "runs").exists()


@pytest.mark.slow
def test_missing_values_are_counted_and_ties_are_reported(folder, capsys):
    rows = ["yards", *map(str, np.random.default_rng(0).poisson(6.0, 500)), "", "NaN", "NA"]
    (folder / "gaps.csv").write_text("\n".join(rows) + "\n")
    thresholds.command(["gaps.csv", "--tail-mass", "0.1"])
    printed = capsys.readouterr().out
    assert "500 observations; 3 rows without a number left out." in printed
    assert "distinct integers" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch.csv"], "nosuch.csv: no such file"),
        (["plays.csv", "--column", "yrads"], "plays.csv has no column 'yrads'; did you mean 'yards'"),
        (["plays.csv", "--column", "zzz"], "has no column 'zzz'; it has yards, whole, name"),
        (["plays.csv", "--column", "name"], "'name' of plays.csv holds no numbers, but values like 'x'"),
        (["plays.csv"], "say which with --column NAME; plays.csv has the numeric columns yards, whole"),
        (["words.csv"], "words.csv has no numeric column"),
        (["plays.csv", "--column", "yards", "--tail-mass", "0.005"], "leaves 5 beyond the upper threshold .* 10 are"),
        (["plays.csv", "--column", "yards", "--tail-mass", "5"], "tail_mass: expected a fraction in"),
        (["plays.csv", "--column", "yards", "--level", "95"], "level: expected a probability in"),
        (["plays.csv", "--column", "yards", "--tail", "middle"], "'middle'"),
        (["plays.csv", "--colum", "yards"], "did you mean --column"),
        (["plays.csv", "--column"], "--column"),
        (["infinite.csv"], "holds an infinite number in row 2"),
        (["notes.xlsx"], "notes.xlsx: expected a file that ends in .csv"),
        (["broken.parquet"], "broken.parquet: not a readable table"),
        (["empty.csv"], "empty.csv: the file is empty"),
        (["constant.csv"], "expected at least 10 numbers that are not all equal"),
        (["none.parquet"], "expected at least 10 numbers that are not all equal, got 0"),
    ],
)
def test_mistake_is_one_line(folder, words, message):
    (folder / "words.csv").write_text("a\nb\n")
    (folder / "infinite.csv").write_text("a\n1.5\ninf\n")
    (folder / "notes.xlsx").write_text("a")
    (folder / "broken.parquet").write_text("not a table")
    (folder / "empty.csv").write_text("")
    (folder / "constant.csv").write_text("a\n" + "3\n" * 50)
    pl.DataFrame({"a": pl.Series([None] * 20, dtype=pl.Float64)}).write_parquet(folder / "none.parquet")
    with pytest.raises(InputError, match=message) as caught:
        thresholds.command(words)
    assert "\n" not in str(caught.value)
    assert not (folder / "runs").exists()


@pytest.mark.slow
def test_exit_code_and_help():
    program = [sys.executable, "-m", "experiments.thresholds"]
    done = subprocess.run([*program, "nosuch.csv"], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: nosuch.csv: no such file\n")
    done = subprocess.run([*program, "--help"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0
    for word in ("--column", "--tail-mass", "--tail", "--level", "--out", "mean excess"):
        assert word in done.stdout
    done = subprocess.run(program, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_real_yards(real_data, tmp_path, capsys):
    source = real_data / "play_by_play" / "dropbacks_2017_2019.parquet"
    thresholds.command([str(source), "--column", "yards_gained", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "65090 observations; 119 rows without a number left out." in printed
    assert (tmp_path / "upper.png").is_file()
