"""What both teams intend: concept, routes, time to throw, target, coverage, and how the rush fares.

Most of what decides a play is shared by several players, as in football: the concept sets the depth of all routes, one
tightness moves all coverage defenders, one rush factor moves the whole front.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from sbp_jax.data.simulator.formation import ELIGIBLE, Formation
from sbp_jax.data.simulator.situation import Situation
from sbp_jax.data.simulator.streams import GameStreams

MIN_RELEASE_FRAMES, MAX_RELEASE_FRAMES = 13, 66  # frames from the snap to the release, both counted


class Concept(IntEnum):
    """Kind of pass play."""

    SCREEN = 0
    QUICK = 1
    INTERMEDIATE = 2
    DEEP = 3


ROUTES = ("GO", "HITCH", "FLAT", "CROSS", "OUT", "IN", "POST", "SLANT", "CORNER", "ANGLE", "SCREEN", "")
GO, HITCH, FLAT, CROSS, OUT, IN, POST, SLANT, CORNER, ANGLE, SCREEN, BLOCK = range(12)
# Shares of routes 0-11 by concept, for receivers split wide, for the third and fourth, and for backs.
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
# By route: stem as a share of the concept's depth, its offset in yards, and direction after the break in degrees from
# straight downfield, positive to the outside.
_STEM_SHARE = np.array([9, 1.0, 0.0, 0.7, 0.95, 1.0, 0.85, 0.6, 0.85, 0.0, 0, 0])
_STEM_YARDS = np.array([0, 0.3, 1.0, 0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 1.5, 0, 0])
_BREAK_DEGREES = np.array([0, 180, 78, -80, 84, -88, -33, -52, 38, -50, 0, 0])
_BREAK_SPEED = np.array([1.0, 0.1, 0.75, 0.85, 0.85, 0.85, 1.0, 0.8, 0.97, 0.7, 0, 0])
_INTEREST = np.array([0.55, 1.0, 0.75, 1.1, 1.05, 1.05, 1.0, 1.15, 0.9, 0.9, 25.0, 1e-9])  # how often targeted


@dataclass(frozen=True)
class Call:
    """Plans of both teams; first axis plays, second (where there is one) receivers 6-10.

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
    """Calls for every play; they depend on down, distance and field position, never on a team or its quarterback."""
    plays = situation.plays
    concept, depth = _concept(situation, streams)
    back = formation.start[:, ELIGIBLE, 0] < -3
    route = _routes(concept, back, streams)
    effort = np.where(route == GO, 0.98, 0.94) + 0.03 * streams.normal(5)
    speed = np.clip(5.9 + 0.15 * depth, 6.0, 9.0)[:, None] * effort
    own_depth = depth[:, None] * np.exp(0.08 * streams.normal(5))
    stem_yards = _STEM_SHARE[route] * own_depth + _STEM_YARDS[route]
    run_up = np.where(back, 0.8, 0.5)  # seconds lost to the start
    break_s = stem_yards / speed + run_up
    outward = np.where(formation.start[:, ELIGIBLE, 1] >= formation.ball_y[:, None], 1.0, -1.0)
    angle = np.deg2rad(_BREAK_DEGREES[route] + 6 * streams.normal(5))
    broken = (speed * _BREAK_SPEED[route])[..., None] * np.stack([np.cos(angle), outward * np.sin(angle)], axis=-1)
    slide = np.where(back & np.isin(route, (ANGLE, FLAT)), 0.8, 0.0)  # backs leave the backfield sideways
    stem = speed[..., None] * np.stack([np.cos(slide), outward * np.sin(slide)], axis=-1)

    tightness, rush = formation.tightness, streams.normal()
    man = 0.8 * tightness + 0.6 * streams.normal() > -0.1
    hurried = np.where(concept == Concept.SCREEN, 0.35 * rush + 0.6, rush)
    seconds = _time_to_throw(concept, depth, hurried, streams)
    frames = np.rint(10 * seconds).astype(int) + 1
    release = np.clip(frames, MIN_RELEASE_FRAMES, MAX_RELEASE_FRAMES) - 1
    log_cushion = 0.98 - 0.55 * tightness[:, None] + np.where(man, -0.05, 0.05)[:, None] + 0.2 * streams.normal(5)
    cushion = np.exp(log_cushion - 0.012 * np.minimum(depth, 25)[:, None] + np.where(back, 0.35, 0.0))
    lean = np.deg2rad(22 + 13 * streams.normal(5))  # between the receiver and the goal, a little inside
    leverage = np.stack([np.cos(lean), -outward * np.sin(lean)], axis=-1)
    gap = 2.7 * np.exp(0.42 * hurried[:, None] + 0.16 * np.abs(streams.normal(6)))
    checkdown = np.where(back, (np.exp(-0.35 * hurried - 0.2) * np.array([1.0, 1.0, 0.3, 0.1])[concept])[:, None], 1.0)
    open_enough = (cushion / 2.5) ** 0.8
    wanted = _INTEREST[route] * checkdown * open_enough
    target = streams.pick(wanted)
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
        broken=broken,
        target=target,
        cushion=np.clip(cushion, 0.5, 12.0),
        leverage=leverage,
        lag_s=lag,
        man=man,
        rush_gap=np.clip(gap, 1.1, 12.0) * np.ones((plays, 1)),
        drop=np.stack([drop_x, drop_y], axis=-1),
    )


def _concept(situation: Situation, streams: GameStreams) -> tuple[np.ndarray, np.ndarray]:
    """Concept and depth of its routes in yards: deeper with the distance to go, shallower near the goal line."""
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
    """Route indices, [plays, 5]; in a screen the target is the back or, one time in three, the third receiver."""
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
    extended = np.where(streams.uniform() < 0.07, streams.uniform(0.6, 2.6), 0.0)
    return base + read + extended * (concept != Concept.SCREEN)
