"""True strength of teams in points, and the final scores drawn from it.

A game's expected margin, home minus away, is

    d = q (z_home - z_away) + r_home - r_away + h

with z the skill of the quarterback who plays, r ~ N(0, s^2) the rest of the team, which keeps a part of itself from
season to season, and h the home advantage. The scoreboard before each snap is a background process that knows nothing
of d, so that no feature of a play betrays a skill. Strength shows after the last snap only: closing drives bring the
home team m + d / 2 points on average and the away team m - d / 2 (or |d| and 0, where that would be negative), and so
the final margin is d on average. A field goal in overtime decides a tie, the home team's with probability
Phi(d / 14.5).
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from sbp_jax.data.simulator.careers import passers
from sbp_jax.data.simulator.config import LeagueConfig
from sbp_jax.data.simulator.league import PLAYS_A_GAME, TEAMS, Game, League
from sbp_jax.data.simulator.situation import draw_situations
from sbp_jax.data.simulator.streams import GameBlock, Purpose

MARGIN_SD_POINTS = 14.5  # of the final margin around the expected one: measured, see the tests
_CLOSING_POINTS = 6.0  # m: points a team adds after the last snap against an equal
_TOUCHDOWN_SHARE, _TOUCHDOWN, _FIELD_GOAL = 0.6, 7, 3
_POINTS_A_DRIVE = _TOUCHDOWN_SHARE * _TOUCHDOWN + (1 - _TOUCHDOWN_SHARE) * _FIELD_GOAL


def draw_rests(config: LeagueConfig, seed: int, seasons: int) -> np.ndarray:
    """The rest of every team in every season, [seasons, teams] (points)."""
    rests = np.empty((seasons, len(TEAMS)))
    for index in range(seasons):
        fresh = np.random.default_rng([seed, int(Purpose.STRENGTH), index]).standard_normal(len(TEAMS))
        kept = config.team_kept if index else 0.0
        rests[index] = kept * rests[index - 1] + np.sqrt(1 - kept**2) * config.team_points * fresh
    return rests


def expected_margins(config: LeagueConfig, games: Sequence[Game], league: League, rest: np.ndarray) -> np.ndarray:
    """d of every game, [games] (points), from the season's `league` and the teams' `rest` [teams]."""
    _, skill = passers(games, league)
    home, away = (np.array([getattr(game, side) for game in games]) for side in ("home", "away"))
    return config.quarterback_points * (skill[:, 0] - skill[:, 1]) + rest[home] - rest[away] + config.home_points


def draw_scores(games: Sequence[Game], margins: np.ndarray, seed: int) -> np.ndarray:
    """Final points of the home and the away team, [games, 2], never equal, given the expected `margins` [games]."""
    drawn = [PLAYS_A_GAME] * len(games)
    block = GameBlock([game.index for game in games], drawn, []).whole()
    situation = draw_situations(games, seed, block)
    last = np.cumsum(drawn) - 1
    points = np.stack([situation.home_score[last], situation.away_score[last]], axis=1)
    for number, (game, margin) in enumerate(zip(games, margins.tolist(), strict=True)):
        generator = np.random.default_rng([seed, int(Purpose.RESULT), game.index])
        home = max(_CLOSING_POINTS + margin / 2, margin, 0.0)
        points[number] += _closing_points(np.array([home, home - margin]), generator)
        if points[number, 0] == points[number, 1]:
            home_wins = generator.uniform() < NormalDist().cdf(margin / MARGIN_SD_POINTS)
            points[number, 0 if home_wins else 1] += _FIELD_GOAL
    return points


def _closing_points(mean: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Touchdowns and field goals that make `mean` points on average, [2]."""
    drives = np.floor(mean / _POINTS_A_DRIVE + generator.uniform(size=2)).astype(int)
    touchdowns = generator.binomial(drives, _TOUCHDOWN_SHARE)
    return _TOUCHDOWN * touchdowns + _FIELD_GOAL * (drives - touchdowns)
