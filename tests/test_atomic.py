"""Files and folders are complete or absent."""

import os
import threading

import pytest

from sbp_jax import atomic
from sbp_jax.atomic import atomic_write, building, discard
from sbp_jax.errors import InputError


def fill(folder, word, **options):
    with building(folder, **options) as place:
        (place / "word").write_text(word)


def test_a_reader_finds_the_old_or_the_new_at_every_moment(tmp_path):
    folder, words, done = tmp_path / "set", set(), threading.Event()
    fill(folder, "0")

    def read():
        while not done.is_set():
            try:
                words.add((folder / "word").read_text())
            except FileNotFoundError:
                words.add(None)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 300):
        fill(folder, str(number), replace=True)
    done.set()
    reader.join()
    assert None not in words
    assert len(words) > 2
    assert (folder / "word").read_text() == "299"
    assert os.listdir(tmp_path) == ["set"]


def test_systems_that_cannot_swap_replace_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    fill(tmp_path / "set", "old")
    fill(tmp_path / "set", "new", replace=True)
    assert (tmp_path / "set" / "word").read_text() == "new"
    assert os.listdir(tmp_path) == ["set"]


def test_without_replacing_the_first_one_done_wins(tmp_path):
    with building(tmp_path / "set") as place:
        fill(tmp_path / "set", "first")
        (place / "word").write_text("second")
    assert (tmp_path / "set" / "word").read_text() == "first"
    with pytest.raises(InputError, match="cannot be written"):
        fill(tmp_path / "set", "third", is_same=lambda folder: False)
    assert os.listdir(tmp_path) == ["set"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device"), ValueError("else")])
def test_a_failure_leaves_the_old_one(tmp_path, error):
    fill(tmp_path / "set", "old")
    expected = InputError if isinstance(error, OSError) else type(error)

    def fail_halfway():
        with building(tmp_path / "set", replace=True) as place:
            (place / "word").write_text("half")
            raise error

    with pytest.raises(expected):
        fail_halfway()
    assert (tmp_path / "set" / "word").read_text() == "old"
    assert os.listdir(tmp_path) == ["set"]


def test_an_error_of_another_file_is_not_blamed_on_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError), building(tmp_path / "set"):
        (tmp_path / "source.csv").read_text()


def test_leftovers_of_dead_builders_are_removed_and_those_of_living_ones_stay(tmp_path):
    dead, living = (tmp_path / atomic._aside(tmp_path / "set").name for _ in range(2))
    dead = dead.with_name(dead.name.rsplit("-", 1)[0] + "-999999999")
    dead.mkdir()
    living.mkdir()
    fill(tmp_path / "set", "new")
    assert sorted(os.listdir(tmp_path)) == sorted(["set", living.name])


def test_discarding_a_missing_folder_does_nothing(tmp_path):
    discard(tmp_path / "set")
    fill(tmp_path / "set", "old")
    discard(tmp_path / "set")
    assert os.listdir(tmp_path) == []


def test_a_file_is_written_atomically(tmp_path, monkeypatch):
    atomic_write(tmp_path / "file", b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        atomic_write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
