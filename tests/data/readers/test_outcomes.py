"""The gain of a play, from the league's text and from the lists of every publisher."""

import polars as pl
import pytest

from sbp_jax.data.readers.descriptions import parse_description
from sbp_jax.data.readers.formats import find_tables
from sbp_jax.data.readers.play_lists import read_listing
from sbp_jax.errors import InputError
from tests.data import fabricate


@pytest.mark.parametrize(
    ("text", "result", "yards"),
    [
        ("(9:59) (Shotgun) A.Back pass short right to B.End pushed ob at CLV 7 for 67 yards (D.Safe).", "C", 67),
        ("(1:24) A.Back pass deep middle to B.End for 47 yards, TOUCHDOWN. Pass 47, YAC 0", "C", 47),
        ("A.Back pass short left to B.End to TEN 20 for no gain (C.Corner).", "C", 0),
        ("A.Back pass short left to B.End to TEN 16 for -4 yards (C.Corner).", "C", -4),
        ("A.Back pass short left to B.End to TEN 21 for 1 yard (C.Corner).", "C", 1),
        ("A.Back pass incomplete deep middle to B.End (C.Corner).", "I", 0),
        ("A.Back pass short right intended for B.End INTERCEPTED by C.Corner at X 2. C.Corner for 98 yards.", "IN", 0),
        (
            "A.Back pass incomplete deep left to B.End. X challenged the ruling, and the play was REVERSED. "
            "A.Back pass deep left to B.End ran ob at CAR 44 for 31 yards.",
            "C",
            31,
        ),
        (
            "A.Back pass short left INTERCEPTED by C.Corner at X 9. C.Corner for 91 yards, TOUCHDOWN. The Replay "
            "Official reviewed the ruling, and the play was REVERSED. A.Back pass incomplete short left to B.End.",
            "I",
            0,
        ),
        (
            "A.Back pass short right to B.End to OAK 30 for 6 yards. Lateral to D.Back to OAK 34 for 4 yards.",
            "C",
            10,
        ),
        ("A.Back pass short right to B.End to X 20 for 5 yards (C.Corner). FUMBLES, C.Corner for 30 yards.", "C", 5),
        ("A.Back pass deep left to B.End for 72 yards, TOUCHDOWN. PENALTY on X-B.End, Taunting, 15 yards.", "C", 72),
        ("A.Back sacked at TEN 9 for -7 yards (D.End).", "S", None),
        ("A.Back spiked the ball to stop the clock.", "R", None),
        ("A.Back scrambles left end to TEN 40 for 9 yards (D.End).", "R", None),
        ("B.Runner up the middle to TEN 33 for 3 yards.", None, None),
    ],
)
def test_the_leagues_text(text, result, yards):
    assert parse_description(text) == (result, yards, False, False)


def test_nullified_and_two_point_texts():
    assert parse_description("A.Back pass to B.End for 9 yards. PENALTY, Holding, enforced at X 4 - No Play.")[2]
    assert parse_description("TWO-POINT CONVERSION ATTEMPT. A.Back pass to B.End is complete. ATTEMPT SUCCEEDS.")[3]
    assert parse_description("TWO-POINT CONVERSION ATTEMPT. A.Back pass to B.End is incomplete.")[0] == "I"


def listing(path):
    tracking = fabricate.play()
    fabricate.write(tracking, path / "tracking.csv")
    return read_listing(find_tables(path))[0].plays.sort("play_id").to_dicts()


def test_in_the_2019_list_penalties_do_not_count(tmp_path):
    rows = {
        "gameId": [1, 1, 1],
        "playId": [1, 2, 3],
        "PassResult": ["C", "IN", "C"],
        "PlayResult": [34, -20, 8],
        "PassLength": [11, 5, None],
        "YardsAfterCatch": [8, None, None],
        "GameClock": ["09:17:00", "00:02:00", "15:00:00"],
        "HomeScoreBeforePlay": [3, 3, 3],
        "VisitorScoreBeforePlay": [0, 0, 0],
    }
    fabricate.write(pl.DataFrame(rows), tmp_path / "plays.csv")
    plays = listing(tmp_path)
    assert [play["yards"] for play in plays] == [19.0, 0.0, 8.0]
    assert [play["clock_s"] for play in plays] == [557, 2, 900]
    assert plays[0]["home_score"] == 3


def test_lists_complete_each_other(tmp_path):
    fabricate.write(
        pl.DataFrame({"gameId": [1], "playId": [2], "result": ["c"], "yards_gained": [4]}), tmp_path / "a.csv"
    )
    other = {"game_id": [1], "play_id": [2], "result": ["C"], "yards_gained": [4], "down": [3], "clock_s": [61]}
    fabricate.write(pl.DataFrame(other), tmp_path / "b.parquet")
    (play,) = listing(tmp_path)
    assert (play["result"], play["yards"], play["down"], play["clock_s"]) == ("C", 4.0, 3, 61)
    assert not play["two_outcomes"]


@pytest.mark.parametrize(
    ("column", "value", "word"), [("playId", "7a", "playId|play_id|7a"), ("down", "1.5", "integers")]
)
def test_values_that_do_not_parse_are_named(tmp_path, column, value, word):
    rows = {"gameId": ["1"], "playId": ["2"], "result": ["C"], "yards_gained": ["4"], "down": ["1"]} | {column: [value]}
    fabricate.write(pl.DataFrame(rows), tmp_path / "plays.csv")
    with pytest.raises(InputError, match=word) as caught:
        listing(tmp_path)
    assert "plays.csv" in str(caught.value)
    assert "\n" not in str(caught.value)
