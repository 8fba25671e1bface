"""What stands in where a system has no support: folders that cannot be swapped, file systems without locks."""

import errno
import os
import subprocess
import sys

import pytest

from sbp_jax import atomic
from sbp_jax.atomic import building
from sbp_jax.errors import InputError
from sbp_jax.runs import lock
from sbp_jax.runs.lock import held

WITHOUT_CTYPES = """
import os, sys
sys.modules["ctypes"] = None
from pathlib import Path
from sbp_jax.atomic import _exchange, building
folder = Path(sys.argv[1])
for word in ("old", "new"):
    with building(folder, replace=True) as place:
        (place / "word").write_text(word)
    if word == "old":
        open_file = (folder / "word").open()
print(_exchange(folder, folder), open_file.read(), (folder / "word").read_text(), *os.listdir(folder.parent))
"""


def fill(folder, word):
    with building(folder, replace=True) as place:
        (place / "word").write_text(word)


def test_without_a_c_library_a_folder_is_replaced_while_a_file_in_it_is_open(tmp_path):
    words = [sys.executable, "-c", WITHOUT_CTYPES, tmp_path / "set"]
    out = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600).stdout
    assert out.split() == ["False", "old", "new", "set"]


@pytest.mark.parametrize("refused", ["the old folder is moved aside", "the new folder takes its place"])
def test_a_refused_replacement_leaves_the_old_folder(tmp_path, monkeypatch, refused):
    """Windows moves no folder in which a file is open."""
    folder, rename = tmp_path / "set", os.rename
    fill(folder, "old")
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    moved = []

    def windows(source, target):
        moved.append(source)
        if len(moved) == (1 if refused.startswith("the old") else 2):
            raise PermissionError(errno.EACCES, "Access is denied", str(source))
        rename(source, target)

    monkeypatch.setattr(atomic.os, "rename", windows)
    with pytest.raises(InputError, match=r"^\S*set: cannot be written \(Access is denied\)$"):
        fill(folder, "new")
    assert (folder / "word").read_text() == "old"
    assert os.listdir(tmp_path) == ["set"]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, capsys, code):
    fcntl = pytest.importorskip("fcntl", reason="Windows has locks everywhere")

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with held(tmp_path / "run"), held(tmp_path / "run"):
        pass
    line = f"warning: {tmp_path / 'run'}: this file system has no locks; make sure that no other run writes to it"
    assert capsys.readouterr().err.splitlines() == [line, line]


def test_another_error_of_the_lock_is_raised(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="its errors are those of POSIX")

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), held(tmp_path):
        pass


def test_a_folder_can_be_held_again_and_an_earlier_version_names_its_holder(tmp_path):
    (tmp_path / lock.NAME).write_text("process 123456789 on an-earlier-host-with-a-long-name\n")
    for _ in range(2):
        with held(tmp_path):
            assert (tmp_path / lock.NAME).read_text().startswith(f"process {os.getpid()} on ")
            assert (tmp_path / lock.NAME).read_text().count("\n") == 1
    assert os.listdir(tmp_path) == [lock.NAME]
