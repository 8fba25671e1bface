"""Plays without tracking: lists of plays alone, as publishers of play-by-play and the Big Data Bowl write them."""

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.features import read_plays
from sbp_jax.data.plays import STATIC_FEATURES
from sbp_jax.data.prepared.build import PrepareConfig, prepare
from sbp_jax.data.prepared.dataset import describe, load
from sbp_jax.data.readers.rules import Rules
from sbp_jax.errors import InputError
from tests.data import fabricate

LISTED = Rules(tracking=False)

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
    pl.DataFrame(
        {
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
            "passResult": ["C", "S", "I"],
            "prePenaltyPlayResult": [6, -5, 0],
            "passLength": [2, None, 20],
        }
    ).write_csv(path)
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
    assert (attempts["name"] == attempts["passer"].fill_null("")).all()
    # results as they were before a replay
    overruled = attempts.filter(pl.col("read") != pl.col("result"))
    assert sum(report.repaired.values()) == len(overruled) > 80
    assert overruled["desc"].str.contains("REVERSED").all()
    shares = {result: np.mean(plays.info["result"] == result) for result in ("C", "I", "IN")}
    assert shares["C"] == pytest.approx(0.64, abs=0.01)
    assert shares["IN"] == pytest.approx(0.024, abs=0.002)
    assert set(plays.info["season"]) == {2017, 2018, 2019}


def test_real_plays_with_scores(real_data):
    path = real_data / "play_by_play" / "bdb2019_pass_plays_2017_weeks_1_6.parquet"
    plays, _ = read_plays(path, Rules("drop", tracking=False))
    assert len(plays) > 5000
    means = dict(zip(STATIC_FEATURES, plays.static.mean(axis=0).tolist(), strict=True))
    assert means["score_difference_missing"] == 1.0  # that list does not have the home team
    assert means["clock_s_missing"] < 0.01
