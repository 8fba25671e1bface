"""Full seasons written as files: any number of processes, any number of plays, and no access to the truth."""

import json
import shutil
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from sbp_jax.data.readers.formats import find_tables
from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.data.simulator.simulate import LeagueConfig, SimulationConfig, TrueDistribution, simulate
from sbp_jax.errors import InputError
from tests.data.simulator.files import PLAY, checksums

CONFIG = SimulationConfig(plays=40, seed=3, seasons=2, league=LeagueConfig())


@pytest.fixture(scope="module")
def league(tmp_path_factory) -> Path:
    """Forty plays of two seasons."""
    return simulate(tmp_path_factory.mktemp("league") / "few", CONFIG)


def tracking(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("tracking_*"))])


@pytest.mark.parametrize("processes", [3])
def test_same_bytes_whatever_the_number_of_processes(league, tmp_path, processes):
    done = []
    shared = simulate(tmp_path / "shared", CONFIG, done.append, processes)
    assert checksums(shared) == checksums(league)
    assert done[-1] == CONFIG.plays
    assert done == sorted(done)


def test_a_play_does_not_depend_on_how_many_are_simulated(league, tmp_path):
    more = simulate(tmp_path / "more", replace(CONFIG, plays=70))
    few, many = tracking(league), tracking(more)
    key = few.select(PLAY).unique()
    assert key.height == CONFIG.plays
    shared = many.join(key, on=PLAY, how="semi", maintain_order="left")
    assert_frame_equal(shared.sort(*PLAY, "frameId", "nflId"), few.sort(*PLAY, "frameId", "nflId"))
    for name in ("results/games.csv", "results/teams.csv", "games.csv", "truth/teams.parquet", "truth/games.parquet"):
        assert checksums(more)[name] == checksums(league)[name], name


def test_strength_is_not_in_what_the_reader_reads(league, tmp_path):
    """Other effects on winning change the results, but no bit of the files that a reader uses."""
    effects = LeagueConfig(quarterback_points=12.0, team_points=0.0, home_points=9.0)
    other = simulate(tmp_path / "other", replace(CONFIG, league=effects))
    before, after = checksums(league), checksums(other)
    for name in before:
        if "/" not in name:
            assert before[name] == after[name], name
    assert before["results/games.csv"] != after["results/games.csv"]
    assert before["truth/games.parquet"] != after["truth/games.parquet"]


def test_reader_sees_neither_truth_nor_results(league, tmp_path):
    tables = find_tables(league)
    assert {table.path.parent for table in tables} == {league}
    assert {table.role for table in tables} == {"tracking", "plays", "players", "games"}
    seen = {column.lower() for table in tables for column in table.columns}
    assert not {word for word in seen if "skill" in word or "strength" in word or "margin" in word or "final" in word}
    bare = tmp_path / "bare"
    shutil.copytree(league, bare, ignore=shutil.ignore_patterns("truth", "results"))
    for complete, part in zip(read_tracking(league), read_tracking(bare), strict=True):
        assert_frame_equal(complete.frames, part.frames)
        assert_frame_equal(complete.plays, part.plays)


def test_reader_keeps_every_play_with_season_week_and_team(league):
    plays = pl.concat([chunk.plays for chunk in read_tracking(league)])
    assert plays.height == CONFIG.plays
    assert set(plays["season"]) == {2018, 2019}
    truth = pl.read_parquet(league / "truth" / "plays.parquet")
    joined = plays.join(truth, left_on=["game_id", "play_id"], right_on=PLAY)
    assert (joined["passer_id"] == joined["passer_nflId"]).all()
    careers = pl.read_parquet(league / "truth" / "quarterback_seasons.parquet")
    placed = joined.join(careers, left_on=["season", "passer_id"], right_on=["season", "nflId"], suffix="_career")
    assert placed.height == CONFIG.plays
    assert (placed["team"] == placed["team_career"]).all()
    np.testing.assert_array_equal(placed["skill"], placed["skill_career"])
    assert len(TrueDistribution.read(league)) == CONFIG.plays


def test_tables_agree(league):
    games, results = pl.read_csv(league / "games.csv"), pl.read_csv(league / "results" / "games.csv")
    assert games.height == 2 * 272
    assert games.columns[:3] == ["gameId", "season", "week"]
    shared = ["gameId", "season", "week", "homeTeamAbbr", "visitorTeamAbbr"]
    assert games.select(shared).equals(results.select(shared))
    home_won = results["homeScore"] > results["visitorScore"]
    assert (results["winner"] == results["homeTeamAbbr"]).equals(home_won.alias("winner"))
    teams = pl.read_csv(league / "results" / "teams.csv")
    assert teams.height == 2 * 32
    assert (teams["wins"] + teams["losses"] == 17).all()
    assert teams.group_by("season").agg(pl.col("wins").sum(), pl.col("made_playoffs").sum()).sort("season").rows() == [
        (2018, 272, 14),
        (2019, 272, 14),
    ]
    assert teams["points_for"].sum() == teams["points_against"].sum()
    # the last score before a snap is never above the final one
    plays = pl.read_csv(league / "plays.csv").join(results, on="gameId")
    assert (plays["preSnapHomeScore"] <= plays["homeScore"]).all()
    assert (plays["preSnapVisitorScore"] <= plays["visitorScore"]).all()
    saved = json.loads((league / "truth" / "simulation.json").read_text())
    assert saved["league"]["quarterback_points"] == 5.0


def test_csv_holds_what_parquet_holds(tmp_path):
    config = SimulationConfig(plays=12, seed=8, league=LeagueConfig())
    parquet = simulate(tmp_path / "parquet", config)
    text = simulate(tmp_path / "csv", replace(config, tracking_format="csv"), processes=2)
    for path in sorted(parquet.glob("tracking_*")):
        complete = pl.read_parquet(path)
        read = pl.read_csv(text / f"{path.stem}.csv", infer_schema_length=None).cast(
            {name: kind for name, kind in complete.schema.items() if name != "time"}
        )
        assert_frame_equal(read.drop("time"), complete.drop("time"))
    for complete, part in zip(read_tracking(parquet), read_tracking(text), strict=True):
        assert_frame_equal(complete.frames, part.frames)


@pytest.mark.slow
def test_yards_of_seasons_follow_the_distribution(tmp_path):
    """Quarterbacks who move and drift throw passes of the same distribution; three seasons on two processes."""
    folder = simulate(tmp_path / "seasons", replace(CONFIG, plays=4000, seasons=3), processes=2)
    yards = pl.read_csv(folder / "plays.csv")["offensePlayResult"].to_numpy().astype(float)
    for skill in (None, "true"):
        dist = TrueDistribution.read(folder, skill=skill)
        below, through = dist.cdf(yards - 1), dist.cdf(yards)
        pit = below + np.random.default_rng(1).random(len(yards)) * (through - below)
        assert stats.kstest(pit, "uniform").pvalue > 1e-3


def test_a_stopped_or_killed_process_leaves_nothing(tmp_path):
    def stop(done: int) -> None:
        raise RuntimeError("stopped")

    def kill(done: int) -> None:
        for child in active_children():
            child.kill()

    config = replace(CONFIG, plays=800)
    with pytest.raises(RuntimeError, match="stopped"):
        simulate(tmp_path / "stopped", config, stop, processes=2)
    with pytest.raises(InputError, match="processes: one of them ended early, perhaps for lack of memory"):
        simulate(tmp_path / "killed", config, kill, processes=2)
    assert not list(tmp_path.iterdir())


def test_wrong_numbers_are_named(tmp_path):
    with pytest.raises(InputError, match=r"plays: expected at most 17952 in 1 full season\(s\), got 17953"):
        SimulationConfig(plays=17_953, league=LeagueConfig())
    with pytest.raises(InputError, match="processes: expected an integer of at least 1, got 0"):
        simulate(tmp_path / "none", CONFIG, processes=0)
    assert not (tmp_path / "none").exists()
