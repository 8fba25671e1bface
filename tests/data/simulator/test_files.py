"""The simulator's files: columns, counts, the same bytes for the same seed, and what is guarded."""

import json

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.simulator.simulate import SimulationConfig, TrueDistribution, simulate
from sbp_jax.errors import InputError
from tests.data.simulator.files import PLAY, checksums, event_frame

SCHEMA_2021 = {
    "time": pl.Datetime("ns"),
    **dict.fromkeys(("x", "y", "s", "a", "dis", "o", "dir"), pl.Float64),
    "event": pl.String,
    "nflId": pl.Float64,
    "displayName": pl.String,
    "jerseyNumber": pl.Float64,
    "position": pl.String,
    "frameId": pl.Float64,
    "team": pl.String,
    "gameId": pl.Float64,
    "playId": pl.Float64,
    "playDirection": pl.String,
    "route": pl.String,
}


@pytest.mark.slow
def test_tracking_has_the_columns_and_types_of_2021(folder, real_data):
    written = pl.read_parquet(folder / "tracking_week_01.parquet").schema
    real = pl.read_parquet_schema(real_data / "big_data_bowl" / "2021_format_game_2018120600_tracking.parquet")
    assert list(written.items()) == list(SCHEMA_2021.items())
    assert list(written.items()) == list(real.items())


def test_tables_join_and_count(folder, plays, truth):
    games, players = pl.read_csv(folder / "games.csv"), pl.read_csv(folder / "players.csv")
    weeks = sorted(folder.glob("tracking_week_*.parquet"))
    tracked = pl.concat([pl.read_parquet(week, columns=[*PLAY, "nflId"]) for week in weeks])
    assert plays.height == truth.height == tracked.select(PLAY).unique().height == 3000
    assert plays.select(PLAY).unique().height == 3000
    assert plays.select(PLAY).rows() == truth.select(PLAY).rows()
    assert set(plays["gameId"]) == set(games["gameId"])
    assert set(tracked["nflId"].drop_nulls().cast(pl.Int64)) <= set(players["nflId"])
    assert players["nflId"].is_unique().all()
    assert len(weeks) == games["week"].n_unique() == 3
    assert set(plays["passResult"]) == {"C", "I", "IN"}
    assert (
        plays.filter(pl.col("passResult") != "C")["offensePlayResult"].to_list()
        == [0] * (plays["passResult"] != "C").sum()
    )
    assert plays.filter(pl.col("passResult") == "IN")["playResult"].max() <= 0
    assert (plays["offensePlayResult"] == truth["yards"]).all()
    assert (plays["playResult"] == truth["net_yards"]).all()


def test_situation_columns_agree(plays, tracking):
    to_goal = pl.when(pl.col("yardlineSide").is_null()).then(50)
    to_goal = to_goal.when(pl.col("yardlineSide") == pl.col("possessionTeam")).then(100 - pl.col("yardlineNumber"))
    table = plays.with_columns(to_goal.otherwise("yardlineNumber").alias("to_goal"))
    ball = tracking.filter((pl.col("team") == "football") & (pl.col("event") == "ball_snap"))
    ball = ball.select(pl.col(PLAY).cast(pl.Int64), "x", "playDirection")
    joined = table.join(ball, on=PLAY)
    assert joined.height == tracking.select(PLAY).unique().height
    assert np.abs(110 - joined["to_goal"] - joined["x"]).max() < 0.2
    absolute = np.where(joined["playDirection"] == "left", 10 + joined["to_goal"], 110 - joined["to_goal"])
    np.testing.assert_array_equal(joined["absoluteYardlineNumber"], absolute)
    assert (joined["yardsToGo"] <= joined["to_goal"]).all()
    assert joined["offensePlayResult"].to_numpy().max() <= 99
    assert 0.4 < (joined["playDirection"] == "left").mean() < 0.6
    # time runs forward and scores never fall within a game
    clock = (
        900 * table["quarter"]
        - 60 * table["gameClock"].str.slice(0, 2).cast(int)
        - table["gameClock"].str.slice(3, 2).cast(int)
    )
    order = table.with_columns(clock.alias("elapsed"))
    for column in ("elapsed", "playId", "preSnapHomeScore", "preSnapVisitorScore"):
        assert (order.group_by("gameId", maintain_order=True).agg(pl.col(column).diff().min())[column] >= 0).all()


def test_same_seed_same_bytes_and_another_seed_differs(tmp_path):
    config = SimulationConfig(plays=150, seed=3)
    first, second = (simulate(tmp_path / name, config) for name in ("a", "b"))
    other = simulate(tmp_path / "c", SimulationConfig(plays=150, seed=4))
    assert checksums(first) == checksums(second)
    assert checksums(first)["plays.csv"] != checksums(other)["plays.csv"]


def test_a_play_does_not_depend_on_how_many_are_simulated(tmp_path):
    few = simulate(tmp_path / "few", SimulationConfig(plays=100, seed=5))
    more = simulate(tmp_path / "more", SimulationConfig(plays=700, seed=5))
    short, long = (pl.read_parquet(path / "truth" / "plays.parquet") for path in (few, more))
    shared = long.join(short.select(PLAY), on=PLAY, how="semi", maintain_order="left")
    assert shared.height == 100
    for name in ("depth_yards", "separation_yards", "skill", "release_frames"):
        np.testing.assert_array_equal(shared[name], short[name])
    tracks = [pl.read_parquet(path / "tracking_week_01.parquet") for path in (few, more)]
    assert tracks[1].head(tracks[0].height).equals(tracks[0])


def test_nothing_before_the_release_depends_on_the_outcome(tmp_path):
    """Another random stream for outcomes alone changes outcomes and no frame up to the release."""
    paths = [
        simulate(tmp_path / str(outcome_seed), SimulationConfig(plays=200, seed=2, outcome_seed=outcome_seed))
        for outcome_seed in (10, 11)
    ]
    tables = [pl.read_parquet(path / "tracking_week_01.parquet") for path in paths]
    before = []
    for table in tables:
        release = event_frame(table, "pass_forward")
        before.append(
            table.join(release, on=PLAY)
            .filter(pl.col("frameId") <= pl.col("pass_forward"))
            .sort(*PLAY, "frameId", "nflId")
        )
    assert before[0].equals(before[1])
    outcomes = [pl.read_csv(path / "plays.csv") for path in paths]
    columns = [
        name
        for name in outcomes[0].columns
        if name not in ("passResult", "offensePlayResult", "playResult", "playDescription")
    ]
    assert outcomes[0].select(columns).equals(outcomes[1].select(columns))
    assert not outcomes[0]["offensePlayResult"].equals(outcomes[1]["offensePlayResult"])
    dists = [TrueDistribution.read(path).median() for path in paths]
    np.testing.assert_array_equal(dists[0], dists[1])


def test_csv_and_seasons(tmp_path):
    calls = []
    config = SimulationConfig(plays=90, seasons=2, tracking_format="csv")
    out = simulate(tmp_path / "two", config, progress=calls.append)
    names = {path.name for path in out.glob("tracking_*")}
    assert names == {"tracking_2018_week_01.csv", "tracking_2019_week_01.csv"}
    assert calls[-1] == 90
    assert calls == sorted(calls)
    table = pl.read_csv(out / "tracking_2018_week_01.csv", infer_schema_length=None)
    assert table.columns == list(SCHEMA_2021)
    assert table["gameId"].dtype == pl.Int64
    assert table["time"][0].endswith(".000Z")
    assert pl.read_csv(out / "games.csv")["season"].to_list() == [2018, 2019]


def test_writing_is_guarded(tmp_path):
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("keep")
    with pytest.raises(InputError, match="mine: holds files that the simulator did not write"):
        simulate(foreign, SimulationConfig(plays=10))
    assert (foreign / "notes.txt").read_text() == "keep"
    with pytest.raises(InputError, match=r"notes.txt: is a file"):
        simulate(foreign / "notes.txt", SimulationConfig(plays=10))

    def fail(done: int) -> None:
        raise RuntimeError("stopped")

    out = simulate(tmp_path / "own", SimulationConfig(plays=20, seed=1))
    before = checksums(out)
    with pytest.raises(RuntimeError, match="stopped"):
        simulate(out, SimulationConfig(plays=20, seed=2), progress=fail)
    assert checksums(out) == before
    simulate(out, SimulationConfig(plays=20, seed=2))
    assert json.loads((out / "truth" / "simulation.json").read_text())["seed"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "own"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"plays": 0}, "plays: expected an integer of at least 1"),
        ({"seed": -1}, "seed: expected an integer of at least 0"),
        ({"seasons": 0}, "seasons: expected"),
        ({"plays": 2, "seasons": 3}, "seasons: expected at most one per play"),
        ({"outcome_seed": -4}, "outcome_seed: expected"),
    ],
)
def test_wrong_configurations_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        SimulationConfig(**wrong)
