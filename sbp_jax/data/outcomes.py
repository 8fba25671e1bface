"""What a play gained, as the league counts it, and the situation it was played in.

Result codes: C complete, I incomplete, IN intercepted; S (sack) and R (run) are no attempts. An incompletion and an
interception gain 0, whatever the return was; a penalty's yards do not count.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from sbp_jax.data.formats import PLAYER_NAMES, POSITION_NAMES, Table, cast_columns, read_table
from sbp_jax.errors import InputError

ATTEMPTS = ("C", "I", "IN")

# common name -> the names that publishers give the column, the first one present is taken
_NAMES = {
    "game_id": ("gameId", "game_id"),
    "play_id": ("playId", "play_id"),
    "result": ("passResult", "PassResult", "pass_result", "result", "outcome"),
    "yards": ("yards_gained", "offensePlayResult", "yards", "yardsGained", "playResult", "PlayResult"),
    "nullified": ("nullified",),
    "two_point": ("two_pt", "two_point"),
    "description": ("playDescription", "desc"),
    "quarter": ("quarter", "qtr"),
    "down": ("down",),
    "distance": ("yardsToGo", "ydstogo"),
    "clock": ("gameClock", "GameClock", "game_clock"),
    "home_score": ("preSnapHomeScore", "HomeScoreBeforePlay"),
    "visitor_score": ("preSnapVisitorScore", "VisitorScoreBeforePlay"),
    "absolute_yardline": ("absoluteYardlineNumber",),
    "yards_to_goal": ("yardline_100",),
    "yardline_side": ("yardlineSide",),
    "yardline_number": ("yardlineNumber",),
    "possession_team": ("possessionTeam", "posteam"),
    "season": ("season",),
    "week": ("week",),
}
_TEXT = {"result", "description", "clock", "yardline_side", "possession_team"}
_FLAGS = {"nullified", "two_point"}
_PLAYS_SIGNS = {"quarter", "down", "yards", "result", "description", "distance", "possession_team"}

_GAIN = re.compile(r"for (?:(-?\d+) yards?|no gain)")
_BREAK = re.compile(r"FUMBLES|MUFFS|PENALTY|Penalty")


@dataclass(frozen=True)
class Listing:
    """Everything known of plays beside their tracking.

    Args:
        plays: one row a listed play; `has_outcome` tells whether a result is listed, `two_outcomes` whether two
            different ones are.
        players: player_id, position.
        games: game_id with season, week, home_team, visitor_team where given.
    """

    plays: pl.DataFrame
    players: pl.DataFrame
    games: pl.DataFrame


def read_listing(tables: Sequence[Table]) -> tuple[Listing, list[Table]]:
    """Read the plays, players and games among `tables`; return them and the tables that turned out to be neither.

    Raises:
        InputError: a list of plays lacks its outcome columns, or a value does not parse.
    """
    plays, ignored = [], [table for table in tables if table.role == "unknown"]
    for table in tables:
        if table.role == "plays":
            listed = _read_plays(table)
            if listed is None:
                ignored.append(table)
            else:
                plays.append(listed)
    players = [_read_players(table) for table in tables if table.role == "players"]
    games = [_read_games(t) for t in tables if t.role == "games"]
    empty_player = pl.DataFrame(schema={"player_id": pl.Int64, "position": pl.String})
    empty_game = pl.DataFrame(schema={"game_id": pl.Int64})
    return Listing(
        plays=_one_row_a_play(plays),
        players=pl.concat([empty_player, *players]).drop_nulls("player_id").unique("player_id", keep="first"),
        games=pl.concat([empty_game, *games], how="diagonal").unique("game_id", keep="first"),
    ), ignored


def parse_description(text: str) -> tuple[str | None, float | None, bool, bool]:
    """Return `(result, yards, nullified, two_point)` of a play from the league's text.

    Where a replay REVERSED the ruling, the text after the last such word counts. The gain is that of the pass and of
    laterals after it, up to a fumble or penalty. `result` is None where the text tells of no pass, sack or run.
    """
    two_point = "TWO-POINT CONVERSION" in text
    nullified = "No Play" in text
    final = text.rsplit("REVERSED", 1)[-1]
    if "INTERCEPTED" in final:
        return "IN", 0.0, nullified, two_point
    if re.search(r"pass (?:is )?incomplete|is incomplete", final):
        return "I", 0.0, nullified, two_point
    if "sacked" in final:
        return "S", None, nullified, two_point
    if "spiked the ball" in final or "scrambles" in final:
        return "R", None, nullified, two_point
    thrown = re.search(r"\bpass(?:es)?\b", final)
    if thrown is None:
        return None, None, nullified, two_point
    caught = _BREAK.split(final[thrown.start() :], maxsplit=1)[0]
    first, *laterals = re.split(r"\. (?=Lateral|Pass back)", caught)
    gains = [_GAIN.search(part) for part in (first, *laterals)]
    if gains[0] is None:
        return "C", None, nullified, two_point
    return "C", float(sum(int(gain[1] or 0) for gain in gains if gain)), nullified, two_point


def clock_seconds(clock: pl.Expr) -> pl.Expr:
    """Return seconds left from a game clock "12:34", "12:34:00" or ":34"; null where it does not read so."""
    minutes = clock.str.extract(r"^(\d*):\d\d", 1)
    seconds = clock.str.extract(r"^\d*:(\d\d)", 1).cast(pl.Int64)
    return pl.when(minutes == "").then(0).otherwise(minutes.cast(pl.Int64, strict=False)) * 60 + seconds


def _read_plays(table: Table) -> pl.DataFrame | None:
    names = {name: next((c for c in columns if c in table.columns), None) for name, columns in _NAMES.items()}
    names = {name: column for name, column in names.items() if column}
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
        flown = pl.sum_horizontal(pl.Series(rows["PassLength"]).cast(pl.Float64), rows["YardsAfterCatch"])
        both = rows["PassLength"].is_not_null() & rows["YardsAfterCatch"].is_not_null()
        frame = frame.with_columns(yards=pl.when(both).then(flown).otherwise(pl.col("yards").cast(pl.Float64)))
    frame = _cast(frame, table, names, text=_TEXT, flags=_FLAGS)
    if frame.select(pl.col("game_id", "play_id").is_null().any()).row(0) != (False, False):
        raise InputError(f"{table.path}: a row without {names['game_id']} or {names['play_id']}")
    text = pl.col("description") if "description" in names else pl.lit(None, pl.String)
    said = {"nullified": text.str.contains("No Play"), "two_point": text.str.contains("TWO-POINT CONVERSION")}
    frame = frame.with_columns(pl.col("result").str.strip_chars().str.to_uppercase())
    frame = frame.with_columns(
        (pl.col(name) if name in names else found).fill_null(value=False).alias(name) for name, found in said.items()
    ).with_columns(yards=pl.when(pl.col("result").is_in(["I", "IN"])).then(0.0).otherwise("yards"))
    if "clock" in names:
        frame = frame.with_columns(clock_s=clock_seconds(pl.col("clock"))).drop("clock")
    if "clock_s" in table.columns:
        frame = frame.with_columns(clock_s=rows["clock_s"].cast(pl.Int64))
    return frame


def _read_players(table: Table) -> pl.DataFrame:
    names = {"player_id": PLAYER_NAMES, "position": POSITION_NAMES}
    columns = {kind: next(c for c in table.columns if c in known) for kind, known in names.items()}
    return _cast(read_table(table).select(**columns), table, columns, text={"position"})


def _read_games(table: Table) -> pl.DataFrame:
    names = {"game_id": "gameId", "season": "season", "week": "week"}
    names |= {"home_team": "homeTeamAbbr", "visitor_team": "visitorTeamAbbr"}
    present = {name: column for name, column in names.items() if column in table.columns}
    return _cast(read_table(table).select(**present), table, present, text={"home_team", "visitor_team"})


def _one_row_a_play(listed: Sequence[pl.DataFrame]) -> pl.DataFrame:
    key = ["game_id", "play_id"]
    empty = {name: pl.String if name in _TEXT else pl.Int64 for name in _NAMES if name != "clock"}
    empty |= {"yards": pl.Float64, "nullified": pl.Boolean, "two_point": pl.Boolean, "clock_s": pl.Int64}
    plays = pl.concat([pl.DataFrame(schema=empty), *listed], how="diagonal_relaxed")
    outcome = pl.struct(pl.col("result").fill_null(""), "yards", "nullified", "two_point")
    two = plays.group_by(key).agg(two_outcomes=outcome.n_unique() > 1)
    first = plays.group_by(key, maintain_order=True).agg(pl.all().drop_nulls().first())
    return first.join(two, on=key, how="left").with_columns(has_outcome=pl.lit(True))


def _cast(
    frame: pl.DataFrame, table: Table, names: Mapping[str, str], text: Collection[str] = (), flags: Collection[str] = ()
) -> pl.DataFrame:
    flagged = [name for name in frame.columns if name in flags]
    value = [pl.col(name).cast(pl.String).str.to_lowercase().is_in(["true", "1", "t", "yes"]) for name in flagged]
    rest = [name for name in frame.columns if name not in {*text, *flags}]
    return cast_columns(
        frame.with_columns(value),
        table.path,
        whole={name: names[name] for name in rest if name != "yards"},
        real=[name for name in rest if name == "yards"],
        text=[name for name in frame.columns if name in text],
    )
