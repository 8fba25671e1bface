"""Weeks of games: which plays of which games are simulated, and one week written as its tracking file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import polars as pl

from sbp_jax.data.simulator.block import Seeds, simulate_games
from sbp_jax.data.simulator.league import GAMES_A_SEASON, PLAYS_A_GAME, Game, League, schedule
from sbp_jax.data.simulator.streams import GameBlock

_PLAYS_A_BLOCK = 530  # simulated at once; bounds memory


@dataclass(frozen=True)
class Week:
    """Games of one week with the quarterbacks of their season; `kept` [games] are the wanted of `drawn` plays each."""

    season: int
    number: int
    league: League
    games: Sequence[Game]
    kept: Sequence[np.ndarray]
    drawn: int


@dataclass(frozen=True)
class WeekTables:
    """What a week leaves beside its tracking file: plays, truth, and `points` [games, 2] where plays decide them."""

    plays: pl.DataFrame
    truth: pl.DataFrame
    points: np.ndarray


def fill_rounds(plays: int, seed: int, seasons: Sequence[int], league: League) -> list[Week]:
    """Weeks of a round robin filled game by game with 66 passes each, `plays` spread evenly over `seasons`.

    The last game of a season keeps its first plays; games hold more than 66 when a season would not hold its plays.
    """
    weeks = []
    for index, season in enumerate(seasons):
        wanted = plays // len(seasons) + (index < plays % len(seasons))
        a_game = max(PLAYS_A_GAME, -(-wanted // GAMES_A_SEASON))
        games = schedule(seed, season, index)[: -(-wanted // a_game)]
        kept = [np.arange(min(a_game, wanted - a_game * number)) for number in range(len(games))]
        weeks += group_weeks(season, league, games, kept, a_game)
    return weeks


def group_weeks(
    season: int, league: League, games: Sequence[Game], kept: Sequence[np.ndarray], drawn: int
) -> list[Week]:
    """The games of one season, in order of play, by week; games without a kept play are left out."""
    played = [(game, rows) for game, rows in zip(games, kept, strict=True) if len(rows)]
    weeks = []
    for number, group in groupby(played, key=lambda pair: pair[0].week):
        members = list(group)
        weeks.append(Week(season, number, league, [g for g, _ in members], [rows for _, rows in members], drawn))
    return weeks


def write_week(week: Week, seeds: Seeds, path: Path, report: Callable[[int], None] | None = None) -> WeekTables:
    """Simulate a week and write its tracking to `path` (.parquet or .csv); `report` is told the plays of each block."""
    together = max(1, _PLAYS_A_BLOCK // week.drawn)
    blocks = []
    for start in range(0, len(week.games), together):
        games = week.games[start : start + together]
        kept = week.kept[start : start + together]
        block = GameBlock([game.index for game in games], [week.drawn] * len(games), kept)
        blocks.append(simulate_games(games, block, seeds, week.league))
        if report is not None:
            report(block.plays)
    _write_tracking(pl.concat([block.tracking for block in blocks]), path)
    return WeekTables(
        plays=pl.concat([block.plays for block in blocks]),
        truth=pl.concat([block.truth for block in blocks]),
        points=np.concatenate([block.points for block in blocks]),
    )


def _write_tracking(table: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        table.write_parquet(path, compression="zstd", compression_level=1, statistics=False)
    else:
        whole = table.with_columns(pl.col("frameId", "gameId", "playId").cast(pl.Int64))
        whole.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ")
