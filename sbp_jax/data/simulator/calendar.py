"""The calendar of a full season: 32 teams, 17 games each in 18 weeks, one week off, eight or nine games at home."""

from datetime import date, timedelta

import numpy as np

from sbp_jax.data.simulator.league import GAMES_A_WEEK, TEAMS
from sbp_jax.data.simulator.streams import Purpose

WEEKS = 18
GAMES_A_TEAM = 17
_BYES = range(4, 14)  # rounds, counted from 0, that give games away
_MOST_BYES = 3  # games that one of them gives away

Pairing = tuple[int, int]


def draw_calendar(seed: int, season_index: int) -> list[list[Pairing]]:
    """Games (home, away) as indices of teams, by week, the first week first; 272 in all.

    Seventeen rounds of a round robin, so that nobody meets twice. Sixteen of their games, one of each team, leave the
    fifth to the fourteenth round for a round of their own, which comes before or after these at random: the week that a
    game leaves is the week off of its two teams, in weeks 5 to 15.
    """
    generator = np.random.default_rng([seed, int(Purpose.SCHEDULE), season_index])
    rounds = _round_robin(generator)
    moved = _spread_matching([rounds[number] for number in _BYES], generator)
    for number, pairs in zip(_BYES, moved, strict=True):
        rounds[number] = [pair for pair in rounds[number] if pair not in pairs]
    extra = [pair for pairs in moved for pair in pairs]
    rounds.insert(int(generator.choice([*range(_BYES.start + 1), *range(_BYES.stop, WEEKS)])), extra)
    home = _balance([pair for pairs in rounds for pair in pairs], generator)
    weeks = [[pair if pair in home else pair[::-1] for pair in pairs] for pairs in rounds]
    return [[pairs[number] for number in generator.permutation(len(pairs))] for pairs in weeks]


def game_day(season: int, week: int) -> date:
    """Sunday of a week; the first is the second Sunday of September at the earliest."""
    september = date(season, 9, 1)
    opening = september + timedelta(days=(6 - september.weekday()) % 7 + 7)
    return opening + timedelta(days=7 * (week - 1))


def _round_robin(generator: np.random.Generator) -> list[list[Pairing]]:
    """Seventeen of the 31 rounds in which 32 teams meet once each, by the circle method."""
    teams = generator.permutation(len(TEAMS))
    chosen = generator.permutation(len(TEAMS) - 1)[:GAMES_A_TEAM]
    circles = [np.concatenate([teams[:1], np.roll(teams[1:], turn)]) for turn in chosen]
    return [[(int(circle[i]), int(circle[-1 - i])) for i in range(GAMES_A_WEEK)] for circle in circles]


def _spread_matching(rounds: list[list[Pairing]], generator: np.random.Generator) -> list[list[Pairing]]:
    """Pairs of the rounds that hold every team exactly once, at most three of a round; by search with restarts.

    A greedy pass takes the team with the fewest possible games left; one in a few dozen gets through, and the search
    is a function of the generator alone.
    """
    options = [
        [(number, pair) for number, pairs in enumerate(rounds) for pair in pairs if team in pair]
        for team in range(len(TEAMS))
    ]
    while True:
        taken: list[list[Pairing]] = [[] for _ in rounds]
        free = set(range(len(TEAMS)))
        while free:
            possible = {
                team: [(n, pair) for n, pair in options[team] if free.issuperset(pair) and len(taken[n]) < _MOST_BYES]
                for team in sorted(free)
            }
            team = min(possible, key=lambda each: (len(possible[each]), generator.random()))
            if not possible[team]:
                break
            number, pair = possible[team][int(generator.integers(len(possible[team])))]
            taken[number].append(pair)
            free -= set(pair)
        if not free:
            return taken


def _balance(pairs: list[Pairing], generator: np.random.Generator) -> set[Pairing]:
    """The pairs whose first team plays at home, such that everybody has eight or nine home games.

    With one more, imagined game a team, every team has an even number of them: following games from team to team
    until the way closes, each team is left as often as it is entered, and the one left is at home.
    """
    at: list[list[int]] = [[] for _ in TEAMS]
    imagined = generator.permutation(len(TEAMS)).reshape(-1, 2).tolist()
    edges = [*pairs, *map(tuple, imagined)]
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
