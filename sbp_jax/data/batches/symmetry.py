"""Mirror symmetry of the field: a play reflected across the long axis is as likely, with the same outcome.

The reflection changes the sign of every lateral feature and swaps left and right among the players whose slots are
ordered from the offense's left to its right (`player_slots`): linemen, receivers, and the defenders matched to the
receivers. Extras are not lateral: distances, speeds, counts and times do not change.
"""

from collections.abc import Sequence

import numpy as np

from sbp_jax.data.batches.epochs import Mirror
from sbp_jax.data.player_slots import LINEMEN, MARKERS, RECEIVERS
from sbp_jax.data.plays import FEATURES, PLAYERS, Sequences

LATERAL = frozenset({"y", "vy", "ay", "orientation_sin"})


def mirror_of(plays: Sequences) -> Mirror:
    """Return the reflection of each play, for `Batches(plays, ..., mirror=mirror_of(plays))`."""
    return mirror_of_slots(np.logical_or.reduceat(plays.present, plays.offsets[:-1], axis=0), plays.features)


def mirror_of_slots(occupied: np.ndarray, features: Sequence[str] = FEATURES) -> Mirror:
    """Return the reflection of each play from its occupied slots, bool `[N, 22]`, and the names of the features.

    `Arrays` has both: `occupied`, `features`.

    The occupied slots of a group are reversed among themselves, so that a group that is not full is still filled from
    its first slot; the matched defenders move with their receivers.
    """
    source = np.tile(np.arange(PLAYERS), (len(occupied), 1))
    for group in (LINEMEN, RECEIVERS):
        inside = occupied[:, group.start : group.stop]
        # occupied slots first, in order; reading them backwards gives every occupied slot its counterpart
        order = np.argsort(~inside, axis=1, kind="stable")
        count = inside.sum(axis=1, keepdims=True)
        place = np.arange(inside.shape[1])[None, :]
        counterpart = np.take_along_axis(order, np.where(place < count, count - 1 - place, place), axis=1)
        reflection = np.empty_like(order)
        np.put_along_axis(reflection, order, counterpart, axis=1)
        source[:, group.start : group.stop] = group.start + reflection
    receivers = source[:, RECEIVERS.start : RECEIVERS.stop]
    source[:, MARKERS.start : MARKERS.stop] = receivers - RECEIVERS.start + MARKERS.start
    return Mirror(source, np.array([-1 if name in LATERAL else 1 for name in features], np.float32))
