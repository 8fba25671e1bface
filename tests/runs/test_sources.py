"""Batch sources: bitwise equal results from memory, mapped arrays and a stream, and the choice by size."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import sbp_jax as sbp
from sbp_jax.data.prepared import dataset as prepared
from sbp_jax.data.prepared.dataset import load
from sbp_jax.data.prepared.splits import Fold
from sbp_jax.errors import InputError
from sbp_jax.runs import sources
from sbp_jax.runs.datasets import MemoryDataset, PlayDataset
from sbp_jax.runs.setup import network_of, set_up
from sbp_jax.runs.train import run_folder, train_folder
from sbp_jax.training.compiled import compiled_once
from sbp_jax.training.stop import Stopped, StopRequest
from tests.prepared import prepare_random

try:
    import grain
except ImportError:
    grain = None

pytestmark = pytest.mark.unoptimized

needs_grain = pytest.mark.skipif(grain is None, reason="Grain is not installed (extra `grain`)")
KINDS = ["memory", "mapped", pytest.param("stream", marks=needs_grain)]
COUNTS = {"train": 150, "validation": 40, "test": 30}
SMALL = sbp.Config(
    network=sbp.NetworkConfig(encoder="flat", channels=4, layers=2, hidden=(8,), dropout=0.1),
    head=sbp.HeadConfig(low=-10.0, high=25.0, bins=36),
    training=sbp.TrainingConfig(epochs=2, batch_size=9, buckets=(12, 24), checkpoint_every=3),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> PlayDataset:
    return PlayDataset(prepare_random(tmp_path_factory.mktemp("sets") / "set", COUNTS), None)


def of(kind: str, config: sbp.Config = SMALL, **changes) -> sbp.Config:
    source, resident = kind.rpartition(" ")[2], kind != "host memory"
    return replace(config, training=replace(config.training, batch_source=source, resident=resident, **changes))


def outcome(folder: Path) -> dict:
    """Digests of all arrays of the newest checkpoint (state, best parameters, statistics), and the history."""
    newest = max(int(path.name) for path in (folder / "checkpoints").iterdir())
    content = json.loads((folder / "checkpoints" / str(newest) / "record" / "metadata").read_text())
    history = [
        {name: value for name, value in row.items() if name != "seconds"} for row in content["record"]["history"]
    ]
    digests = {name: tree["sha256"] for name, tree in content["trees"].items()}
    return {"step": newest, "digests": digests, "history": history}


@pytest.fixture(scope="module", autouse=True)
def programs():
    """Compile the programs of training runs with the same configuration once."""
    with compiled_once():
        yield


@pytest.fixture(scope="module")
def expected(dataset, tmp_path_factory) -> Path:
    """The run trained from plays in memory, on the device."""
    return train_folder(of("memory"), dataset, tmp_path_factory.mktemp("expected"), progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[1:])
def test_every_source_comes_to_the_same_bits(dataset, expected, tmp_path, kind):
    result = outcome(train_folder(of(kind), dataset, tmp_path, progress=False))
    assert len(result["history"]) == SMALL.training.epochs
    assert result == outcome(expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(("memory", "mapped", "memory"), marks=pytest.mark.slow),
        pytest.param(("mapped", "stream", "memory"), marks=needs_grain),
    ],
)
def test_a_run_resumes_in_the_middle_of_an_epoch_with_another_source(dataset, expected, tmp_path, kinds):
    """The run stops twice in the middle of an epoch, and each time resumes with the next source."""
    for number, kind in enumerate(kinds):
        config = replace(SMALL, training=replace(of(kind).training, resident=True))
        stop = StopRequest(requested=number < 2)  # saved after the first compiled call
        if not stop.requested:
            folder = train_folder(config, dataset, tmp_path, progress=False)
            break
        with pytest.raises(Stopped) as stopped:
            train_folder(config, dataset, tmp_path, stop, progress=False)
        assert stopped.value.step is not None
    assert folder.name == expected.name
    assert len(json.loads((folder / "config.json").read_text())["starts"]) == 3
    assert outcome(folder) == outcome(expected)


def test_the_source_is_no_part_of_a_run_s_name(dataset):
    names = {
        kind: run_folder(Path(), of(kind), dataset.fingerprint).name for kind in ("memory", "mapped", "stream", "auto")
    }
    assert len(set(names.values())) == 1
    # names from code that had only one source
    assert run_folder(Path(), sbp.Config(training=sbp.TrainingConfig(objective="interval")), "f").name == "sbp-bdbcadc1"
    host = sbp.Config(training=sbp.TrainingConfig(objective="interval", resident=False))
    assert run_folder(Path(), host, "f").name == "sbp-d6a4e9f7"


class Memory:
    """A machine with the given free memory and disk, with or without Grain."""

    def __init__(self, monkeypatch, memory, disk=2**60, with_grain=True):
        monkeypatch.setattr(sources, "available_bytes", lambda: memory)
        monkeypatch.setattr(sources.shutil, "disk_usage", lambda path: SimpleNamespace(free=disk))
        monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: object() if with_grain else None)


def test_auto_chooses_the_first_source_that_fits(tmp_path, monkeypatch):
    fresh = PlayDataset(prepare_random(tmp_path / "set", COUNTS), None)
    frames = sum(fresh.prepared.frames[name] for name in ("train", "validation"))
    data = frames * 22 * (8 * 4 + 1)
    last = {"train": 15, "validation": 15}

    def kind(memory, *machine, **options):
        Memory(monkeypatch, memory, *machine)
        return sources.choose(of("auto"), fresh, last, **options)

    assert kind(None) == kind(4 * data) == "memory"
    assert kind(4 * data - 1) == "mapped"
    assert kind(0, 0) == "stream"
    assert kind(0, 0, False) == "mapped"  # which reports that the disk is full
    assert kind(0, in_memory="members") == "memory"
    monkeypatch.undo()
    sources.MappedSource(fresh.prepared, last, (12, 24))
    assert kind(0, 0) == "mapped"  # the arrays exist


@pytest.mark.parametrize("kind", ["mapped", "stream"])
def test_plays_that_are_not_prepared_are_one_line(dataset, tmp_path, kind):
    plays = load(dataset.path, "train")
    message = f"training.batch-source: {kind} requires a prepared data set, and "
    with pytest.raises(InputError, match=f"^{message}these plays are in memory; choose memory$"):
        train_folder(of(kind), MemoryDataset({"train": plays}), tmp_path, progress=False)
    fold = PlayDataset(dataset.prepared, None, Fold(0, 2))
    with pytest.raises(InputError, match=f"^{message}the plays of a fold are selected in memory; choose memory$"):
        set_up(of(kind), fold)
    with pytest.raises(InputError, match=rf"^training.batch-source: members .*, expected memory or auto, got {kind}$"):
        sbp.train_many([of(kind)], dataset, out=tmp_path, progress=False)


def test_a_stream_without_grain_is_one_line(dataset, monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(
        InputError, match=r"^training.batch-source: streaming needs Grain: pip install 'sbp_jax\[grain\]'"
    ):
        set_up(of("stream"), dataset)


@pytest.mark.slow
def test_an_encoder_of_one_s_own_needs_chunks(dataset, tmp_path, monkeypatch):
    (tmp_path / "own_encoder.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    config = of("mapped")
    config = replace(config, network=replace(config.network, encoder="own_encoder:Mean"))
    with pytest.raises(
        InputError, match=r"^network.encoder: Mean has no fit_chunks .* choose training.batch-source memory$"
    ):
        plays_network(config, dataset)
    assert plays_network(replace(config, training=of("memory").training), dataset).encoder.rows


def plays_network(config, dataset):
    setup = set_up(config, dataset)
    return network_of(setup.settled(config), setup.plays)


OWN = '''
from flax import nnx


class Mean(nnx.Module):
    """An encoder that records the number of rows it was fitted to."""

    def __init__(self, entities, columns, *, rngs):
        self.num_features, self.rows = columns, 0

    def fit(self, frames, present):
        self.rows = len(frames)

    def __call__(self, x, present):
        return x.mean(axis=2)
'''


@pytest.mark.slow
def test_plays_of_a_run_are_mapped_where_memory_is_short(dataset, expected, monkeypatch):
    run = sbp.load_run(expected)
    plays = run.plays("test")
    wanted = run.residuals(plays)
    monkeypatch.setattr(prepared, "fits", lambda needed: False)
    mapped = run.plays("test")
    assert isinstance(mapped.frames.base, np.memmap)
    assert not isinstance(plays.frames.base, np.memmap)
    for name in ("frames", "present", "offsets", "static", "outcome"):
        np.testing.assert_array_equal(getattr(mapped, name), getattr(plays, name))
    assert run.residuals(mapped).equals(wanted)
