"""Who is on the field and where everyone stands at the snap.

Coordinates of the simulator: yards; x is depth beyond the line of scrimmage (the offence attacks +x), y is the distance
from the middle of the field, positive to the offence's left. Slots: 0 quarterback, 1-5 linemen, 6-10 eligible
receivers, 11-15 the defenders assigned to receivers 6-10, 16-21 the other defenders, of whom the first rush.
"""

from dataclasses import dataclass

import numpy as np

from sbp_jax.data.simulator.league import ROSTER_SIZE, ROSTER_START
from sbp_jax.data.simulator.situation import Situation
from sbp_jax.data.simulator.streams import GameStreams

PLAYERS = 22
QUARTERBACK = 0
LINEMEN = slice(1, 6)
ELIGIBLE = slice(6, 11)
COVERAGE = slice(11, 16)
OTHERS = slice(16, 22)
DEFENCE = slice(11, 22)
HALF_WIDTH_YARDS = 26.65

_PERSONNEL = (  # positions of slots 6-10, and their share of plays
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
    """What stands before the snap; first axis plays.

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
    """The formation of every play; `teams` are offence and defence, `quarterback` rows of the players."""
    plays = situation.plays
    personnel = streams.pick(np.array([share for _, share in _PERSONNEL]))
    shotgun = streams.uniform() < 0.8
    rushers = 3 + streams.pick(
        np.where(situation.down[:, None] >= 3, [0.09, 0.58, 0.25, 0.08], [0.05, 0.72, 0.19, 0.04])
    )
    strength = np.where(streams.uniform() < 0.5, 1.0, -1.0)
    ball_y = np.clip(streams.uniform(-4.4, 4.4), -3.1, 3.1)  # the hash marks are 3.1 yards from the middle
    start = np.zeros((plays, PLAYERS, 2))
    _place_offence(start, personnel, shotgun, strength, ball_y, streams)
    tightness = streams.normal()
    press = 0.8 * tightness[:, None] + 0.6 * streams.normal(5) > 0.5
    _place_defence(start, press, tightness, rushers, ball_y, situation.to_goal, streams)
    drift = np.concatenate([np.zeros((plays, 11, 2)), 0.35 * streams.normal(11, 2)], axis=1)
    position = _positions(personnel, rushers)
    player = _players(position, teams, quarterback)
    return Formation(start, drift, shotgun, rushers, tightness, press, position, player, ball_y, strength)


def _place_offence(start, personnel, shotgun, strength, ball_y, streams: GameStreams) -> None:
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
    beside = np.where(u[:, 9] < 0.5, 1.9, -1.9)
    wide[:, 4] = np.where(shotgun, beside, 0.4 * beside)
    depth[:, 4] = np.where(shotgun, start[:, QUARTERBACK, 0] + 0.2, -6.8)
    # The fullback must not stand on the running back of the shotgun.
    wide[:, 2] = np.where(fullback & shotgun, -np.sign(wide[:, 4]) * strength * 1.9, wide[:, 2])
    start[:, ELIGIBLE, 0] = depth
    start[:, ELIGIBLE, 1] = np.clip(ball_y[:, None] + strength[:, None] * wide, -24.5, 24.5)


def _place_defence(start, press, tightness, rushers, ball_y, to_goal, streams: GameStreams) -> None:
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
        seen = {"WR": 0, "TE": 0, "RB": 0, "FB": 0}
        for slot, name in enumerate(eligible):
            names[rows, COVERAGE.start + slot] = _COVERED_BY[name][seen[name]]
            seen[name] += 1
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
