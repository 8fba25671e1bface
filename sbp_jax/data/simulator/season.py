"""Full seasons: calendar, quarterbacks, strength and results of all games, and the plays that are shown of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sbp_jax.data.simulator.calendar import GAMES_A_TEAM, draw_calendar, game_day
from sbp_jax.data.simulator.careers import draw_absences, draw_careers, passers, quarterback_seasons
from sbp_jax.data.simulator.config import LeagueConfig
from sbp_jax.data.simulator.league import GAMES_A_SEASON, PLAYS_A_GAME, TEAMS, Game, League
from sbp_jax.data.simulator.standings import results_table, standings_table
from sbp_jax.data.simulator.streams import Purpose
from sbp_jax.data.simulator.strength import draw_rests, draw_scores, expected_margins
from sbp_jax.data.simulator.weeks import Week, group_weeks


@dataclass(frozen=True)
class Season:
    """One season: its games in order of play, the quarterbacks, the teams' rest [teams], margins and points [games]."""

    number: int
    games: Sequence[Game]
    league: League
    rest: np.ndarray
    margins: np.ndarray
    points: np.ndarray


def play_seasons(config: LeagueConfig, seed: int, seasons: Sequence[int], league: League) -> list[Season]:
    """All games of `seasons`, which must be consecutive, and their results; a season does not depend on later ones."""
    rests = draw_rests(config, seed, len(seasons))
    careers = draw_careers(league, seed, len(seasons), config.moves, config.skill_kept)
    played = []
    for index, (number, own, rest) in enumerate(zip(seasons, careers, rests, strict=True)):
        games = _games(seed, number, index)
        margins = expected_margins(config, games, own, rest)
        played.append(Season(number, games, own, rest, margins, draw_scores(games, margins, seed)))
    return played


def show_plays(seasons: Sequence[Season], plays: int, seed: int) -> list[Week]:
    """Weeks of `plays` plays, spread evenly over all games; with more of them, those of fewer are among them."""
    weeks = []
    for index, season in enumerate(seasons):
        wanted = plays // len(seasons) + (index < plays % len(seasons))
        kept = []
        for number, game in enumerate(season.games):
            count = wanted // GAMES_A_SEASON + (number < wanted % GAMES_A_SEASON)
            order = np.random.default_rng([seed, int(Purpose.THINNING), game.index]).permutation(PLAYS_A_GAME)
            kept.append(np.sort(order[:count]))
        weeks += group_weeks(season.number, season.league, season.games, kept, PLAYS_A_GAME)
    return weeks


def season_tables(config: LeagueConfig, seasons: Sequence[Season]) -> dict[str, pl.DataFrame]:
    """Tables by path within the folder: what everybody may know in results/, the truth behind it in truth/."""
    results = pl.concat([results_table(season.games, season.points) for season in seasons])
    standings = standings_table(results)
    passing = pl.concat([quarterback_seasons(season.number, season.games, season.league) for season in seasons])
    lasting = passing.group_by("nflId", "displayName", maintain_order=True)
    return {
        "results/games.csv": results,
        "results/teams.csv": standings,
        "truth/games.parquet": pl.concat([_true_games(season) for season in seasons]),
        "truth/teams.parquet": pl.concat([_true_teams(config, season) for season in seasons]).join(
            standings.select("season", "team", "wins", "made_playoffs"), on=["season", "team"], maintain_order="left"
        ),
        "truth/quarterback_seasons.parquet": passing,
        # a quarterback's one number for who asks for one: the mean over the seasons
        "truth/quarterbacks.parquet": lasting.agg(pl.col("team").last(), pl.col("skill").mean()),
    }


def _games(seed: int, season: int, season_index: int) -> list[Game]:
    absent = draw_absences(seed, season_index, GAMES_A_TEAM)
    played = np.zeros(len(TEAMS), dtype=int)
    games: list[Game] = []
    for week, pairs in enumerate(draw_calendar(seed, season_index), start=1):
        day = game_day(season, week)
        for number, (home, away) in enumerate(pairs):
            second = [int(absent[team, played[team]]) for team in (home, away)]
            index = season_index * GAMES_A_SEASON + len(games)
            games.append(Game(index, season, week, int(f"{day:%Y%m%d}{number:02d}"), day, home, away, *second))
            played[[home, away]] += 1
    return games


def _true_games(season: Season) -> pl.DataFrame:
    """One row a game: who threw, how good each was, and the expected margin of the home team in points."""
    rows, skill = passers(season.games, season.league)
    ids = season.league.players["nflId"].to_numpy()[rows]
    return pl.DataFrame(
        {
            "gameId": [game.game_id for game in season.games],
            "season": season.number,
            "home_passer_nflId": ids[:, 0],
            "visitor_passer_nflId": ids[:, 1],
            "home_skill": skill[:, 0],
            "visitor_skill": skill[:, 1],
            "expected_margin": season.margins,
        }
    )


def _true_teams(config: LeagueConfig, season: Season) -> pl.DataFrame:
    """One row a team: its strength in points, averaged over its games, and the two parts of it."""
    _, skill = passers(season.games, season.league)
    team = np.array([(game.home, game.away) for game in season.games])
    mean_skill = np.bincount(team.ravel(), skill.ravel()) / np.bincount(team.ravel())
    quarterback = config.quarterback_points * mean_skill
    return pl.DataFrame(
        {
            "season": season.number,
            "team": TEAMS,
            "strength_points": quarterback + season.rest,
            "quarterback_points": quarterback,
            "rest_points": season.rest,
        }
    )
