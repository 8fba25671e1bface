"""An untrusted run folder: nothing in it is executed, and crafted files are rejected before they take memory."""

import dataclasses
import json
import os
import pickle
import shutil
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import sbp_jax as sbp
from sbp_jax.config import Config, HeadConfig
from sbp_jax.errors import InputError
from sbp_jax.models.network import NetworkConfig
from sbp_jax.training import Checkpoints
from sbp_jax.training.build import constants, make_head, make_network
from sbp_jax.training.checkpoints import digest_of_record

pytestmark = pytest.mark.unoptimized

CONFIG = Config(network=NetworkConfig(channels=8, layers=2, hidden=(16,)), head=HeadConfig(bins=36))
HUGE = 10 * 2**30  # size of a sparse file, which takes no space on disk
MOST_MEMORY = 200 * 2**20


def write_run(folder, config, best, statistics, num_static=5):
    checkpoints = Checkpoints(folder / "checkpoints")
    for step in (1, 2):
        trees = {"state": {"step": jnp.asarray(step)}, "best": best, "constants": statistics}
        checkpoints.save(step, trees, {"history": [{"epoch": step, "step": step, "seconds": 1.0}]})
    checkpoints.close()
    content = {"config": dataclasses.asdict(config), "dataset": "d", "fingerprint": "f", "num_static": num_static}
    (folder / "config.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    network = make_network(CONFIG, make_head(CONFIG.head), 5)
    write_run(folder, CONFIG, nnx.state(network, nnx.Param), constants(network))
    assert sbp.load_run(folder).step == 2
    return folder


def sparse(file):
    with file.open("wb") as opened:
        opened.truncate(HUGE)


def pipe(file):
    file.unlink()
    os.mkfifo(file)


def endless(file):
    file.unlink()
    file.symlink_to("/dev/zero")


def nested(file):
    file.write_text("[" * 200_000)


def bomb(file):
    """An array whose description declares compressed chunks, and whose chunk is many times larger when unpacked."""
    description = file.parent / ".zarray"
    described = json.loads(description.read_text()) | {"compressor": {"id": "zlib", "level": 9}}
    description.write_text(json.dumps(described))
    packing, megabyte = zlib.compressobj(9), bytes(2**20)
    file.write_bytes(b"".join(packing.compress(megabyte) for _ in range(512)) + packing.flush())


def large_chunk(file):
    description = file.parent / ".zarray"
    described = json.loads(description.read_text())
    description.write_text(json.dumps(described | {"chunks": [10**7 for _ in described["shape"]]}))


class Evil:
    def __reduce__(self):
        return os.abort, ()


def pickled(file):
    file.write_bytes(pickle.dumps(Evil()))


CRAFTED = [
    *((damage, "record/metadata") for damage in (sparse, pipe, endless, nested, pickled)),
    *((damage, "best/last.kernel.value/.zarray") for damage in (sparse, pipe, nested, pickled)),
    *((damage, "best/last.kernel.value/0.0") for damage in (sparse, pipe, endless, bomb, large_chunk, pickled)),
]


@pytest.fixture
def memory():
    """Fail a test whose peak memory rises by more than `MOST_MEMORY`."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak

    def read(name):
        (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
        return int(line.split()[1]) * 1024

    before = read("VmRSS")
    yield
    assert read("VmHWM") - before < MOST_MEMORY


@pytest.mark.sample(1)
@pytest.mark.parametrize(("damage", "relative"), CRAFTED)
def test_crafted_files_are_refused_within_bounds(honest, tmp_path, memory, damage, relative):
    shutil.copytree(honest, tmp_path / "run")
    for step in "12":
        damage(tmp_path / "run" / "checkpoints" / step / relative)
    with pytest.raises(InputError, match="every checkpoint is damaged"):
        sbp.load_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("network", {"channels": 10**9}),
        ("network", {"channels": 2**16, "layers": 32, "kernel_size": 2**10}),
        ("network", {"hidden": [2**20] * 64}),
        ("network", {"hidden": [2] * 10**6}),
        ("network", {"layers": 10**6}),
        ("head", {"bins": 10**12}),
        ("head", {"bins": 2**13}),
        ("training", {"buckets": [10**9]}),
        (None, {"num_static": 10**12}),
        (None, {"num_static": 2**16}),
        (None, {"num_static": 10**400}),
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(honest, tmp_path, memory, section, changes):
    shutil.copytree(honest, tmp_path / "run")
    file = tmp_path / "run" / "config.json"
    content = json.loads(file.read_text())
    (content if section is None else content["config"][section]).update(changes)
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"expected at most|expects .*, the checkpoint has|config.json has more than"):
        sbp.load_run(tmp_path / "run")


@pytest.mark.parametrize("damage", [sparse, pipe, endless, nested, pickled])
def test_crafted_configuration_is_refused_within_bounds(honest, tmp_path, memory, damage):
    shutil.copytree(honest, tmp_path / "run")
    damage(tmp_path / "run" / "config.json")
    with pytest.raises(InputError, match=r"config\.json"):
        sbp.load_run(tmp_path / "run")


def test_record_that_claims_the_configurations_shapes_allocates_nothing(honest, tmp_path, memory):
    """The record matches an absurd configuration and has a valid digest, but the files do not contain the arrays."""
    config = dataclasses.replace(CONFIG, network=NetworkConfig(channels=2**14, layers=2, hidden=(16,)))
    shutil.copytree(honest, tmp_path / "run")
    file = tmp_path / "run" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"config": dataclasses.asdict(config)}))
    shapes = nnx.eval_shape(lambda: make_network(config, make_head(config.head), 5))
    described = {
        jax.tree_util.keystr(path, simple=True, separator="."): [leaf.dtype.name, list(leaf.shape)]
        for path, leaf in jax.tree_util.tree_flatten_with_path(nnx.state(shapes, nnx.Param))[0]
    }
    for step in "12":
        metadata = tmp_path / "run" / "checkpoints" / step / "record" / "metadata"
        content = json.loads(metadata.read_text())
        content.pop("sha256")
        content["trees"]["best"]["arrays"] = described
        metadata.write_text(json.dumps(content | {"sha256": digest_of_record(content)}))
    with pytest.raises(InputError, match=r"every checkpoint is damaged .* does not describe"):
        sbp.load_run(tmp_path / "run")


def test_nothing_is_unpickled(honest, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    assert sbp.load_run(honest).step == 2
