"""A split on the device: the host's arrays, each play once, with a known size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.prepared.storage import open_folder, save
from sbp_jax.errors import InputError
from sbp_jax.training import device_bytes, to_device
from tests.plays import random_plays

pytestmark = pytest.mark.unoptimized

BUCKETS = (8, 16, 32, 64)


@pytest.mark.parametrize("mapped", [False, True])
def test_the_device_has_what_the_host_has(mapped, tmp_path):
    plays = random_plays(60)
    arrays = Arrays.of(plays, BUCKETS)
    if mapped:
        save({"train": arrays}, tmp_path / "arrays")
        arrays = open_folder(tmp_path / "arrays", "train")
    resident = to_device(arrays)
    assert len(resident) == len(plays)
    assert [bucket["x"].shape[1] for bucket in resident.buckets] == [8, 16, 32]  # no play is longer
    seen = np.concatenate([bucket["index"] for bucket in resident.buckets])
    np.testing.assert_array_equal(np.sort(seen), np.arange(60))
    for b, bucket in enumerate(resident.buckets):
        np.testing.assert_array_equal(bucket["x"], arrays.x[b])
        np.testing.assert_array_equal(bucket["present"], arrays.present[b])
        index = np.asarray(bucket["index"])
        np.testing.assert_array_equal(np.asarray(bucket["mask"]).sum(axis=1), plays.lengths[index])
        np.testing.assert_array_equal(bucket["static"], plays.static[index])
        np.testing.assert_array_equal(bucket["outcome"], plays.outcome[index])
        np.testing.assert_array_equal(bucket["censored"], plays.censored[index])
        assert {leaf.dtype.name for leaf in jax.tree.leaves(bucket)} == {"float32", "bool", "int32"}


def test_its_bytes_are_known_in_advance_and_limited():
    arrays = Arrays.of(random_plays(30), BUCKETS)
    needed = device_bytes(arrays)
    assert to_device(arrays, limit_bytes=needed).nbytes == needed
    with pytest.raises(InputError, match=r"30 plays need 0\.00 GiB on the device, more than the limit") as caught:
        to_device(arrays, limit_bytes=needed - 1)
    assert "\n" not in str(caught.value)


def test_later_changes_on_the_host_do_not_reach_it():
    arrays = Arrays.of(random_plays(20), BUCKETS)
    resident = to_device(arrays)
    before = np.array(resident.buckets[0]["x"])
    arrays.x[0][:] = np.nan
    arrays.present[0][:] = False
    np.testing.assert_array_equal(resident.buckets[0]["x"], before)
    assert np.asarray(resident.buckets[0]["present"]).any()


def test_it_is_an_argument_of_compiled_functions():
    plays = random_plays(40)
    resident = to_device(Arrays.of(plays, BUCKETS), device=jax.devices()[0])

    @jax.jit
    def mean_yards(split):
        return sum(jnp.sum(bucket["outcome"]) for bucket in split.buckets) / len(split)

    assert float(mean_yards(resident)) == pytest.approx(float(plays.outcome.mean()), rel=1e-5)


def test_no_plays_are_refused():
    with pytest.raises(InputError, match="at least one play"):
        to_device(Arrays.of(random_plays(5).select(np.array([], np.int64)), BUCKETS))
