"""Extras from files to batches: width and names are preserved in every storage of the plays."""

import importlib.util
import json
import pickle
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.batches.arrays import ArrayBatches, Arrays
from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.batches.symmetry import mirror_of, mirror_of_slots
from sbp_jax.data.extras import feature_names
from sbp_jax.data.features import plays_from_chunk, read_plays
from sbp_jax.data.player_slots import RECEIVERS
from sbp_jax.data.plays import FEATURES, Plays
from sbp_jax.data.prepared.build import PrepareConfig, prepare, read_part
from sbp_jax.data.prepared.cache import Layout, open_arrays
from sbp_jax.data.prepared.dataset import describe, load
from sbp_jax.data.prepared.records import load_chunk, save_chunk
from sbp_jax.data.prepared.splits import SPLITS
from sbp_jax.data.prepared.storage import open_folder, save
from sbp_jax.data.prepared.stream import StreamedBatches
from sbp_jax.data.readers.kinematics import FIELD_WIDTH_YARDS
from sbp_jax.data.readers.rules import EXTRAS, Rules
from sbp_jax.data.readers.tracking import open_sources, read_tracking
from sbp_jax.errors import InputError
from sbp_jax.training import device_bytes, to_device
from tests.data import fabricate
from tests.data.batches.test_arrays import assert_identical, assert_same_plays

ALL = tuple(EXTRAS)
NAMES = feature_names(ALL)
BUCKETS = (16, 32)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = fabricate.folder(tmp_path_factory.mktemp("extras") / "files", plays=3, games=8)
    plays = pl.read_csv(folder / "plays.csv", infer_schema_length=None)
    targets = plays.select("gameId", "playId", targetNflId=pl.when(pl.col("playId") != 75).then(1006))
    fabricate.write(targets, folder / "targetedReceiver.csv")
    return folder


@pytest.fixture(scope="module")
def prepared(source):
    prepare(source, source.parent / "set", PrepareConfig(extras=ALL))
    return source.parent / "set"


@pytest.fixture(scope="module")
def plays(prepared) -> Plays:
    return load(prepared, "train")


def test_a_data_set_remembers_its_features(prepared, source):
    report = json.loads((prepared / "report.json").read_text())
    assert report["features"] == list(NAMES)
    assert report["prepared_from"]["config"]["extras"] == list(ALL)
    assert report["repaired"]["plays without a recorded target: nobody is marked"] == 8
    assert report["files"]["targets"] == 1
    assert describe(prepared).features == NAMES
    original, _ = read_plays(source, Rules(extras=ALL))
    position = {pair: i for i, pair in enumerate(zip(original.game_id, original.play_id, strict=True))}
    for split in SPLITS:
        loaded = load(prepared, split)
        assert loaded.features == NAMES
        order = np.array([position[pair] for pair in zip(loaded.game_id, loaded.play_id, strict=True)])
        np.testing.assert_array_equal(loaded.frames, original.select(order).frames)


def test_another_order_of_names_is_the_same_data_set(prepared, source):
    before = describe(prepared)
    assert prepare(source, prepared, PrepareConfig(extras=ALL[::-1])) == before
    with pytest.raises(InputError, match=r"extras: unknown 'x'; known: "):
        PrepareConfig(extras=("x",))


def test_without_extras_all_is_as_it_was(source, tmp_path):
    plain = prepare(source, tmp_path / "set")
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    assert "extras" not in report["prepared_from"]["config"]
    assert report["repaired"] == {}
    assert plain.features == FEATURES
    for older in (report, {k: v for k, v in report.items() if k != "features"}):
        (tmp_path / "set" / "report.json").write_text(json.dumps(older))
        assert describe(tmp_path / "set") == plain
        loaded = load(tmp_path / "set", "train")
        assert (loaded.features, loaded.frames.shape[1:]) == (FEATURES, (22, 8))
        assert prepare(source, tmp_path / "set") == plain


@pytest.mark.parametrize("mirrored", [False, True])
def test_batches_do_not_depend_on_the_storage_of_the_plays(prepared, plays, mirrored, tmp_path):
    arrays = open_arrays(prepared, "train", Layout(buckets=BUCKETS))
    assert arrays.features == NAMES
    assert_same_plays(arrays.plays(), plays)
    save({"train": Arrays.of(plays, BUCKETS)}, tmp_path / "arrays")
    again = open_folder(tmp_path / "arrays", "train")
    assert_same_plays(again.plays(), plays)
    direct = Batches(plays, 5, BUCKETS, seed=3, mirror=mirror_of(plays) if mirrored else None)
    others = [
        ArrayBatches(a, 5, 3, mirror=mirror_of_slots(a.occupied, a.features) if mirrored else None)
        for a in (arrays, again)
    ]
    if importlib.util.find_spec("grain"):
        others.append(StreamedBatches(prepared, "train", 5, BUCKETS, seed=3, mirrored=mirrored))
    for batches in others:
        for left, right in zip(direct.epoch(1), batches.epoch(1), strict=True):
            assert left.x.shape[2] == 22 * len(NAMES)
            assert_identical(left, right)


def test_the_device_has_the_width(plays):
    arrays = Arrays.of(plays, BUCKETS)
    resident = to_device(arrays)
    assert {bucket["x"].shape[2] for bucket in resident.buckets} == {22 * len(NAMES)}
    assert resident.nbytes == device_bytes(arrays)


def test_a_chunk_comes_back(plays, tmp_path):
    assert_same_plays(load_chunk(save_chunk(plays, tmp_path / "chunk")), plays)


def test_plays_carry_their_features(plays):
    assert plays.last(3).features == NAMES
    assert plays.select(np.array([1, 0])).features == NAMES
    assert_same_plays(Plays.concatenate([plays.select(np.arange(4)), plays.select(np.arange(4, len(plays)))]), plays)
    plain = replace(plays, frames=plays.frames[..., :8], features=FEATURES)
    with pytest.raises(InputError, match=r"parts: expected the same features in all, got x, y"):
        Plays.concatenate([plays, plain])
    with pytest.raises(InputError, match=r"frames: expected shape \(\d+, 22, 8\), got \(\d+, 22, 17\)"):
        replace(plays, features=FEATURES)
    for make in (lambda m: Batches(plays, 4, mirror=m), lambda m: ArrayBatches(Arrays.of(plays), 4, mirror=m)):
        with pytest.raises(InputError, match=r"mirror: expected 17 signs, one per feature, got shape \(8,\)"):
            make(mirror_of(plain))
    with pytest.raises(InputError, match="splits: expected the same features"):
        save({"a": Arrays.of(plays), "b": Arrays.of(plain)}, "never")


def test_reflected_extras_are_those_of_the_reflected_field(source):
    (chunk,) = read_tracking(source, Rules(extras=ALL))
    flipped = chunk.frames.with_columns(
        y=FIELD_WIDTH_YARDS - pl.col("y"), vy=-pl.col("vy"), ay=-pl.col("ay"), orientation=-pl.col("orientation")
    )
    field = chunk.plays.with_columns(ball_y=FIELD_WIDTH_YARDS - pl.col("ball_y"))
    plays = plays_from_chunk(chunk)
    turned = plays_from_chunk(replace(chunk, frames=flipped, plays=field))
    mirror = mirror_of(plays)
    assert mirror.signs[8:].tolist() == [1.0] * (len(NAMES) - 8)
    offense = [0, *range(1, 6), *RECEIVERS]
    for i, (begin, end) in enumerate(zip(plays.offsets[:-1], plays.offsets[1:], strict=True)):
        reflected = plays.frames[begin:end][:, mirror.slots[i]] * mirror.signs
        np.testing.assert_allclose(reflected[:, offense, 8:], turned.frames[begin:end][:, offense, 8:], atol=1e-5)


def test_a_worker_that_is_sent_the_sources_reads_the_same(source, plays, tmp_path):
    sources = pickle.loads(pickle.dumps(open_sources(source, Rules(extras=ALL))))
    (chunk,) = read_part(sources, 0, set(), tmp_path).chunks
    read = load_chunk(chunk)
    order = np.array(
        [
            np.flatnonzero((read.game_id == g) & (read.play_id == p))[0]
            for g, p in zip(plays.game_id, plays.play_id, strict=True)
        ]
    )
    assert_same_plays(read.select(order), plays)


@pytest.mark.slow
def test_a_pipeline_gives_the_same_set(source, prepared, tmp_path):
    pytest.importorskip("apache_beam")
    prepare(source, tmp_path / "set", PrepareConfig(extras=ALL), beam_flags=("--runner=DirectRunner",))
    assert (tmp_path / "set" / "report.json").read_bytes() == (prepared / "report.json").read_bytes()
    assert_same_plays(load(tmp_path / "set", "test"), load(prepared, "test"))
