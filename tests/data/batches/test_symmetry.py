"""Reflection: it maps real features to those of the reflected field, and it is its own inverse."""

from dataclasses import replace

import numpy as np
import polars as pl

from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.batches.symmetry import mirror_of
from sbp_jax.data.features import plays_from_chunk
from sbp_jax.data.readers.kinematics import FIELD_WIDTH_YARDS
from sbp_jax.data.readers.tracking import TrackingChunk, read_tracking
from sbp_jax.data.simulator.simulate import SimulationConfig, simulate
from tests.plays import random_plays


def reflect(plays, mirror):
    frames, present = np.empty_like(plays.frames), np.empty_like(plays.present)
    for i in range(len(plays)):
        rows = slice(plays.offsets[i], plays.offsets[i + 1])
        frames[rows] = plays.frames[rows][:, mirror.slots[i]] * mirror.signs
        present[rows] = plays.present[rows][:, mirror.slots[i]]
    return replace(plays, frames=frames, present=present)


def test_reflected_features_are_those_of_the_reflected_field(tmp_path):
    simulate(tmp_path / "plays", SimulationConfig(plays=60, seed=3))
    (chunk,) = read_tracking(tmp_path / "plays")
    flipped = chunk.frames.with_columns(
        y=FIELD_WIDTH_YARDS - pl.col("y"), vy=-pl.col("vy"), ay=-pl.col("ay"), orientation=-pl.col("orientation")
    )
    field = chunk.plays.with_columns(ball_y=FIELD_WIDTH_YARDS - pl.col("ball_y"))
    expected = plays_from_chunk(TrackingChunk(flipped, field, chunk.report))
    plays = plays_from_chunk(chunk)
    reflected = reflect(plays, mirror_of(plays))
    # two receivers at the same y have no left and right: the reflection does not define their order
    abreast = np.array([len(set(plays.frames[start, 6:11, 1].tolist())) < 5 for start in plays.offsets[:-1]])
    assert abreast.mean() < 0.1
    reflected, expected = reflected.select(~abreast), expected.select(~abreast)
    np.testing.assert_array_equal(reflected.present, expected.present)
    np.testing.assert_allclose(reflected.frames, expected.frames, atol=1e-4)


def test_twice_reflected_is_the_play_itself_with_players_missing():
    plays = random_plays(30)
    missing = np.random.default_rng(0).random((30, 22)) < 0.3
    gone = np.repeat(missing, plays.lengths, axis=0)
    plays = replace(plays, present=plays.present & ~gone, frames=np.where(gone[:, :, None], 0, plays.frames))
    mirror = mirror_of(plays)
    once = reflect(plays, mirror)
    twice = reflect(once, mirror_of(once))
    np.testing.assert_array_equal(twice.frames, plays.frames)
    np.testing.assert_array_equal(once.present.any(axis=1).sum(), plays.present.any(axis=1).sum())
    assert not np.array_equal(once.frames, plays.frames)


def test_every_epoch_reflects_its_own_half_of_the_plays():
    plays = random_plays(200, longest=32)
    mirror = mirror_of(plays)
    plain = Batches(plays, 50, (32,), shuffle=False)
    mirrored = Batches(plays, 50, (32,), shuffle=False, mirror=mirror)
    turned = Batches(reflect(plays, mirror), 50, (32,), shuffle=False)

    def is_turned(epoch):
        flags = []
        for a, b, c in zip(plain.epoch(epoch), mirrored.epoch(epoch), turned.epoch(epoch), strict=True):
            as_is = (a.x == b.x).all(axis=(1, 2)) & (a.present == b.present).all(axis=(1, 2))
            reflected = (c.x == b.x).all(axis=(1, 2)) & (c.present == b.present).all(axis=(1, 2))
            assert (as_is != reflected).all()
            flags.append(reflected)
        return np.concatenate(flags)

    first, second = is_turned(0), is_turned(1)
    # 200 fair coins: 100 +- 4 standard deviations of 7.1
    assert 72 < first.sum() < 128
    assert 72 < (first != second).sum() < 128
    np.testing.assert_array_equal(first, is_turned(0))
