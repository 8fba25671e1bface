"""Conventions and faults of lists: the goal line, spikes, penalties, replays, laterals, passers, clocks."""

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.features import read_plays
from sbp_jax.data.plays import STATIC_FEATURES
from sbp_jax.data.readers.rules import Rules
from tests.data.readers.test_listed import LISTED, nflverse


def read(tmp_path, table, rules=LISTED):
    table.write_parquet(tmp_path / "list.parquet")
    return read_plays(tmp_path / "list.parquet", rules)


def bowl(**columns):
    count = len(next(iter(columns.values())))
    return pl.DataFrame(
        {
            "gameId": [2018090600] * count,
            "playId": list(range(1, count + 1)),
            "quarter": [1] * count,
            "down": [1] * count,
            "yardsToGo": [10] * count,
            "passResult": ["C"] * count,
            "playResult": [5] * count,
            **columns,
        }
    )


def test_the_goal_line_by_the_side_of_the_field(tmp_path):
    """The absolute yard line is useless if no file has the direction of play."""
    table = bowl(
        possessionTeam=["ATL", "ATL", "ATL", None],
        yardlineSide=["ATL", "PHI", None, "PHI"],
        yardlineNumber=[20, 39, 50, 30],
        absoluteYardlineNumber=[90, 49, 60, 40],
    )
    plays, _ = read(tmp_path, table)
    assert plays.info["yards_to_goal"].tolist() == [80.0, 39.0, 50.0, -1.0]
    missing = plays.static[:, STATIC_FEATURES.index("yards_to_goal_missing")]
    assert missing.tolist() == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "columns", [{"qbSpike": [False, True]}, {"playDescription": ["A.Back pass", "A.Back spiked the ball"]}]
)
def test_spikes_are_left_out(tmp_path, columns):
    plays, report = read(tmp_path, bowl(passResult=["I", "I"], playResult=[0, 0], **columns))
    assert plays.play_id.tolist() == [1]
    assert report.rejected == {"spike or kneel": 1}


def test_penalties_by_the_kind_of_play(tmp_path):
    table = nflverse().drop("desc").with_columns(play_type=pl.when(pl.col("play_id") == 8).then(pl.lit("no_play")))
    _, report = read(tmp_path, table)
    assert report.rejected["nullified"] == 1


def test_laterals_count(tmp_path):
    table = nflverse().with_columns(passing_yards=pl.when(pl.col("play_id") == 1).then(pl.lit(16.0)))
    plays, _ = read(tmp_path, table)
    assert plays.outcome.tolist() == [16.0, 0.0, 0.0, 60.0]


@pytest.mark.parametrize(
    ("result", "gain", "text", "final"),
    [
        ("I", 12, "A.Back pass incomplete. The play was REVERSED. A.Back pass to B.End for 12 yards.", "C"),
        ("IN", 5, "A.Back pass INTERCEPTED. The play was REVERSED. A.Back pass to B.End for 5 yards.", "C"),
        ("IN", 0, "A.Back pass INTERCEPTED. The play was REVERSED. A.Back pass incomplete to B.End.", "I"),
        ("S", 0, "A.Back sacked. The play was REVERSED. A.Back pass incomplete to B.End.", "I"),
        # the gain does not agree: the list wins
        ("I", 0, "A.Back pass incomplete. The play was REVERSED. A.Back pass to B.End for 12 yards.", "I"),
        ("C", 7, "A.Back pass to B.End for 7 yards. The play was REVERSED. A.Back pass incomplete.", "C"),
        # no replay
        ("I", 12, "A.Back pass to B.End for 12 yards.", "I"),
    ],
)
def test_rulings_of_replays(tmp_path, result, gain, text, final):
    table = bowl(passResult=[result], playResult=[gain], playDescription=[text])
    plays, report = read(tmp_path, table)
    assert plays.info["result"].tolist() == [final]
    assert plays.outcome.tolist() == [gain if final == "C" else 0.0]
    assert sum(report.repaired.values()) == (final != result)


def test_codes_take_precedence_over_a_flag(tmp_path):
    plays, _ = read(tmp_path, bowl(passResult=["C", "IN"], interception=[False, True]))
    assert plays.info["result"].tolist() == ["C", "IN"]


def passers(tmp_path, codes, names, column="passer_player_id"):
    table = nflverse().head(len(codes)).with_columns(pl.Series(column, codes), passer_player_name=pl.Series(names))
    plays, _ = read(tmp_path, table, Rules(tracking=False, results=("C", "I", "IN", "S", "R")))
    return plays.passer_id.tolist()


def test_numbers_of_passers(tmp_path):
    assert passers(tmp_path, ["00-0019596"] * 3, ["A"] * 3) == [19596] * 3
    assert passers(tmp_path, [19596.0, None, 7.0], ["A", "A", "B"]) == [19596, 19596, 7]
    brady, manning, again = passers(tmp_path, ["BradTo00", "MannPe00", "BradTo00"], ["T.B", "P.M", "T.B"])
    assert brady == again != manning
    one, other, nobody = passers(tmp_path, [None] * 3, ["A", "B", "NA"])
    assert one != other
    assert nobody == passers(tmp_path, [None], ["A.Back"])[0]  # named by the description


def test_who_scrambles_has_the_passer_s_number(tmp_path):
    table = nflverse().with_columns(
        passer_player_id=pl.when(pl.col("qb_scramble") == 0).then("passer_player_id"),
        passer_id=pl.col("passer_player_id"),
        passer=pl.col("passer_player_name"),
    )
    plays, _ = read(tmp_path, table, Rules(tracking=False, results=("C", "R")))
    assert set(plays.info["result"]) == {"C", "R"}
    assert set(plays.passer_id.tolist()) == {19596}


def test_clock_by_either_column(tmp_path):
    table = nflverse().with_columns(quarter_seconds_remaining=pl.lit(None, pl.Float64))
    plays, _ = read(tmp_path, table)
    np.testing.assert_array_equal(plays.static[:, STATIC_FEATURES.index("clock_s")], 754.0)


def test_unknown_results(tmp_path):
    _, report = read(tmp_path, bowl(passResult=["C", "complete", "INT"]))
    assert report.rejected == {"result is not one of C, I, IN, S, R": 2}
