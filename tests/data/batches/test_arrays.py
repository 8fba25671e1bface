"""Padded arrays, in memory and as files: the batches of the plays themselves, bit for bit, and detection of damage."""

import json
import subprocess
import sys

import numpy as np
import pytest

from sbp_jax.data.batches.arrays import ArrayBatches, Arrays
from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.batches.fields import Batch
from sbp_jax.data.batches.symmetry import mirror_of, mirror_of_slots
from sbp_jax.data.plays import Plays
from sbp_jax.data.prepared.storage import DamagedError, open_folder, save, write_manifest
from sbp_jax.errors import InputError
from tests.data.batches.test_batching import random_plays
from tests.plays import random_plays as plays_with_gaps

BUCKETS = (24, 40, 64)


def steady_gaps(seed: int = 3) -> Plays:
    """Plays with different empty slots, the same in all frames of a play."""
    random = np.random.default_rng(seed)
    plays = random_plays(random.integers(5, 90, 120), seed)
    plays.present[:] = np.repeat(random.random((len(plays), 22)) > 0.3, plays.lengths, axis=0)
    plays.frames[~plays.present] = 0.0
    return plays


KINDS = {
    "full": lambda: random_plays(np.random.default_rng(1).integers(5, 90, 257)),
    "steady gaps": steady_gaps,
    "gaps that come and go": lambda: plays_with_gaps(150, longest=80),
    "one play": lambda: random_plays(np.array([7])),
}


def assert_identical(left: Batch, right: Batch) -> None:
    for name, value in vars(left).items():
        other = getattr(right, name)
        if name == "unit":  # plays are in yards
            assert value is other is None
            continue
        assert value.dtype == other.dtype
        assert value.shape == other.shape
        assert value.tobytes() == other.tobytes(), name  # 0.0 is not -0.0


def assert_same_plays(left: Plays, right: Plays) -> None:
    for name, value in vars(left).items():
        if name == "info":
            assert {k: v.tobytes() for k, v in value.items()} == {k: v.tobytes() for k, v in right.info.items()}
        elif name == "features":
            assert value == right.features
        else:
            assert value.dtype == getattr(right, name).dtype
            assert value.tobytes() == getattr(right, name).tobytes(), name


@pytest.mark.sample(8)
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("batch_size", [1, 16, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_those_of_the_plays_bit_for_bit(kind, batch_size, mirrored, tmp_path):
    plays = KINDS[kind]()
    save({"train": Arrays.of(plays, BUCKETS)}, tmp_path / "arrays")
    mapped = open_folder(tmp_path / "arrays", "train")
    direct = Batches(plays, batch_size, BUCKETS, seed=2, mirror=mirror_of(plays) if mirrored else None)
    cached = ArrayBatches(mapped, batch_size, seed=2, mirror=mirror_of_slots(mapped.occupied) if mirrored else None)
    assert cached.buckets == direct.buckets
    assert cached.waste(3) == direct.waste(3)
    for epoch in (0, 3):
        for left, right in zip(direct.epoch(epoch), cached.epoch(epoch), strict=True):
            assert_identical(left, right)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("buckets", "last"), [((64,), None), (None, 20), ((17, 24, 64), 21), ((40, 64), 1)])
def test_batches_of_other_lengths_and_of_last_frames_are_those_of_the_plays(kind, buckets, last):
    plays = KINDS[kind]()
    arrays = Arrays.of(plays, BUCKETS)
    shortened = plays if last is None else plays.last(last)
    want = list(Batches(shortened, 16, buckets or BUCKETS, seed=2).epoch(1))
    for batches in (
        Batches(plays, 16, buckets or BUCKETS, seed=2, last=last),
        ArrayBatches(arrays, 16, seed=2, buckets=buckets, last=last),
    ):
        for left, right in zip(want, batches.epoch(1), strict=True):
            assert_identical(left, right)
    split = arrays.split(last)
    np.testing.assert_array_equal(split.lengths, shortened.lengths)
    for name in ("frames", "present", "outcome", "game_id", "passer"):
        parts = [getattr(part, name) for part in split.chunks()]
        np.testing.assert_array_equal(np.concatenate(parts), getattr(shortened, name))


def test_an_epoch_resumes_at_any_batch_and_differs_from_the_next():
    batches = ArrayBatches(Arrays.of(KINDS["steady gaps"](), BUCKETS), 16, seed=4)
    complete = list(batches.epoch(5))
    for start in range(len(complete) + 1):
        rest = list(batches.epoch(5, start))
        assert len(rest) == len(complete) - start
        for left, right in zip(complete[start:], rest, strict=True):
            assert_identical(left, right)
    order = [np.concatenate([batch.index for batch in batches.epoch(epoch)]) for epoch in (5, 6)]
    assert not np.array_equal(*order)
    assert all(np.array_equal(np.unique(each[each >= 0]), np.arange(120)) for each in order)


def test_a_batch_owns_its_arrays():
    arrays = Arrays.of(KINDS["full"](), BUCKETS)
    batches = ArrayBatches(arrays, 16)
    before = [batch.x.copy() for batch in batches]
    for batch in batches:
        batch.x[:] = np.nan
    for left, right in zip(before, batches, strict=True):
        np.testing.assert_array_equal(left, right.x)


@pytest.mark.parametrize("kind", KINDS)
def test_the_plays_come_back(kind, tmp_path):
    plays = KINDS[kind]()
    assert_same_plays(Arrays.of(plays).plays(), plays)
    save({"train": Arrays.of(plays, BUCKETS)}, tmp_path / "arrays")
    assert_same_plays(open_folder(tmp_path / "arrays", "train").plays(), plays)


def test_empty_slots_hold_zeros_even_where_the_plays_hold_nan():
    plays = random_plays(np.array([6, 9, 30]), masked_slots=(3, 21))
    plays.frames[:, [3, 21]] = np.nan
    arrays = Arrays.of(plays, BUCKETS)
    assert all(np.isfinite(x).all() for x in arrays.x)
    assert not arrays.occupied[:, [3, 21]].any()
    assert arrays.steady.all()
    for batch in ArrayBatches(arrays, 2, mirror=mirror_of_slots(arrays.occupied)):
        assert np.isfinite(batch.x).all()


def test_padding_and_bytes_are_counted():
    arrays = Arrays.of(random_plays(np.array([24, 12, 40])), (24, 40))
    assert arrays.padding == pytest.approx(1 - 76 / 88, abs=1e-12)
    assert arrays.nbytes == 88 * (176 * 4 + 22)
    assert [x.shape[0] for x in arrays.x] == [2, 1]


def test_an_empty_split_can_be_saved_but_has_no_batches(tmp_path):
    none = random_plays(np.array([5])).select(np.array([], np.int64))
    save({"validation": Arrays.of(none, BUCKETS), "test": Arrays.of(none)}, tmp_path / "arrays")
    for split in ("validation", "test"):
        arrays = open_folder(tmp_path / "arrays", split)
        assert len(arrays.plays()) == len(arrays) == 0
        assert arrays.padding == 0.0
        with pytest.raises(InputError, match="at least one play"):
            ArrayBatches(arrays, 4)


def test_files_with_the_former_names_are_read(tmp_path):
    arrays, folder = Arrays.of(KINDS["steady gaps"](), BUCKETS), tmp_path / "arrays"
    save({"train": arrays}, folder)
    for length in BUCKETS:
        (folder / "train" / f"present-{length}.npy").rename(folder / "train" / f"players-{length}.npy")
    with np.load(folder / "train" / "columns.npz") as columns:
        former = {"yards" if name == "outcome" else name: columns[name] for name in columns.files}
    np.savez(folder / "train" / "columns.npz", **former)
    write_manifest(folder, {"train": arrays.buckets}, {})
    found = open_folder(folder, "train")
    np.testing.assert_array_equal(found.outcome, arrays.outcome)
    for one, other in zip(found.present, arrays.present, strict=True):
        np.testing.assert_array_equal(one, other)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["x-40.npy", "present-24.npy", "columns.npz"])
@pytest.mark.parametrize(
    ("damage", "message"), [(cut, "bytes"), (flip, "checksum"), (lambda path: path.unlink(), "missing")]
)
def test_damage_is_detected_and_named(tmp_path, name, damage, message):
    save({"train": Arrays.of(KINDS["full"](), BUCKETS)}, tmp_path / "arrays")
    damage(tmp_path / "arrays" / "train" / name)
    with pytest.raises(DamagedError, match=rf"{name}: damaged arrays.*{message}") as caught:
        open_folder(tmp_path / "arrays", "train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 0, "splits": {}}', "[1]", '{"format": 1, "splits": 3}'])
def test_a_damaged_manifest_is_detected(tmp_path, text):
    save({"train": Arrays.of(KINDS["one play"](), BUCKETS)}, tmp_path / "arrays")
    (tmp_path / "arrays" / "manifest.json").write_text(text)
    with pytest.raises(DamagedError, match="damaged manifest"):
        open_folder(tmp_path / "arrays", "train")


def test_a_manifest_that_disagrees_with_the_files_is_detected(tmp_path):
    save({"train": Arrays.of(KINDS["full"](), BUCKETS)}, tmp_path / "arrays")
    path = tmp_path / "arrays" / "manifest.json"
    manifest = json.loads(path.read_text())
    for buckets in ([24, 40], [24, 41, 64, 96], "24", None):
        manifest["splits"]["train"]["buckets"] = buckets
        path.write_text(json.dumps(manifest))
        with pytest.raises(DamagedError):
            open_folder(tmp_path / "arrays", "train")


def test_wrong_folders_and_splits_are_named(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        open_folder(tmp_path / "none", "train")
    save({"train": Arrays.of(KINDS["one play"]())}, tmp_path / "arrays")
    with pytest.raises(InputError, match="expected one of train, got 'test'"):
        open_folder(tmp_path / "arrays", "test")
    with pytest.raises(InputError, match="exists"):
        save({}, tmp_path / "arrays")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save({}, tmp_path / "file" / "arrays")


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        save({"train": Arrays.of(KINDS["one play"]())}, tmp_path / "arrays")
    assert list(tmp_path.iterdir()) == []


def test_arrays_that_disagree_are_refused():
    columns = vars(Arrays.of(KINDS["full"](), BUCKETS))
    for name, value in {"outcome": np.zeros(3, np.float32), "info": {"week": np.zeros(3)}}.items():
        with pytest.raises(InputError, match="outcome" if name == "outcome" else "week"):
            Arrays(**(columns | {name: value}))
    with pytest.raises(InputError, match=r"x\[1\]: expected shape"):
        Arrays(**(columns | {"x": (columns["x"][0],) * 4}))


def test_arrays_need_numpy_alone():
    code = (
        "import sys\nfor name in ('polars', 'tensorflow_datasets', 'scipy', 'jax', 'grain'): sys.modules[name] = None\n"
        "import sbp_jax.data.prepared.storage; print('imported')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "imported", done.stderr
