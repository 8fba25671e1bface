"""Summary columns of a play, against values by hand for a few players, and with any of them missing."""

import numpy as np
import pytest

from sbp_jax.data.player_slots import MARKERS, OTHERS, PASSER, RECEIVERS
from sbp_jax.data.plays import FEATURES, Plays
from sbp_jax.data.summary import situation, summary
from tests.plays import random_plays


def field():
    """One play of eleven frames: a passer at (-6, 0) facing downfield, two receivers, two defenders and nine deep."""
    frames, present = np.zeros((11, 22, 8), np.float32), np.zeros((11, 22), bool)

    def put(slot, **values):
        present[:, slot] = True
        for name, value in values.items():
            frames[:, slot, FEATURES.index(name)] = value

    put(PASSER, x=-6.0, y=0.0, vx=3.0, vy=4.0, orientation_cos=1.0)
    put(RECEIVERS[0], x=4.0, y=10.0, vx=1.0)
    put(RECEIVERS[3], x=14.0, y=0.0, vx=2.0)
    put(MARKERS[0], x=4.0, y=11.0, vx=1.0, vy=-2.0)
    put(OTHERS[0], x=-6.0, y=-4.0)
    for slot in (*MARKERS[1:], *OTHERS[1:]):
        put(slot, x=60.0, y=0.0)
    plays = random_plays(1)
    fields = {**vars(plays), "frames": frames, "present": present, "offsets": np.array([0, 11])}
    return Plays(**{**fields, "static": np.array([[3.0, 0.0, 0.0, 1.0]], np.float32)})


def test_by_hand():
    row = summary(field())[0]
    np.testing.assert_array_equal(row[:2], [3.0, np.nan])
    assert row[2:9].tolist() == [1.0, -6.0, 0.0, 5.0, 4.0, 0.0, 1.0]
    depth, separation, speed, closing, off_line = row[9:34].reshape(5, 5)
    assert depth[:2].tolist() == [14.0, 4.0]
    assert separation[:2].tolist() == [pytest.approx(np.hypot(10.0, 11.0)), 1.0]
    assert speed[:2].tolist() == [2.0, 1.0]
    assert closing[1] == pytest.approx(2.0)
    assert off_line[:2].tolist() == [pytest.approx(0.0), pytest.approx(10.0)]
    assert np.isnan(row[9:34].reshape(5, 5)[:, 2:]).all()
    np.testing.assert_allclose(
        row[34:], [60.0, 1, (np.hypot(10.0, 11.0) + 1.0) / 2, 14.0, 14.0, np.hypot(10.0, 11.0)], rtol=1e-6
    )


def test_padding_of_absent_players_is_not_seen():
    plays = random_plays(30, num_static=6)
    dirty = np.where(plays.present[:, :, None], plays.frames, np.float32(1e6))
    np.testing.assert_array_equal(summary(plays), summary(Plays(**{**vars(plays), "frames": dirty})))


def test_a_passer_alone_is_accepted():
    plays = field()
    present = np.zeros_like(plays.present)
    present[:, PASSER] = True
    row = summary(Plays(**{**vars(plays), "present": present}))[0]
    assert np.isfinite(row[2:6]).all()
    assert np.isnan(row[6:9]).all()
    assert np.isnan(row[9:34]).all()


def test_a_rusher_may_be_the_defender_who_is_not_tracked():
    plays = field()
    present = plays.present.copy()
    present[:, OTHERS[-1]] = False
    row = summary(Plays(**{**vars(plays), "present": present}))[0]
    assert np.isnan(row[6:9]).all()
    np.testing.assert_array_equal(row[9:34], summary(plays)[0][9:34])


def test_columns_are_the_static_features_with_their_gaps():
    np.testing.assert_array_equal(situation(field()), [[3.0, np.nan]])
