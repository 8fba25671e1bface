"""Bucket lengths: the minimum of padding, and under 15 % for typical plays."""

from itertools import combinations

import numpy as np
import pytest

from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.batches.buckets import choose_buckets, fit_buckets
from sbp_jax.data.batches.epochs import BatchSampler
from sbp_jax.errors import InputError
from tests.data.batches.test_batching import random_plays


def padding(lengths: np.ndarray, buckets: tuple[int, ...]) -> int:
    return int((np.asarray(buckets)[np.searchsorted(buckets, lengths)] - lengths).sum())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_no_other_buckets_pad_less(seed, count):
    random = np.random.default_rng(seed)
    lengths = random.choice(random.integers(1, 60, 9), 40, p=random.dirichlet(np.ones(9)))
    others = np.unique(lengths)
    best = min(
        padding(lengths, tuple(sorted({*chosen, int(others[-1])})))
        for size in range(min(count, len(others)))
        for chosen in combinations(others.tolist(), size)
    )
    buckets = choose_buckets(lengths, count)
    assert padding(lengths, buckets) == best
    assert len(buckets) <= count
    assert list(buckets) == sorted(set(buckets))
    assert buckets[-1] == lengths.max()


def test_as_many_buckets_as_lengths_leave_no_padding():
    assert choose_buckets(np.array([7, 3, 7, 12]), 5) == (3, 7, 12)
    assert choose_buckets(np.array([9]), 4) == (9,)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("batch_size", [3, 7, 50])
def test_no_other_buckets_waste_less_of_an_epoch(seed, batch_size):
    random = np.random.default_rng(seed)
    lengths = random.choice(random.integers(1, 60, 8), 40, p=random.dirichlet(np.ones(8)))
    distinct = np.unique(lengths).tolist()
    wastes = [
        BatchSampler(lengths, batch_size, tuple(sorted({*chosen, distinct[-1]}))).waste()
        for size in range(min(3, len(distinct)))
        for chosen in combinations(distinct, size)
    ]
    assert BatchSampler(lengths, batch_size, choose_buckets(lengths, 3, batch_size)).waste() == min(wastes)


@pytest.mark.parametrize("kind", ["uniform", "skewed", "simulated"])
@pytest.mark.parametrize("batch_size", [128, 256])
def test_epochs_waste_less_than_15_percent_with_five_buckets(kind, batch_size):
    random = np.random.default_rng(0)
    lengths = {
        "uniform": random.integers(15, 61, 35_000),
        "skewed": np.clip(np.round(np.exp(random.normal(3.5, 0.3, 35_000))), 5, 120).astype(int),
        # quantiles 0, 1, 5, 25, 50, 75, 95, 99 and 100 % of the simulator's plays
        "simulated": np.interp(
            random.random(35_000), [0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1], [15, 16, 18, 22, 27, 33, 44, 54, 66]
        ).astype(int),
    }[kind]
    batches = BatchSampler(lengths, batch_size)
    assert batches.waste() < 0.15
    assert len(batches.shapes) <= 5


def test_batches_choose_buckets_where_none_are_given():
    plays = random_plays(np.random.default_rng(2).integers(15, 60, 300))
    assert Batches(plays, 16).buckets == choose_buckets(plays.lengths, batch_size=16)


def test_given_buckets_are_used_and_long_plays_get_their_own():
    assert fit_buckets((24, 40), np.array([10, 40])) == (24, 40)
    assert fit_buckets((24, 40), np.array([10, 41])) == (24, 40, 48)


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match="lengths"):
        choose_buckets(np.array([], int))
    with pytest.raises(InputError, match="lengths"):
        choose_buckets(np.array([0, 3]))
    with pytest.raises(InputError, match="count"):
        choose_buckets(np.array([3]), 0)
    with pytest.raises(InputError, match="batch_size"):
        choose_buckets(np.array([3]), 2, 0)
