"""The situation that a play was played in, from the tracking and the lists beside it: one row a play."""

from typing import Any

import polars as pl

from sbp_jax.data.plays import LEAGUE_YARDS, NET_YARDS
from sbp_jax.data.readers.directions import toward_positive_x
from sbp_jax.data.readers.outcomes import Listing
from sbp_jax.data.readers.passers import PLAY
from sbp_jax.data.readers.play_lists import clock_seconds
from sbp_jax.data.readers.repairs import drop_impossible
from sbp_jax.data.readers.rows import BALL_BEHIND_LINE_YARDS, FIELD_LENGTH_YARDS
from sbp_jax.data.readers.screen import Screen

_GOAL_LINE_X, _MIDFIELD = 110.0, 50.0
_LISTED_LINE_TOLERANCE_YARDS = 10.0


def situations(rows: pl.DataFrame, plays: pl.DataFrame, listing: Listing, screen: Screen) -> pl.DataFrame:
    """Return the canonical plays, but for `target_id` and `format`, of window rows and the outcomes `plays`."""
    first = ["passer_id", "offence_side", "direction", "frames"]
    told = [
        c
        for c in ("season", "week", "quarter", "game_clock", "down", "distance", "absolute_yardline")
        if c in rows.columns
    ]
    told += [c for c in ("home_score", "visitor_score") if c in rows.columns]
    own = rows.group_by(PLAY).agg(pl.col(*first, *told).drop_nulls().first())
    if "game_clock" in told:
        own = own.with_columns(clock_s=clock_seconds(pl.col("game_clock"))).drop("game_clock")
    snap = rows.filter(pl.col("frame") == 0)
    ball = toward_positive_x(snap.filter("is_ball")).select(*PLAY, ball_x="x", ball_y="y")
    at_home = pl.col("at_home") == 1 if "at_home" in rows.columns else pl.lit(None, pl.Boolean)
    thrower = rows.filter(pl.col("player_id") == pl.col("passer_id")).group_by(PLAY)
    passer = thrower.agg(passer=pl.col("name").first(), at_home=at_home.first())
    for beside in (ball, passer, plays):
        own = own.join(beside, on=PLAY, how="left", suffix="_listed")
    plays = own.join(listing.games, on="game_id", how="left", suffix="_game")
    return _derive(plays, screen)


def _derive(plays: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    def known(name: str, kind: Any = pl.Int64) -> pl.Expr:
        columns = [c for c in (name, f"{name}_listed", f"{name}_game") if c in plays.columns]
        return pl.coalesce(*columns, pl.lit(None, kind)).cast(kind)

    home_team, visitor_team = known("home_team", pl.String), known("visitor_team", pl.String)
    # 2026 names the sides by what they do
    named = pl.col("offence_side").str.to_lowercase() == "offense"
    side = pl.when(named).then(known("possession_team", pl.String)).otherwise("offence_side")
    home = (
        pl.when(pl.col("at_home").is_not_null())
        .then("at_home")
        .when(side.is_in(["home", "away"]))
        .then(side == "home")
        .when(side == home_team)
        .then(True)
        .when((side == visitor_team) | (side.is_not_null() & home_team.is_not_null() & visitor_team.is_null()))
        .then(False)
    )
    team = (
        pl.when(side == "home")
        .then(pl.coalesce(home_team, known("possession_team", pl.String)))
        .when(side == "away")
        .then(pl.coalesce(visitor_team, known("possession_team", pl.String)))
        .otherwise(side)
    )
    # a game's number begins with its date; January and February belong to the season before
    dated = pl.col("game_id").is_between(1_970_000_000, 2_100_000_000)
    month, year = pl.col("game_id") // 10_000 % 100, pl.col("game_id") // 1_000_000
    season = pl.when(dated).then(year - (month <= 2).cast(pl.Int64))
    lead = known("home_score") - known("visitor_score")
    ahead = pl.when("is_home").then(lead).when(~pl.col("is_home")).then(-lead)
    # a list alone does not tell which way the offence plays, and an absolute yard line then tells nothing
    line, way = known("absolute_yardline"), pl.col("direction")
    absolute = pl.when(way == "left").then(line - (FIELD_LENGTH_YARDS - _GOAL_LINE_X)).when(way == "right")
    absolute = absolute.then(_GOAL_LINE_X - line)
    number = known("yardline_number").cast(pl.Float64)
    own_half = known("yardline_side", pl.String) == known("possession_team", pl.String)
    by_side = pl.when(own_half | (number == _MIDFIELD)).then(100.0 - number).when(~own_half).then(number)
    listed = pl.coalesce(known("yards_to_goal").cast(pl.Float64), absolute, by_side)
    tracked = (_GOAL_LINE_X - pl.col("ball_x") - BALL_BEHIND_LINE_YARDS).round().clip(1.0, 99.0)
    wrong = (listed - tracked).abs() > _LISTED_LINE_TOLERANCE_YARDS
    plays = plays.with_columns(listed=listed, tracked=tracked, wrong=wrong.fill_null(value=False), is_home=home)
    screen.report.repair("line of scrimmage far from the ball: taken from the ball", int(plays["wrong"].sum()))
    to_goal = pl.when("wrong").then("tracked").otherwise(pl.coalesce("listed", "tracked"))
    touchdown = pl.col("result").is_in(["C", "R"]) & (pl.col("yards") >= to_goal)
    net = pl.when(pl.col("result") == "IN").then(-pl.col("return_yards")).when(touchdown).then(to_goal)
    outcomes = {LEAGUE_YARDS: pl.col("yards"), NET_YARDS: net.otherwise("yards")}
    plays = plays.select(
        *PLAY,
        "passer_id",
        "passer",
        "result",
        "yards",
        "time_to_throw_s",
        "pressure",
        "frames",
        "ball_x",
        "ball_y",
        season=pl.coalesce(known("season"), season),
        week=known("week"),
        quarter=known("quarter"),
        clock_s=known("clock_s"),
        down=known("down"),
        distance=known("distance"),
        yards_to_goal=to_goal,
        score_difference=pl.coalesce(ahead, known("score_difference")),
        home="is_home",
        team=team.fill_null(""),
        touchdown=touchdown,
        outcome=outcomes.get(screen.rules.outcome, pl.col("listed_outcome")).cast(pl.Float64),
        **{name: pl.col(f"listed:{name}") for name in screen.rules.situation},
    )
    return drop_impossible(plays, screen.report)
