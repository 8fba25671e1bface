"""The prepared data set: split by game, built once, never half built, read back exactly."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from tensorflow_datasets.core import shuffle

from sbp_jax.data.features import read_plays
from sbp_jax.data.prepared import build, records
from sbp_jax.data.prepared.build import PrepareConfig, prepare
from sbp_jax.data.prepared.dataset import describe, load
from sbp_jax.data.prepared.splits import SPLITS
from sbp_jax.errors import InputError
from tests.data import fabricate


@pytest.fixture
def source(tmp_path) -> Path:
    return fabricate.folder(tmp_path / "files", plays=3, games=8)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_plays_come_back_exactly(source, tmp_path):
    prepared = prepare(source, tmp_path / "set")
    original, report = read_plays(source)
    assert prepared.reading == report
    assert sum(prepared.plays.values()) == len(original) == 24
    position = {(int(g), int(p)): i for i, (g, p) in enumerate(zip(original.game_id, original.play_id, strict=True))}
    for split in SPLITS:
        plays = load(tmp_path / "set", split)
        assert len(plays) == prepared.plays[split]
        assert len(plays.frames) == prepared.frames[split]
        same = original.select(
            np.array([position[int(g), int(p)] for g, p in zip(plays.game_id, plays.play_id, strict=True)])
        )
        for name, value in vars(plays).items():
            if name == "info":
                for column in value:
                    np.testing.assert_array_equal(value[column], same.info[column])
                    assert value[column].dtype.kind == same.info[column].dtype.kind
            elif name == "features":
                assert value == same.features
            else:
                np.testing.assert_array_equal(value, getattr(same, name))
                assert value.dtype.kind == getattr(same, name).dtype.kind


def test_no_game_is_in_two_splits(source, tmp_path):
    prepared = prepare(source, tmp_path / "set")
    games = {split: set(load(tmp_path / "set", split).game_id.tolist()) for split in SPLITS}
    assert games == {split: set(prepared.games[split]) for split in SPLITS}
    assert not games["train"] & games["validation"]
    assert not (games["train"] | games["validation"]) & games["test"]
    assert [len(games[split]) for split in SPLITS] == [6, 1, 1]


def test_one_game_cannot_be_split(tmp_path):
    source = fabricate.folder(tmp_path / "files", games=1)
    with pytest.raises(InputError, match="splits are by game"):
        prepare(source, tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files"]


def test_two_games_have_an_empty_validation(tmp_path):
    prepare(fabricate.folder(tmp_path / "files", games=2), tmp_path / "set")
    assert len(load(tmp_path / "set", "validation")) == 0
    assert len(load(tmp_path / "set", "train")) == len(load(tmp_path / "set", "test")) == 3


def test_preparing_again_does_nothing(source, tmp_path, monkeypatch):
    first = prepare(source, tmp_path / "set")
    before = contents(tmp_path / "set")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*")}
    monkeypatch.setattr(build, "open_sources", lambda *_: pytest.fail("the files were read again"))
    assert prepare(source, tmp_path / "set") == first
    assert contents(tmp_path / "set") == before
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*")} == stamps


def test_other_files_or_another_configuration_replace_the_data_set(source, tmp_path):
    first = prepare(source, tmp_path / "set")
    other_seed = prepare(source, tmp_path / "set", PrepareConfig(seed=1))
    assert other_seed.games != first.games
    fabricate.folder(source, plays=2, games=8)
    assert sum(prepare(source, tmp_path / "set", PrepareConfig(seed=1)).plays.values()) == 16
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "set"]


def test_the_same_files_give_the_same_plays_wherever_they_lie(source, tmp_path):
    prepare(source, tmp_path / "set")
    copy = fabricate.folder(tmp_path / "copy", plays=3, games=8)
    prepare(copy, tmp_path / "other")
    for split in SPLITS:
        first, second = load(tmp_path / "set", split), load(tmp_path / "other", split)
        np.testing.assert_array_equal(first.frames, second.frames)
        np.testing.assert_array_equal(first.play_id, second.play_id)


def test_a_failure_leaves_nothing_behind_and_the_old_data_set_intact(source, tmp_path, monkeypatch):
    prepare(source, tmp_path / "set")
    before = contents(tmp_path / "set")

    def fail(*_):
        raise RuntimeError("disk full")

    monkeypatch.setattr(build, "write_records", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        prepare(source, tmp_path / "set", PrepareConfig(seed=1))
    assert contents(tmp_path / "set") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "set"]


def test_a_killed_build_leaves_nothing_half_and_the_next_one_cleans_up(source, tmp_path):
    code = (
        "import sys; from sbp_jax.data.prepared import build\n"
        "from sbp_jax.data.prepared.records import write_records\n"
        "def slow(*call):\n"
        "    write_records(*call); print('written', flush=True); sys.stdin.read()\n"
        f"build.write_records = slow; build.prepare({str(source)!r}, {str(tmp_path / 'set')!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "written"
    remains = [path.name for path in tmp_path.iterdir() if path.name.startswith(".set")]
    assert len(remains) == 1
    assert not (tmp_path / "set").exists()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with pytest.raises(InputError, match="not a prepared data set"):
        load(tmp_path / "set", "train")
    assert sum(prepare(source, tmp_path / "set").plays.values()) == 24
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "set"]


def test_report_file(source, tmp_path):
    prepared = prepare(source, tmp_path / "set")
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    assert report["read"] == report["plays"] == 24
    assert report["files"] == {"Big Data Bowl 2021": 1, "games": 1, "plays": 1}
    assert report["format"] == "Big Data Bowl 2021"
    for name in ("frames", "outcomes", "results", "players", "formats"):
        assert sum(report["distributions"][name].values()) == 24, name
    assert {split: entry["plays"] for split, entry in report["splits"].items()} == prepared.plays
    assert report["prepared_from"]["config"]["fractions"] == [0.7, 0.15, 0.15]
    assert len(report["prepared_from"]["sources"]) == 3
    assert describe(tmp_path / "set") == prepared


def test_progress_counts_plays(source, tmp_path):
    counts: list[int] = []
    prepare(source, tmp_path / "set", progress=counts.append)
    assert counts == [24]


def test_a_folder_of_something_else_is_not_overwritten(source, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.txt").write_text("do not lose me")
    with pytest.raises(InputError, match="not a prepared data set"):
        prepare(source, tmp_path / "set")
    assert (tmp_path / "set" / "thesis.txt").read_text() == "do not lose me"


def test_nothing_stays_among_temporary_files(source, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    prepare(source, tmp_path / "set")
    load(tmp_path / "set", "train")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_bad_arguments_are_named(source, tmp_path):
    with pytest.raises(InputError, match="fractions"):
        PrepareConfig(fractions=(0.7, 0.2, 0.2))
    with pytest.raises(InputError, match="cannot be written"):
        prepare(source, source / "plays.csv" / "set")
    prepare(source, tmp_path / "set")
    with pytest.raises(InputError, match="train, validation, test"):
        load(tmp_path / "set", "dev")


@pytest.mark.slow
def test_real_highlights(real_data, tmp_path):
    prepared = prepare(real_data / "ngs_highlights", tmp_path / "set")
    assert sum(prepared.plays.values()) == 146
    assert len(load(tmp_path / "set", "train")) == prepared.plays["train"]


def test_a_set_of_another_version_is_named(source, tmp_path):
    prepare(source, tmp_path / "set")
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    report["prepared_from"]["recipe"] = 1
    (tmp_path / "set" / "report.json").write_text(json.dumps(report))
    with pytest.raises(InputError, match=r"set: prepared by another version of sbp_jax; prepare"):
        load(tmp_path / "set", "train")
    prepare(source, tmp_path / "set")
    assert len(load(tmp_path / "set", "train"))


def test_more_records_than_memory_are_shuffled_to_the_same_data_set(source, tmp_path, monkeypatch):
    # beyond 1 GB in memory TFDS requires TensorFlow
    prepare(source, tmp_path / "set")
    monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 20_000)
    seen = []
    monkeypatch.setattr(records.Bucket, "del_file", lambda self: seen.append(self.size) or self._path.unlink(True))
    prepare(source, tmp_path / "spilt")
    assert sum(seen) > 20_000
    for split in SPLITS:
        first, second = load(tmp_path / "set", split), load(tmp_path / "spilt", split)
        np.testing.assert_array_equal(first.play_id, second.play_id)
        np.testing.assert_array_equal(first.frames, second.frames)
    assert not list((tmp_path / "spilt").rglob("*.tmp"))


def test_a_set_that_was_read_by_earlier_rules_is_prepared_again(source, tmp_path):
    prepared = prepare(source, tmp_path / "set")
    place = tmp_path / "set" / "report.json"
    report = json.loads(place.read_text())
    earlier = {key: value for key, value in report.items() if key not in ("identified", "unknown", "reasons_unknown")}
    place.write_text(json.dumps(earlier))
    assert describe(tmp_path / "set").reading.identified == {}
    assert prepare(source, tmp_path / "set").fingerprint == prepared.fingerprint
    assert json.loads(place.read_text()) == report
