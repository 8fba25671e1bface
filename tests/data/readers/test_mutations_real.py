"""Randomly damaged real and simulated files: counted or one line, never a traceback, never a wrong play."""

from pathlib import Path

import polars as pl
import pytest

from sbp_jax.data.simulator.simulate import SimulationConfig, simulate
from tests.conftest import REAL_DATA
from tests.data import fabricate
from tests.data.readers.mutations import MUTATIONS, PLAYS, TRACKING
from tests.data.readers.survival import Noise, read, survives

# the smoothed speeds of 2017 are not evidence of units: only ten or more passers show whether positions are in yards
PLAYS_CUT = {"2019": 12}
FEW = 4
SOURCES = ("2019", "2021", "highlights", "simulated 2021", "simulated 2024")
# derived speeds of real players differ from recorded ones in turns; damaged units give medians of 0.3 and more
NOISE = Noise(place_yards=1.0, speed_yps=6.0, median_yps=0.3)
CUT: dict[str, dict[str, pl.DataFrame]] = {}


def cut(source: str, folder: Path) -> dict[str, pl.DataFrame]:
    """A few plays and their lists by file name, from files that are read once."""
    if source not in CUT:
        tables = simulated(source, folder) if source.startswith("simulated") else real(source)
        ids = pl.col("gameId", "playId").cast(pl.Int64)
        rows, tables[PLAYS] = tables[TRACKING].with_columns(ids), tables[PLAYS].with_columns(ids)
        passes = rows.filter(pl.col("event") == "pass_forward").select("gameId", "playId").unique(maintain_order=True)
        chosen = passes.join(tables[PLAYS], on=["gameId", "playId"], how="semi").head(PLAYS_CUT.get(source, FEW))
        tables[TRACKING] = rows.join(chosen, on=["gameId", "playId"], how="semi")
        tables[PLAYS] = tables[PLAYS].join(chosen, on=["gameId", "playId"], how="semi")
        CUT[source] = tables
    return CUT[source]


def real(source: str) -> dict[str, pl.DataFrame]:
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data at {REAL_DATA}")
    if source == "highlights":
        folder = REAL_DATA / "ngs_highlights"
        rows, listed = folder / "tracking_2018.parquet", pl.read_csv(folder / "outcomes_2017_2018.csv")
    else:
        (rows,) = (REAL_DATA / "big_data_bowl").glob(f"{source}*tracking.parquet")
        (path,) = (REAL_DATA / "big_data_bowl").glob(f"{source}*outcomes.csv")
        listed = pl.read_csv(path)
    result = pl.col("outcome" if source == "highlights" else "result")
    gain = pl.col("yards" if source == "highlights" else "yards_gained")
    plays = listed.filter(~pl.col("nullified")).select("gameId", "playId", passResult=result, offensePlayResult=gain)
    return {TRACKING: pl.read_parquet(rows), PLAYS: plays.with_columns(playResult="offensePlayResult", down=2)}


def simulated(source: str, folder: Path) -> dict[str, pl.DataFrame]:
    simulate(folder, SimulationConfig(plays=12, seed=7))
    rows, plays = pl.read_parquet(folder / "tracking_week_01.parquet"), pl.read_csv(folder / "plays.csv")
    games, players = pl.read_csv(folder / "games.csv"), pl.read_csv(folder / "players.csv")
    if source.endswith("2024"):
        teams = {"home": games["homeTeamAbbr"][0], "away": games["visitorTeamAbbr"][0]}
        rows = rows.with_columns(club=pl.col("team").replace(teams)).drop("team", "position")
    return {TRACKING: rows, PLAYS: plays, "games.csv": games, "players.csv": players}


def write(source: str, folder: Path) -> Path:
    tables = cut(source, folder.with_name("simulation"))
    folder.mkdir()
    for name, table in tables.items():
        fabricate.write(table, folder / name)
    return folder


SOUND: dict[str, tuple] = {}


def damage(mutation: str, source: str, seed: int, tmp_path: Path) -> None:
    if source not in SOUND:
        SOUND[source] = read(write(source, tmp_path / "sound"))
        assert len(SOUND[source][0]) == PLAYS_CUT.get(source, FEW)
    survives(mutation, write(source, tmp_path / f"damaged-{seed}"), seed, SOUND[source], NOISE)


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("mutation", "source"), [(name, SOURCES[i % len(SOURCES)]) for i, name in enumerate(MUTATIONS)]
)
def test_each_damage_to_one_of_the_sources(mutation, source, tmp_path):
    damage(mutation, source, 0, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_all_damages_to_all_sources(mutation, source, tmp_path):
    for seed in range(1, 4):
        damage(mutation, source, seed, tmp_path)
