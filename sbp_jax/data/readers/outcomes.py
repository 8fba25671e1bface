"""What a play gained, as the league counts it, and the situation it was played in, from the files beside the tracking.

`play_lists` reads a list of plays; here the lists, players and games of all files become one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sbp_jax.data.plays import LEAGUE_YARDS, in_yards
from sbp_jax.data.readers.formats import (
    GAME_NAMES,
    PLAY_NAMES,
    PLAYER_NAMES,
    POSITION_NAMES,
    PRESSURE_NAMES,
    Table,
    read_table,
)
from sbp_jax.data.readers.play_lists import FLAGS, NAMES, REAL, TEXT, cast_by_name, read_play_list
from sbp_jax.errors import InputError

_KEY = ["game_id", "play_id"]


@dataclass(frozen=True)
class Listing:
    """Everything known of plays beside their tracking.

    Args:
        plays: one row a listed play; `has_outcome` tells whether a result is listed, `two_outcomes` whether two
            different ones are, `overruled` whether a replay's ruling stands for the result listed, `file` which list
            tells of it; `return_yards` [yd] of an interception, `time_to_throw_s` [s], `pressure`,
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
            listed = read_play_list(table, outcome, further)
            if listed is None:
                ignored.append(table)
            else:
                plays.append(listed)
    names = ", ".join(str(table.path) for table in tables if table.role == "plays") or "no list of plays"
    if not in_yards(outcome) and not any("listed_outcome" in each.columns for each in plays):
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


def _read_players(table: Table) -> pl.DataFrame:
    columns = {"player_id": PLAYER_NAMES, "position": POSITION_NAMES, "listed_name": {"displayName"}}
    present = {name: next((c for c in table.columns if c in known), None) for name, known in columns.items()}
    named = {name: column for name, column in present.items() if column}
    return cast_by_name(read_table(table).select(**named), table, named, text={"position", "listed_name"})


def _read_games(table: Table) -> pl.DataFrame:
    names = {"game_id": "gameId", "season": "season", "week": "week"}
    names |= {"home_team": "homeTeamAbbr", "visitor_team": "visitorTeamAbbr"}
    present = {name: column for name, column in names.items() if column in table.columns}
    return cast_by_name(read_table(table).select(**present), table, present, text={"home_team", "visitor_team"})


def _read_pressures(table: Table) -> pl.DataFrame:
    columns = {"game_id": GAME_NAMES, "play_id": PLAY_NAMES, "pressure": PRESSURE_NAMES}
    named = {name: next(c for c in table.columns if c in known) for name, known in columns.items()}
    return cast_by_name(read_table(table).select(**named), table, named, flags={"pressure"})


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
    empty: dict[str, type[pl.DataType]] = {name: pl.String if name in TEXT else pl.Int64 for name in NAMES}
    del empty["clock"]
    empty["file"] = pl.String
    empty |= dict.fromkeys((*REAL, "listed_outcome", "return_yards"), pl.Float64)
    empty |= dict.fromkeys((*FLAGS, "overruled"), pl.Boolean)
    plays = pl.concat([pl.DataFrame(schema=empty), *listed], how="diagonal_relaxed")
    outcome = pl.struct(pl.col("result").fill_null(""), "yards", "nullified", "two_point")
    asked = pl.col("listed_outcome").drop_nulls()  # only some of the lists may have the column
    two = plays.group_by(_KEY).agg(two_outcomes=(outcome.n_unique() > 1) | (asked.n_unique() > 1))
    first = plays.group_by(_KEY, maintain_order=True).agg(pl.all().drop_nulls().first())
    return first.join(two, on=_KEY, how="left").with_columns(has_outcome=pl.lit(True))
