"""Batches: every play once, nothing lost, nothing leaked into padding, and an order that can be resumed exactly."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.batches.fields import Batch
from sbp_jax.data.plays import Plays
from sbp_jax.errors import InputError


def random_plays(lengths: np.ndarray, seed: int = 0, masked_slots: tuple[int, ...] = ()) -> Plays:
    random = np.random.default_rng(seed)
    count, offsets = len(lengths), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    present = np.ones((offsets[-1], 22), bool)
    present[:, list(masked_slots)] = False
    frames = random.normal(size=(offsets[-1], 22, 8)).astype(np.float32)
    return Plays(
        frames=frames,
        offsets=offsets,
        present=present,
        static=random.normal(size=(count, 5)).astype(np.float32),
        outcome=random.integers(-5, 40, count).astype(np.float32),
        game_id=np.arange(count) // 7,
        play_id=np.arange(count),
        passer_id=np.arange(count) % 3,
        passer=np.array([f"Passer {i % 3}" for i in range(count)]),
        info={"result": np.array(list("CI"))[np.arange(count) % 2]},
    )


@pytest.fixture
def plays() -> Plays:
    return random_plays(np.random.default_rng(1).integers(5, 90, 257))


def assert_same(left: Batch, right: Batch) -> None:
    for name in vars(left):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 16, 100, 1000])
def test_every_play_appears_exactly_once_per_epoch(plays, batch_size, shuffle):
    batches = list(Batches(plays, batch_size, shuffle=shuffle).epoch(3))
    seen = np.concatenate([batch.index[batch.valid] for batch in batches])
    np.testing.assert_array_equal(np.sort(seen), np.arange(len(plays)))
    assert all(len(batch.x) == batch_size for batch in batches)
    assert sum(not batch.valid.all() for batch in batches) <= 1


def test_a_batch_holds_its_plays_frames_and_zeros_elsewhere(plays):
    for batch in Batches(plays, 16):
        for row in np.flatnonzero(batch.valid):
            i = batch.index[row]
            length = plays.lengths[i]
            own = plays.frames[plays.offsets[i] : plays.offsets[i + 1]].reshape(length, 176)
            np.testing.assert_array_equal(batch.x[row, :length], own)
            np.testing.assert_array_equal(batch.mask[row], np.arange(batch.x.shape[1]) < length)
            np.testing.assert_array_equal(batch.static[row], plays.static[i])
            assert (batch.outcome[row], batch.censored[row]) == (plays.outcome[i], plays.censored[i])
        assert not batch.x[~batch.mask].any()
        assert not batch.present[~batch.mask].any()
        assert not batch.mask[~batch.valid].any()
        assert (batch.index[~batch.valid] == -1).all()
        assert not batch.censored[~batch.valid].any()


def test_masked_players_hold_zeros_even_where_the_plays_hold_nan():
    plays = random_plays(np.array([6, 9, 30]), masked_slots=(3, 21))
    plays.frames[:, [3, 21]] = np.nan
    for batch in Batches(plays, 2):
        per_player = batch.x.reshape(*batch.x.shape[:2], 22, 8)
        np.testing.assert_array_equal(per_player[~batch.present], 0.0)
        assert np.isfinite(batch.x).all()
        assert not batch.present[:, :, [3, 21]].any()


def test_order_is_decided_by_seed_and_epoch(plays):
    def order(seed: int, epoch: int) -> np.ndarray:
        return np.concatenate([batch.index for batch in Batches(plays, 16, seed=seed).epoch(epoch)])

    np.testing.assert_array_equal(order(0, 2), order(0, 2))
    assert not np.array_equal(order(0, 2), order(0, 3))
    assert not np.array_equal(order(0, 2), order(1, 2))


def test_the_order_of_given_buckets_is_the_one_that_earlier_versions_trained_in(plays):
    batches = Batches(plays, 16, (24, 40, 64), seed=3)
    order = np.concatenate([batch.index for epoch in (0, 5) for batch in batches.epoch(epoch)])
    assert hashlib.sha256(order.tobytes()).hexdigest()[:16] == "8578731f668b52e4"


@pytest.mark.parametrize("start", [0, 1, 7])
def test_an_epoch_resumes_at_any_batch(plays, start):
    complete = list(Batches(plays, 16, seed=4).epoch(5))
    rest = list(Batches(plays, 16, seed=4).epoch(5, start=start))
    assert len(rest) == len(complete) - start
    for left, right in zip(complete[start:], rest, strict=True):
        assert_same(left, right)


def test_positions_follow_from_the_step_number(plays):
    batches = Batches(plays, 16)
    assert [batches.position(step) for step in (0, len(batches) - 1, len(batches))] == [
        (0, 0),
        (0, len(batches) - 1),
        (1, 0),
    ]
    assert len(list(batches)) == len(batches) == len(list(batches.epoch(8)))


def test_without_shuffling_plays_keep_their_order_within_a_bucket(plays):
    for batch in Batches(plays, 16, (24, 40, 64, 104), shuffle=False):
        own = plays.lengths[batch.index[batch.valid]]
        shortest_bucket = batch.index[batch.valid][
            own > np.max([0, *[b for b in (24, 40, 64) if b < batch.x.shape[1]]])
        ]
        assert (np.diff(shortest_bucket) > 0).all()


def test_shapes_are_the_buckets_in_use(plays):
    batches = Batches(plays, 16, (24, 40, 64, 104))
    assert batches.shapes == (24, 40, 64, 104)
    assert {batch.x.shape for batch in batches.epoch(1)} == {(16, length, 176) for length in batches.shapes}
    assert Batches(random_plays(np.array([30, 31])), 2, (24, 40, 64)).shapes == (40,)


def test_a_play_longer_than_every_bucket_gets_a_bucket_of_its_own():
    plays = random_plays(np.array([10, 107]))
    batches = Batches(plays, 1, buckets=(24, 40))
    assert batches.buckets == (24, 40, 112)
    (long,) = [batch for batch in batches if batch.x.shape[1] == 112]
    assert long.mask.sum() == 107


def test_drop_remainder_leaves_full_batches_only(plays):
    batches = list(Batches(plays, 16, drop_remainder=True))
    assert len(batches) == 257 // 16
    assert all(batch.valid.all() for batch in batches)


def test_waste_counts_padding_and_filled_up_rows():
    plays = random_plays(np.array([24, 12, 24]))
    assert Batches(plays, 2, buckets=(24,)).waste() == pytest.approx(1 - 60 / 96, abs=1e-12)
    assert Batches(plays.select(np.array([0, 2])), 2, buckets=(24,)).waste() == 0.0


def test_concatenation_and_selection_undo_each_other(plays):
    half = len(plays) // 2
    parts = [plays.select(np.arange(half)), plays.select(np.arange(half, len(plays)))]
    complete = Plays.concatenate(parts)
    for name, value in vars(plays).items():
        if name != "info":
            np.testing.assert_array_equal(getattr(complete, name), value)
    np.testing.assert_array_equal(complete.info["result"], plays.info["result"])
    with pytest.raises(InputError, match="at least one"):
        Plays.concatenate([])


def test_select_takes_indices_and_masks(plays):
    chosen = plays.select(np.array([5, 2, 5]))
    np.testing.assert_array_equal(chosen.lengths, plays.lengths[[5, 2, 5]])
    np.testing.assert_array_equal(
        chosen.frames[chosen.offsets[1] : chosen.offsets[2]], plays.frames[plays.offsets[2] : plays.offsets[3]]
    )
    np.testing.assert_array_equal(chosen.info["result"], plays.info["result"][[5, 2, 5]])
    by_mask = plays.select(plays.outcome > 10)
    np.testing.assert_array_equal(by_mask.play_id, plays.play_id[plays.outcome > 10])
    assert len(plays.select(np.array([], np.int64))) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 4, "buckets": (40, 24)}, "buckets"),
        ({"batch_size": 4, "buckets": ()}, "buckets"),
        ({"batch_size": 500, "drop_remainder": True}, "drop_remainder"),
    ],
)
def test_bad_arguments_are_named(plays, arguments, message):
    with pytest.raises(InputError, match=message):
        Batches(plays, **arguments)


def test_no_plays_is_an_error(plays):
    with pytest.raises(InputError, match="at least one play"):
        Batches(plays.select(np.array([], np.int64)), 4)


def test_plays_whose_arrays_disagree_are_refused(plays):
    columns = vars(plays)
    with pytest.raises(InputError, match=r"yards|offsets"):
        Plays(**(columns | {"outcome": plays.outcome[:-1]}))
    with pytest.raises(InputError, match=r"info\['week'\]"):
        Plays(**(columns | {"info": {"week": np.zeros(3)}}))


def test_batching_imports_neither_polars_nor_the_dataset_builder():
    code = (
        "import sys, types; sys.modules['polars'] = None; sys.modules['tensorflow_datasets'] = None; "
        "sys.modules['scipy'] = None; import sbp_jax.data.batches.batching; print('imported')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "imported", done.stderr
