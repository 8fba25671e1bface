"""A handmade play, and its files together with the list of plays."""

import polars as pl
import pytest

from tests.data import fabricate


@pytest.fixture
def table() -> pl.DataFrame:
    return fabricate.play()


@pytest.fixture
def write(tmp_path):
    """Write tracking and, by default, the list of its plays; return the folder."""

    def _write(table, name="tracking.csv", outcomes: pl.DataFrame | None = None, listed=True):
        fabricate.write(table, tmp_path / name)
        if listed:
            fabricate.write(outcomes if outcomes is not None else fabricate.plays_table(table), tmp_path / "plays.csv")
        return tmp_path

    return _write
