"""A simulated league that all tests of the simulator share."""

from pathlib import Path

import polars as pl
import pytest

from sbp_jax.data.simulator.simulate import SimulationConfig, simulate


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Folder of 3,000 plays."""
    return simulate(tmp_path_factory.mktemp("simulated") / "league", SimulationConfig(plays=3000, seed=7))


@pytest.fixture(scope="session")
def tracking(folder) -> pl.DataFrame:
    """Tracking of the first week, angles and positions turned so that the offense moves toward +x."""
    table = pl.read_parquet(folder / "tracking_week_01.parquet")
    left = pl.col("playDirection") == "left"
    return table.with_columns(
        pl.when(left).then(120 - pl.col("x")).otherwise("x").alias("x"),
        pl.when(left).then(53.3 - pl.col("y")).otherwise("y").alias("y"),
        *(pl.when(left).then((pl.col(name) + 180) % 360).otherwise(name).alias(name) for name in ("o", "dir")),
    )


@pytest.fixture(scope="session")
def plays(folder) -> pl.DataFrame:
    return pl.read_csv(folder / "plays.csv")


@pytest.fixture(scope="session")
def truth(folder) -> pl.DataFrame:
    return pl.read_parquet(folder / "truth" / "plays.parquet")


@pytest.fixture(scope="session")
def course_folder(tmp_path_factory) -> Path:
    """Folder of 1,200 plays whose outcomes depend on their course."""
    out = tmp_path_factory.mktemp("simulated") / "course"
    return simulate(out, SimulationConfig(plays=1200, seed=7, distribution="course"))
