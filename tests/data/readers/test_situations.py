"""Every static feature of every layout by its public schema; only features that a file does not have are missing."""

import polars as pl
import pytest

from sbp_jax.data.features import read_plays
from sbp_jax.data.plays import SITUATION_FEATURES, STATIC_FEATURES
from sbp_jax.data.readers.tracking import read_tracking
from tests.data import fabricate, publishers

# of the lists in `publishers`, the same in all layouts except the highlights, which have theirs in the tracking
LISTED = dict(zip(SITUATION_FEATURES, (3.0, 8.0, 69.0, 2.0, 754.0, -7.0, 4.0, 1.0), strict=True))
LISTED_IN_HIGHLIGHTS = dict(zip(SITUATION_FEATURES, (2.0, 5.0, 69.0, 4.0, 10.0, 4.0, 1.0, 1.0), strict=True))
# file and column of a feature: in most layouts, in 2019, in 2026 and in the highlights
COLUMNS = {
    "down": ("plays.csv", "down", "down", "down", "down"),
    "distance": ("plays.csv", "yardsToGo", "yardsToGo", "yards_to_go", "yardsToGo"),
    "quarter": ("plays.csv", "quarter", "quarter", "quarter", "quarter"),
    "clock_s": ("plays.csv", "gameClock", "GameClock", "game_clock", "gameClock"),
    "score_difference": (
        "plays.csv",
        "preSnapHomeScore",
        "HomeScoreBeforePlay",
        "pre_snap_home_score",
        "preSnapHomeScore",
    ),
    "week": ("games.csv", "week", "week", "week", "week"),
    "home": ("games.csv", "homeTeamAbbr", None, "home_team_abbr", "homeTeamFlag"),
}
NAMES_2019 = {
    "gameClock": "GameClock",
    "preSnapHomeScore": "HomeScoreBeforePlay",
    "preSnapVisitorScore": "VisitorScoreBeforePlay",
    "passResult": "PassResult",
    "playResult": "PlayResult",
}
WITH_TEAMS = ("2023", "2024", "2025", "2026")  # the other layouts name the sides home and away, or flag them
layouts = pytest.mark.parametrize("layout", publishers.LAYOUTS)


def publish(layout, folder):
    publishers.publish(layout, fabricate.play(), folder)
    if layout == "2019":
        change(folder / "plays.csv", lambda rows: rows.drop("offensePlayResult").rename(NAMES_2019))
    return folder


def change(path, how):
    table = how(pl.read_csv(path, infer_schema_length=None, null_values="NA"))
    fabricate.write(table, path)


def static(folder):
    plays, _ = read_plays(folder)
    return dict(zip(STATIC_FEATURES, plays.static[0].tolist(), strict=True))


def source(layout, feature):
    file, usual, old, new, highlights = COLUMNS[feature]
    if layout == "highlights":
        return "tracking.csv", highlights
    return ("supplementary_data.csv", new) if layout == "2026" else (file, old if layout == "2019" else usual)


@layouts
def test_all_that_the_schema_has_is_read(layout, tmp_path):
    listed = LISTED_IN_HIGHLIGHTS if layout == "highlights" else LISTED
    assert static(publish(layout, tmp_path)) == {**listed, **{f"{name}_missing": 0.0 for name in listed}}


@pytest.mark.sample(9)
@pytest.mark.parametrize(
    ("layout", "feature"),
    # in 2019 and 2021 the sides themselves are named home and away
    [(y, f) for y in publishers.LAYOUTS for f in COLUMNS if not (f == "home" and y in ("2019", "2021"))],
)
def test_unlisted_features_are_marked_missing_and_nothing_else_changes(layout, feature, tmp_path):
    complete = static(publish(layout, tmp_path))
    file, column = source(layout, feature)
    change(tmp_path / file, lambda rows: rows.drop(column))
    expected = {**complete, feature: 0.0, f"{feature}_missing": 1.0}
    if feature == "home":  # the home team determines the sign of the score difference
        expected |= {"score_difference": 0.0, "score_difference_missing": 1.0}
    assert static(tmp_path) == expected


@pytest.mark.parametrize("layout", WITH_TEAMS)
@pytest.mark.parametrize(("home", "difference"), [("TEN", -7.0), ("JAX", 7.0)])
def test_the_visitors_lead_has_the_other_sign(layout, home, difference, tmp_path):
    publish(layout, tmp_path)
    named = {"2026": ("supplementary_data.csv", "home_team_abbr", "visitor_team_abbr")}
    file, own, other = named.get(layout, ("games.csv", "homeTeamAbbr", "visitorTeamAbbr"))
    away = "JAX" if home == "TEN" else "TEN"
    change(tmp_path / file, lambda rows: rows.with_columns(pl.lit(home).alias(own), pl.lit(away).alias(other)))
    seen = static(tmp_path)
    assert seen["score_difference"] == difference
    assert seen["home"] == float(home == "TEN")


def test_a_side_that_is_neither_team_of_the_game_leaves_home_unknown(tmp_path):
    publish("2024", tmp_path)
    change(
        tmp_path / "games.csv", lambda rows: rows.with_columns(homeTeamAbbr=pl.lit("LA"), visitorTeamAbbr=pl.lit("SEA"))
    )
    seen = static(tmp_path)
    assert (seen["home_missing"], seen["score_difference_missing"]) == (1.0, 1.0)


@pytest.mark.sample(5)
@layouts
@pytest.mark.parametrize(
    ("feature", "value"), [("down", 9), ("distance", -800), ("clock_s", "99:99"), ("score_difference", 10**9)]
)
def test_impossible_values_are_unknown_and_counted(layout, feature, value, tmp_path):
    complete = static(publish(layout, tmp_path))
    file, column = source(layout, feature)
    change(tmp_path / file, lambda rows: rows.with_columns(pl.lit(value).alias(column)))
    assert static(tmp_path) == {**complete, feature: 0.0, f"{feature}_missing": 1.0}
    (chunk,) = read_tracking(tmp_path)
    assert chunk.report.repaired[f"plays with an impossible {feature}: treated as unknown"] == 1


def test_the_list_of_2026_is_read_completely(tmp_path):
    (chunk,) = read_tracking(publish("2026", tmp_path))
    play = chunk.plays.row(0, named=True)
    assert (play["season"], play["week"], play["team"], play["result"]) == (2018, 4, "TEN", "C")
    assert play["yards"] == 7.0  # before the penalty, which yards_gained includes
    change(tmp_path / "supplementary_data.csv", lambda rows: rows.drop("pre_penalty_yards_gained"))
    (chunk,) = read_tracking(tmp_path)
    assert chunk.plays["yards"].to_list() == [-3.0]
