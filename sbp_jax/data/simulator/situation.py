"""The situation before each snap: quarter, clock, score, down, distance, field position, who has the ball."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from sbp_jax.data.simulator.league import PLAYS_A_GAME, Game
from sbp_jax.data.simulator.streams import GameBlock, GameStreams, Purpose

_QUARTERS = np.array([0.215, 0.287, 0.222, 0.276])
_DOWNS = np.array([0.375, 0.34, 0.267, 0.018])
_SCORES_A_GAME = 3.1  # a team's scoring drives
_TOUCHDOWN_SHARE = 0.6


@dataclass(frozen=True)
class Situation:
    """One row a play, all [plays]: indices into the block's games, and what the scoreboard shows before the snap.

    `clock_s` is seconds left in the quarter, `to_goal` yards from the line of scrimmage to the goal line the offence
    attacks, `to_go` yards to a first down; `rightward` says whether the offence moves toward greater x in the files.
    """

    game: np.ndarray
    play_id: np.ndarray
    home_offence: np.ndarray
    quarter: np.ndarray
    clock_s: np.ndarray
    down: np.ndarray
    to_go: np.ndarray
    to_goal: np.ndarray
    home_score: np.ndarray
    away_score: np.ndarray
    rightward: np.ndarray

    @property
    def plays(self) -> int:
        """Number of plays."""
        return len(self.game)


def draw_situations(games: Sequence[Game], seed: int, block: GameBlock) -> Situation:
    """Situations of the block's plays, each game in order of time, of which the block keeps some.

    Marginals follow the regular seasons 2017-2019: 37.5 / 34 / 26.7 / 1.8 % of attempts by down, a third of them
    closer than 45 yards, 7 % after a touchback, more in the last two minutes of a half. Scores are a background
    process of their own: they know nothing of the simulated plays or the quarterbacks' skill.
    """
    streams = GameStreams(seed, Purpose.SITUATION, block.whole())
    game = np.repeat(np.arange(len(games)), block.drawn)
    quarter = 1 + streams.pick(_QUARTERS)
    hurry = streams.uniform() < np.where(quarter == 2, 0.25, np.where(quarter == 4, 0.12, 0.0))
    clock = np.where(hurry, streams.uniform(0, 120), streams.uniform(0, 900))
    elapsed = quarter * 900 - clock
    home_offence = streams.uniform() < 0.5
    rightward_home = streams.uniform() < 0.5
    home_score, away_score = (_drive_points(streams) for _ in range(2))
    down = 1 + streams.pick(_DOWNS)
    to_goal = _yards_to_goal(streams)
    to_go = np.minimum(_yards_to_go(down, streams), to_goal)
    gap = 21 + np.floor(streams.uniform(0, 24)).astype(int)

    order = np.lexsort((elapsed, game))
    first = np.concatenate([[0], np.cumsum(block.drawn)[:-1]])
    running = np.cumsum(gap)
    play_id = running - np.repeat(running[first] - gap[first], block.drawn)
    # The home team changes ends with every quarter; which end it defends first is the game's own draw.
    home_right = rightward_home[first][game] ^ (quarter[order] % 2 == 0)
    whole = Situation(
        game=game,
        play_id=play_id,
        home_offence=home_offence[order],
        quarter=quarter[order],
        clock_s=np.floor(clock[order]).astype(int),
        down=down[order],
        to_go=to_go[order],
        to_goal=to_goal[order],
        home_score=_accumulate(home_score[order], game),
        away_score=_accumulate(away_score[order], game),
        rightward=np.where(home_offence[order], home_right, ~home_right),
    )
    kept = np.concatenate([start + rows for start, rows in zip(first, block.kept, strict=True)])
    return Situation(**{field.name: getattr(whole, field.name)[kept] for field in fields(whole)})


def _yards_to_goal(streams: GameStreams) -> np.ndarray:
    """Touchbacks at 75; else a density that rises from the goal line to 80 yards, or falls from 80 to 99."""
    kind = streams.uniform()
    u = streams.uniform()
    rising = 80 * (np.sqrt(0.09 + u * (1.69 - 0.09)) - 0.3)  # density proportional to 0.3 + t, t on (0, 1)
    backed_up = 80 + 19 * (1 - np.sqrt(1 - u))
    return np.where(kind < 0.07, 75, np.ceil(np.where(kind < 0.96, rising, backed_up)).clip(1, 99)).astype(int)


def _yards_to_go(down: np.ndarray, streams: GameStreams) -> np.ndarray:
    """Ten on most first downs, a broad spread around seven on second and third, mostly short on fourth."""
    u, z, g = streams.uniform(), streams.normal(), streams.gamma(2.4)
    first = np.where(u < 0.9, 10, np.where(u < 0.95, 5 * (1 + np.floor(3 * (u - 0.9) / 0.05)), np.rint(6 + 3 * z)))
    second = np.where(u < 0.22, 10, np.rint(7.6 + 3.6 * z))
    third, fourth = np.ceil(3.1 * g), np.ceil(2.1 * g)
    return np.choose(down - 1, [first, second, third, fourth]).clip(1, 30).astype(int)


def _drive_points(streams: GameStreams) -> np.ndarray:
    """Points one team scores between each play and the next, [plays]."""
    u = streams.uniform()
    scoring = _SCORES_A_GAME / PLAYS_A_GAME
    return np.where(u < scoring * _TOUCHDOWN_SHARE, 7, np.where(u < scoring, 3, 0))


def _accumulate(points: np.ndarray, game: np.ndarray) -> np.ndarray:
    """Points scored in the same game before each play, [plays]."""
    before = np.cumsum(points) - points
    first = np.searchsorted(game, np.arange(game[-1] + 1))
    return before - before[first][game]
