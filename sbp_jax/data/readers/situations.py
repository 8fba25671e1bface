"""The outcome and the situation of each play, one row per play, from the tracking and the lists of plays.

A play from a list alone has a situation, an outcome and one frame without players.

If no column names the passer, the name comes from the description. `identity` has the rules for the passer's number.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.descriptions import ADMINISTRATIVE, parse_description, parse_return
from sbp_jax.data.readers.identity import count_passers, franchise, identify_passers
from sbp_jax.data.readers.kinematics import BALL_BEHIND_LINE_YARDS, FIELD_LENGTH_YARDS, toward_positive_x
from sbp_jax.data.readers.person_names import parse_passer
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.rules import LEAGUE_YARDS, NET_YARDS, RESULTS
from sbp_jax.data.readers.screen import Screen
from sbp_jax.data.readers.unknowns import unread_clock

FORMAT = "list of plays"
MAX_GAIN = 109.0  # yards: end line to goal line
_POSSIBLE = {
    "season": (1920, 2100),
    "week": (0, 30),
    "quarter": (1, 8),
    "clock_s": (0, 900),
    "down": (1, 4),
    "distance": (0, 100),
    "score_difference": (-100, 100),
}
_GOAL_LINE_X, _MIDFIELD = 110.0, 50.0
# distance of the ball at the snap behind its usual place: -1.3 to 2.6 yards in the 290 real plays. If the snap is
# tagged late, the ball is already on its way to the passer
_BEHIND_YARDS = (-2.0, 7.0)
# columns of tracking, unknown for a listed play
_UNKNOWN = {"x": pl.Float64, "y": pl.Float64, "dir": pl.Float64, "o": pl.Float64, "direction": pl.String}


def situations(rows: pl.DataFrame, plays: pl.DataFrame, games: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return the canonical plays, except `target_id` and `format`, from window rows and the outcomes `plays`."""
    first = ["passer_id", "offense_side", "direction", "frames"]
    columns = [
        c
        for c in ("season", "week", "quarter", "clock_s", "down", "distance", "absolute_yardline")
        if c in rows.columns
    ]
    columns += [c for c in ("home_score", "visitor_score") if c in rows.columns]
    table = rows.group_by(PLAY).agg(pl.col(*first, *columns).drop_nulls().first())
    if "game_clock" in rows.columns:
        for clock in rows.select("game_clock_column", "game_clock").drop_nulls().head(1).iter_rows():
            screen.report.reasons_unknown["clock_s"] = unread_clock(*clock)
    snap = rows.filter(pl.col("frame") == 0)
    ball = toward_positive_x(snap.filter("is_ball")).select(*PLAY, ball_x="x", ball_y="y")
    at_home = pl.col("at_home") == 1 if "at_home" in rows.columns else pl.lit(None, pl.Boolean)
    thrower = rows.filter(pl.col("player_id") == pl.col("passer_id")).group_by(PLAY)
    passer = thrower.agg(passer=pl.col("name").first(), at_home=at_home.first())
    for other in (ball, passer, plays):
        table = table.join(other, on=PLAY, how="left", suffix="_listed")
    plays = table.join(games, on="game_id", how="left", suffix="_game")
    return _derive(plays, screen)


def _derive(plays: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    def column(name: str, kind: Any = pl.Int64) -> pl.Expr:
        columns = [c for c in (name, f"{name}_listed", f"{name}_game") if c in plays.columns]
        return pl.coalesce(*columns, pl.lit(None, kind)).cast(kind)

    home_team, visitor_team = column("home_team", pl.String), column("visitor_team", pl.String)
    # the files of 2026 name the sides by their role
    by_role = pl.col("offense_side").str.to_lowercase() == "offense"
    side = pl.when(by_role).then(column("possession_team", pl.String)).otherwise("offense_side")
    home = (
        pl.when(pl.col("at_home").is_not_null())
        .then("at_home")
        .when(side.is_in(["home", "away"]))
        .then(side == "home")
        .when(franchise(side) == franchise(home_team))
        .then(True)
        .when(
            (franchise(side) == franchise(visitor_team))
            | (side.is_not_null() & home_team.is_not_null() & visitor_team.is_null())
        )
        .then(False)
    )
    team = (
        pl.when(side == "home")
        .then(pl.coalesce(home_team, column("possession_team", pl.String)))
        .when(side == "away")
        .then(pl.coalesce(visitor_team, column("possession_team", pl.String)))
        .otherwise(side)
    )
    # a game's number begins with its date; January and February belong to the previous season
    has_date = pl.col("game_id").is_between(1_970_000_000, 2_100_000_000)
    month, year = pl.col("game_id") // 10_000 % 100, pl.col("game_id") // 1_000_000
    season = pl.when(has_date).then(year - (month <= 2).cast(pl.Int64))
    lead = column("home_score") - column("visitor_score")
    ahead = pl.when("is_home").then(lead).when(~pl.col("is_home")).then(-lead)
    # without tracking the direction of play is unknown, and so is the meaning of an absolute yard line
    line, way = column("absolute_yardline"), pl.col("direction")
    absolute = pl.when(way == "left").then(line - (FIELD_LENGTH_YARDS - _GOAL_LINE_X)).when(way == "right")
    absolute = absolute.then(_GOAL_LINE_X - line)
    number = column("yardline_number").cast(pl.Float64)
    own_half = franchise(column("yardline_side", pl.String)) == franchise(column("possession_team", pl.String))
    by_side = pl.when(own_half | (number == _MIDFIELD)).then(100.0 - number).when(~own_half).then(number)
    line_by_list = pl.coalesce(column("yards_to_goal").cast(pl.Float64), absolute, by_side)
    line_by_ball = _GOAL_LINE_X - pl.col("ball_x") - BALL_BEHIND_LINE_YARDS
    plays = plays.with_columns(listed=line_by_list, tracked=line_by_ball, is_home=home)
    far = plays.filter(~(pl.col("tracked") - pl.col("listed")).is_between(*_BEHIND_YARDS))
    detail = pl.format("{} yards to the goal by the list, {} by the ball", "listed", pl.col("tracked").round(1))
    plays = screen.malformed(plays, far.with_columns(detail=detail), "line of scrimmage far from the ball")
    to_goal = pl.coalesce("listed", pl.col("tracked").round().clip(1.0, 99.0))
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
        season=pl.coalesce(column("season"), season),
        week=column("week"),
        quarter=column("quarter"),
        clock_s=column("clock_s"),
        down=column("down"),
        distance=column("distance"),
        yards_to_goal=to_goal,
        score_difference=pl.coalesce(ahead, column("score_difference")),
        home="is_home",
        team=team.fill_null(""),
        touchdown=touchdown,
        outcome=outcomes.get(screen.rules.outcome, pl.col("listed_outcome")).cast(pl.Float64),
        **{name: pl.col(f"listed:{name}") for name in screen.rules.situation},
    )
    return drop_impossible(plays, screen.report)


def listed_plays(listed: pl.DataFrame, games: pl.DataFrame, players: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return the canonical plays of a list of plays, except `target_id`, sorted by game and play.

    The screen's report counts the plays that are left out, as for tracked plays.

    Raises:
        InputError: a play is malformed, and `malformed` of the rules is "raise".
    """
    names = pl.Series([parse_passer(text or "") for text in listed["description"]], dtype=pl.String)
    passer = pl.coalesce("passer", names)
    screen.report.read += len(listed)
    rows = listed.select(
        *PLAY,
        "passer_code",
        "possession_team",
        passer=passer,
        offense_side="possession_team",
        frames=pl.lit(1, pl.Int64),
        frame=pl.lit(0, pl.Int64),
        is_ball=pl.lit(value=False),
        **{name: pl.lit(None, kind) for name, kind in _UNKNOWN.items()},
    )
    # rejected plays also help to identify passers
    rows = identify_passers(rows, players).with_columns(passer_id="player_id", name="passer")
    rows, plays = join_outcomes(rows, listed.drop("passer"), screen)
    count_passers(rows, screen.report)
    plays = situations(rows, plays, games, screen).with_columns(format=pl.lit(FORMAT))
    # the window has one frame, so its length is not a time to throw
    return plays.with_columns(pl.col("time_to_throw_s").fill_null(float("nan"))).sort(PLAY)


def drop_impossible(plays: pl.DataFrame, report: ReadReport) -> pl.DataFrame:
    """Return canonical plays with impossible values of the situation replaced by null, and count them."""
    for name, (low, high) in _POSSIBLE.items():
        wrong = ~pl.col(name).is_between(low, high)
        report.repair(f"plays with an impossible {name}: treated as unknown", len(plays.filter(wrong)))
        plays = plays.with_columns(pl.when(~wrong).then(name).alias(name))
    return plays


def join_outcomes(rows: pl.DataFrame, listed: pl.DataFrame, screen: Screen) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `rows` of plays whose attempt counts, and those plays with `result`, `yards` and the requested outcome.

    The result comes from the list of plays or, for a play that is not in it, from the description in the tracking. If
    the two differ, the list takes precedence, and the difference is counted.
    """
    plays = rows.select(PLAY).unique().sort(PLAY).join(listed, on=PLAY, how="left")
    plays = screen.malformed(
        plays,
        plays.filter("two_outcomes").with_columns(detail=pl.lit("the lists of plays disagree")),
        "two different outcomes",
    )
    if "description" in rows.columns:
        plays = _with_text(plays, rows.group_by(PLAY).agg(text=pl.col("description").drop_nulls().first()), screen)
    plays = screen.reject(plays, plays.filter(pl.col("has_outcome").is_null()), "no outcome listed")
    plays = screen.reject(plays, plays.filter(pl.col("administrative").fill_null(value=False)), ADMINISTRATIVE)
    plays = screen.reject(plays, plays.filter(pl.col("two_point").fill_null(value=False)), "two-point try")
    plays = screen.reject(plays, plays.filter(pl.col("nullified").fill_null(value=False)), "nullified")
    plays = screen.reject(plays, plays.filter(pl.col("spike").fill_null(value=False)), "spike or kneel")
    eligible = pl.col("result").is_in(screen.rules.results).fill_null(value=False)
    if not screen.rules.tracking:
        unknown = plays.filter(~pl.col("result").is_in(RESULTS))
        plays = screen.reject(plays, unknown, f"result is not one of {', '.join(RESULTS)}")
    plays = screen.reject(
        plays, plays.filter(~eligible), "not a pass" if screen.rules.tracking else "of another result"
    )
    num_overruled = int(plays["overruled"].sum())
    screen.report.repair("result listed as before a replay: replaced by the ruling, as the gain agrees", num_overruled)
    missing = plays.filter(~pl.col("yards").is_finite().fill_null(value=False))
    detail = pl.format("result {} without a gain", "result")
    plays = screen.malformed(plays, missing.with_columns(detail=detail), "yards missing on a completion")
    possible = pl.col("yards").is_between(-MAX_GAIN, MAX_GAIN) & (pl.col("yards") == pl.col("yards").round())
    plays = screen.malformed(
        plays,
        plays.filter(~possible).with_columns(detail=pl.format("{} yards", "yards")),
        "yards that no play can gain",
    )
    plays = _with_requested_outcome(plays, screen)
    return rows.join(plays.select(PLAY), on=PLAY, how="semi"), plays


def _with_requested_outcome(plays: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    name = screen.rules.outcome
    if name == NET_YARDS:
        missing = plays.filter(pl.col("result") == "IN", pl.col("return_yards").is_null())
        return screen.reject(plays, missing, "interception without a listed return")
    if name != LEAGUE_YARDS:
        finite = pl.col("listed_outcome").is_finite().fill_null(value=False)
        return screen.reject(plays, plays.filter(~finite), f"no {name} listed")
    return plays


def _with_text(plays: pl.DataFrame, texts: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    plays = plays.join(texts, on=PLAY, how="left")
    rows: Sequence[tuple] = [(*parse_description(text or ""), parse_return(text or "")) for text in plays["text"]]
    columns = {"result": pl.String, "yards": pl.Float64, "nullified": pl.Boolean, "two_point": pl.Boolean}
    columns |= {"return_yards": pl.Float64}
    table = pl.DataFrame(rows, schema={f"{name}_text": kind for name, kind in columns.items()}, orient="row")
    plays = plays.hstack(table)
    both = plays.filter(pl.col("has_outcome") & pl.col("result_text").is_not_null())
    conflict = (pl.col("result") != pl.col("result_text")) | (pl.col("yards") != pl.col("yards_text"))
    screen.report.repair("outcome listed differs from the description (the list wins)", len(both.filter(conflict)))
    unlisted = pl.col("has_outcome").is_null() & pl.col("result_text").is_not_null()
    return plays.with_columns(
        *(
            pl.when(unlisted).then(f"{name}_text").otherwise(name).alias(name)
            for name in columns
            if name != "return_yards"
        ),
        # a list that has the result rarely has the return
        return_yards=pl.coalesce("return_yards", "return_yards_text"),
        has_outcome=pl.when(unlisted).then(True).otherwise("has_outcome"),
    ).drop("text", *(f"{name}_text" for name in columns))
