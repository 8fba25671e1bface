"""Scales of features from chunks: bitwise equal to the sums over all frames at once, for every chunk size."""

import numpy as np
import pytest
from flax import nnx

from sbp_jax.data.plays import ranges
from sbp_jax.models.encoders import EntityAttention, EntityGroup, EntityLayout, FlatEncoder
from tests.plays import random_plays

LAYOUT = EntityLayout(reference=0, groups=(EntityGroup((1, 2, 3)),))
ROWS = 1501


def frames_of(columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of very different sizes, with a tenth of the entities absent, whose values must be ignored."""
    random = np.random.default_rng(columns)
    shape = ROWS, 22, columns
    frames = (random.normal(size=shape) * random.lognormal(0.0, 2.0, shape)).astype(np.float32)
    frames[:, :, -1] = np.where(random.random(shape[:2]) < 0.3, 0.0, frames[:, :, -1])
    present = random.random(shape[:2]) > 0.1
    frames[~present] = np.nan
    return frames, present


def cut(frames, present, chunk):
    return lambda: ((frames[i : i + chunk], present[i : i + chunk]) for i in range(0, ROWS, chunk))


@pytest.mark.parametrize("chunk", [1, 7, 1000, ROWS])
def test_flat_columns_have_the_mean_and_deviation_of_all_frames(chunk):
    frames, present = frames_of(8)
    encoder = FlatEncoder(22, 8)
    encoder.fit_chunks(cut(frames, present, chunk))
    there = np.broadcast_to(present[:, :, None], frames.shape)
    count = there.sum(axis=0)
    mean = np.sum(frames, axis=0, where=there, dtype=np.float64) / count
    variance = np.sum((frames - mean.astype(np.float32)) ** 2, axis=0, where=there) / count
    np.testing.assert_array_equal(encoder.scale.mean[...], mean.astype(np.float32).reshape(-1))
    np.testing.assert_array_equal(encoder.scale.scale[...], np.sqrt(variance).astype(np.float32).reshape(-1))


@pytest.mark.sample(1)
@pytest.mark.parametrize("chunk", [1, 7, 1000, ROWS])
def test_vectors_have_the_mean_square_length_of_all_frames(chunk):
    frames, present = frames_of(11)
    encoder = EntityAttention(8, LAYOUT, scalars=3, rngs=nnx.Rngs(0))
    encoder.fit_chunks(cut(frames, present, chunk))
    there = np.broadcast_to(present[:, :, None], frames.shape)
    total = np.sum(np.square(frames), axis=(0, 1), where=there, dtype=np.float64)
    nonzero = np.count_nonzero(np.where(there, frames, 0)[:, :, 8:], axis=(0, 1))
    vectors = (total[:8] / present.sum()).reshape(-1, 2).sum(axis=1)
    expected = np.sqrt(np.concatenate([vectors, total[8:] / nonzero])).astype(np.float32)
    np.testing.assert_array_equal(encoder.scale[...], expected)


def test_chunks_are_runs_of_plays_with_at_most_so_many_frames():
    plays = random_plays(40, shortest=3, longest=30)
    parts = list(plays.chunks(64))
    assert len(parts) > 5
    assert all(part.offsets[-1] <= 64 for part in parts)
    for name in ("frames", "present", "static", "outcome", "play_id", "passer", "lengths"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(plays, name))
    assert list(ranges(np.array([5, 100, 5, 5]), 10)) == [(0, 1), (1, 2), (2, 4)]
    assert list(ranges(np.array([], np.int64))) == []
