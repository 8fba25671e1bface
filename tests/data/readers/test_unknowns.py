"""A column of the situation that most plays have no value for is named, with the reason, in report and terminal."""

import polars as pl
import pytest

from sbp_jax.cli import prepare
from sbp_jax.data.features import read_plays
from sbp_jax.data.prepared.dataset import describe
from sbp_jax.data.readers.report import ReadReport
from tests.data import fabricate, publishers
from tests.data.readers.test_listed import BUFFALO_PLAYS, LISTED

PLAYS = {**BUFFALO_PLAYS, "passResult": ["C", "C", "I"], "yards": [6, 5, 0]}
GAMES = {"gameId": [2022090800], "week": [1], "homeTeamAbbr": ["LA"], "visitorTeamAbbr": ["BUF"]}


def reasons(folder, games=None, **changes):
    table = pl.DataFrame({**PLAYS, **changes}, strict=False)
    publishers.write(
        table.drop(name for name in table.columns if table.schema[name] == pl.Null), folder / "plays.parquet"
    )
    if games is not None:
        publishers.write(pl.DataFrame(games), folder / "games.csv")
    plays, report = read_plays(folder, LISTED)
    assert report.kept == len(plays) == 3
    return report.mostly_unknown(), plays, report


def test_nothing_is_unknown(tmp_path):
    named, _, report = reasons(tmp_path, GAMES)
    assert named == report.unknown == {}
    assert "unknown" not in report.to_markdown()


def test_no_list_of_games(tmp_path):
    named, _, report = reasons(tmp_path)
    assert set(named) == {"week", "home", "score_difference"}
    assert "no list of games" in named["week"]
    assert "homeTeamAbbr" in named["home"]
    assert "which team is at home: no list of games" in named["score_difference"]
    assert f"| unknown for most plays: week | 3 | {named['week']} |" in report.to_markdown().splitlines()


@pytest.mark.parametrize(
    ("changes", "column", "words"),
    [
        ({"gameClock": ["Q1 15:00"] * 3}, "clock_s", "column gameClock: values such as 'Q1 15:00' are not read"),
        ({"gameClock": None}, "clock_s", "the list of plays has no column gameClock"),
        ({"down": None}, "down", "the list of plays has no column down"),
        ({"down": [1, None, None]}, "down", "the list of plays has few values down"),
        ({"yardsToGo": None}, "distance", "no column yardsToGo"),
        ({"quarter": None}, "quarter", "no column quarter"),
        ({"yardlineSide": None, "yardlineNumber": None}, "yards_to_goal", "no column yardlineNumber with yardlineSide"),
        ({"preSnapHomeScore": None}, "score_difference", "no columns preSnapHomeScore and preSnapVisitorScore"),
        (
            {"possessionTeam": ["SEA"] * 3},
            "home",
            "the offense is 'SEA' in the list of plays, but the game is 'BUF' at",
        ),
        ({"gameId": [2022090801] * 3}, "week", "the list of games has none of these games"),
    ],
)
def test_the_reason(changes, column, words, tmp_path):
    named, _, report = reasons(tmp_path, GAMES, **changes)
    assert words in named[column]
    assert report.unknown[column] >= 2


def test_a_column_that_few_plays_have_not_is_not_named(tmp_path):
    named, _, report = reasons(tmp_path, GAMES, down=[1, 2, None])
    assert (named, report.unknown) == ({}, {"down": 1})


@pytest.mark.parametrize(("code", "other"), [("JAX", "JAC"), ("LA", "LAR"), ("LV", "OAK")])
def test_teams_with_other_codes_in_the_list_of_games_are_found(code, other, tmp_path):
    games = {**GAMES, "homeTeamAbbr": [other]}
    named, plays, _ = reasons(tmp_path, games, possessionTeam=[code] * 3, yardlineSide=[code] * 3)
    assert named == {}
    static = plays.static[0].tolist()
    assert (static[5], static[7]) == (-3.0, 1.0)  # at home and behind


@pytest.mark.parametrize("position", ["position", "Position", "POSITION"])
def test_positions_of_the_list_of_players(position, tmp_path):
    table = fabricate.play()
    publishers.publish("2024", table, tmp_path)
    people = pl.read_csv(tmp_path / "players.csv")
    people.rename({"position": position}).write_csv(tmp_path / "players.csv")
    _, report = read_plays(tmp_path)
    assert report.formats["players"] == 1
    assert report.ignored == [str(tmp_path / "tackles.csv")]


@pytest.mark.parametrize("column", ["gameClock", "GameClock", "game_clock"])
def test_the_clock_of_the_tracking(column, tmp_path):
    rows = fabricate.as_highlights(fabricate.play(), publishers.DESCRIPTION).with_columns(gameClock=pl.lit("late"))
    fabricate.write(rows.rename({"gameClock": column}), tmp_path / "tracking.csv")
    _, report = read_plays(tmp_path)
    assert report.mostly_unknown() == {
        "clock_s": f"column {column}: values such as 'late' are not read; expected MM:SS, HH:MM:SS or seconds"
    }


def test_parts_of_a_report_add_up():
    first = ReadReport(kept=2, unknown={"week": 2, "down": 1}, reasons_unknown={"week": "no games"})
    both = first + ReadReport(kept=2, unknown={"down": 2}, reasons_unknown={"week": "other"}, identified={"a": 1})
    assert both.unknown == {"week": 2, "down": 3}
    assert both.mostly_unknown() == {"down": "no reason recorded"}
    assert both.reasons_unknown == {"week": "other"}
    assert both.identified == {"a": 1}


def test_the_terminal_and_the_data_set_name_them(tmp_path, capsys):
    folder = fabricate.folder(tmp_path / "files", plays=3, games=4)
    plays = pl.read_csv(folder / "plays.csv").with_columns(gameClock=pl.lit("late"))
    plays.write_csv(folder / "plays.csv")
    prepare.command([str(folder), "--out", str(tmp_path / "set")])
    line = "| unknown for most plays: clock_s | 12 | column gameClock: values such as 'late' are not read; expected"
    assert line in capsys.readouterr().out
    assert describe(tmp_path / "set").reading.unknown["clock_s"] == 12
