"""Streaming from records: the batches of the plays in memory, from any batch on, and nothing left running."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.batches.symmetry import mirror_of
from sbp_jax.data.prepared.build import prepare
from sbp_jax.data.prepared.dataset import describe, load
from sbp_jax.data.prepared.stream import StreamedBatches
from sbp_jax.errors import InputError
from tests.data import fabricate
from tests.data.batches.test_arrays import assert_identical

try:
    import grain
except ImportError:
    grain = None

needs_grain = pytest.mark.skipif(grain is None, reason="Grain is not installed (extra `grain`)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("streamed")
    prepare(fabricate.folder(path / "files", plays=5, games=8), path / "set")
    return path / "set"


@pytest.mark.sample(1)
@needs_grain
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("last", [None, 12])
@pytest.mark.parametrize("batch_size", [1, 8, 100])
def test_batches_are_those_of_the_plays_bit_for_bit(folder, batch_size, last, mirrored):
    plays = load(folder, "train")
    plays = plays.last(last) if last else plays
    direct = Batches(plays, batch_size, seed=5, mirror=mirror_of(plays) if mirrored else None)
    streamed = StreamedBatches(folder, "train", batch_size, seed=5, last=last, mirrored=mirrored)
    assert streamed.buckets == direct.buckets
    assert len(streamed) == len(direct)
    for epoch in (0, 2):
        for left, right in zip(direct.epoch(epoch), streamed.epoch(epoch), strict=True):
            assert_identical(left, right)


@needs_grain
def test_an_epoch_resumes_at_any_batch_and_differs_from_the_next(folder):
    batches = StreamedBatches(folder, "train", 4, (16, 24), ahead=2)
    complete = list(batches.epoch(1))
    for start in range(len(complete) + 1):
        rest = list(batches.epoch(1, start))
        assert len(rest) == len(complete) - start
        for left, right in zip(complete[start:], rest, strict=True):
            assert_identical(left, right)
    orders = [np.concatenate([b.index[b.valid] for b in batches.epoch(epoch)]) for epoch in (1, 2)]
    assert not np.array_equal(*orders)
    assert all(np.array_equal(np.sort(order), np.arange(len(batches.lengths))) for order in orders)


@needs_grain
def test_plays_outside_the_request_are_not_read(folder, monkeypatch):
    batches = StreamedBatches(folder, "train", 1, ahead=2)
    read: list[int] = []
    source = batches._source

    class Counted:
        def read(self, indices):
            read.extend(indices)
            return source.read(indices)

    monkeypatch.setattr(batches, "_source", Counted())
    before = set(threading.enumerate())
    some = batches.epoch(0, start=10)
    next(some)
    some.close()
    assert len(read) <= 4
    assert not set(read) & {int(i) for _, indices in batches.plan(0)[:10] for i in indices}
    for _ in range(60_000):  # bounds the wait; a listed thread may not have started, so it cannot be joined
        if not set(threading.enumerate()) - before:
            break
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


@needs_grain
def test_bad_input_is_one_line(folder, tmp_path):
    with pytest.raises(InputError, match="not a prepared data set"):
        StreamedBatches(tmp_path, "train", 4)
    with pytest.raises(InputError, match="train, validation, test"):
        StreamedBatches(folder, "dev", 4)
    for name in ("last", "ahead", "batch_size"):
        with pytest.raises(InputError, match=f"{name}: expected at least 1, got 0"):
            StreamedBatches(folder, "train", **({"batch_size": 4} | {name: 0}))


@needs_grain
def test_damaged_records_are_one_line(tmp_path):
    prepare(fabricate.folder(tmp_path / "files", plays=5, games=8), tmp_path / "set")
    batches = StreamedBatches(tmp_path / "set", "train", 4)
    (path,) = (tmp_path / "set" / "passing_plays").rglob("*train*.array_record*")
    content = bytearray(path.read_bytes())
    content[: len(content) // 2] = bytes(len(content) // 2)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged data set") as caught:
        list(batches)
    assert "\n" not in str(caught.value)
    assert describe(tmp_path / "set").plays["train"] == len(batches.lengths)


def test_without_grain_one_line_names_the_extra(folder):
    code = (
        "import sys; sys.modules['grain'] = None\n"
        "from sbp_jax.data.prepared.stream import StreamedBatches\nfrom sbp_jax.errors import InputError\n"
        f"try: StreamedBatches({str(folder)!r}, 'train', 4)\nexcept InputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("streaming needs Grain: pip install 'sbp_jax[grain]'"), done.stderr
    assert done.stdout.count("\n") == 1
