"""Which of a play's 22 slots each player takes, decided at the snap alone and kept to the release.

| slots | who | order |
| --- | --- | --- |
| 0 | the passer | |
| 1-5 | linemen | from the offense's left to its right |
| 6-10 | eligible receivers | from the offense's left to its right |
| 11-15 | a defender for each of the receivers 6-10, by the assignment of least total distance | as their receivers |
| 16-21 | the other defenders | by distance to the ball |

A defender in the box at the line (up to 2 yards deep and 6 from the ball) rushes; he is given to a receiver only when
there is nobody else.

Empty slots stay empty; only a player who finds no slot of his own kind takes another one, his own side's first.
"""

import numpy as np

PASSER = 0
LINEMEN = range(1, 6)
RECEIVERS = range(6, 11)
MARKERS = range(11, 16)
OTHERS = range(16, 22)
LINE_POSITIONS = frozenset({"C", "G", "T", "OC", "OG", "OT", "OL", "LG", "RG", "LT", "RT", "LS"})
COMPLETE_OFFENSE = 11
_BOX_DEPTH_YARDS, _BOX_WIDTH_YARDS = 2.0, 6.0
_RUSHER_YARDS = 1000.0  # added to a rusher's distances: beyond any on the field


def assign_slots(
    x: np.ndarray,
    y: np.ndarray,
    offense: np.ndarray,
    position: list[str | None],
    passer: int,
    ball: tuple[float, float],
) -> np.ndarray:
    """Return the slot of every player, int `[players]`, -1 where all 22 are taken.

    Args:
        x, y: yards at the snap `[players]`, offense moving toward +x; NaN for a player not there at the snap, who takes
            a slot left over.
        offense: bool `[players]`.
        position: the players' positions; where none of the offense's is known, the linemen are the five players nearest
            to the ball of a complete offense.
        passer: index of the passer.
        ball: x and y of the ball at the snap, yards.
    """
    slot = np.full(len(x), -1)
    slot[passer] = PASSER
    there = np.isfinite(x)
    to_ball = np.hypot(x - ball[0], y - ball[1])
    nearest_first = np.argsort(to_ball, kind="stable").tolist()
    mates = [i for i in nearest_first if offense[i] and there[i] and i != passer]
    if any(position[i] for i in mates):
        line = [i for i in mates if position[i] in LINE_POSITIONS][: len(LINEMEN)]
    else:
        line = mates[: len(LINEMEN)] if len(mates) == COMPLETE_OFFENSE - 1 else []
    # with more than five left, the widest five are the receivers
    receivers = [i for i in mates if i not in line][-len(RECEIVERS) :]
    receivers = sorted(receivers, key=lambda i: -y[i])
    _fill(slot, sorted(line, key=lambda i: -y[i]), LINEMEN)
    _fill(slot, receivers, RECEIVERS)
    defenders = [i for i in nearest_first if not offense[i] and there[i]]
    if receivers and defenders:
        from scipy.optimize import linear_sum_assignment  # half a second, for those who read files

        gap = np.hypot(x[receivers][:, None] - x[defenders], y[receivers][:, None] - y[defenders])
        rushers = (x - ball[0] < _BOX_DEPTH_YARDS) & (np.abs(y - ball[1]) < _BOX_WIDTH_YARDS)
        gap += np.where(rushers[defenders], _RUSHER_YARDS, 0.0)
        for receiver, defender in zip(*linear_sum_assignment(gap), strict=True):
            slot[defenders[defender]] = MARKERS[receiver]
    _fill(slot, [i for i in defenders if slot[i] < 0], OTHERS)
    for i in np.flatnonzero(slot < 0).tolist():
        own = (LINEMEN, RECEIVERS, OTHERS, MARKERS) if offense[i] else (OTHERS, MARKERS, LINEMEN, RECEIVERS)
        _fill(slot, [i], [s for kind in own for s in kind])
    return slot


def _fill(slot: np.ndarray, players: list[int], slots: range | list[int]) -> None:
    free = [s for s in slots if s not in slot]
    for player, place in zip(players, free, strict=False):
        slot[player] = place
