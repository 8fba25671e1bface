"""Results of games, the table of a season, and who makes the playoffs."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from sbp_jax.data.simulator.league import TEAMS, Game

CONFERENCES = ("North", "South")  # the first and the second half of the teams
PLAYOFF_TEAMS = 7  # of each conference, as in the league since 2020


def results_table(games: Sequence[Game], points: np.ndarray) -> pl.DataFrame:
    """One row a game: teams, final `points` [games, 2] of home and visitor, and the winner's abbreviation."""
    home, visitor = ([TEAMS[getattr(game, side)] for game in games] for side in ("home", "away"))
    return pl.DataFrame(
        {
            "gameId": [game.game_id for game in games],
            "season": [game.season for game in games],
            "week": [game.week for game in games],
            "homeTeamAbbr": home,
            "visitorTeamAbbr": visitor,
            "homeScore": points[:, 0],
            "visitorScore": points[:, 1],
            "winner": np.where(points[:, 0] > points[:, 1], home, visitor).tolist(),
        }
    )


def standings_table(results: pl.DataFrame) -> pl.DataFrame:
    """One row a season and team, in the names of the public team records: wins, losses, ties, playoffs, points.

    The seven teams of each conference with the most wins make the playoffs; equal wins are told apart by the points
    difference, then by the points scored, then by the abbreviation's place in the alphabet.
    """
    sides = []
    for us, them in (("home", "visitor"), ("visitor", "home")):
        sides.append(
            results.select(
                "season",
                team=f"{us}TeamAbbr",
                own=f"{us}Score",
                other=f"{them}Score",
                won=pl.col("winner") == pl.col(f"{us}TeamAbbr"),
            )
        )
    conference = dict(zip(TEAMS, np.repeat(CONFERENCES, len(TEAMS) // 2).tolist(), strict=True))
    table = (
        pl.concat(sides)
        .group_by("season", "team")
        .agg(
            wins=pl.col("won").sum().cast(pl.Int64),
            losses=(~pl.col("won")).sum().cast(pl.Int64),
            points_for=pl.col("own").sum(),
            points_against=pl.col("other").sum(),
        )
        .with_columns(
            conference=pl.col("team").replace_strict(conference, return_dtype=pl.String),
            difference=pl.col("points_for") - pl.col("points_against"),
            ties=pl.lit(0),
            win_pct=pl.col("wins") / (pl.col("wins") + pl.col("losses")),
        )
        .sort(
            "season",
            "conference",
            "wins",
            "difference",
            "points_for",
            "team",
            descending=[False, False, *[True] * 3, False],
        )
    )
    rank = pl.int_range(1, pl.len() + 1).over("season", "conference")
    return table.select(
        *("season", "team", "conference", "wins", "losses", "ties", "win_pct"),
        made_playoffs=(rank <= PLAYOFF_TEAMS).cast(pl.Int64),
        conference_rank=rank,
        points_for="points_for",
        points_against="points_against",
    ).sort("season", "team")
