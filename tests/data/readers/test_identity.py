"""Who is who without ids: one passer under two names, namesakes, trades, lists of players that contradict."""

import polars as pl
import pytest

from sbp_jax.data.features import read_plays
from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tracking import read_tracking
from tests.data import fabricate, publishers

FURTHER = "further names of a passer of one team, by surname and initials: one passer"
APART = "names of one team's passers that may be one man's: kept apart"
PLAYS = "plays with a passer by name and team, without an id"
ALONE = "plays with a passer by name alone, as they have no team"
PASSERS = "passers by name, without an id"
OWN_ID = "plays with a passer by name and team, with the id of his other plays"


def listed(folder, passes, codes=None, quarterbacks=(), season=2021):
    """Read a list of passes by (name, team); return the passers' numbers in order and the report."""
    rows = {
        "gameId": [season * 1_000_000 + 91200] * len(passes),
        "playId": list(range(1, len(passes) + 1)),
        "playDescription": [f"(9:59) (Shotgun) {name} pass short left to B.End for 4 yards." for name, _ in passes],
        "possessionTeam": [team for _, team in passes],
        "passResult": ["C"] * len(passes),
        "yards": [4] * len(passes),
    }
    if codes is not None:
        rows["passer_id"] = codes
    publishers.write(pl.DataFrame(rows), folder / "plays.csv")
    if quarterbacks:
        people = {"nflId": list(range(len(quarterbacks))), "displayName": list(quarterbacks)}
        people["position"] = ["QB"] * len(quarterbacks)
        publishers.write(pl.DataFrame(people), folder / "players.csv")
    plays, report = read_plays(folder, Rules(tracking=False))
    assert report.kept == len(passes)
    return plays.passer_id.tolist(), plays.passer.tolist(), report.identified


def pattern(numbers):
    return [numbers.index(number) for number in numbers]


@pytest.mark.parametrize(
    ("names", "expected", "further", "apart"),
    [
        (["J.Back", "Jos.Back", "J.Back"], [0, 0, 0], 1, 0),
        (["A.Back", "Aa.Back", "A.Other"], [0, 0, 2], 1, 0),
        (["J.Back", "Jo.Back", "Jos.Back"], [0, 0, 0], 2, 0),
        (["J.Back", "Jos.Back", "Ja.Back"], [0, 1, 2], 0, 3),  # the short one is either's
        (["J.Back", "Jo.Back", "Jos.Back", "Ja.Back"], [0, 1, 1, 3], 1, 2),
        (["G.Back", "G.Back II"], [0, 0], 1, 0),
        (["R.Back Jr.", "R.Back III"], [0, 1], 0, 0),
        (["A.J. McBack", "A.J.McBack", "AJ.McBack"], [0, 0, 0], 2, 0),
        (["D.St. Back", "D.Back"], [0, 1], 0, 0),
    ],
)
def test_names_of_one_team(names, expected, further, apart, tmp_path):
    numbers, _, identified = listed(tmp_path, [(name, "NE") for name in names])
    assert pattern(numbers) == expected
    assert identified.get(FURTHER, 0) == further
    assert identified.get(APART, 0) == apart
    assert identified[PLAYS] == len(names)
    assert identified[PASSERS] == len(set(numbers))


def test_a_passer_has_one_name_the_usual_one(tmp_path):
    _, names, _ = listed(tmp_path, [(name, "NE") for name in ("Jos.Back", "J.Back", "J.Back")])
    assert names == ["J.Back"] * 3


def test_namesakes_and_trades_are_not_merged_by_text(tmp_path):
    passes = [("J.Back", "NE"), ("J.Back", "MIA"), ("Jos.Back", "MIA"), ("J.Back", "NE")]
    numbers, _, identified = listed(tmp_path, passes)
    assert pattern(numbers) == [0, 1, 1, 0]
    assert identified[FURTHER] == 1


@pytest.mark.parametrize(("old", "new"), [("OAK", "LV"), ("JAC", "JAX"), ("STL", "LA"), ("SD", "LAC")])
def test_a_team_that_moves_is_one_team(old, new, tmp_path):
    assert pattern(listed(tmp_path, [("J.Back", old), ("Jos.Back", new)])[0]) == [0, 0]


def test_numbers_do_not_depend_on_the_season_or_the_order(tmp_path):
    passes = [("J.Back", "NE"), ("Jos.Back", "NE"), ("J.Back", "MIA")]
    first = listed(tmp_path, passes)[0]
    assert listed(tmp_path, passes[::-1], season=2023)[0] == first[::-1]


def test_without_a_team_the_name_is_all(tmp_path):
    numbers, _, identified = listed(
        tmp_path, [("J.Back", None), ("J.Back", None), ("Jos.Back", None), ("J.Back", "NE")]
    )
    assert pattern(numbers) == [0, 0, 2, 3]
    assert (identified[ALONE], identified[PLAYS]) == (3, 1)


def test_an_id_counts_more_than_the_name(tmp_path):
    """Two names with one id, one name with two ids, and a trade with the id."""
    passes = [
        ("J.Back", "NE"),
        ("Jos.Back", "NE"),
        ("J.Back", "MIA"),
        ("A.Two", "NE"),
        ("A.Two", "NE"),
        ("A.Two", "NE"),
    ]
    numbers, names, identified = listed(tmp_path, passes, ["00-0000007", "7", "7.0", "00-0000008", "00-0000009", None])
    assert numbers[:5] == [7, 7, 7, 8, 9]
    assert numbers[5] not in (7, 8, 9)  # which of the two is unknown
    assert names[:3] == ["J.Back"] * 3
    assert identified[PLAYS] == 1


def test_a_play_without_its_id_has_that_of_the_same_name_and_team(tmp_path):
    passes = [("J.Back", "NE"), ("J.Back", "NE"), ("Jos.Back", "NE"), ("J.Back", "MIA")]
    numbers, _, identified = listed(tmp_path, passes, ["00-0000007", None, None, None])
    assert numbers[:3] == [7, 7, 7]
    assert numbers[3] != 7
    assert (identified[OWN_ID], identified[PLAYS]) == (2, 1)


def test_names_with_different_ids_stay_apart(tmp_path):
    numbers, _, identified = listed(tmp_path, [("J.Back", "NE"), ("Jos.Back", "NE")], ["7", "8"])
    assert numbers == [7, 8]
    assert identified == {}


@pytest.mark.parametrize(
    ("quarterbacks", "expected"),
    [
        (("Joseph Back",), [0, 0]),
        (("Joseph Back", "Aaron Back", "Joseph Other"), [0, 0]),
        (("Joseph Back", "James Back"), [0, 1]),
        (("James Back",), [0, 1]),
    ],
)
def test_a_list_of_players_may_contradict(quarterbacks, expected, tmp_path):
    numbers, _, identified = listed(tmp_path, [("J.Back", "NE"), ("Jos.Back", "NE")], quarterbacks=quarterbacks)
    assert pattern(numbers) == expected
    assert identified.get(APART, 0) == (2 if expected == [0, 1] else 0)


def test_namesakes_in_one_game_of_tracking_without_ids_are_two(tmp_path):
    """A receiver and a cornerback of one name, whose rows are neither mixed nor dropped."""
    table = fabricate.play()
    namesakes = pl.when(pl.col("nflId").is_in([1006, 1517])).then(pl.lit("Jo Same")).otherwise("displayName")
    table = table.with_columns(displayName=namesakes)
    publishers.publish("2024", table, tmp_path)
    rows = publishers.tracking("2024", table)
    fabricate.write(rows.with_columns(nflId=pl.lit(None, pl.Int64)), tmp_path / "tracking.csv")
    (tmp_path / "players.csv").unlink()
    (chunk,) = read_tracking(tmp_path)
    same = chunk.frames.filter(pl.col("name") == "Jo Same")
    assert same["player_id"].n_unique() == 2
    assert chunk.report.repaired == {}
    assert same.group_by("player_id").agg(pl.col("frame").n_unique())["frame"].to_list() == [20, 20]
    assert chunk.report.identified["players of a game without an id, by name and team"] == 22


@pytest.mark.parametrize(("games", "merged"), [(True, False), (False, True)])
def test_namesakes_of_two_games_without_ids(games, merged, tmp_path):
    """Sides are home and away: the list of games has the teams; without it, the name is all."""
    tables = [fabricate.play(), fabricate.play(game=2018090901)]
    publishers.publish("2021", pl.concat(tables), tmp_path)
    rows = pl.concat([publishers.tracking("2021", table) for table in tables])
    fabricate.write(rows.with_columns(nflId=pl.lit(None, pl.Int64)), tmp_path / "tracking.csv")
    lists = fabricate.games_table(2018090900, 2018090901)
    other = pl.col("gameId") == 2018090901
    lists = lists.with_columns(homeTeamAbbr=pl.when(other).then(pl.lit("SEA")).otherwise("homeTeamAbbr"))
    fabricate.write(lists, tmp_path / "games.csv")
    if not games:
        (tmp_path / "games.csv").unlink()
    (chunk,) = read_tracking(tmp_path)
    assert (chunk.plays["passer_id"].n_unique() == 1) is merged
    assert chunk.plays["passer"].n_unique() == 1


def test_a_real_passer_under_two_names(real_file):
    plays, report = read_plays(real_file("02_one_passer_under_two_names"), Rules(tracking=False))
    assert report.kept == 215
    assert set(plays.passer.tolist()) == {"J.Allen", "M.Trubisky"}
    assert len(set(plays.passer_id.tolist())) == 2
    assert report.identified == {PLAYS: 215, PASSERS: 2, FURTHER: 1}
    assert FURTHER in report.to_markdown()


def test_real_passers_of_three_seasons_without_ids(real_data):
    plays, report = read_plays(
        real_data / "play_by_play" / "dropbacks_2017_2019.parquet", Rules("drop", tracking=False)
    )
    table = pl.DataFrame({"id": plays.passer_id, "name": plays.passer.astype(str), "team": plays.info["team"]})
    assert table.filter(pl.col("name").is_in(["A.Rodgers", "Aa.Rodgers"]))["id"].n_unique() == 1
    assert report.identified[FURTHER] == 3
    assert table.filter(pl.col("id") != -1).group_by("id").agg(pl.col("team").n_unique())["team"].max() == 1
