"""Quarterbacks over several seasons: who plays where, how good he is that season, and which games he misses."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from sbp_jax.data.simulator.league import TEAMS, Game, League
from sbp_jax.data.simulator.streams import Purpose

_LONGEST_ABSENCE, _ABSENCE_POWER = 13, 3.5  # games missed: 13 u^3.5 rounded down, none for every other starter


def draw_careers(league: League, seed: int, seasons: int, moves: float, kept: float) -> list[League]:
    """The league in each season; the first is `league` itself.

    Between two seasons a share `moves` of all quarterbacks change places among themselves, whether first or second and
    whatever their skill, and every skill drifts: z' = kept z + sqrt(1 - kept^2) e, e ~ N(0, 1). Each season's skills
    are therefore N(0, 1) and independent of teams and places, as the true law takes them to be.
    """
    leagues = [league]
    for index in range(1, seasons):
        generator = np.random.default_rng([seed, int(Purpose.CAREER), index])
        passer, skill = leagues[-1].passer.ravel().copy(), leagues[-1].skill.ravel().copy()
        skill = kept * skill + np.sqrt(1 - kept**2) * generator.standard_normal(len(skill))
        movers = np.flatnonzero(generator.uniform(size=len(passer)) < moves)
        taking = generator.permutation(movers)
        passer[movers], skill[movers] = passer[taking], skill[taking]
        shape = league.passer.shape
        leagues.append(replace(league, passer=passer.reshape(shape), skill=skill.reshape(shape)))
    return leagues


def draw_absences(seed: int, season_index: int, games: int) -> np.ndarray:
    """Whether the second quarterback plays a team's k-th game, [teams, games]: the first misses one stretch at most."""
    generator = np.random.default_rng([seed, int(Purpose.CAREER), season_index, 1])
    u, v = generator.uniform(size=(2, len(TEAMS)))
    missed = np.floor(_LONGEST_ABSENCE * u**_ABSENCE_POWER)
    first = np.floor(v * (games - missed + 1))
    number = np.arange(games)
    return (number >= first[:, None]) & (number < (first + missed)[:, None])


def passers(games: Sequence[Game], league: League) -> tuple[np.ndarray, np.ndarray]:
    """Rows in the player table and skills of the quarterbacks, home and away, [games, 2] each."""
    team = np.array([(game.home, game.away) for game in games])
    slot = np.array([(game.home_quarterback, game.away_quarterback) for game in games])
    return league.passer[team, slot], league.skill[team, slot]


def quarterback_seasons(season: int, games: Sequence[Game], league: League) -> pl.DataFrame:
    """One row a quarterback: season, nflId, displayName, team, skill, games started."""
    started = np.bincount(passers(games, league)[0].ravel(), minlength=league.players.height)
    table = league.quarterbacks()
    return table.select(
        pl.lit(season).alias("season"), pl.all(), pl.Series("games_started", started[league.passer.ravel()])
    )
