"""Checkpoints: damage to any file is detected, and the previous one is used; a full disk is reported."""

import errno
import json
import logging
import os
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.errors import InputError
from sbp_jax.training import Checkpoints

pytestmark = pytest.mark.unoptimized

TREES = {
    "state": {
        "params": {"kernel": jnp.arange(12.0).reshape(3, 4), "bias": jnp.ones(3)},
        "step": jnp.zeros((), jnp.int32),
    },
    "best": {"kernel": jnp.arange(12.0).reshape(3, 4)},
    "constants": {"mean": jnp.full(3, 0.5), "key": jnp.arange(2, dtype=jnp.uint32)},
}


def at(step):
    return {**TREES, "best": {"kernel": TREES["best"]["kernel"] + step}}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with the checkpoints of steps 2 and 3."""
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    checkpoints = Checkpoints(folder)
    for step in (1, 2, 3):
        checkpoints.save(step, at(step), {"history": [{"epoch": step, "loss": float("nan")}]})
    assert checkpoints.steps == [2, 3]
    checkpoints.close()
    return folder


def truncated(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file):
    file.write_bytes(b"")


def flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 4
    file.write_bytes(content)


def removed(file):
    file.unlink()


def is_read(file):
    """Whether restoring depends on a file: Orbax leaves some for its own readers."""
    return file.name == ".zarray" or file.name.replace(".", "").isdigit() or file.parts[-2:] == ("record", "metadata")


@pytest.mark.parametrize("damage", [truncated, emptied, flipped, removed])
def test_damage_of_any_file_falls_back_to_the_checkpoint_before(saved, tmp_path, caplog, damage):
    files = sorted(file.relative_to(saved) for file in (saved / "3").rglob("*") if file.is_file())
    assert sum(map(is_read, files)) == 1 + 2 * 6
    for i, file in enumerate(files):
        folder = tmp_path / str(i)
        shutil.copytree(saved, folder)
        damage(folder / file)
        caplog.clear()
        loaded = Checkpoints(folder, read_only=True).load(TREES)
        assert loaded.step == (2 if is_read(file) else 3), file
        np.testing.assert_array_equal(loaded.trees["best"]["kernel"], at(loaded.step)["best"]["kernel"])
        if is_read(file):
            (line,) = caplog.messages
            assert line.startswith(f"{folder / '3'}: damaged checkpoint (")
            assert line.endswith("using step 2 instead")
            with pytest.raises(InputError, match=r"3: damaged checkpoint \(.*\); other checkpoints: \[2\]"):
                Checkpoints(folder, read_only=True).load(TREES, step=3)


def test_a_writer_renames_the_damaged_one_and_writes_it_again(saved, tmp_path, caplog):
    shutil.copytree(saved, tmp_path / "checkpoints")
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    flipped(checkpoints.folder / "3" / "best" / "kernel" / "0.0")
    assert checkpoints.load(TREES).step == 2
    assert "instead; renamed to damaged-3" in caplog.text
    assert checkpoints.steps == [2]
    checkpoints.save(3, at(3), {})
    assert checkpoints.load(TREES).step == 3


def test_all_damaged_says_what_to_remove(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "checkpoints")
    for step in "23":
        emptied(tmp_path / "checkpoints" / step / "state" / "step" / "0")
    with pytest.raises(InputError, match=r"every checkpoint is damaged \(3: .* 0 bytes.*; 2: .*\); remove this folder"):
        Checkpoints(tmp_path / "checkpoints").load(TREES)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["2", "3"]


def test_a_number_changed_in_the_record_is_damage(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "checkpoints")
    file = tmp_path / "checkpoints" / "3" / "record" / "metadata"
    content = json.loads(file.read_text())
    content["record"]["history"][0]["epoch"] = 7
    file.write_text(json.dumps(content))
    assert Checkpoints(tmp_path / "checkpoints", read_only=True).record()["history"][0]["epoch"] == 2


LIMITED = """
import resource, sys
import jax.numpy as jnp
from sbp_jax.training import Checkpoints
checkpoints = Checkpoints(sys.argv[1])
small = {"w": jnp.ones(4)}
checkpoints.save(1, {"state": small, "best": small, "constants": small}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
large = {"w": jnp.ones(100_000)}
try:
    checkpoints.save(2, {"state": large, "best": large, "constants": large}, {})
except OSError as error:
    print(error.errno, error.filename, error.strerror)
print(checkpoints.steps, float(checkpoints.restore("best", small)["w"].sum()))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
checkpoints.save(3, {"state": small, "best": small, "constants": small}, {})
print(checkpoints.steps)
"""


@pytest.mark.slow
def test_a_full_disk_is_reported_and_the_newest_checkpoint_is_intact(tmp_path):
    # the kernel refuses to write beyond the maximum file size, as it does on a full disk
    folder = tmp_path / "checkpoints"
    out = subprocess.run(
        [sys.executable, "-c", LIMITED, folder], capture_output=True, text=True, timeout=600, check=True
    )
    message, remaining, after = out.stdout.splitlines()
    assert message.startswith(f"{errno.EFBIG} {folder} {os.strerror(errno.EFBIG)}; about 1.23 MB are needed, ")
    assert message.endswith(" MB are free; the newest checkpoint is good")
    assert remaining == "[1] 4.0"
    assert after == "[1, 3]"
    assert sorted(p.name for p in folder.iterdir()) == ["1", "3"]
    assert logging.getLogger("absl").level == logging.ERROR


@pytest.mark.parametrize("writer", [False, True])
def test_a_checkpoint_of_the_other_precision_is_converted(tmp_path, writer):
    """JAX_ENABLE_X64 may differ between the process that trains and the one that loads."""
    values = {"a": np.linspace(0.1, 1.0, 5), "n": np.arange(3)}
    with jax.enable_x64(writer):
        saved = {name: jnp.asarray(value) for name, value in values.items()}
        Checkpoints(tmp_path).save(1, dict.fromkeys(TREES, saved), {"history": []})
    with jax.enable_x64(not writer):
        like = {name: jnp.asarray(value) for name, value in values.items()}
        tree = Checkpoints(tmp_path, read_only=True).restore(next(iter(TREES)), like)
        for name, leaf in tree.items():
            assert leaf.dtype == like[name].dtype != saved[name].dtype
            np.testing.assert_array_equal(leaf, np.asarray(saved[name]).astype(leaf.dtype))
        with pytest.raises(InputError, match="the configuration expects"):
            Checkpoints(tmp_path, read_only=True).restore(next(iter(TREES)), {"a": like["n"], "n": like["n"]})
