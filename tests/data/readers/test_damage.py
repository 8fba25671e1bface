"""Files with damage or impossible values: one line that names the file, or a count."""

import polars as pl
import pytest

from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.data.simulator.simulate import SimulationConfig, simulate
from sbp_jax.errors import InputError


def simulated(tmp_path):
    folder = tmp_path / "plays"
    simulate(folder, SimulationConfig(plays=20, seed=5, tracking_format="csv"))
    return folder


def test_categorical_columns_of_parquet_read_as_text(tmp_path):
    folder = simulated(tmp_path)
    tracking = pl.read_csv(folder / "tracking_week_01.csv", infer_schema_length=None)
    (folder / "tracking_week_01.csv").unlink()
    tracking.with_columns(pl.col("team", "event").cast(pl.Categorical)).write_parquet(folder / "week1.parquet")
    assert sum(chunk.report.kept for chunk in read_tracking(folder)) == 20


def test_parquet_with_a_hole_is_named(tmp_path):
    folder = simulated(tmp_path)
    pl.read_csv(folder / "tracking_week_01.csv", infer_schema_length=None).write_parquet(folder / "week1.parquet")
    (folder / "tracking_week_01.csv").unlink()
    content = (folder / "week1.parquet").read_bytes()
    (folder / "week1.parquet").write_bytes(content[:100] + content[len(content) // 2 :])
    with pytest.raises(InputError, match=r"week1\.parquet"):
        list(read_tracking(folder))


@pytest.mark.parametrize(
    ("file", "column", "value", "message"),
    [
        ("plays.csv", "offensePlayResult", 500, "yards that no play can gain"),
        ("plays.csv", "offensePlayResult", 2.5, "yards that no play can gain"),
        ("tracking_week_01.csv", "s", 1e30, "game .*: speeds and positions do not fit"),
    ],
)
def test_impossible_values_stop_the_reading(tmp_path, file, column, value, message):
    folder = simulated(tmp_path)
    table = pl.read_csv(folder / file, infer_schema_length=None)
    table.with_columns(pl.lit(value).alias(column)).write_csv(folder / file)
    with pytest.raises(InputError, match=message):
        list(read_tracking(folder))


def test_unknown_direction_follows_from_the_positions(tmp_path):
    folder = simulated(tmp_path)
    (expected,) = read_tracking(folder)
    table = pl.read_csv(folder / "tracking_week_01.csv", infer_schema_length=None)
    table.with_columns(playDirection=pl.lit("north")).write_csv(folder / "tracking_week_01.csv")
    (seen,) = read_tracking(folder)
    assert seen.frames.equals(expected.frames)


@pytest.mark.parametrize("column", ["gameId", "playId"])
def test_list_of_plays_without_ids_is_named(tmp_path, column):
    folder = simulated(tmp_path)
    pl.read_csv(folder / "plays.csv").drop(column).write_csv(folder / "plays.csv")
    with pytest.raises(
        InputError, match=rf"plays\.csv: looks like a list of plays but is missing the column.s. {column}"
    ):
        list(read_tracking(folder))


def test_tracking_without_a_list_of_plays_is_an_error(tmp_path):
    folder = simulated(tmp_path)
    (folder / "plays.csv").unlink()
    with pytest.raises(InputError, match="no list of plays next to it"):
        list(read_tracking(folder))
