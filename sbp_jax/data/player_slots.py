"""Assignment of players to the 22 slots of a play, decided at the snap alone and fixed until the release.

Slot 0 is the passer, 1-5 the linemen, 6-10 the eligible receivers, 11-15 their matched defenders, 16-21 the other
defenders. The page `docs/explanation/features.md` has the order within the groups and the matching.
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
_RUSHER_YARDS = 1000.0  # added to a rusher's distances: more than any distance on the field


def assign_slots(
    x: np.ndarray,
    y: np.ndarray,
    offense: np.ndarray,
    position: list[str | None],
    passer: int,
    ball: tuple[float, float],
) -> np.ndarray:
    """Return the slot of every player, int `[players]`, -1 if no slot is free.

    Args:
        x, y: yards at the snap `[players]`, the offense moving toward +x; NaN for a player absent at the snap, who gets
            a remaining slot.
        offense: bool `[players]`.
        position: positions of the players. If none of the offense's is known, the linemen are the five players of a
            complete offense who are nearest to the ball.
        passer: index of the passer.
        ball: x and y of the ball at the snap, yards.
    """
    slot = np.full(len(x), -1)
    slot[passer] = PASSER
    present = np.isfinite(x)
    to_ball = np.hypot(x - ball[0], y - ball[1])
    nearest_first = np.argsort(to_ball, kind="stable").tolist()
    mates = [i for i in nearest_first if offense[i] and present[i] and i != passer]
    if any(position[i] for i in mates):
        line = [i for i in mates if position[i] in LINE_POSITIONS][: len(LINEMEN)]
    else:
        line = mates[: len(LINEMEN)] if len(mates) == COMPLETE_OFFENSE - 1 else []
    # with more than five left, the widest five are the receivers
    receivers = [i for i in mates if i not in line][-len(RECEIVERS) :]
    receivers = sorted(receivers, key=lambda i: -y[i])
    _fill(slot, sorted(line, key=lambda i: -y[i]), LINEMEN)
    _fill(slot, receivers, RECEIVERS)
    defenders = [i for i in nearest_first if not offense[i] and present[i]]
    if receivers and defenders:
        from scipy.optimize import linear_sum_assignment  # a slow import that only readers of files need

        gap = np.hypot(x[receivers][:, None] - x[defenders], y[receivers][:, None] - y[defenders])
        rushers = (x - ball[0] < _BOX_DEPTH_YARDS) & (np.abs(y - ball[1]) < _BOX_WIDTH_YARDS)
        gap += np.where(rushers[defenders], _RUSHER_YARDS, 0.0)
        for receiver, defender in zip(*linear_sum_assignment(gap), strict=True):
            slot[defenders[defender]] = MARKERS[receiver]
    _fill(slot, [i for i in defenders if slot[i] < 0], OTHERS)
    for i in np.flatnonzero(slot < 0).tolist():
        groups = (LINEMEN, RECEIVERS, OTHERS, MARKERS) if offense[i] else (OTHERS, MARKERS, LINEMEN, RECEIVERS)
        _fill(slot, [i], [s for kind in groups for s in kind])
    return slot


def _fill(slot: np.ndarray, players: list[int], slots: range | list[int]) -> None:
    free = [s for s in slots if s not in slot]
    for player, place in zip(players, free, strict=False):
        slot[player] = place
