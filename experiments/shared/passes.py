"""Passes as the studies of real and simulated plays share them: columns, tail masses, test plays, seasons."""

import numpy as np

from sbp_jax.data.plays import Plays

TEST_PLAYS = 5000
# what the columns that XGBoost is given measure, for the networks
EXTRAS = ("receiver_separation_yards", "rusher_distance_yards", "quarterback_speed_yps", "time_since_snap_s")
# 1.8 % of the passes of 2017 and 2018 lose yards: a lower threshold of 5 % would lie in the atom at zero
REAL_TAILS = (0.01, 0.05)


def sampled(plays: Plays) -> Plays:
    """Return `TEST_PLAYS` of the plays, the same ones always; all where there are fewer."""
    count = min(TEST_PLAYS, len(plays))
    return plays.select(np.sort(np.random.default_rng(0).permutation(len(plays))[:count]))
