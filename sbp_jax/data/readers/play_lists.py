"""One list of plays, of the Big Data Bowl or of play-by-play such as nflverse's, told by its columns.

Result codes: C complete, I incomplete, IN intercepted; S (sack) and R (run) are no attempts. An incompletion and an
interception gain 0, whatever the return was; a penalty's yards do not count; a lateral's do where the list tells them.
"""

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from sbp_jax.data.plays import in_yards
from sbp_jax.data.readers.descriptions import is_reversed, parse_description, parse_return
from sbp_jax.data.readers.formats import Table, cast_columns, numbers, read_table
from sbp_jax.data.readers.rules import ATTEMPTS
from sbp_jax.errors import InputError

# common name -> the names that publishers give the column, the first one present is taken
NAMES = {
    "game_id": ("gameId", "old_game_id", "game_id"),
    "play_id": ("playId", "play_id"),
    "result": ("passResult", "PassResult", "pass_result", "result", "outcome"),
    # before the penalty where a publisher has both: playResult, yardsGained and, from 2026, yards_gained include it
    "yards": (
        "prePenaltyYardsGained",
        "prePenaltyPlayResult",
        "pre_penalty_yards_gained",
        "yards_gained",
        "offensePlayResult",
        "yards",
        "yardsGained",
        "playResult",
        "PlayResult",
    ),
    "nullified": ("nullified", "playNullifiedByPenalty", "play_nullified_by_penalty"),
    "two_point": ("two_pt", "two_point", "two_point_attempt"),
    "spike": ("kneel_or_spike", "qb_spike", "qbSpike"),
    "description": ("playDescription", "desc", "play_description"),
    "quarter": ("quarter", "qtr"),
    "down": ("down",),
    "distance": ("yardsToGo", "ydstogo", "yards_to_go"),
    "clock": ("gameClock", "GameClock", "game_clock", "time"),
    "clock_s": ("clock_s", "quarter_seconds_remaining"),
    "home_score": ("preSnapHomeScore", "HomeScoreBeforePlay", "pre_snap_home_score"),
    "visitor_score": ("preSnapVisitorScore", "VisitorScoreBeforePlay", "pre_snap_visitor_score"),
    "score_difference": ("score_differential",),
    "absolute_yardline": ("absoluteYardlineNumber", "absolute_yardline_number"),
    "yards_to_goal": ("yardline_100",),
    "yardline_side": ("yardlineSide", "yardline_side"),
    "yardline_number": ("yardlineNumber", "yardline_number"),
    "possession_team": ("possessionTeam", "posteam", "possession_team"),
    "home_team": ("home_team_abbr", "home_team"),
    "visitor_team": ("visitor_team_abbr", "away_team"),
    # nflverse's first ones know who scrambled too
    "passer": ("passer", "passer_player_name"),
    "passer_code": ("passer_id", "passer_player_id"),
    "season": ("season",),
    "week": ("week",),
    "time_to_throw_s": ("timeToThrow", "time_to_throw"),
}
OUTCOMES = {*NAMES["result"], *NAMES["yards"], "passing_yards"}
TEXT = {"result", "description", "clock", "yardline_side", "possession_team", "home_team", "visitor_team"}
TEXT |= {"passer", "passer_code"}
FLAGS = {"nullified", "two_point", "spike"}
REAL = {"yards", "time_to_throw_s"}

_TRUE = ["true", "1", "1.0", "t", "yes", "y"]
_PLAYS_SIGNS = {"quarter", "down", "yards", "result", "description", "distance", "possession_team"}
# flags of play-by-play that stand for a result, the first that is set
_RESULT_FLAGS = {
    "interception": "IN",
    "complete_pass": "C",
    "incomplete_pass": "I",
    "sack": "S",
    "qb_scramble": "R",
}
_FLAGGED = ("complete_pass", "incomplete_pass", "interception")  # with these a list has flags
_CODED = ("passResult", "PassResult", "pass_result")  # with these it has codes, whatever flags are beside them


def read_play_list(table: Table, outcome: str, further: Sequence[str]) -> pl.DataFrame | None:
    """Return the plays of a list by the common names, None where it is none; arguments as `outcomes.read_listing`.

    `completed` tells where a replay's ruling, told by the description and the gain, stands for the one listed.

    Raises:
        InputError: a list of plays lacks its outcome columns, or a value does not parse.
    """
    names = {name: next((c for c in columns if c in table.columns), None) for name, columns in NAMES.items()}
    names = {name: column for name, column in names.items() if column}
    lacking = [name for name in _FLAGGED if name not in table.columns]
    flagged = not lacking
    if flagged:
        names["result"] = _FLAGGED[0]  # nflverse has a column "result" that is the game's
    elif len(lacking) < len(_FLAGGED) and names.get("result") not in _CODED:
        raise InputError(f"{table.path}: looks like play-by-play but lacks the column(s) {', '.join(lacking)}")
    if "result" not in names or "yards" not in names:
        if len(names.keys() & _PLAYS_SIGNS) < 2:
            return None
        untold = "result" if "result" not in names else "yards"
        raise InputError(
            f"{table.path}: plays without an outcome: expected one of the columns {', '.join(NAMES[untold])}"
        )
    rows = read_table(table)
    _check_plain(rows, [*names.values(), *_RESULT_FLAGS, outcome, *further], table)
    frame = rows.select(pl.col(column).alias(name) for name, column in names.items())
    if flagged:
        frame = frame.with_columns(result=_by_flags(rows))
    frame = frame.with_columns(yards=_gain(rows, frame, table, names["yards"]))
    if outcome in table.columns and not in_yards(outcome):
        frame = frame.with_columns(listed_outcome=numbers(rows[outcome], table.path, outcome))
    frame = cast_by_name(frame, table, names, text=TEXT, flags=FLAGS, real={*REAL, "listed_outcome"})
    if frame.select(pl.col("game_id", "play_id").is_null().any()).row(0) != (False, False):
        row = frame.with_row_index().filter(pl.any_horizontal(pl.col("game_id", "play_id").is_null()))["index"][0]
        raise InputError(f"{table.path}: row {row + 1}: no {names['game_id']} or {names['play_id']}")
    frame = _with_text(frame.with_columns(pl.col("result").str.strip_chars().str.to_uppercase()))
    if "play_type" in rows.columns:
        frame = frame.with_columns(
            nullified=pl.col("nullified") | (rows["play_type"] == "no_play").fill_null(value=False)
        )
    frame = frame.with_columns(yards=pl.when(pl.col("result").is_in(["I", "IN"])).then(0.0).otherwise("yards"))
    if "clock" in names:
        told = clock_seconds(pl.col("clock"))
        frame = frame.with_columns(clock_s=pl.coalesce("clock_s", told) if "clock_s" in names else told).drop("clock")
    asked = [name for name in further if name in table.columns]
    frame = frame.with_columns(numbers(rows[name], table.path, name).alias(f"listed:{name}") for name in asked)
    return frame.with_columns(file=pl.lit(str(table.path)))


def clock_seconds(clock: pl.Expr) -> pl.Expr:
    """Return seconds left from a game clock "12:34", "12:34:00" or ":34"; null where it does not read so."""
    minutes = clock.str.extract(r"^(\d*):\d\d", 1)
    seconds = clock.str.extract(r"^\d*:(\d\d)", 1).cast(pl.Int64)
    return pl.when(minutes == "").then(0).otherwise(minutes.cast(pl.Int64, strict=False)) * 60 + seconds


def cast_by_name(
    frame: pl.DataFrame,
    table: Table,
    names: Mapping[str, str],
    text: Collection[str] = (),
    flags: Collection[str] = (),
    real: Collection[str] = (),
) -> pl.DataFrame:
    """Return a table's columns by their common names, as text, flags, real or else whole numbers.

    Raises:
        InputError: a value does not parse; the line has the file's own name of the column.
    """
    flagged = [name for name in frame.columns if name in flags]
    rest = [name for name in frame.columns if name not in {*text, *flags, *real}]
    return cast_columns(
        frame.with_columns(_is_true(pl.col(name)) for name in flagged),
        table.path,
        whole={name: names[name] for name in rest},
        real={name: names.get(name, name) for name in frame.columns if name in real},
        text=[name for name in frame.columns if name in text],
    )


def _with_text(frame: pl.DataFrame) -> pl.DataFrame:
    """What the description tells where the list does not, and what a replay ruled where the gain agrees."""
    described = "description" in frame.columns
    text = pl.col("description") if described else pl.lit(None, pl.String)
    said = {
        "nullified": text.str.contains("No Play"),
        "two_point": text.str.contains("TWO-POINT CONVERSION"),
        "spike": text.str.contains("spiked the ball"),
    }
    listed = {name: pl.coalesce(name, found) if name in frame.columns else found for name, found in said.items()}
    frame = frame.with_columns(found.fill_null(value=False).alias(name) for name, found in listed.items())
    if not described:
        return frame
    ruled, returns = [], []
    for result, gain, told in frame.select("result", "yards", "description").iter_rows():
        told = told or ""
        final = parse_description(told)[0] if result in (*ATTEMPTS, "S") and is_reversed(told) else None
        gained = gain is not None and gain != 0
        agrees = final in ATTEMPTS and final != result and gained == (final == "C")
        ruled.append(final if agrees else None)
        returns.append(parse_return(told))
    ruling = pl.Series(ruled, dtype=pl.String)
    return frame.with_columns(
        result=pl.coalesce(ruling, "result"),
        overruled=ruling.is_not_null(),
        return_yards=pl.Series(returns, dtype=pl.Float64),
    )


def _gain(rows: pl.DataFrame, frame: pl.DataFrame, table: Table, column: str) -> pl.Series:
    """The gain that counts, where several columns tell one."""
    yards = frame["yards"]
    if {"PassLength", "YardsAfterCatch"} <= set(rows.columns):
        # in this format PlayResult counts penalties; the pass and the run after it do not
        flown, run = (numbers(rows[name], table.path, name) for name in ("PassLength", "YardsAfterCatch"))
        known = flown.is_not_null() & run.is_not_null()
        return frame.select(pl.when(known).then(flown + run).otherwise(numbers(yards, table.path, column))).to_series()
    if set(rows.columns) >= {*_FLAGGED, "passing_yards"}:
        # nflverse's yards_gained leaves laterals out
        passed = numbers(rows["passing_yards"], table.path, "passing_yards")
        counts = (frame["result"] == "C") & passed.is_not_null()
        return frame.select(pl.when(counts).then(passed).otherwise(numbers(yards, table.path, column))).to_series()
    return yards


def _by_flags(rows: pl.DataFrame) -> pl.Series:
    """Result codes by the flags of play-by-play, null where none is set."""
    result = pl.lit(None, pl.String)
    for name, code in reversed(_RESULT_FLAGS.items()):
        if name in rows.columns:
            result = pl.when(_is_true(pl.col(name))).then(pl.lit(code)).otherwise(result)
    return rows.select(result=result)["result"]


def _is_true(flag: pl.Expr) -> pl.Expr:
    return flag.cast(pl.String).str.to_lowercase().is_in(_TRUE)


def _check_plain(rows: pl.DataFrame, names: Sequence[str], table: Table) -> None:
    for name in dict.fromkeys(names):
        if name in rows.columns and (rows.schema[name].is_nested() or rows.schema[name] == pl.Binary):
            raise InputError(f"{table.path}: column {name!r}: expected numbers or text, got {rows.schema[name]}")
