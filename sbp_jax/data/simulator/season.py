"""Full seasons: calendar, quarterbacks, true strength of the teams and results of all games, and a selection of plays.

The expected margin of a game is d = q (z_home - z_away) + r_home - r_away + h, in points. The page
`docs/explanation/simulator.md` defines the terms and explains how the scores follow from d.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from statistics import NormalDist

import numpy as np
import polars as pl

from sbp_jax.data.simulator.config import LeagueConfig
from sbp_jax.data.simulator.league import (
    GAMES_A_SEASON,
    GAMES_A_WEEK,
    PLAYS_A_GAME,
    TEAMS,
    Game,
    League,
    draw_absences,
    draw_careers,
    passers,
    quarterback_seasons,
    schedule,
)
from sbp_jax.data.simulator.play import draw_situations
from sbp_jax.data.simulator.streams import GameBlock, Purpose

MARGIN_SD_POINTS = 14.5  # of the final margin around the expected one; measured, see the tests
_CLOSING_POINTS = 6.0  # m: points a team adds after the last snap against an equal opponent
_TOUCHDOWN_SHARE, _TOUCHDOWN, _FIELD_GOAL = 0.6, 7, 3
_POINTS_PER_DRIVE = _TOUCHDOWN_SHARE * _TOUCHDOWN + (1 - _TOUCHDOWN_SHARE) * _FIELD_GOAL


def draw_rests(config: LeagueConfig, seed: int, seasons: int) -> np.ndarray:
    """Draw the rest r of every team in every season, [seasons, teams] (points)."""
    rests = np.empty((seasons, len(TEAMS)))
    for index in range(seasons):
        noise = np.random.default_rng([seed, int(Purpose.STRENGTH), index]).standard_normal(len(TEAMS))
        correlation = config.team_kept if index else 0.0
        rests[index] = correlation * rests[index - 1] + np.sqrt(1 - correlation**2) * config.team_points * noise
    return rests


def expected_margins(config: LeagueConfig, games: Sequence[Game], league: League, rest: np.ndarray) -> np.ndarray:
    """Return d of every game, [games] (points), from the season's `league` and the teams' `rest` [teams]."""
    _, skill = passers(games, league)
    home, away = (np.array([getattr(game, side) for game in games]) for side in ("home", "away"))
    return config.quarterback_points * (skill[:, 0] - skill[:, 1]) + rest[home] - rest[away] + config.home_points


def draw_scores(games: Sequence[Game], margins: np.ndarray, seed: int) -> np.ndarray:
    """Draw the final points of home and away team, [games, 2], never equal, given the expected `margins` [games]."""
    counts = [PLAYS_A_GAME] * len(games)
    block = GameBlock([game.index for game in games], counts, []).whole()
    situation = draw_situations(games, seed, block)
    last = np.cumsum(counts) - 1
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
    """Points of touchdowns and field goals with the given `mean`, [2]."""
    drives = np.floor(mean / _POINTS_PER_DRIVE + generator.uniform(size=2)).astype(int)
    touchdowns = generator.binomial(drives, _TOUCHDOWN_SHARE)
    return _TOUCHDOWN * touchdowns + _FIELD_GOAL * (drives - touchdowns)


WEEKS = 18
GAMES_A_TEAM = 17
_BYES = range(4, 14)  # rounds, counted from 0, from which games are moved
_MAX_BYES = 3  # maximum number of games moved from one of them

Pairing = tuple[int, int]


def draw_calendar(seed: int, season_index: int) -> list[list[Pairing]]:
    """Draw the games (home, away) as indices of teams, by week in order; 272 in all.

    The calendar has seventeen rounds of a round robin, so no pairing repeats. Sixteen games, one for each pair of teams
    in a perfect matching, are moved from the fifth to the fourteenth round to an additional round, which comes before
    or after these at random. The week of a moved game becomes the bye of its two teams, in weeks 5 to 15.
    """
    generator = np.random.default_rng([seed, int(Purpose.SCHEDULE), season_index])
    rounds = _round_robin(generator)
    matchings = _spread_matching([rounds[number] for number in _BYES], generator)
    for number, pairs in zip(_BYES, matchings, strict=True):
        rounds[number] = [pair for pair in rounds[number] if pair not in pairs]
    extra = [pair for pairs in matchings for pair in pairs]
    rounds.insert(int(generator.choice([*range(_BYES.start + 1), *range(_BYES.stop, WEEKS)])), extra)
    home = _balance([pair for pairs in rounds for pair in pairs], generator)
    weeks = [[pair if pair in home else pair[::-1] for pair in pairs] for pairs in rounds]
    return [[pairs[number] for number in generator.permutation(len(pairs))] for pairs in weeks]


def game_day(season: int, week: int) -> date:
    """Return the Sunday of a week; that of week 1 is the second Sunday of September."""
    september = date(season, 9, 1)
    opening = september + timedelta(days=(6 - september.weekday()) % 7 + 7)
    return opening + timedelta(days=7 * (week - 1))


def _round_robin(generator: np.random.Generator) -> list[list[Pairing]]:
    """Seventeen of the 31 rounds in which 32 teams meet once each, by the circle method."""
    teams = generator.permutation(len(TEAMS))
    turns = generator.permutation(len(TEAMS) - 1)[:GAMES_A_TEAM]
    circles = [np.concatenate([teams[:1], np.roll(teams[1:], turn)]) for turn in turns]
    return [[(int(circle[i]), int(circle[-1 - i])) for i in range(GAMES_A_WEEK)] for circle in circles]


def _spread_matching(rounds: list[list[Pairing]], generator: np.random.Generator) -> list[list[Pairing]]:
    """A perfect matching of the teams from pairs of the rounds, at most three per round; by search with restarts.

    A greedy pass chooses the team with the fewest possible games. One pass in a few dozen succeeds, and the result
    depends on the generator alone.
    """
    options = [
        [(number, pair) for number, pairs in enumerate(rounds) for pair in pairs if team in pair]
        for team in range(len(TEAMS))
    ]
    while True:
        matching: list[list[Pairing]] = [[] for _ in rounds]
        free = set(range(len(TEAMS)))
        while free:
            possible = {
                team: [(n, pair) for n, pair in options[team] if free.issuperset(pair) and len(matching[n]) < _MAX_BYES]
                for team in sorted(free)
            }
            team = min(possible, key=lambda each: (len(possible[each]), generator.random()))
            if not possible[team]:
                break
            number, pair = possible[team][int(generator.integers(len(possible[team])))]
            matching[number].append(pair)
            free -= set(pair)
        if not free:
            return matching


def _balance(pairs: list[Pairing], generator: np.random.Generator) -> set[Pairing]:
    """Pairs whose first team plays at home, such that every team has eight or nine home games.

    With one auxiliary game per team, every team has an even number of games. A walk from team to team along unused
    games closes where it started, so it leaves each team as often as it enters it; the team that it leaves is at home.
    """
    at: list[list[int]] = [[] for _ in TEAMS]
    auxiliary = generator.permutation(len(TEAMS)).reshape(-1, 2).tolist()
    edges = [*pairs, *map(tuple, auxiliary)]
    for number in generator.permutation(len(edges)).tolist():
        for team in edges[number]:
            at[team].append(number)
    used = np.zeros(len(edges), dtype=bool)
    home: set[Pairing] = set()
    for start in range(len(TEAMS)):
        team = start
        while True:
            while at[team] and used[at[team][-1]]:
                at[team].pop()
            if not at[team]:
                break
            number = at[team].pop()
            used[number] = True
            first, second = edges[number]
            if team == first and number < len(pairs):
                home.add(edges[number])
            team = second if team == first else first
    return home


CONFERENCES = ("North", "South")  # first and second half of the teams
PLAYOFF_TEAMS = 7  # per conference, as in the league since 2020


def results_table(games: Sequence[Game], points: np.ndarray) -> pl.DataFrame:
    """Return one row per game: teams, final `points` [games, 2] of home and visitor, and the winner's abbreviation."""
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
    """Return one row per season and team, with the column names of public team records.

    The columns have wins, losses, ties, playoffs and points. The seven teams of each conference with the most wins make
    the playoffs; ties in wins are broken by point difference, then by points scored, then alphabetically.
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


@dataclass(frozen=True)
class Week:
    """Games of one week and the quarterbacks of their season; `kept` [games] are the used ones of `drawn` plays."""

    season: int
    number: int
    league: League
    games: Sequence[Game]
    kept: Sequence[np.ndarray]
    drawn: int


def fill_rounds(plays: int, seed: int, seasons: Sequence[int], league: League) -> list[Week]:
    """Return weeks of a round robin filled game by game with 66 passes each, `plays` spread evenly over `seasons`.

    The last game of a season has its first plays only; games have more than 66 if the season's games would not suffice.
    """
    weeks = []
    for index, season in enumerate(seasons):
        quota = plays // len(seasons) + (index < plays % len(seasons))
        per_game = max(PLAYS_A_GAME, -(-quota // GAMES_A_SEASON))
        games = schedule(seed, season, index)[: -(-quota // per_game)]
        rows = [np.arange(min(per_game, quota - per_game * number)) for number in range(len(games))]
        weeks += group_weeks(season, league, games, rows, per_game)
    return weeks


def group_weeks(
    season: int, league: League, games: Sequence[Game], selection: Sequence[np.ndarray], drawn: int
) -> list[Week]:
    """Group the games of one season, in order of play, by week; games without a used play are left out."""
    played = [(game, rows) for game, rows in zip(games, selection, strict=True) if len(rows)]
    weeks = []
    for number, group in groupby(played, key=lambda pair: pair[0].week):
        members = list(group)
        weeks.append(Week(season, number, league, [g for g, _ in members], [rows for _, rows in members], drawn))
    return weeks


@dataclass(frozen=True)
class Season:
    """One season: games in order of play, quarterbacks, the teams' rest [teams], margins and points [games]."""

    number: int
    games: Sequence[Game]
    league: League
    rest: np.ndarray
    margins: np.ndarray
    points: np.ndarray


def play_seasons(config: LeagueConfig, seed: int, seasons: Sequence[int], league: League) -> list[Season]:
    """Simulate all games and results of consecutive `seasons`; a season does not depend on later ones."""
    rests = draw_rests(config, seed, len(seasons))
    careers = draw_careers(league, seed, len(seasons), config.moves, config.skill_kept)
    result = []
    for index, (number, season_league, rest) in enumerate(zip(seasons, careers, rests, strict=True)):
        games = _games(seed, number, index)
        margins = expected_margins(config, games, season_league, rest)
        result.append(Season(number, games, season_league, rest, margins, draw_scores(games, margins, seed)))
    return result


def show_plays(seasons: Sequence[Season], plays: int, seed: int) -> list[Week]:
    """Return weeks of `plays` plays, spread evenly over all games; a larger number includes the plays of a smaller."""
    weeks = []
    for index, season in enumerate(seasons):
        quota = plays // len(seasons) + (index < plays % len(seasons))
        selection = []
        for number, game in enumerate(season.games):
            count = quota // GAMES_A_SEASON + (number < quota % GAMES_A_SEASON)
            permutation = np.random.default_rng([seed, int(Purpose.THINNING), game.index]).permutation(PLAYS_A_GAME)
            selection.append(np.sort(permutation[:count]))
        weeks += group_weeks(season.number, season.league, season.games, selection, PLAYS_A_GAME)
    return weeks


def season_tables(config: LeagueConfig, seasons: Sequence[Season]) -> dict[str, pl.DataFrame]:
    """Return tables by path within the folder: public results in results/, the truth behind them in truth/."""
    results = pl.concat([results_table(season.games, season.points) for season in seasons])
    standings = standings_table(results)
    passing = pl.concat([quarterback_seasons(season.number, season.games, season.league) for season in seasons])
    overall = passing.group_by("nflId", "displayName", maintain_order=True)
    return {
        "results/games.csv": results,
        "results/teams.csv": standings,
        "truth/games.parquet": pl.concat([_true_games(season) for season in seasons]),
        "truth/teams.parquet": pl.concat([_true_teams(config, season) for season in seasons]).join(
            standings.select("season", "team", "wins", "made_playoffs"), on=["season", "team"], maintain_order="left"
        ),
        "truth/quarterback_seasons.parquet": passing,
        # a single number per quarterback: the mean over the seasons
        "truth/quarterbacks.parquet": overall.agg(pl.col("team").last(), pl.col("skill").mean()),
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
    """One row per game: the passers, their skills, and the expected margin of the home team in points."""
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
    """One row per team: its strength in points, averaged over its games, and the two components."""
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
