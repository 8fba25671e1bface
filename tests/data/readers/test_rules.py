"""Outcome of a play by the requested rules, and its time to throw and pressure."""

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.features import read_plays
from sbp_jax.data.prepared.build import PrepareConfig, prepare
from sbp_jax.data.prepared.dataset import load
from sbp_jax.data.readers.descriptions import parse_return
from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.errors import InputError
from tests.data import fabricate, publishers

PICKED = "(12:34) Q.Back pass deep left intended for W.Receiver INTERCEPTED by C.Corner at JAX 10. "
RETURNED = PICKED + "C.Corner to JAX 45 for 35 yards (Q.Back)."
LISTS = {"2024": "plays.csv", "2025": "plays.csv", "2026": "supplementary_data.csv"}


def read(folder, outcome="yards"):
    (chunk,) = read_tracking(folder, Rules(outcome=outcome))
    return chunk


def relist(layout, folder, table, result="C", yards=7.0, **columns):
    """Publish a play and change columns of its list of plays."""
    publishers.publish(layout, table, folder, result=result, yards=yards)
    path = folder / LISTS[layout]
    publishers.write(pl.read_csv(path, infer_schema_length=None).with_columns(**columns), path)
    return folder


@pytest.mark.parametrize(
    ("text", "yards"),
    [
        (RETURNED, 35.0),
        (PICKED + "C.Corner for 90 yards, TOUCHDOWN.", 90.0),
        (PICKED + "C.Corner to JAX 8 for -2 yards (Q.Back).", -2.0),
        (PICKED + "C.Corner to JAX 10 for no gain (Q.Back).", 0.0),
        (PICKED + "Touchback.", 0.0),
        (PICKED + "C.Corner to JAX 20 for 10 yards. Lateral to S.Safety to JAX 45 for 25 yards (Q.Back).", 35.0),
        (PICKED + "C.Corner to JAX 20 for 10 yards. FUMBLES, recovered by TEN, W.Receiver for 20 yards.", 10.0),
        (PICKED + "C.Corner to JAX 30 for 20 yards. PENALTY on TEN, 15 yards.", 20.0),
        (RETURNED + " The play was REVERSED. Q.Back pass incomplete deep left to W.Receiver.", None),
        (publishers.DESCRIPTION, None),
    ],
)
def test_the_return_of_an_interception_by_the_leagues_text(text, yards):
    assert parse_return(text) == yards


@pytest.mark.sample(1)
@pytest.mark.parametrize("layout", LISTS)
def test_yards_and_net_yards(layout, tmp_path):
    text = "play_description" if layout == "2026" else "playDescription"
    table = fabricate.play()
    picked = relist(layout, tmp_path / "in", table, "IN", 0.0, **{text: pl.lit(RETURNED)})
    scored = relist(layout, tmp_path / "td", table, "C", 69.0)
    dropped = relist(layout, tmp_path / "i", table, "I", None)
    caught = relist(layout, tmp_path / "c", table, "C", -3.0)
    expected = {"in": (0.0, -35.0, False), "td": (69.0, 69.0, True), "i": (0.0, 0.0, False), "c": (-3.0, -3.0, False)}
    for folder in (picked, scored, dropped, caught):
        yards, net, touchdown = expected[folder.name]
        for outcome, value in (("yards", yards), ("net_yards", net)):
            plays = read(folder, outcome).plays
            assert plays.select("yards", "outcome", "touchdown").row(0) == (yards, value, touchdown)


def test_a_touchdown_by_net_yards_is_the_distance_to_the_goal_line(tmp_path):
    folder = relist("2024", tmp_path, fabricate.play(), "C", 70.0)  # the list is off by a yard
    plays, _ = read_plays(folder, Rules(outcome="net_yards"))
    assert plays.outcome.tolist() == [69.0]
    assert plays.info["touchdown"].tolist() == [True]
    assert plays.info["yards_to_goal"].tolist() == [69.0]


def test_net_yards_by_the_description_in_the_tracking(tmp_path):
    rows = fabricate.as_highlights(fabricate.play(), RETURNED)
    fabricate.write(rows, tmp_path / "tracking.csv")
    assert read(tmp_path, "net_yards").plays.select("yards", "outcome").row(0) == (0.0, -35.0)


def test_an_interception_without_a_listed_return_is_counted(tmp_path):
    table = pl.concat([fabricate.play(), fabricate.play(number=99)])
    folder = publishers.publish("2021", table, tmp_path)
    lists = publishers.lists("2021", table)["plays.csv"]
    picked = pl.col("playId") == 75
    lists = lists.with_columns(passResult=pl.when(picked).then(pl.lit("IN")).otherwise("passResult"))
    publishers.write(lists, folder / "plays.csv")
    assert read(folder).report.kept == 2
    report = read(folder, "net_yards").report
    assert report.kept == 1
    assert report.rejected == {"interception without a listed return": 1}


@pytest.mark.parametrize(("layout", "column"), [("2025", "expectedPointsAdded"), ("2026", "expected_points_added")])
def test_any_column_of_the_list_is_an_outcome(layout, column, tmp_path):
    folder = publishers.publish(layout, fabricate.play(), tmp_path)
    plays, _ = read_plays(folder, Rules(outcome=column))
    np.testing.assert_allclose(plays.outcome, [0.25])
    assert read(folder, column).plays["yards"].to_list() == [7.0]


def test_a_missing_value_of_the_outcome_is_counted(tmp_path):
    table = pl.concat([fabricate.play(), fabricate.play(number=99)])
    value = pl.when(pl.col("playId") == 99).then(0.5)
    folder = relist("2025", tmp_path, table, expectedPointsAdded=value)
    chunk = read(folder, "expectedPointsAdded")
    assert chunk.plays.select("play_id", "outcome").rows() == [(99, 0.5)]
    assert chunk.report.rejected == {"no expectedPointsAdded listed": 1}
    assert read(folder).report.kept == 2


def test_an_outcome_that_no_list_has_is_named(tmp_path):
    folder = publishers.publish("2025", fabricate.play(), tmp_path)
    with pytest.raises(InputError, match=r"outcome: expected yards, net_yards or a column.*'epa'.*plays\.csv"):
        read(folder, "epa")
    with pytest.raises(InputError, match=r"plays\.csv: column 'playDescription': expected numbers, got '\(12:34\)"):
        read(folder, "playDescription")
    with pytest.raises(InputError, match="outcome"):
        Rules(outcome="")


@pytest.mark.parametrize("layout", LISTS)
@pytest.mark.parametrize("flag", ["Y", "N"])
def test_nullified_flags(layout, flag, tmp_path):
    table = pl.concat([fabricate.play(), fabricate.play(number=99)])
    column, number = (
        ("play_nullified_by_penalty", "play_id") if layout == "2026" else ("playNullifiedByPenalty", "playId")
    )
    value = pl.when(pl.col(number) == 75).then(pl.lit(flag)).otherwise(pl.lit("N"))
    report = read(relist(layout, tmp_path, table, **{column: value})).report
    assert report.rejected == ({"nullified": 1} if flag == "Y" else {})


@pytest.mark.parametrize("code", ["S", "R", None])
def test_results_that_are_no_attempt(code, tmp_path):
    table = pl.concat([fabricate.play(), fabricate.play(number=99)])
    value = pl.when(pl.col("playId") == 75).then(pl.lit(code, pl.String)).otherwise(pl.lit("C"))
    assert read(relist("2025", tmp_path, table, passResult=value)).report.rejected == {"not a pass": 1}


def test_time_to_throw_and_pressure_come_along(tmp_path):
    listed, _ = read_plays(publishers.publish("2025", fabricate.play(frames=26), tmp_path / "listed"))
    np.testing.assert_allclose(listed.info["time_to_throw_s"], [1.9])  # as listed, not the 2.5 of the window
    assert listed.info["pressure"].tolist() == [1]
    chunk = read(publishers.publish("2024", fabricate.play(frames=26), tmp_path / "unlisted"))
    assert chunk.plays.select("time_to_throw_s", "pressure").row(0) == (None, None)
    unlisted, _ = read_plays(tmp_path / "unlisted")
    np.testing.assert_allclose(unlisted.info["time_to_throw_s"], [2.5])
    assert unlisted.info["pressure"].tolist() == [-1]


@pytest.mark.parametrize(
    ("caused", "pressure"), [(["FALSE", "FALSE"], False), (["TRUE", None], True), ([None, None], None)]
)
def test_pressure_is_that_of_any_player(caused, pressure, tmp_path):
    folder = publishers.publish("2025", fabricate.play(), tmp_path)
    rows = pl.DataFrame({"gameId": 2018090900, "playId": 75, "nflId": [1511, 1512]})
    publishers.write(rows.with_columns(causedPressure=pl.Series(caused, dtype=pl.String)), folder / "player_play.csv")
    assert read(folder).plays["pressure"].to_list() == [pressure]


def test_the_prepared_set_has_the_requested_outcome(tmp_path):
    table = pl.concat([fabricate.play(game=2018090900 + i, seed=1 + i) for i in range(3)])
    folder = publishers.publish("2025", table, tmp_path / "files")
    config = PrepareConfig(fractions=(1.0, 0.0, 0.0), outcome="expectedPointsAdded")
    prepare(folder, tmp_path / "set", config)
    plays = load(tmp_path / "set", "train")
    np.testing.assert_allclose(plays.outcome, 0.25)
    assert plays.info["pressure"].tolist() == [1, 1, 1]
