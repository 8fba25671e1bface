"""The league of the simulator: 32 fictitious teams, their players, the schedule, and each quarterback's skill.

Over several seasons quarterbacks change teams, improve or decline, and miss games.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from statistics import NormalDist

import numpy as np
import polars as pl

from sbp_jax.data.simulator.streams import Purpose

TEAMS = (
    "ABQ", "ALB", "ANC", "AUS", "BHM", "BOI", "BUR", "CHS", "COL", "DSM", "ELP", "FRE", "HFD", "HON", "KNX", "LEX",
    "LOU", "LRK", "MAD", "MEM", "MOB", "OKC", "OMA", "ORL", "PDX", "PRO", "RAL", "RIC", "SAC", "SAT", "SLC", "TUC",
)  # fmt: skip
ROSTER = {  # players per team by position, in roster order
    "QB": 2, "C": 1, "G": 2, "T": 2, "WR": 4, "TE": 2, "RB": 2, "FB": 1,
    "DT": 2, "NT": 1, "DE": 2, "OLB": 3, "ILB": 3, "CB": 4, "SS": 2, "FS": 1,
}  # fmt: skip
ROSTER_SIZE = sum(ROSTER.values())
ROSTER_START = dict(zip(ROSTER, np.cumsum([0, *ROSTER.values()])[:-1].tolist(), strict=True))
WEEKS, GAMES_A_WEEK = 17, 16
GAMES_A_SEASON = WEEKS * GAMES_A_WEEK
PLAYS_A_GAME = 66  # passing attempts of both teams in one game
BACKUP_STARTS = 0.06  # probability that a team's second quarterback plays a game

_BODY = {  # mean height in inches, mean weight in pounds, first and last jersey number
    "QB": (75, 225, 1, 19), "C": (75, 305, 50, 69), "G": (76, 315, 60, 79), "T": (77, 318, 60, 79),
    "WR": (73, 200, 10, 19), "TE": (77, 250, 80, 89), "RB": (70, 212, 20, 39), "FB": (72, 245, 40, 49),
    "DT": (75, 305, 90, 99), "NT": (75, 325, 90, 99), "DE": (76, 270, 90, 99), "OLB": (75, 245, 50, 59),
    "ILB": (74, 240, 50, 59), "CB": (71, 193, 20, 39), "SS": (72, 208, 20, 49), "FS": (72, 203, 20, 49),
}  # fmt: skip
_FIRST = (
    "Aaron", "Ben", "Cal", "Dario", "Eli", "Finn", "Gus", "Hugo", "Ivan", "Jonah", "Kai", "Leo", "Milo", "Ned",
    "Omar", "Pax", "Quinn", "Rory", "Saul", "Theo", "Ulric", "Vito", "Wade", "Xavi", "Yuri", "Zane", "Abel", "Bram",
    "Cyrus", "Dov",
)  # fmt: skip
_LAST = (
    "Abara", "Brandt", "Castell", "Dufour", "Eklund", "Farrow", "Garnier", "Hollis", "Ibarra", "Jansson", "Kessel",
    "Lindahl", "Marchetti", "Novak", "Okafor", "Pruitt", "Quade", "Rask", "Sorrell", "Tamm", "Ullman", "Varga",
    "Whitlock", "Xu", "Yates", "Zeller", "Ashdown", "Birch", "Corwin", "Draper", "Ellery", "Fenn", "Gault",
    "Harrow", "Innes", "Juel", "Kerr", "Lomax", "Mott", "Nye",
)  # fmt: skip
_COLLEGES = ("Northern State", "Lakeview", "Coastal Tech", "Plains A&M", "Old Mill", "Western Union", "Highland")


@dataclass(frozen=True)
class League:
    """Players, and the quarterbacks of one season with their skill.

    Attributes:
        players: table with nflId, displayName, position, height, weight, birthDate, collegeName, team and jerseyNumber;
            row = team x ROSTER_SIZE + roster slot.
        passer: rows of the starter and the second quarterback in that table, [teams, 2].
        skill: their skill in league standard deviations, [teams, 2].
    """

    players: pl.DataFrame
    passer: np.ndarray
    skill: np.ndarray

    def quarterbacks(self) -> pl.DataFrame:
        """Return one row per quarterback: nflId, displayName, team, skill (league standard deviations)."""
        table = self.players.select("nflId", "displayName")[self.passer.ravel()]
        return table.with_columns(
            pl.Series("team", np.repeat(TEAMS, 2).tolist()), pl.Series("skill", self.skill.ravel())
        )


@dataclass(frozen=True)
class Game:
    """One game: `index` over all seasons, id, date, teams as indices into TEAMS, and each team's quarterback."""

    index: int
    season: int
    week: int
    game_id: int
    day: date
    home: int
    away: int
    home_quarterback: int
    away_quarterback: int


def found_league(seed: int) -> League:
    """Create the league of a seed; skills are a stratified N(0, 1) sample, so no league is lopsided."""
    generator = np.random.default_rng([seed, int(Purpose.LEAGUE)])
    count = len(TEAMS) * ROSTER_SIZE
    position = np.tile([name for name, number in ROSTER.items() for _ in range(number)], len(TEAMS))
    body = np.array([_BODY[name] for name in position])
    inches = np.rint(body[:, 0] + generator.normal(0, 1.3, count)).astype(int)
    names = generator.permutation(len(_FIRST) * len(_LAST))[:count]
    born = [date(1990, 1, 1) + timedelta(days=int(days)) for days in generator.integers(0, 2900, count)]
    players = pl.DataFrame(
        {
            "nflId": 2_500_000 + 11 * generator.permutation(count),
            "height": [f"{value // 12}-{value % 12}" for value in inches],
            "weight": np.rint(body[:, 1] * (1 + generator.normal(0, 0.03, count))).astype(int),
            "birthDate": born,
            "collegeName": np.array(_COLLEGES)[generator.integers(0, len(_COLLEGES), count)],
            "position": position,
            "displayName": [f"{_FIRST[name % len(_FIRST)]} {_LAST[name // len(_FIRST)]}" for name in names],
            "team": np.repeat(TEAMS, ROSTER_SIZE),
            "jerseyNumber": body[:, 2] + generator.integers(0, body[:, 3] - body[:, 2] + 1),
        }
    )
    strata = np.stack([generator.permutation(len(TEAMS)) for _ in range(2)], axis=1)
    probability = (strata + generator.uniform(size=strata.shape)) / len(TEAMS)
    passer = np.arange(len(TEAMS))[:, None] * ROSTER_SIZE + ROSTER_START["QB"] + np.arange(2)
    return League(players, passer, np.vectorize(NormalDist().inv_cdf)(probability))


def schedule(seed: int, season: int, season_index: int) -> list[Game]:
    """Return the games of one season in order of play: 17 rounds of a round robin of 32 teams, 16 games each."""
    generator = np.random.default_rng([seed, int(Purpose.LEAGUE), season_index])
    teams = generator.permutation(len(TEAMS))
    september = date(season, 9, 1)
    opening = september + timedelta(days=(6 - september.weekday()) % 7 + 7)
    games = []
    for week in range(1, WEEKS + 1):
        day = opening + timedelta(days=7 * (week - 1))
        others = np.roll(teams[1:], week)
        circle = np.concatenate([teams[:1], others])
        for number in range(GAMES_A_WEEK):
            pair = (int(circle[number]), int(circle[-1 - number]))
            home, away = pair if (week + number) % 2 else pair[::-1]
            backup = generator.random(2) < BACKUP_STARTS
            index = season_index * GAMES_A_SEASON + len(games)
            game_id = int(f"{day:%Y%m%d}{number:02d}")
            games.append(Game(index, season, week, game_id, day, home, away, int(backup[0]), int(backup[1])))
    return games


_MAX_ABSENCE, _ABSENCE_POWER = 13, 3.5  # games missed: 13 u^3.5 rounded down, 0 for every other starter


def draw_careers(league: League, seed: int, seasons: int, moves: float, rho: float) -> list[League]:
    """Draw the league in each season; the first is `league` itself.

    Between two seasons a fraction `moves` of all quarterbacks, whether starter or second and whatever their skill,
    exchange their places, and every skill drifts: z' = rho z + sqrt(1 - rho^2) e, e ~ N(0, 1). Each season's skills
    are therefore N(0, 1) and independent of teams and places, as the true distribution assumes.
    """
    leagues = [league]
    for index in range(1, seasons):
        generator = np.random.default_rng([seed, int(Purpose.CAREER), index])
        passer, skill = leagues[-1].passer.ravel().copy(), leagues[-1].skill.ravel().copy()
        skill = rho * skill + np.sqrt(1 - rho**2) * generator.standard_normal(len(skill))
        movers = np.flatnonzero(generator.uniform(size=len(passer)) < moves)
        sources = generator.permutation(movers)
        passer[movers], skill[movers] = passer[sources], skill[sources]
        shape = league.passer.shape
        leagues.append(replace(league, passer=passer.reshape(shape), skill=skill.reshape(shape)))
    return leagues


def draw_absences(seed: int, season_index: int, games: int) -> np.ndarray:
    """Draw whether the second quarterback plays a team's k-th game, [teams, games].

    The starter misses at most one stretch of games.
    """
    generator = np.random.default_rng([seed, int(Purpose.CAREER), season_index, 1])
    u, v = generator.uniform(size=(2, len(TEAMS)))
    absences = np.floor(_MAX_ABSENCE * u**_ABSENCE_POWER)
    first = np.floor(v * (games - absences + 1))
    number = np.arange(games)
    return (number >= first[:, None]) & (number < (first + absences)[:, None])


def passers(games: Sequence[Game], league: League) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in the player table and skills of the quarterbacks, home and away, [games, 2] each."""
    team = np.array([(game.home, game.away) for game in games])
    slot = np.array([(game.home_quarterback, game.away_quarterback) for game in games])
    return league.passer[team, slot], league.skill[team, slot]


def quarterback_seasons(season: int, games: Sequence[Game], league: League) -> pl.DataFrame:
    """Return one row per quarterback: season, nflId, displayName, team, skill, games started."""
    starts = np.bincount(passers(games, league)[0].ravel(), minlength=league.players.height)
    table = league.quarterbacks()
    return table.select(
        pl.lit(season).alias("season"), pl.all(), pl.Series("games_started", starts[league.passer.ravel()])
    )
