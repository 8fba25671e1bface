"""Lists of plays, from the Big Data Bowl or from play-by-play such as nflverse's, recognized by their columns.

Result codes: C complete, I incomplete, IN intercepted; S (sack) and R (run) are not attempts. An incompletion and an
interception gain 0, whatever the return was. Penalty yards do not count; yards of a lateral count if the list has them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.clocks import read_clock
from sbp_jax.data.readers.descriptions import (
    TYPE_COLUMNS,
    is_administrative,
    is_reversed,
    parse_description,
    parse_return,
)
from sbp_jax.data.readers.files import Place
from sbp_jax.data.readers.formats import (
    CODE_NAMES,
    FLAG_NAMES,
    GAIN_NAMES,
    GAME_NAMES,
    PLAY_NAMES,
    PLAYER_NAMES,
    POSITION_NAMES,
    PRESSURE_NAMES,
    Table,
    read_table,
)
from sbp_jax.data.readers.names import plain
from sbp_jax.data.readers.rules import ATTEMPTS, LEAGUE_YARDS, in_yards
from sbp_jax.data.readers.tables import TEXT_GAME_SEASON, TRUE, cast_columns, numbers
from sbp_jax.errors import InputError

# common name -> the names that publishers give the column; the first one present, in any spelling, is used
NAMES = {
    "game_id": GAME_NAMES,
    "play_id": PLAY_NAMES,
    "result": (*CODE_NAMES, "result", "outcome"),
    "yards": GAIN_NAMES,
    "nullified": ("nullified", "playNullifiedByPenalty"),
    "two_point": ("two_pt", "two_point", "two_point_attempt"),
    "spike": ("kneel_or_spike", "qb_spike"),
    "description": ("playDescription", "desc"),
    "quarter": ("quarter", "qtr"),
    "down": ("down",),
    "distance": ("yardsToGo", "ydstogo"),
    "clock": ("gameClock", "time"),
    "clock_s": ("clock_s", "quarter_seconds_remaining"),
    "home_score": ("preSnapHomeScore", "HomeScoreBeforePlay"),
    "visitor_score": ("preSnapVisitorScore", "VisitorScoreBeforePlay"),
    "score_difference": ("score_differential",),
    "absolute_yardline": ("absoluteYardlineNumber",),
    "yards_to_goal": ("yardline_100",),
    "yardline_side": ("yardlineSide",),
    "yardline_number": ("yardlineNumber",),
    "possession_team": ("possessionTeam", "posteam"),
    "home_team": ("home_team_abbr", "home_team"),
    "visitor_team": ("visitor_team_abbr", "away_team"),
    # nflverse's `passer` and `passer_id` include players who scramble
    "passer": ("passer", "passer_player_name"),
    "passer_code": ("passer_id", "passer_player_id"),
    "season": ("season",),
    "week": ("week",),
    "time_to_throw_s": ("timeToThrow",),
}
OUTCOMES = {*NAMES["result"], *NAMES["yards"], "passing_yards"}
TEXT = {"result", "description", "clock", "yardline_side", "possession_team", "home_team", "visitor_team"}
TEXT |= {"passer", "passer_code"}
FLAGS = {"nullified", "two_point", "spike"}
REAL = {"yards", "time_to_throw_s"}

_PLAYS_SIGNS = {"quarter", "down", "yards", "result", "description", "distance", "possession_team"}
# flags of play-by-play that encode a result; the first one that is set counts
_RESULT_FLAGS = {
    "interception": "IN",
    "complete_pass": "C",
    "incomplete_pass": "I",
    "sack": "S",
    "qb_scramble": "R",
}
_PARTS = ("PassLength", "YardsAfterCatch")
_OTHERS = ("passing_yards", *TYPE_COLUMNS)


class NoOutcomeError(InputError):
    """A table has plays, but no column of their outcome."""


def read_play_list(table: Table, outcome: str, further: Sequence[str]) -> pl.DataFrame | None:
    """Return the plays of a list under the common names, or None if the table is no such list.

    A replay's ruling in the description overrides the listed result if the gain agrees with it. Arguments are those of
    `read_listing`.

    Raises:
        InputError: a list of plays is missing its outcome columns, or a value does not parse.
    """
    names = _present(table, NAMES)
    flags = {name: table.column(name) for name in _RESULT_FLAGS}
    missing = [name for name in FLAG_NAMES if not flags[name]]
    has_flags = not missing
    if has_flags:
        names["result"] = str(flags[FLAG_NAMES[0]])  # nflverse has a column "result" that is the game's
    elif len(missing) < len(FLAG_NAMES) and not table.column(*CODE_NAMES):
        raise NoOutcomeError(f"{table.path}: looks like play-by-play but is missing the column(s) {', '.join(missing)}")
    if "result" not in names or "yards" not in names:
        if len(names.keys() & _PLAYS_SIGNS) < 2:
            return None
        absent = "result" if "result" not in names else "yards"
        raise NoOutcomeError(
            f"{table.path}: plays without an outcome: expected one of the columns {', '.join(NAMES[absent])}"
        )
    # nflverse has a text pass_length next to yards_after_catch, so other spellings count only next to PlayResult
    others = (*_OTHERS, *(_PARTS if plain(names["yards"]) == "playresult" else ()))
    parts = {name: column for name in others if (column := table.column(name))}
    parts |= {name: name for name in _PARTS if name in table.columns}
    parts |= {name: column for name, column in flags.items() if column}
    requests = {name: column for name in (outcome, *further) if (column := table.column(name))}
    rows = read_table(table, [*names.values(), *parts.values(), *requests.values()])
    _check_flat(rows, [*names.values(), *parts.values(), *requests.values()], table)
    # from here on, each column has one spelling
    rows = rows.with_columns(pl.col(column).alias(name) for name, column in {**requests, **parts}.items())
    seconds, unread = read_clock(rows[names["clock"]]) if "clock" in names else (None, None)
    frame = rows.select(pl.col(column).alias(name) for name, column in names.items() if name != "clock")
    if has_flags:
        frame = frame.with_columns(result=_by_flags(rows))
    frame = frame.with_columns(yards=_gain(rows, frame, table, names["yards"]))
    if outcome in requests and not in_yards(outcome):
        frame = frame.with_columns(listed_outcome=numbers(rows[outcome], table.path, outcome))
    frame = cast_by_name(frame, table, names, text=TEXT, flags=FLAGS, real={*REAL, "listed_outcome"})
    if frame.select(pl.col("game_id", "play_id").is_null().any()).row(0) != (False, False):
        row = frame.with_row_index().filter(pl.any_horizontal(pl.col("game_id", "play_id").is_null()))["index"][0]
        raise InputError(f"{table.path}: row {row + 1}: no {names['game_id']} or {names['play_id']}")
    frame = _with_text(frame.with_columns(pl.col("result").str.strip_chars().str.to_uppercase()))
    if rows.schema.get("play_type") == pl.String:
        frame = frame.with_columns(
            nullified=pl.col("nullified") | (rows["play_type"] == "no_play").fill_null(value=False)
        )
    frame = frame.with_columns(administrative=is_administrative(rows, frame))
    frame = frame.with_columns(yards=pl.when(pl.col("result").is_in(["I", "IN"])).then(0.0).otherwise("yards"))
    if seconds is not None and unread is not None:
        frame = frame.with_columns(seconds.alias("remaining"), unread.alias("clock"))
        listed = ("clock_s", "remaining") if "clock_s" in names else ("remaining",)
        frame = frame.with_columns(clock_s=pl.coalesce(*listed), clock_column=pl.lit(names["clock"])).drop("remaining")
    if "season" not in names:
        season = pl.col("game_id") // TEXT_GAME_SEASON  # 201 or so in the league's own numbers
        frame = frame.with_columns(season=pl.when(season.is_between(1900, 2200)).then(season))
    extra_names = [name for name in further if name in requests]
    frame = frame.with_columns(numbers(rows[name], table.path, name).alias(f"listed:{name}") for name in extra_names)
    return frame.with_columns(file=pl.lit(str(table.path)))


def cast_by_name(
    frame: pl.DataFrame,
    table: Table,
    names: Mapping[str, str],
    text: Collection[str] = (),
    flags: Collection[str] = (),
    real: Collection[str] = (),
) -> pl.DataFrame:
    """Return a table's columns under their common names, as text, flags, floats or (all others) integers.

    Raises:
        InputError: a value does not parse; the message has the file's own name of the column.
    """
    flagged = [name for name in frame.columns if name in flags]
    rest = [name for name in frame.columns if name not in {*text, *flags, *real}]
    return cast_columns(
        frame.with_columns(_is_true(pl.col(name)) for name in flagged),
        table.path,
        integers={name: names[name] for name in rest},
        real={name: names.get(name, name) for name in frame.columns if name in real},
        text=[name for name in frame.columns if name in text],
    )


def _with_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Fill in from the description what the list leaves open, and apply a replay's ruling if the gain agrees."""
    has_text = "description" in frame.columns
    text = pl.col("description") if has_text else pl.lit(None, pl.String)
    expressions = {
        "nullified": text.str.contains("No Play"),
        "two_point": text.str.contains("TWO-POINT CONVERSION"),
        "spike": text.str.contains("spiked the ball"),
    }
    flags = {name: pl.coalesce(name, flag) if name in frame.columns else flag for name, flag in expressions.items()}
    frame = frame.with_columns(flag.fill_null(value=False).alias(name) for name, flag in flags.items())
    if not has_text:
        return frame
    rulings, returns = [], []
    for result, gain, description in frame.select("result", "yards", "description").iter_rows():
        words = description or ""
        final = parse_description(words)[0] if result in (*ATTEMPTS, "S") and is_reversed(words) else None
        has_gain = gain is not None and gain != 0
        is_consistent = final in ATTEMPTS and final != result and has_gain == (final == "C")
        rulings.append(final if is_consistent else None)
        returns.append(parse_return(words))
    ruling = pl.Series(rulings, dtype=pl.String)
    return frame.with_columns(
        result=pl.coalesce(ruling, "result"),
        overruled=ruling.is_not_null(),
        return_yards=pl.Series(returns, dtype=pl.Float64),
    )


def _gain(rows: pl.DataFrame, frame: pl.DataFrame, table: Table, column: str) -> pl.Series:
    """Gains, from the column that the format requires if several have one."""
    yards = frame["yards"]
    if set(_PARTS) <= set(rows.columns):
        # in this format PlayResult counts penalties; the pass and the run after it do not
        pass_yards, run = (numbers(rows[name], table.path, name) for name in _PARTS)
        complete = pass_yards.is_not_null() & run.is_not_null()
        return frame.select(
            pl.when(complete).then(pass_yards + run).otherwise(numbers(yards, table.path, column))
        ).to_series()
    if set(rows.columns) >= {*FLAG_NAMES, "passing_yards"}:
        # nflverse's yards_gained leaves laterals out
        passing_yards = numbers(rows["passing_yards"], table.path, "passing_yards")
        counts = (frame["result"] == "C") & passing_yards.is_not_null()
        return frame.select(
            pl.when(counts).then(passing_yards).otherwise(numbers(yards, table.path, column))
        ).to_series()
    return yards


def _by_flags(rows: pl.DataFrame) -> pl.Series:
    """Result codes from the flags of play-by-play, null if none is set."""
    result = pl.lit(None, pl.String)
    for name, code in reversed(_RESULT_FLAGS.items()):
        if name in rows.columns:
            result = pl.when(_is_true(pl.col(name))).then(pl.lit(code)).otherwise(result)
    return rows.select(result=result)["result"]


def _is_true(flag: pl.Expr) -> pl.Expr:
    return flag.cast(pl.String).str.strip_chars().str.to_lowercase().is_in(TRUE)


def _check_flat(rows: pl.DataFrame, names: Sequence[str], table: Table) -> None:
    """Raise InputError if a column has lists, structs or binary data."""
    for name in dict.fromkeys(names):
        if name in rows.columns and (rows.schema[name].is_nested() or rows.schema[name] == pl.Binary):
            raise InputError(f"{table.path}: column {name!r}: expected numbers or text, got {rows.schema[name]}")


@dataclass(frozen=True)
class Listing:
    """Everything known about plays apart from their tracking.

    Args:
        plays: one row per listed play. `has_outcome` is true if a result is listed, `two_outcomes` if two different
            ones are, `overruled` if a replay's ruling replaces the listed result, `administrative` if the row is not
            a play; `file` is the list; `clock` is the unparsed text of column `clock_column`. `return_yards`
            [yd] of an interception, `time_to_throw_s` [s], `pressure`, `listed_outcome` (the requested column) and
            `listed:NAME` (further requested columns) are null if unknown.
        players: player_id, position, listed_name.
        games: game_id with season, week, home_team, visitor_team if given.
        doubtful: number of players listed as quarterback and as something else; their position is null.
    """

    plays: pl.DataFrame
    players: pl.DataFrame
    games: pl.DataFrame
    doubtful: int = 0


def read_listing(
    tables: Sequence[Table], outcome: str = LEAGUE_YARDS, further: Sequence[str] = ()
) -> tuple[Listing, list[Table]]:
    """Read the plays, players and games among `tables`; return them and the tables that are none of these.

    Args:
        tables: all tables; tracking is skipped.
        outcome: "yards", "net_yards" or a column of a list of plays, which becomes `listed_outcome`.
        further: numeric columns of a list of plays, which become `listed:NAME`.

    Raises:
        InputError: a list of plays is missing its outcome columns, no list has the column `outcome` or a further one,
            two lists contradict each other about a game, or a value does not parse.
    """
    plays, others, problems = [], [table for table in tables if table.role == "unknown"], []
    for table in tables:
        if table.role == "plays":
            try:
                play_list = read_play_list(table, outcome, further)
            except NoOutcomeError as error:
                # another list may have the outcomes; one that the user names must have them
                if table.explicit:
                    raise
                problems.append(error)
                others.append(replace(table, problem=str(error).removeprefix(f"{table.path}: ")))
                continue
            if play_list is None:
                others.append(table)
            else:
                plays.append(play_list)
    if problems and not plays:
        raise problems[0]
    names = ", ".join(str(table.path) for table in tables if table.role == "plays") or "no list of plays"
    if not in_yards(outcome) and not any("listed_outcome" in each.columns for each in plays):
        raise InputError(
            f"outcome: expected yards, net_yards or a column of a list of plays, got {outcome!r} ({names})"
        )
    for name in further:
        if not any(f"listed:{name}" in each.columns for each in plays):
            raise InputError(f"situation: expected a column of a list of plays, got {name!r} ({names})")
    players = [_read_players(table) for table in tables if table.role == "players"]
    games = [_read_games(table) for table in tables if table.role == "games"]
    pressures = [_read_pressures(table) for table in tables if table.role == "pressures"]
    people, num_ambiguous = _one_row_per_player(players)
    return Listing(
        plays=_one_row_per_play(plays).join(_any_pressure(pressures), on=PLAY, how="left"),
        players=people,
        games=_one_row_per_game(games, [table.path for table in tables if table.role == "games"]),
        doubtful=num_ambiguous,
    ), others


def _read_players(table: Table) -> pl.DataFrame:
    names = _present(table, {"player_id": PLAYER_NAMES, "position": POSITION_NAMES, "listed_name": ("displayName",)})
    return _selected(table, names, text={"position", "listed_name"})


def _read_games(table: Table) -> pl.DataFrame:
    columns = {"game_id": GAME_NAMES, "season": ("season",), "week": ("week",)}
    columns |= {"home_team": ("homeTeamAbbr",), "visitor_team": ("visitorTeamAbbr",)}
    return _selected(table, _present(table, columns), text={"home_team", "visitor_team"})


def _read_pressures(table: Table) -> pl.DataFrame:
    names = _present(table, {"game_id": GAME_NAMES, "play_id": PLAY_NAMES, "pressure": PRESSURE_NAMES})
    return _selected(table, names, flags={"pressure"})


def _present(table: Table, columns: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Common name -> the file's column, of the columns that a table has."""
    return {name: column for name, candidates in columns.items() if (column := table.column(*candidates))}


def _selected(table: Table, names: Mapping[str, str], **kinds: Collection[str]) -> pl.DataFrame:
    rows = read_table(table, names.values())
    return cast_by_name(
        rows.select(pl.col(column).alias(name) for name, column in names.items()), table, names, **kinds
    )


def _any_pressure(pressures: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Whether any player's pressure is listed, null for a play without an entry."""
    empty = pl.DataFrame(schema={"game_id": pl.Int64, "play_id": pl.Int64, "pressure": pl.Boolean})
    entries = pl.concat([empty, *pressures]).drop_nulls()
    return entries.group_by(PLAY).agg(pl.col("pressure").any())


def _one_row_per_player(tables: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, int]:
    """First entry of every player; the position is null if the lists disagree on whether he is a quarterback."""
    empty = pl.DataFrame(schema={"player_id": pl.Int64, "position": pl.String, "listed_name": pl.String})
    players = pl.concat([empty, *tables], how="diagonal").drop_nulls("player_id")
    back = pl.col("position") == "QB"
    both = players.group_by("player_id").agg(pl.col("position").n_unique(), back=back.any()).filter("back")
    ambiguous = both.filter(pl.col("position") > 1)["player_id"]
    consistent = ~pl.col("player_id").is_in(ambiguous.implode())
    first = players.unique("player_id", keep="first", maintain_order=True)
    return first.with_columns(position=pl.when(consistent).then("position")), len(ambiguous)


def _one_row_per_game(tables: Sequence[pl.DataFrame], paths: Sequence[Place]) -> pl.DataFrame:
    games = pl.concat([pl.DataFrame(schema={"game_id": pl.Int64}), *tables], how="diagonal").drop_nulls("game_id")
    entries = games.group_by("game_id", maintain_order=True).agg(pl.all().drop_nulls().unique(maintain_order=True))
    for name in entries.columns[1:]:
        several = entries.filter(pl.col(name).list.len() > 1)
        if len(several):
            values = " and ".join(str(value) for value in several[name][0].to_list())
            names = ", ".join(str(path) for path in paths)
            raise InputError(f"{names}: game {several['game_id'][0]}: {name} is {values}")
    return entries.with_columns(pl.exclude("game_id").list.first())


def _one_row_per_play(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    empty: dict[str, type[pl.DataType]] = {name: pl.String if name in TEXT else pl.Int64 for name in NAMES}
    empty |= {"file": pl.String, "clock_column": pl.String}
    empty |= dict.fromkeys((*REAL, "listed_outcome", "return_yards"), pl.Float64)
    empty |= dict.fromkeys((*FLAGS, "overruled", "administrative"), pl.Boolean)
    plays = pl.concat([pl.DataFrame(schema=empty), *tables], how="diagonal_relaxed")
    outcome = pl.struct(pl.col("result").fill_null(""), "yards", "nullified", "two_point")
    values = pl.col("listed_outcome").drop_nulls()  # only some of the lists may have the column
    two = plays.group_by(PLAY).agg(two_outcomes=(outcome.n_unique() > 1) | (values.n_unique() > 1))
    first = plays.group_by(PLAY, maintain_order=True).agg(pl.all().drop_nulls().first())
    return first.join(two, on=PLAY, how="left").with_columns(has_outcome=pl.lit(True))
