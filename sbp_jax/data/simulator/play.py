"""A play before the throw: its situation, the positions at the snap, and the intentions of both teams.

Coordinates of the simulator are in yards: x is depth beyond the line of scrimmage (the offense attacks +x), y is the
distance from the middle of the field, positive to the offense's left. Slots: 0 quarterback, 1-5 linemen, 6-10 eligible
receivers, 11-15 the defenders assigned to receivers 6-10, 16-21 the other defenders, the first of whom rush.

Most determinants of a play are shared by several players, as in football: the concept sets the depth of all routes, one
tightness applies to all coverage defenders, one rush factor to the entire front.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from sbp_jax.data.simulator.league import PLAYS_A_GAME, ROSTER_SIZE, ROSTER_START, Game
from sbp_jax.data.simulator.streams import GameBlock, GameStreams, Purpose

_QUARTERS = np.array([0.215, 0.287, 0.222, 0.276])
_DOWNS = np.array([0.375, 0.34, 0.267, 0.018])
_SCORES_PER_GAME = 3.1  # a team's scoring drives
_TOUCHDOWN_SHARE = 0.6


@dataclass(frozen=True)
class Situation:
    """Situation before the snap, all [plays]: indices into the block's games, and the scoreboard.

    `clock_s` is seconds left in the quarter, `to_goal` yards from the line of scrimmage to the goal line that the
    offense attacks, `to_go` yards to a first down; `rightward` is whether the offense moves toward greater x in files.
    """

    game: np.ndarray
    play_id: np.ndarray
    home_offense: np.ndarray
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
    """Draw the situations of the block's plays, each game in order of time, and return those that the block keeps.

    Marginals follow the regular seasons 2017-2019: 37.5 / 34 / 26.7 / 1.8 % of attempts by down, a third of them
    closer than 45 yards, 7 % after a touchback, more in the last two minutes of a half. Scores follow a background
    process, independent of the simulated plays and of the quarterbacks' skill.
    """
    streams = GameStreams(seed, Purpose.SITUATION, block.whole())
    game = np.repeat(np.arange(len(games)), block.drawn)
    quarter = 1 + streams.pick(_QUARTERS)
    hurry = streams.uniform() < np.where(quarter == 2, 0.25, np.where(quarter == 4, 0.12, 0.0))
    clock = np.where(hurry, streams.uniform(0, 120), streams.uniform(0, 900))
    elapsed = quarter * 900 - clock
    home_offense = streams.uniform() < 0.5
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
    # the home team changes ends with every quarter; the end that it defends first is drawn per game
    home_right = rightward_home[first][game] ^ (quarter[order] % 2 == 0)
    complete = Situation(
        game=game,
        play_id=play_id,
        home_offense=home_offense[order],
        quarter=quarter[order],
        clock_s=np.floor(clock[order]).astype(int),
        down=down[order],
        to_go=to_go[order],
        to_goal=to_goal[order],
        home_score=_accumulate(home_score[order], game),
        away_score=_accumulate(away_score[order], game),
        rightward=np.where(home_offense[order], home_right, ~home_right),
    )
    rows = np.concatenate([start + indices for start, indices in zip(first, block.kept, strict=True)])
    return Situation(**{field.name: getattr(complete, field.name)[rows] for field in fields(complete)})


def _yards_to_goal(streams: GameStreams) -> np.ndarray:
    """Touchbacks at 75; otherwise a density that rises from the goal line to 80 yards, or falls from 80 to 99."""
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
    """Points of one team between each play and the next, [plays]."""
    u = streams.uniform()
    scoring = _SCORES_PER_GAME / PLAYS_A_GAME
    return np.where(u < scoring * _TOUCHDOWN_SHARE, 7, np.where(u < scoring, 3, 0))


def _accumulate(points: np.ndarray, game: np.ndarray) -> np.ndarray:
    """Points scored in the same game before each play, [plays]."""
    before = np.cumsum(points) - points
    first = np.searchsorted(game, np.arange(game[-1] + 1))
    return before - before[first][game]


PLAYERS = 22
QUARTERBACK = 0
LINEMEN = slice(1, 6)
ELIGIBLE = slice(6, 11)
COVERAGE = slice(11, 16)
OTHERS = slice(16, 22)
DEFENSE = slice(11, 22)
HALF_WIDTH_YARDS = 26.65
# degrees by which the shoulders point to the right of the receiver, by tenths of a second before the release: medians
# of 130 real passes, interpolated
SHOULDERS_DEGREES = np.array([3.0, 12.4, 20.4, 30.6, 39.0, 46.8, 51.0, 54.6, 54.0, 52.0, 50.4, 48.0, 45.0])

_PERSONNEL = (  # positions of slots 6-10, and their proportion of plays
    (("WR", "WR", "WR", "TE", "RB"), 0.66),
    (("WR", "WR", "TE", "TE", "RB"), 0.18),
    (("WR", "WR", "WR", "WR", "RB"), 0.08),
    (("WR", "WR", "FB", "TE", "RB"), 0.08),
)
_COVERED_BY = {"WR": ("CB", "CB", "CB", "CB"), "TE": ("SS", "OLB"), "RB": ("ILB",), "FB": ("OLB",)}
_FRONT = ("DT", "NT", "DE", "DE", "SS", "FS")  # slots 16-21 when four rush
_LINE = ("T", "G", "C", "G", "T")


@dataclass(frozen=True)
class Formation:
    """Positions and personnel at the snap; first axis plays.

    `start` [plays, 22, 2] positions at the snap; `drift` [plays, 22, 2] velocity before it (yd/s); `shotgun`;
    `rushers` (3-6); `tightness` of the coverage (standard normal, tight above 0); `press` [plays, 5] whether a coverage
    defender lines up close; `position` [plays, 22] names; `player` [plays, 22] rows of the league's table; `ball_y`;
    `strength` (+1: the strong side is the left).
    """

    start: np.ndarray
    drift: np.ndarray
    shotgun: np.ndarray
    rushers: np.ndarray
    tightness: np.ndarray
    press: np.ndarray
    position: np.ndarray
    player: np.ndarray
    ball_y: np.ndarray
    strength: np.ndarray


def line_up(situation: Situation, teams: tuple[np.ndarray, np.ndarray], quarterback: np.ndarray, streams: GameStreams):
    """Return the formation of every play; `teams` are offense and defense, `quarterback` rows of the players."""
    plays = situation.plays
    personnel = streams.pick(np.array([probability for _, probability in _PERSONNEL]))
    shotgun = streams.uniform() < 0.8
    rushers = 3 + streams.pick(
        np.where(situation.down[:, None] >= 3, [0.09, 0.58, 0.25, 0.08], [0.05, 0.72, 0.19, 0.04])
    )
    strength = np.where(streams.uniform() < 0.5, 1.0, -1.0)
    ball_y = np.clip(streams.uniform(-4.4, 4.4), -3.1, 3.1)  # the hash marks are 3.1 yards from the middle
    start = np.zeros((plays, PLAYERS, 2))
    _place_offense(start, personnel, shotgun, strength, ball_y, streams)
    tightness = streams.normal()
    press = 0.8 * tightness[:, None] + 0.6 * streams.normal(5) > 0.5
    _place_defense(start, press, tightness, rushers, ball_y, situation.to_goal, streams)
    drift = np.concatenate([np.zeros((plays, 11, 2)), 0.35 * streams.normal(11, 2)], axis=1)
    position = _positions(personnel, rushers)
    player = _players(position, teams, quarterback)
    return Formation(start, drift, shotgun, rushers, tightness, press, position, player, ball_y, strength)


def _place_offense(start, personnel, shotgun, strength, ball_y, streams: GameStreams) -> None:
    u = streams.uniform(0, 1, 10)
    start[:, QUARTERBACK, 0] = np.where(shotgun, -4.6 - 0.6 * u[:, 0], -1.2)
    start[:, QUARTERBACK, 1] = ball_y
    start[:, LINEMEN, 0] = [-1.3, -1.1, -0.7, -1.1, -1.3]
    start[:, LINEMEN, 1] = ball_y[:, None] + np.array([3.2, 1.6, 0.0, -1.6, -3.2])
    wide = np.stack(
        [14 + 6 * u[:, 1], -(14 + 6 * u[:, 2]), 6 + 4 * u[:, 3], -(4.3 + 1.2 * u[:, 4]), 0 * ball_y], axis=1
    )
    depth = np.stack([-0.6 - u[:, 5], -0.6 - u[:, 6], -0.8 - u[:, 7], -0.8 - 0.4 * u[:, 8], 0 * ball_y], axis=1)
    tight_end, spread, fullback = personnel == 1, personnel == 2, personnel == 3
    wide[:, 2] = np.where(tight_end, 4.3 + 1.2 * u[:, 3], np.where(fullback, 1.0 * u[:, 3], wide[:, 2]))
    depth[:, 2] = np.where(fullback, -4.6, depth[:, 2])
    wide[:, 3] = np.where(spread, -(6 + 4 * u[:, 4]), wide[:, 3])
    sideways = np.where(u[:, 9] < 0.5, 1.9, -1.9)
    wide[:, 4] = np.where(shotgun, sideways, 0.4 * sideways)
    depth[:, 4] = np.where(shotgun, start[:, QUARTERBACK, 0] + 0.2, -6.8)
    # the fullback must not stand on the running back of the shotgun
    wide[:, 2] = np.where(fullback & shotgun, -np.sign(wide[:, 4]) * strength * 1.9, wide[:, 2])
    start[:, ELIGIBLE, 0] = depth
    start[:, ELIGIBLE, 1] = np.clip(ball_y[:, None] + strength[:, None] * wide, -24.5, 24.5)


def _place_defense(start, press, tightness, rushers, ball_y, to_goal, streams: GameStreams) -> None:
    plays = len(start)
    u, z = streams.uniform(0, 1, 5), streams.normal(6, 2)
    cushion = np.where(press, 1.4 + 0.8 * u, 5.2 + 1.6 * u - 1.3 * np.clip(tightness, -2, 2)[:, None])
    back = start[:, ELIGIBLE, 0] < -3
    start[:, COVERAGE, 0] = np.minimum(np.where(back, 4.5 + 1.5 * u, cushion), to_goal[:, None] + 6.0)
    inside = np.where(back, 0.75, 0.95)
    start[:, COVERAGE, 1] = ball_y[:, None] + inside * (start[:, ELIGIBLE, 1] - ball_y[:, None])
    front_y = np.array([1.4, -1.4, 4.6, -4.6, 2.4, -2.4])
    front_x = np.array([1.0, 1.0, 1.2, 1.2, 4.0, 4.0])
    single_high = rushers >= 5
    deep_x = (np.where(single_high, 12.5, 11.5) - 1.8 * np.clip(tightness, -2, 2))[:, None] + 0.9 * z[..., 0]
    deep_y = np.broadcast_to(np.array([0, 0, 0, 0, 7.5, -7.5]), (plays, 6)) * np.where(single_high, 0.2, 1.0)[:, None]
    hole = np.arange(6) == 3
    deep_x, deep_y = np.where(hole, 5.0, deep_x), np.where(hole, 0.0, deep_y + 0.8 * z[..., 1])
    rush = np.arange(6) < rushers[:, None]
    start[:, OTHERS, 0] = np.where(rush, front_x, np.minimum(deep_x, to_goal[:, None] + 7.0))
    start[:, OTHERS, 1] = ball_y[:, None] + np.where(rush, front_y + 0.2 * z[..., 1], deep_y)


def _positions(personnel, rushers) -> np.ndarray:
    """Position names by slot, [plays, 22]."""
    plays = len(personnel)
    names = np.empty((plays, PLAYERS), dtype="<U3")
    names[:, QUARTERBACK] = "QB"
    names[:, LINEMEN] = _LINE
    for kind, (eligible, _) in enumerate(_PERSONNEL):
        rows = personnel == kind
        names[rows, ELIGIBLE] = eligible
        counts = {"WR": 0, "TE": 0, "RB": 0, "FB": 0}
        for slot, name in enumerate(eligible):
            names[rows, COVERAGE.start + slot] = _COVERED_BY[name][counts[name]]
            counts[name] += 1
    names[:, OTHERS] = _FRONT
    names[rushers == 3, OTHERS.start + 3] = "ILB"
    names[rushers >= 5, OTHERS.start + 4] = "ILB"
    names[rushers >= 6, OTHERS.start + 5] = "OLB"
    return names


def _players(position, teams, quarterback) -> np.ndarray:
    """Rows of the player table by slot, [plays, 22]: the k-th of a position in a play is the k-th on the roster."""
    team = np.repeat(np.stack(teams, axis=1), 11, axis=1)
    rank = np.zeros(position.shape, dtype=int)
    for side in (slice(0, 11), slice(11, 22)):
        names = position[:, side]
        same = names[:, :, None] == names[:, None, :]
        rank[:, side] = np.sum(np.tril(same, -1), axis=2)
    start = np.vectorize(ROSTER_START.__getitem__)(position)
    player = team * ROSTER_SIZE + start + rank
    player[:, QUARTERBACK] = quarterback
    return player


MIN_RELEASE_FRAMES, MAX_RELEASE_FRAMES = 13, 66  # frames from the snap to the release, both counted


class Concept(IntEnum):
    """Kind of pass play."""

    SCREEN = 0
    QUICK = 1
    INTERMEDIATE = 2
    DEEP = 3


ROUTES = ("GO", "HITCH", "FLAT", "CROSS", "OUT", "IN", "POST", "SLANT", "CORNER", "ANGLE", "SCREEN", "")
GO, HITCH, FLAT, CROSS, OUT, IN, POST, SLANT, CORNER, ANGLE, SCREEN, BLOCK = range(12)
# proportions of routes 0-11 by concept, for receivers split wide, for the third and fourth, and for backs
_WIDE = {
    Concept.SCREEN: (0.25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.75),
    Concept.QUICK: (0.03, 0.42, 0, 0, 0.22, 0.03, 0, 0.3, 0, 0, 0, 0),
    Concept.INTERMEDIATE: (0.04, 0.34, 0, 0.02, 0.27, 0.27, 0.06, 0, 0, 0, 0, 0),
    Concept.DEEP: (0.5, 0.02, 0, 0, 0.02, 0.02, 0.24, 0, 0.2, 0, 0, 0),
}
_INSIDE = {
    Concept.SCREEN: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1.0),
    Concept.QUICK: (0.02, 0.38, 0.14, 0.1, 0.16, 0, 0, 0.2, 0, 0, 0, 0),
    Concept.INTERMEDIATE: (0.02, 0.3, 0, 0.22, 0.23, 0.23, 0, 0, 0, 0, 0, 0),
    Concept.DEEP: (0.4, 0.02, 0, 0.08, 0.04, 0.04, 0.24, 0, 0.18, 0, 0, 0),
}
_BACK = {
    Concept.SCREEN: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1.0, 0),
    Concept.QUICK: (0, 0, 0.65, 0, 0, 0, 0, 0, 0, 0.15, 0, 0.2),
    Concept.INTERMEDIATE: (0, 0.1, 0.4, 0, 0, 0, 0, 0, 0, 0.25, 0, 0.25),
    Concept.DEEP: (0, 0.1, 0.28, 0, 0, 0, 0, 0, 0, 0.12, 0, 0.5),
}
# by route: stem as a fraction of the concept's depth, its offset in yards, and direction after the break in degrees
# from straight downfield, positive to the outside
_STEM_SHARE = np.array([9, 1.0, 0.0, 0.7, 0.95, 1.0, 0.85, 0.6, 0.85, 0.0, 0, 0])
_STEM_YARDS = np.array([0, 0.3, 1.0, 0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 1.5, 0, 0])
_BREAK_DEGREES = np.array([0, 180, 78, -80, 84, -88, -33, -52, 38, -50, 0, 0])
_BREAK_SPEED = np.array([1.0, 0.1, 0.75, 0.85, 0.85, 0.85, 1.0, 0.8, 0.97, 0.7, 0, 0])
_INTEREST = np.array([0.55, 1.0, 0.75, 1.1, 1.05, 1.05, 1.0, 1.15, 0.9, 0.9, 25.0, 1e-9])  # relative target frequency


@dataclass(frozen=True)
class Call:
    """Plans of both teams; first axis plays, second (if any) receivers 6-10.

    `release` frames after the snap; `route` indices into ROUTES; `break_s` seconds after the snap; `stem`, `broken`
    [plays, 5, 2] velocities before and after the break (yd/s); `target` 0-4; `cushion` planned separation (yards);
    `leverage` [plays, 5, 2] unit vector from receiver to defender; `lag_s` the coverage's reaction time; `man`;
    `rush_gap` [plays, 6] planned distance of the rushers from the quarterback at the release; `drop` [plays, 2].
    """

    concept: np.ndarray
    depth: np.ndarray
    release: np.ndarray
    route: np.ndarray
    break_s: np.ndarray
    stem: np.ndarray
    broken: np.ndarray
    target: np.ndarray
    cushion: np.ndarray
    leverage: np.ndarray
    lag_s: np.ndarray
    man: np.ndarray
    rush_gap: np.ndarray
    drop: np.ndarray


def call_plays(situation: Situation, formation: Formation, streams: GameStreams) -> Call:
    """Draw the calls of every play; they depend on down, distance and field position, never on team or quarterback."""
    plays = situation.plays
    concept, depth = _concept(situation, streams)
    back = formation.start[:, ELIGIBLE, 0] < -3
    route = _routes(concept, back, streams)
    effort = np.where(route == GO, 0.98, 0.94) + 0.03 * streams.normal(5)
    speed = np.clip(5.9 + 0.15 * depth, 6.0, 9.0)[:, None] * effort
    own_depth = depth[:, None] * np.exp(0.08 * streams.normal(5))
    stem_yards = _STEM_SHARE[route] * own_depth + _STEM_YARDS[route]
    run_up = np.where(back, 0.8, 0.5)  # seconds lost at the start
    break_s = stem_yards / speed + run_up
    outward = np.where(formation.start[:, ELIGIBLE, 1] >= formation.ball_y[:, None], 1.0, -1.0)
    angle = np.deg2rad(_BREAK_DEGREES[route] + 6 * streams.normal(5))
    break_velocity = (speed * _BREAK_SPEED[route])[..., None] * np.stack(
        [np.cos(angle), outward * np.sin(angle)], axis=-1
    )
    slide = np.where(back & np.isin(route, (ANGLE, FLAT)), 0.8, 0.0)  # backs leave the backfield sideways
    stem = speed[..., None] * np.stack([np.cos(slide), outward * np.sin(slide)], axis=-1)

    tightness, rush = formation.tightness, streams.normal()
    man = 0.8 * tightness + 0.6 * streams.normal() > -0.1
    pressure = np.where(concept == Concept.SCREEN, 0.35 * rush + 0.6, rush)
    seconds = _time_to_throw(concept, depth, pressure, streams)
    frames = np.rint(10 * seconds).astype(int) + 1
    release = np.clip(frames, MIN_RELEASE_FRAMES, MAX_RELEASE_FRAMES) - 1
    log_cushion = 0.98 - 0.55 * tightness[:, None] + np.where(man, -0.05, 0.05)[:, None] + 0.2 * streams.normal(5)
    cushion = np.exp(log_cushion - 0.012 * np.minimum(depth, 25)[:, None] + np.where(back, 0.35, 0.0))
    lean = np.deg2rad(22 + 13 * streams.normal(5))  # between the receiver and the goal, a little inside
    leverage = np.stack([np.cos(lean), -outward * np.sin(lean)], axis=-1)
    gap = 2.7 * np.exp(0.42 * pressure[:, None] + 0.16 * np.abs(streams.normal(6)))
    checkdown = np.where(back, (np.exp(-0.35 * pressure - 0.2) * np.array([1.0, 1.0, 0.3, 0.1])[concept])[:, None], 1.0)
    open_enough = (cushion / 2.5) ** 0.8
    interest = _INTEREST[route] * checkdown * open_enough
    target = streams.pick(interest)
    drop_x = np.array([-6.6, -6.4, -7.9, -9.0])[concept] + 0.5 * streams.normal()
    drop_y = formation.ball_y + 0.6 * streams.normal()
    lag = np.where(man, 0.18, 0.3) + 0.05 * np.abs(streams.normal())
    return Call(
        concept=concept,
        depth=depth,
        release=release,
        route=route,
        break_s=break_s,
        stem=stem,
        broken=break_velocity,
        target=target,
        cushion=np.clip(cushion, 0.5, 12.0),
        leverage=leverage,
        lag_s=lag,
        man=man,
        rush_gap=np.clip(gap, 1.1, 12.0) * np.ones((plays, 1)),
        drop=np.stack([drop_x, drop_y], axis=-1),
    )


def _concept(situation: Situation, streams: GameStreams) -> tuple[np.ndarray, np.ndarray]:
    """Concept and depth of its routes in yards: deeper for a longer distance to go, shallower near the goal line."""
    long, short = situation.to_go >= 8, situation.to_go <= 3
    late = situation.down >= 3
    weights = np.select(
        [(late & long)[:, None], (late & short)[:, None]],
        [np.array([0.08, 0.28, 0.46, 0.18]), np.array([0.04, 0.54, 0.3, 0.12])],
        np.array([0.12, 0.41, 0.33, 0.14]),
    )
    weights = np.where(situation.to_goal[:, None] < 15, weights * np.array([0.6, 1.4, 1.0, 0.25]), weights)
    concept = streams.pick(weights)
    median = np.array([2.0, 2.3, 7.3, 14.0])[concept]
    depth = median * np.exp(np.array([0.2, 0.24, 0.22, 0.2])[concept] * streams.normal())
    return concept, np.minimum(depth, situation.to_goal + 5.0)


def _routes(concept, back, streams: GameStreams) -> np.ndarray:
    """Route indices, [plays, 5]; in a screen the target is the back or, in one of three cases, the third receiver."""
    shares = np.stack([np.array([table[kind] for kind in Concept]) for table in (_WIDE, _INSIDE, _BACK)])
    group = np.where(back, 2, np.array([0, 0, 1, 1, 2]))
    route = np.stack([streams.pick(shares[group[:, slot], concept]) for slot in range(5)], axis=1)
    bubble = (concept == Concept.SCREEN) & (streams.uniform() < 0.33)
    route[:, 2] = np.where(bubble, SCREEN, np.where(concept == Concept.SCREEN, BLOCK, route[:, 2]))
    route[:, 4] = np.where(bubble, BLOCK, route[:, 4])
    return route


def _time_to_throw(concept, depth, rush, streams: GameStreams) -> np.ndarray:
    """Seconds from snap to release: the concept's break, a read, rarely a scramble; a good rush shortens the read."""
    base = np.where(concept == Concept.SCREEN, 1.35, 1.27 + depth / 8.2)
    read = 0.3 * streams.gamma(2.2) * np.exp(0.15 * rush)
    scramble = np.where(streams.uniform() < 0.07, streams.uniform(0.6, 2.6), 0.0)
    return base + read + scramble * (concept != Concept.SCREEN)
