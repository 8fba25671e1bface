"""Memory of a training run: it grows with the frames of plays in memory, not of mapped arrays or a stream."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sbp_jax.data import memory
from sbp_jax.data.memory import fits, frame_bytes, scratch
from tests.prepared import prepare_random

SMALL, LARGE = 2048, 6000  # training plays; both exceed the windows that the host holds at a time
PLAY_BYTES = 1024  # in memory for each play, in addition to its frames
SLACK = 2**25  # the allocator's own memory differs between calls by about a window
has_rss = pytest.mark.skipif(
    not Path("/proc/self/status").is_file() or "RssAnon" not in Path("/proc/self/status").read_text(),
    reason="no RssAnon in /proc/self/status: the system is not Linux",
)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Prepared data sets that differ in their number of plays."""
    folder = tmp_path_factory.mktemp("memory")
    counts = {size: {"train": size, "validation": size // 6, "test": size // 6} for size in (SMALL, LARGE)}
    return {size: prepare_random(folder / str(size), counts[size], 40, 60) for size in counts}


def peak(prepared, source: str, out: Path) -> dict:
    """The anonymous memory of a process that trains and predicts."""
    words = ["-m", "tests.peak_memory", str(prepared.path), source, str(out)]
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@has_rss
@pytest.mark.slow
@pytest.mark.parametrize("source", ["memory", "mapped", "stream"])
def test_memory_grows_with_the_frames_of_plays_in_memory_alone(sets, tmp_path, source):
    if source == "stream":
        pytest.importorskip("grain", reason="Grain is not installed (extra `grain`)")
    plays, frames = (
        sum(getattr(sets[LARGE], name).values()) - sum(getattr(sets[SMALL], name).values())
        for name in ("plays", "frames")
    )
    data = frames * frame_bytes(22, 8)
    few, many = (peak(sets[size], source, tmp_path / str(size))["peak"] for size in (SMALL, LARGE))
    print(f"{source}: {(many - few) / 2**20:.0f} MiB more for {data / 2**20:.0f} MiB of frames")
    if source == "memory":
        assert many - few > data
    else:
        assert many - few < PLAY_BYTES * plays + SLACK < data / 4


def test_what_fits_is_a_quarter_of_what_is_available(monkeypatch):
    assert fits(25, 100)
    assert not fits(26, 100)
    monkeypatch.setattr(memory, "available_bytes", lambda: 8)
    assert (fits(2), fits(3)) == (True, False)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    assert fits(2**60)


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_s_limit_counts_but_not_its_file_cache(tmp_path, monkeypatch, version):
    group = tmp_path / "memory" / "a" / "b" if version == 1 else tmp_path / "a" / "b"
    limit, used, prefix = memory._GROUPS["memory" if version == 1 else ""][1:]
    group.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("5:cpu:/a/b\n4:memory:/a/b\n" if version == 1 else "0::/a/b\n")
    for folder, allowed in ((group, "max"), (group.parent, "1000")):
        (folder / limit).write_text(allowed)
        (folder / used).write_text("700")
        (folder / "memory.stat").write_text(f"{prefix}active_file 100\n{prefix}inactive_file 50\nanon 550\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    assert memory._container() == 1000 - 550
    (group / limit).write_text("600")
    assert memory._container() == 50


@pytest.mark.parametrize("there", [True, False])
def test_a_scratch_array_is_a_file_that_nobody_sees(tmp_path, there):
    folder = tmp_path if there else tmp_path / "missing"
    array = scratch((3, 5), np.float32, folder)
    assert isinstance(array.base, np.memmap)
    assert not array.any()
    array[1] = 2.0
    assert array.sum() == 10.0
    assert not list(tmp_path.iterdir())
    assert scratch((0, 5), np.float32, folder).shape == (0, 5)
