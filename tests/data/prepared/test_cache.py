"""The prepared data set as arrays: built once, completely or not at all, the records' plays bit for bit."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sbp_jax.data.batches.arrays import ArrayBatches
from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.prepared import cache, dataset
from sbp_jax.data.prepared.build import PrepareConfig, prepare
from sbp_jax.data.prepared.cache import Layout, open_arrays
from sbp_jax.data.prepared.dataset import describe, load, read_lengths
from sbp_jax.data.prepared.splits import SPLITS
from sbp_jax.errors import InputError
from tests.data import fabricate
from tests.data.batches.test_arrays import assert_identical, assert_same_plays, flip


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return fabricate.folder(tmp_path_factory.mktemp("files"), plays=3, games=8)


@pytest.fixture
def folder(source, tmp_path) -> Path:
    prepare(source, tmp_path / "set")
    return tmp_path / "set"


def folders(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.name.startswith(("arrays-", ".")))


@pytest.mark.sample(1)
@pytest.mark.parametrize("layout", [Layout(), Layout(buckets=(16, 24)), Layout(last=9), Layout(buckets=(6,), last=12)])
def test_batches_and_plays_are_those_of_the_records_bit_for_bit(folder, layout):
    shapes = set()
    for split in SPLITS:
        arrays, plays = open_arrays(folder, split, layout), load(folder, split)
        plays = plays.last(layout.last) if layout.last else plays
        assert_same_plays(arrays.plays(), plays)
        direct, cached = Batches(plays, 4, arrays.buckets, seed=1), ArrayBatches(arrays, 4, seed=1)
        for left, right in zip(direct.epoch(2), cached.epoch(2), strict=True):
            assert_identical(left, right)
        shapes.add(arrays.buckets)
        if layout.buckets:
            assert arrays.buckets[: len(layout.buckets)] == layout.buckets
    assert layout.buckets or len(shapes) == 1


def test_they_are_built_once_and_mapped(folder, monkeypatch):
    counts: list[int] = []
    first = open_arrays(folder, "train", progress=counts.append)
    assert counts == list(range(1, 25))
    monkeypatch.setattr(cache, "read_columns", lambda *_: pytest.fail("the records were read again"))
    again = open_arrays(folder, "train")
    open_arrays(folder, "test")
    assert len(folders(folder)) == 1
    assert again.buckets == first.buckets
    for array in again.x:
        assert not array.flags.owndata
        assert not array.flags.writeable


def test_another_layout_or_data_set_is_another_folder(source, folder):
    open_arrays(folder, "train")
    open_arrays(folder, "train", Layout(buckets=(40,)))
    open_arrays(folder, "train", Layout(last=10))
    open_arrays(folder, "train", Layout(buckets=(40,), count=3))  # a count has no effect on given buckets
    assert len(folders(folder)) == 3
    prepare(source, folder, PrepareConfig(seed=1))
    assert folders(folder) == []
    assert len(open_arrays(folder, "train")) == describe(folder).plays["train"]


@pytest.mark.sample(1)
@pytest.mark.parametrize("damage", ["flip", "cut", "manifest", "missing"])
def test_damaged_arrays_are_built_again_with_a_line_on_the_log(folder, damage, caplog):
    expected = load(folder, "train")
    open_arrays(folder, "train")
    (arrays,) = folder.glob("arrays-*")
    victim = sorted((arrays / "train").glob("x-*"))[-1]
    if damage == "flip":
        flip(victim)
    elif damage == "cut":
        victim.write_bytes(victim.read_bytes()[:1000])
    elif damage == "missing":
        victim.unlink()
    else:
        (arrays / "manifest.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert_same_plays(open_arrays(folder, "train").plays(), expected)
    (record,) = caplog.records
    assert "damaged" in record.getMessage()
    assert "built again" in record.getMessage()
    assert "\n" not in record.getMessage()
    caplog.clear()
    open_arrays(folder, "train")
    assert not caplog.records
    assert folders(folder) == [arrays.name]


def test_damaged_records_are_one_line_and_leave_nothing(folder):
    for path in (folder / "passing_plays").rglob("*train*.array_record*"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="damaged data set"):
        open_arrays(folder, "train")
    assert folders(folder) == []


def test_a_killed_build_leaves_nothing_half_and_the_next_one_cleans_up(folder):
    code = (
        "import sys\nfrom sbp_jax.data.prepared import cache, storage\n"
        "def slow(*_):\n    print('written', flush=True); sys.stdin.read()\n"
        f"storage.write_manifest = slow; cache.open_arrays({str(folder)!r}, 'train')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "written"
    assert [name.startswith(".arrays-") for name in folders(folder)] == [True]
    open_arrays(folder, "train", Layout(buckets=(40,)))
    assert len(folders(folder)) == 2  # a build in progress keeps its folder
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert_same_plays(open_arrays(folder, "train").plays(), load(folder, "train"))
    assert len(folders(folder)) == 2
    assert not any(name.startswith(".") for name in folders(folder))


def test_two_processes_build_at_once(folder):
    code = (
        "import sys\nfrom sbp_jax.data.prepared import cache, storage\n"
        "write = storage.write_manifest\n"
        "def wait(*arguments):\n"
        "    write(*arguments); print('written', flush=True); sys.stdin.readline()\n"
        "storage.write_manifest = wait\n"
        f"print(float(cache.open_arrays({str(folder)!r}, 'train').plays().frames.sum()))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(2)]
    for process in processes:  # both complete their builds before either moves its folder
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "written"
    outputs = [process.communicate("go\n", timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert {float(output) for output in outputs} == {float(load(folder, "train").frames.sum())}
    assert len(folders(folder)) == 1


def test_a_folder_that_cannot_be_written_to_is_named_and_another_can_be_given(folder, tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", read_only)
        with pytest.raises(InputError, match=r"arrays-.*cannot be written \(Read-only file system\)"):
            open_arrays(folder, "train")
    elsewhere = open_arrays(folder, "train", folder=tmp_path / "scratch")
    assert_same_plays(elsewhere.plays(), load(folder, "train"))
    assert folders(folder) == []
    assert len(folders(tmp_path / "scratch")) == 1


def test_a_read_only_folder_that_has_the_arrays_will_do(folder, monkeypatch):
    open_arrays(folder, "train")
    for name in ("mkdir", "rename", "replace", "unlink"):
        monkeypatch.setattr(Path, name, lambda *_, **__: pytest.fail("opening writes"))
    monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("opening writes"))
    assert len(open_arrays(folder, "train"))


def test_damaged_arrays_that_cannot_be_replaced_are_one_line(folder, monkeypatch):
    open_arrays(folder, "train")
    flip(next(folder.glob("arrays-*/train/x-*")))

    def read_only(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", read_only)
    with pytest.raises(InputError, match=r"damaged, and cannot be removed \(Read-only file system\)"):
        open_arrays(folder, "train")


def test_lengths_of_a_read_only_folder_are_read_every_time(folder, monkeypatch):
    def read_only(*_):
        raise OSError(30, "Read-only file system")

    before = sorted(folder.iterdir())
    monkeypatch.setattr(os, "replace", read_only)
    np.testing.assert_array_equal(read_lengths(describe(folder), "train"), load(folder, "train").lengths)
    assert sorted(folder.iterdir()) == before


def test_lengths_are_read_once(folder, monkeypatch):
    prepared = describe(folder)
    first = {split: read_lengths(prepared, split) for split in SPLITS}
    for split in SPLITS:
        np.testing.assert_array_equal(first[split], load(folder, split).lengths)
    (cached,) = folder.glob("lengths-train-*")
    cached.write_bytes(cached.read_bytes()[:-4])
    np.testing.assert_array_equal(read_lengths(prepared, "train"), first["train"])
    monkeypatch.setattr(dataset, "RecordSource", lambda *_: pytest.fail("the records were read again"))
    np.testing.assert_array_equal(read_lengths(prepared, "train"), first["train"])


def test_bad_arguments_are_named(folder, tmp_path):
    for arguments in ({"count": 0}, {"batch_size": 0}, {"last": 0}, {"buckets": (40, 24)}, {"buckets": ()}):
        with pytest.raises(InputError, match=next(iter(arguments))):
            Layout(**arguments)
    with pytest.raises(InputError, match="train, validation, test"):
        open_arrays(folder, "dev")
    with pytest.raises(InputError, match="not a prepared data set"):
        open_arrays(tmp_path / "nothing", "train")
