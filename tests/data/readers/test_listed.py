"""Plays without tracking: lists of plays alone, as publishers of play-by-play and the Big Data Bowl write them."""

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.features import read_plays
from sbp_jax.data.plays import STATIC_FEATURES
from sbp_jax.data.prepared.build import PrepareConfig, prepare
from sbp_jax.data.prepared.dataset import describe, load
from sbp_jax.data.readers.person_names import split_name
from sbp_jax.data.readers.rules import Rules
from sbp_jax.errors import InputError
from tests.data import fabricate

LISTED = Rules(tracking=False)
# three plays as the Big Data Bowl lists them, without their outcomes
BUFFALO_PLAYS = {
    "gameId": [2022090800] * 3,
    "playId": [1, 2, 3],
    "quarter": [1] * 3,
    "down": [1] * 3,
    "yardsToGo": [10] * 3,
    "possessionTeam": ["BUF"] * 3,
    "yardlineSide": ["BUF"] * 3,
    "yardlineNumber": [25] * 3,
    "gameClock": ["15:00"] * 3,
    "preSnapHomeScore": [0] * 3,
    "preSnapVisitorScore": [3] * 3,
}

# by nflverse's column names; each row is a play of one game, in order
FLAGS = ("complete_pass", "incomplete_pass", "interception", "sack", "qb_scramble")
PLAYS = [
    (("complete_pass",), 12, "A.Back pass short left to B.End for 12 yards."),
    (("incomplete_pass",), 0, "A.Back pass incomplete deep left to B.End."),
    (("interception",), 0, "A.Back pass deep left INTERCEPTED by C.Corner at X 10. C.Corner to X 35 for 25 yards."),
    (("sack",), -7, "A.Back sacked at X 10 for -7 yards."),
    (("qb_scramble",), 9, "A.Back scrambles left end for 9 yards."),
    (("complete_pass",), 60, "A.Back pass deep right to B.End for 60 yards, TOUCHDOWN."),
    ((), 3, "B.Runner up the middle for 3 yards."),
    (("complete_pass",), 5, "A.Back pass to B.End for 5 yards. PENALTY on X, Holding, 10 yards, enforced - No Play."),
    (("incomplete_pass",), 0, "A.Back spiked the ball to stop the clock."),
]


def nflverse(games=(2021091200,)):
    rows = []
    for game in games:
        for i, (flags, yards, text) in enumerate(PLAYS):
            rows.append(
                {
                    "game_id": f"{game // 1_000_000}_01_BUF_NE",
                    "old_game_id": str(game),
                    "play_id": float(i + 1),
                    "season": game // 1_000_000,
                    "week": 1,
                    "posteam": "NE",
                    "home_team": "NE",
                    "away_team": "BUF",
                    "result": -7,  # the game's
                    "qtr": 2.0,
                    "down": 3.0 if flags else None,
                    "ydstogo": 8.0,
                    "yardline_100": 60.0,
                    "quarter_seconds_remaining": 754.0,
                    "time": "12:34",
                    "score_differential": -4.0,
                    "yards_gained": float(yards),
                    "desc": text,
                    "qb_spike": float("spiked" in text),
                    "passer_player_name": "A.Back" if flags else None,
                    "passer_player_id": "00-0019596" if flags else None,
                    "air_yards": 10.0 + i if "pass" in text and flags else None,
                    "epa": 0.25 * i,
                    **{name: float(name in flags) for name in FLAGS},
                }
            )
    return pl.DataFrame(rows)


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "play_by_play.parquet"
    nflverse().write_parquet(path)
    return path


def test_attempts_with_their_situation_and_no_players(listed):
    plays, report = read_plays(listed, LISTED)
    assert plays.play_id.tolist() == [1, 2, 3, 6]
    assert plays.outcome.tolist() == [12.0, 0.0, 0.0, 60.0]
    assert plays.info["result"].tolist() == ["C", "I", "IN", "C"]
    assert plays.info["touchdown"].tolist() == [False, False, False, True]
    assert plays.lengths.tolist() == [1, 1, 1, 1]
    assert not plays.present.any()
    assert not plays.frames.any()
    assert set(plays.passer) == {"A.Back"}
    assert set(plays.passer_id) == {19596}
    assert set(plays.info["team"]) == {"NE"}
    assert np.isnan(plays.info["time_to_throw_s"]).all()
    expected = {"down": 3, "distance": 8, "yards_to_goal": 60, "quarter": 2, "clock_s": 754, "score_difference": -4}
    expected |= {"week": 1, "home": 1}
    static = dict(zip(STATIC_FEATURES, plays.static[0].tolist(), strict=True))
    assert static == {**expected, **{f"{name}_missing": 0 for name in expected}}
    assert report.read == len(PLAYS)
    assert report.rejected == {"of another result": 3, "nullified": 1, "spike or kneel": 1}


def test_requested_sacks_and_runs(listed):
    plays, report = read_plays(listed, Rules(tracking=False, results=("C", "I", "IN", "S", "R"), outcome="net_yards"))
    assert plays.outcome.tolist() == [12.0, 0.0, -25.0, -7.0, 9.0, 60.0]
    assert report.rejected["of another result"] == 1


def test_further_columns_are_static_features_and_outcomes(listed):
    rules = Rules(tracking=False, situation=("air_yards",), outcome="epa", results=("C", "S"))
    plays, _ = read_plays(listed, rules)
    assert plays.outcome.tolist() == [0.0, 0.75, 1.25]
    half = plays.static.shape[1] // 2
    assert plays.static[:, half - 1].tolist() == [10.0, 0.0, 15.0]
    assert plays.static[:, -1].tolist() == [0.0, 1.0, 0.0]


ADMINISTRATIVE = "not a play (timeout, end of a quarter, two-minute warning, start of a game)"
NO_PLAYS = [
    ("no_play", "TIMEOUT", "Timeout #1 by NE at 01:26."),
    (None, "END_QUARTER", "END QUARTER 1"),
    (None, "TIMEOUT", "Two-Minute Warning"),
    (None, "GAME_START", "GAME"),
    (None, "END_GAME", "END GAME"),
]
PLAYS_WITHOUT_A_RESULT = [
    ("no_play", "PENALTY", "(1:55) (Shotgun) PENALTY on NE-B.End, False Start, 5 yards, enforced at NE 40 - No Play."),
    ("kickoff", "KICK_OFF", "K.Kicker kicks 65 yards from BUF 35 to end zone, Touchback."),
    ("run", "RUSH", "(9:31) B.Runner left end to NE 40 for 3 yards. Timeout #2 by NE at 09:20."),
]


@pytest.mark.parametrize("columns", [["play_type", "play_type_nfl", "desc"], ["play_type", "desc"], ["play_type_nfl"]])
def test_rows_that_are_no_plays_have_their_own_count(columns, tmp_path):
    """By the type or by the text: timeouts are not nullified, penalties are, and kickoffs are of another result."""
    play = nflverse().filter(pl.col("play_id") == 7)
    rows = [
        play.with_columns(
            play_id=pl.lit(100.0 + i),
            play_type=pl.lit(kind, pl.String),
            play_type_nfl=pl.lit(league, pl.String),
            desc=pl.lit(text),
        )
        for i, (kind, league, text) in enumerate([*NO_PLAYS, *PLAYS_WITHOUT_A_RESULT])
    ]
    passes = nflverse().head(2).with_columns(play_type=pl.lit("pass"), play_type_nfl=pl.lit("PASS"))
    gone = {"play_type", "play_type_nfl", "desc"} - set(columns)
    pl.concat([passes.select(rows[0].columns), *rows]).drop(gone).write_parquet(tmp_path / "list.parquet")
    _, report = read_plays(tmp_path, LISTED)
    # without the text and the type the penalty is a play without a result
    penalties = {"nullified": 1} if len(columns) > 1 else {}
    assert report.rejected == {ADMINISTRATIVE: 5, **penalties, "of another result": 3 - len(penalties)}
    assert (report.read, report.kept) == (10, 2)


def test_a_list_of_former_types_has_no_plays_either(tmp_path):
    kinds = ["Pass", "Pass", "Timeout", "Quarter End", "Two Minute Warning", "End of Game", "Half End"]
    table = pl.concat([nflverse().head(2), *([nflverse().slice(6, 1)] * 5)])
    table = table.with_columns(play_id=pl.int_range(7).cast(pl.Float64), PlayType=pl.Series(kinds)).drop("desc")
    table.write_parquet(tmp_path / "list.parquet")
    _, report = read_plays(tmp_path, LISTED)
    assert report.rejected == {ADMINISTRATIVE: 5}


def test_an_ignored_list_is_counted_once(tmp_path):
    nflverse().write_parquet(tmp_path / "list.parquet")
    pl.DataFrame({"gameId": [1], "playId": [1], "cluster": [3]}).write_csv(tmp_path / "clusters.csv")
    _, report = read_plays(tmp_path, LISTED)
    assert report.formats == {"plays": 1}
    assert len(report.ignored) == 1


def test_text_and_parquet_are_equivalent(listed, tmp_path):
    text = tmp_path / "play_by_play.csv"
    pl.read_parquet(listed).write_csv(text)
    one, two = (read_plays(path, LISTED)[0] for path in (listed, text))
    assert one.outcome.tolist() == two.outcome.tolist()
    np.testing.assert_array_equal(one.static, two.static)


def test_passers_without_a_code_are_distinguished_by_name(tmp_path):
    path = tmp_path / "plays.csv"
    table = (
        nflverse()
        .drop("passer_player_id")
        .with_columns(
            passer_player_name=pl.when(pl.col("play_id") > 2).then(pl.lit("C.Other")).otherwise("passer_player_name")
        )
    )
    table.write_csv(path)
    plays, _ = read_plays(path, LISTED)
    assert plays.passer.tolist() == ["A.Back", "A.Back", "C.Other", "C.Other"]
    assert len(set(plays.passer_id.tolist())) == 2
    again, _ = read_plays(path, LISTED)
    assert again.passer_id.tolist() == plays.passer_id.tolist()


def test_the_big_data_bowl_s_list(tmp_path):
    path = tmp_path / "plays.csv"
    results = {"passResult": ["C", "S", "I"], "prePenaltyPlayResult": [6, -5, 0], "passLength": [2, None, 20]}
    pl.DataFrame(BUFFALO_PLAYS | results).write_csv(path)
    plays, _ = read_plays(path, Rules(tracking=False, situation=("passLength",)))
    assert plays.outcome.tolist() == [6.0, 0.0]
    static = plays.static[0].tolist()
    assert static[:9] == [1.0, 10.0, 75.0, 1.0, 900.0, 0.0, 0.0, 0.0, 2.0]
    assert static[9:] == [0.0] * 5 + [1.0, 1.0, 1.0, 0.0]  # no file has the home team
    assert set(plays.passer_id.tolist()) == {-1}


def test_prepared_by_season_and_read_back(tmp_path):
    path = tmp_path / "play_by_play.parquet"
    nflverse([2019090800 + i for i in range(8)] + [2020091300 + i for i in range(3)]).write_parquet(path)
    config = PrepareConfig(tracking=False, situation=("air_yards",), test_seasons=(2020,), fractions=(0.6, 0.2, 0.2))
    prepared = prepare(path, tmp_path / "set", config)
    assert {split: len(games) for split, games in prepared.games.items()} == {"train": 6, "validation": 2, "test": 3}
    test = load(tmp_path / "set", "test")
    assert set(test.info["season"]) == {2020}
    assert test.static.shape == (12, len(prepared.static))
    assert prepared.static[8] == "air_yards"
    assert "tracked players | median 0" in (tmp_path / "set" / "report.md").read_text()
    assert describe(tmp_path / "set") == prepared
    assert prepare(path, tmp_path / "other", PrepareConfig(tracking=False)).fingerprint != prepared.fingerprint


@pytest.mark.parametrize(
    ("change", "rules", "message"),
    [
        (lambda t: t, Rules(), r"no tracking file found"),
        (lambda t: t, Rules(tracking=False, situation=("wind",)), r"situation: expected a column .* got 'wind'"),
        (lambda t: t, Rules(tracking=False, situation=("desc",)), r"column 'desc': expected numbers, got 'A.Back"),
        (lambda t: t, Rules(tracking=False, outcome="wpa"), r"outcome: expected yards, net_yards or a column"),
        (lambda t: t.drop("yards_gained"), LISTED, r"plays without an outcome: expected one of the columns"),
        (
            lambda t: t.with_columns(old_game_id=pl.lit("BUF_NE")),
            LISTED,
            r"'old_game_id': expected numbers, got 'BUF_NE'",
        ),
        (
            lambda t: t.drop("incomplete_pass"),
            LISTED,
            r"looks like play-by-play but is missing .* incomplete_pass",
        ),
        (lambda t: t.with_columns(ydstogo=pl.lit("ten")), LISTED, r"column 'ydstogo': expected numbers, got 'ten'"),
        (lambda t: t.with_columns(sack=pl.lit(b"\xff")), LISTED, r"column 'sack': expected numbers or text, got Bin"),
        (lambda t: t.with_columns(epa=pl.lit(["a"])), Rules(tracking=False, outcome="epa"), r"'epa': expected numbers"),
        (lambda t: t.with_columns(play_id=pl.lit(None)), LISTED, r"row 1: no old_game_id or play_id"),
        (lambda t: t, Rules(tracking=False, situation=("down",)), r"situation: down is reserved for a column of every"),
        (
            lambda t: t,
            Rules(tracking=False, situation=("yardsGained",)),
            r"situation: yardsGained reveals the outcome",
        ),
        (lambda t: t.with_columns(yards_gained=pl.lit(None, pl.Float64)), LISTED, r"play 1: yards missing"),
        (lambda t: t.with_columns(yards_gained=pl.lit(400.0)), LISTED, r"yards that no play can gain: 400"),
        (lambda t: t.filter(pl.col("complete_pass") > 2), LISTED, r"none of 0 plays kept"),
    ],
)
def test_unreadable_input_is_one_line(tmp_path, change, rules, message):
    path = tmp_path / "list.parquet"
    change(nflverse()).write_parquet(path)
    with pytest.raises(InputError, match=message) as error:
        read_plays(path, rules)
    assert "\n" not in str(error.value)


def test_the_list_of_a_malformed_play_is_named(tmp_path):
    nflverse().write_parquet(tmp_path / "a.parquet")
    other = nflverse([2021091300]).with_columns(yards_gained=pl.lit(400.0))
    other.write_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"b\.parquet: game 2021091300 play 1: yards that no play can gain"):
        read_plays(tmp_path, LISTED)


def test_a_folder_of_tracking_alone_has_no_list(tmp_path):
    fabricate.write(fabricate.play(), tmp_path / "tracking.csv")
    with pytest.raises(InputError, match="no list of plays found"):
        read_plays(tmp_path, LISTED)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"results": ("C", "X")}, "results: expected some of C, I, IN, S, R, got X"),
        ({"results": ()}, "results: expected some of C, I, IN, S, R, got none"),
        ({"situation": ("a", "a")}, "situation: expected different columns"),
        ({"tracking": False, "extras": ("time_since_snap_s",)}, "extras: time_since_snap_s requires tracking"),
    ],
)
def test_impossible_rules(rules, message):
    with pytest.raises(InputError, match=message):
        Rules(**rules)


def test_real_dropbacks(real_data):
    path = real_data / "play_by_play" / "dropbacks_2017_2019.parquet"
    plays, report = read_plays(path, LISTED)
    assert report.read == 65209
    assert report.kept == len(plays) > 50_000
    read = pl.DataFrame({"game_id": plays.game_id, "play_id": plays.play_id, "read": plays.info["result"]})
    read = read.with_columns(ours=pl.Series(plays.outcome), name=pl.Series(plays.passer.astype(str)))
    table = pl.read_parquet(path).filter(~pl.col("nullified")).join(read, on=["game_id", "play_id"], how="left")
    attempts = table.filter(pl.col("result").is_in(["C", "I", "IN"]) | pl.col("read").is_not_null())
    assert len(attempts) == report.kept
    assert (attempts["ours"] == attempts["yards_gained"]).all()
    # a passer whom his team has under two names has one
    renamed = attempts.filter(pl.col("name") != pl.col("passer").fill_null("")).select("passer", "name").unique()
    assert len(renamed) == 3
    assert all(split_name(name).may_be(split_name(usual)) for name, usual in renamed.iter_rows())
    # results as they were before a replay
    overruled = attempts.filter(pl.col("read") != pl.col("result"))
    assert sum(report.repaired.values()) == len(overruled) > 80
    assert overruled["desc"].str.contains("REVERSED").all()
    shares = {result: np.mean(plays.info["result"] == result) for result in ("C", "I", "IN")}
    assert shares["C"] == pytest.approx(0.64, abs=0.01)
    assert shares["IN"] == pytest.approx(0.024, abs=0.002)
    assert set(plays.info["season"]) == {2017, 2018, 2019}


def test_the_rows_of_a_real_week_that_are_no_plays(real_file):
    path = real_file("13_read_correctly", "lists", "nflfastR_2020_week1.parquet")
    _, report = read_plays(path, LISTED)
    types = pl.read_parquet(path)["play_type_nfl"].to_list()
    administrative = ("TIMEOUT", "END_QUARTER", "GAME_START", "END_GAME")
    assert report.rejected[ADMINISTRATIVE] == sum(kind in administrative for kind in types) == 237
    # kickoffs and declined or offsetting penalties without a snap are not among them
    assert report.rejected["nullified"] == 130
    assert report.kept == 1118


def test_real_plays_with_scores(real_data):
    path = real_data / "play_by_play" / "bdb2019_pass_plays_2017_weeks_1_6.parquet"
    plays, _ = read_plays(path, Rules("drop", tracking=False))
    assert len(plays) > 5000
    means = dict(zip(STATIC_FEATURES, plays.static.mean(axis=0).tolist(), strict=True))
    assert means["score_difference_missing"] == 1.0  # that list does not have the home team
    assert means["clock_s_missing"] < 0.01
