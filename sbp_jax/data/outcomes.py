"""What a play gained, as the league counts it, and the situation it was played in, from the files beside the tracking.

Result codes: C complete, I incomplete, IN intercepted; S (sack) and R (run) are no attempts. An incompletion and an
interception gain 0, whatever the return was; a penalty's yards do not count. A list of plays is told by its columns:
the lists of the Big Data Bowl, or play-by-play, the public nflverse files among it, whose results are flags.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sbp_jax.data.batching import LEAGUE_YARDS, NET_YARDS
from sbp_jax.data.descriptions import parse_description, parse_return
from sbp_jax.data.formats import (
    GAME_NAMES,
    PLAY_NAMES,
    PLAYER_NAMES,
    POSITION_NAMES,
    PRESSURE_NAMES,
    Table,
    cast_columns,
    read_table,
)
from sbp_jax.errors import InputError

ATTEMPTS = ("C", "I", "IN")
RESULTS = (*ATTEMPTS, "S", "R")
# flags of play-by-play that stand for a result, the first that is set
_RESULT_FLAGS = {
    "interception": "IN",
    "complete_pass": "C",
    "incomplete_pass": "I",
    "sack": "S",
    "qb_scramble": "R",
}
_FLAGGED = {"interception", "complete_pass", "incomplete_pass"}  # with these a list has flags

# common name -> the names that publishers give the column, the first one present is taken
_NAMES = {
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
    "spike": ("kneel_or_spike", "qb_spike"),
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
    "passer": ("passer", "passer_player_name"),
    "passer_code": ("passer_player_id",),
    "season": ("season",),
    "week": ("week",),
    "time_to_throw_s": ("timeToThrow", "time_to_throw"),
}
_TEXT = {"result", "description", "clock", "yardline_side", "possession_team", "home_team", "visitor_team"}
_TEXT |= {"passer", "passer_code"}
_FLAGS = {"nullified", "two_point", "spike"}
_REAL = {"yards", "time_to_throw_s", "listed_outcome"}
_TRUE = ["true", "1", "1.0", "t", "yes", "y"]
_KEY = ["game_id", "play_id"]
_PLAYS_SIGNS = {"quarter", "down", "yards", "result", "description", "distance", "possession_team"}


@dataclass(frozen=True)
class Listing:
    """Everything known of plays beside their tracking.

    Args:
        plays: one row a listed play; `has_outcome` tells whether a result is listed, `two_outcomes` whether two
            different ones are, `completed` whether another result is listed and the gain and the description tell of a
            completion; `return_yards` [yd] of an interception, `time_to_throw_s` [s], `pressure`,
            `listed_outcome` (the column asked for) and `listed:NAME` (those asked for beside it) are null where not
            told.
        players: player_id, position, listed_name.
        games: game_id with season, week, home_team, visitor_team where given.
        doubtful: players whom the lists know as quarterback and as something else; their position is null.
    """

    plays: pl.DataFrame
    players: pl.DataFrame
    games: pl.DataFrame
    doubtful: int = 0


def read_listing(
    tables: Sequence[Table], outcome: str = LEAGUE_YARDS, further: Sequence[str] = ()
) -> tuple[Listing, list[Table]]:
    """Read the plays, players and games among `tables`; return them and the tables that turned out to be neither.

    Args:
        tables: the tables; those of tracking are passed over.
        outcome: "yards", "net_yards" or a column of a list of plays, which `listed_outcome` then has.
        further: numeric columns of a list of plays, which `listed:NAME` then have.

    Raises:
        InputError: a list of plays lacks its outcome columns, no list has the column `outcome` or a further one, two
            lists tell different things of a game, or a value does not parse.
    """
    plays, ignored = [], [table for table in tables if table.role == "unknown"]
    for table in tables:
        if table.role == "plays":
            listed = _read_plays(table, outcome, further)
            if listed is None:
                ignored.append(table)
            else:
                plays.append(listed)
    names = ", ".join(str(table.path) for table in tables if table.role == "plays") or "no list of plays"
    if outcome not in (LEAGUE_YARDS, NET_YARDS) and not any("listed_outcome" in each.columns for each in plays):
        raise InputError(
            f"outcome: expected yards, net_yards or a column of a list of plays, got {outcome!r} ({names})"
        )
    for name in further:
        if not any(f"listed:{name}" in each.columns for each in plays):
            raise InputError(f"situation: expected a column of a list of plays, got {name!r} ({names})")
    players = [_read_players(table) for table in tables if table.role == "players"]
    games = [_read_games(t) for t in tables if t.role == "games"]
    pressures = [_read_pressures(t) for t in tables if t.role == "pressures"]
    people, doubtful = _one_row_a_player(players)
    return Listing(
        plays=_one_row_a_play(plays).join(_any_pressure(pressures), on=_KEY, how="left"),
        players=people,
        games=_one_row_a_game(games, [t.path for t in tables if t.role == "games"]),
        doubtful=doubtful,
    ), ignored


def clock_seconds(clock: pl.Expr) -> pl.Expr:
    """Return seconds left from a game clock "12:34", "12:34:00" or ":34"; null where it does not read so."""
    minutes = clock.str.extract(r"^(\d*):\d\d", 1)
    seconds = clock.str.extract(r"^\d*:(\d\d)", 1).cast(pl.Int64)
    return pl.when(minutes == "").then(0).otherwise(minutes.cast(pl.Int64, strict=False)) * 60 + seconds


def _read_plays(table: Table, outcome: str, further: Sequence[str]) -> pl.DataFrame | None:
    names = {name: next((c for c in columns if c in table.columns), None) for name, columns in _NAMES.items()}
    names = {name: column for name, column in names.items() if column}
    flagged = set(table.columns) >= _FLAGGED
    if flagged:
        names["result"] = "complete_pass"  # nflverse has a column of that name that is the game's
    if "result" not in names or "yards" not in names:
        if len(names.keys() & _PLAYS_SIGNS) < 2:
            return None
        lacking = "result" if "result" not in names else "yards"
        raise InputError(
            f"{table.path}: plays without an outcome: expected one of the columns {', '.join(_NAMES[lacking])}"
        )
    rows = read_table(table)
    frame = rows.select(pl.col(column).alias(name) for name, column in names.items())
    if {"PassLength", "YardsAfterCatch"} <= set(table.columns):
        # in this format PlayResult counts penalties; the pass and the run after it do not
        parts = [_numeric(rows[name], table) for name in ("PassLength", "YardsAfterCatch")]
        flown, both = pl.sum_horizontal(*parts), parts[0].is_not_null() & parts[1].is_not_null()
        frame = frame.with_columns(yards=pl.when(both).then(flown).otherwise(pl.col("yards").cast(pl.Float64)))
    if flagged:
        frame = frame.with_columns(result=_by_flags(rows))
    if outcome in table.columns and outcome not in (LEAGUE_YARDS, NET_YARDS):
        frame = frame.with_columns(listed_outcome=_numeric(rows[outcome], table))
    frame = _cast(frame, table, names, text=_TEXT, flags=_FLAGS)
    if frame.select(pl.col("game_id", "play_id").is_null().any()).row(0) != (False, False):
        raise InputError(f"{table.path}: a row without {names['game_id']} or {names['play_id']}")
    text = pl.col("description") if "description" in names else pl.lit(None, pl.String)
    said = {"nullified": text.str.contains("No Play"), "two_point": text.str.contains("TWO-POINT CONVERSION")}
    frame = frame.with_columns(pl.col("result").str.strip_chars().str.to_uppercase())
    frame = frame.with_columns(
        (pl.col(name) if name in names else found).fill_null(value=False).alias(name) for name, found in said.items()
    )
    if "description" in names:
        frame = _with_final_ruling(frame)
    frame = frame.with_columns(yards=pl.when(pl.col("result").is_in(["I", "IN"])).then(0.0).otherwise("yards"))
    if "description" in names:
        returns = [parse_return(text or "") for text in frame["description"]]
        frame = frame.with_columns(return_yards=pl.Series(returns, dtype=pl.Float64))
    if "clock" in names:
        if "clock_s" not in names:
            frame = frame.with_columns(clock_s=clock_seconds(pl.col("clock")))
        frame = frame.drop("clock")
    asked = [name for name in further if name in table.columns]
    return frame.with_columns(_numeric(rows[name], table).alias(f"listed:{name}") for name in asked)


def _with_final_ruling(frame: pl.DataFrame) -> pl.DataFrame:
    """Completions whose listed result is that before a replay: both the gain and the description tell of them."""
    told = [
        result in ("I", "IN") and gain not in (None, 0.0) and parse_description(text or "")[0] == "C"
        for result, gain, text in frame.select("result", "yards", "description").iter_rows()
    ]
    frame = frame.with_columns(completed=pl.Series(told, dtype=pl.Boolean))
    return frame.with_columns(result=pl.when("completed").then(pl.lit("C")).otherwise("result"))


def _by_flags(rows: pl.DataFrame) -> pl.Series:
    """Result codes by the flags of play-by-play, null where none is set."""
    result = pl.lit(None, pl.String)
    for name, code in reversed(_RESULT_FLAGS.items()):
        if name in rows.columns:
            result = pl.when(_is_true(pl.col(name))).then(pl.lit(code)).otherwise(result)
    return rows.select(result=result)["result"]


def _is_true(flag: pl.Expr) -> pl.Expr:
    return flag.cast(pl.String).str.to_lowercase().is_in(_TRUE)


def _numeric(column: pl.Series, table: Table) -> pl.Series:
    known = column.drop_nulls()
    if not column.dtype.is_numeric() and len(known):
        raise InputError(f"{table.path}: column {column.name!r}: expected numbers, got {str(known[0])!r}")
    return column.cast(pl.Float64)


def _read_players(table: Table) -> pl.DataFrame:
    columns = {"player_id": PLAYER_NAMES, "position": POSITION_NAMES, "listed_name": {"displayName"}}
    present = {name: next((c for c in table.columns if c in known), None) for name, known in columns.items()}
    named = {name: column for name, column in present.items() if column}
    return _cast(read_table(table).select(**named), table, named, text={"position", "listed_name"})


def _read_games(table: Table) -> pl.DataFrame:
    names = {"game_id": "gameId", "season": "season", "week": "week"}
    names |= {"home_team": "homeTeamAbbr", "visitor_team": "visitorTeamAbbr"}
    present = {name: column for name, column in names.items() if column in table.columns}
    return _cast(read_table(table).select(**present), table, present, text={"home_team", "visitor_team"})


def _read_pressures(table: Table) -> pl.DataFrame:
    columns = {"game_id": GAME_NAMES, "play_id": PLAY_NAMES, "pressure": PRESSURE_NAMES}
    named = {name: next(c for c in table.columns if c in known) for name, known in columns.items()}
    return _cast(read_table(table).select(**named), table, named, flags={"pressure"})


def _any_pressure(pressures: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Whether any player's pressure is listed, null for a play without a word on it."""
    empty = pl.DataFrame(schema={"game_id": pl.Int64, "play_id": pl.Int64, "pressure": pl.Boolean})
    told = pl.concat([empty, *pressures]).drop_nulls()
    return told.group_by(_KEY).agg(pl.col("pressure").any())


def _one_row_a_player(listed: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, int]:
    """The first word on every player, but none on the position of whom lists differ in being a quarterback."""
    empty = pl.DataFrame(schema={"player_id": pl.Int64, "position": pl.String, "listed_name": pl.String})
    players = pl.concat([empty, *listed], how="diagonal").drop_nulls("player_id")
    back = pl.col("position") == "QB"
    both = players.group_by("player_id").agg(pl.col("position").n_unique(), back=back.any()).filter("back")
    doubtful = both.filter(pl.col("position") > 1)["player_id"]
    known = ~pl.col("player_id").is_in(doubtful.implode())
    first = players.unique("player_id", keep="first", maintain_order=True)
    return first.with_columns(position=pl.when(known).then("position")), len(doubtful)


def _one_row_a_game(listed: Sequence[pl.DataFrame], paths: Sequence[Path]) -> pl.DataFrame:
    games = pl.concat([pl.DataFrame(schema={"game_id": pl.Int64}), *listed], how="diagonal").drop_nulls("game_id")
    told = games.group_by("game_id", maintain_order=True).agg(pl.all().drop_nulls().unique(maintain_order=True))
    for name in told.columns[1:]:
        several = told.filter(pl.col(name).list.len() > 1)
        if len(several):
            values = " and ".join(str(value) for value in several[name][0].to_list())
            names = ", ".join(str(path) for path in paths)
            raise InputError(f"{names}: game {several['game_id'][0]}: {name} is {values}")
    return told.with_columns(pl.exclude("game_id").list.first())


def _one_row_a_play(listed: Sequence[pl.DataFrame]) -> pl.DataFrame:
    empty: dict[str, type[pl.DataType]] = {name: pl.String if name in _TEXT else pl.Int64 for name in _NAMES}
    del empty["clock"]
    empty |= dict.fromkeys((*_REAL, "return_yards"), pl.Float64)
    empty |= dict.fromkeys((*_FLAGS, "completed"), pl.Boolean)
    plays = pl.concat([pl.DataFrame(schema=empty), *listed], how="diagonal_relaxed")
    outcome = pl.struct(pl.col("result").fill_null(""), "yards", "nullified", "two_point")
    asked = pl.col("listed_outcome").drop_nulls()  # only some of the lists may have the column
    two = plays.group_by(_KEY).agg(two_outcomes=(outcome.n_unique() > 1) | (asked.n_unique() > 1))
    first = plays.group_by(_KEY, maintain_order=True).agg(pl.all().drop_nulls().first())
    return first.join(two, on=_KEY, how="left").with_columns(has_outcome=pl.lit(True))


def _cast(
    frame: pl.DataFrame, table: Table, names: Mapping[str, str], text: Collection[str] = (), flags: Collection[str] = ()
) -> pl.DataFrame:
    flagged = [name for name in frame.columns if name in flags]
    value = [_is_true(pl.col(name)) for name in flagged]
    rest = [name for name in frame.columns if name not in {*text, *flags}]
    return cast_columns(
        frame.with_columns(value),
        table.path,
        whole={name: names[name] for name in rest if name not in _REAL},
        real=[name for name in rest if name in _REAL],
        text=[name for name in frame.columns if name in text],
    )
