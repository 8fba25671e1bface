"""Output folders that cannot be written, and terminals that cannot show everything: one line, never a traceback."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sbp_jax.cli.terminal import new_folder, output_file, output_folder, terminal
from sbp_jax.errors import InputError

ROOT = Path(__file__).parents[2]


def test_folders_that_cannot_be_written_are_named_before_the_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    for path, line in (
        ("file", r"--out: file is a file, not a folder"),
        ("file/below/it", r"--out: .*file is a file, not a folder"),
        ("link", r"--out: link is a broken link"),
        ("~nobody_has_this_name/x", r"no such home folder"),
        ("x" * 300, r"cannot be written \(File name too long\)"),
    ):
        for check in (output_folder, new_folder):
            with pytest.raises(InputError, match=line) as error:
                check(Path(path))
            assert "\n" not in str(error.value)
        assert not (tmp_path / "below").exists()
    for path in (".", "..", "new/", "a/b/c", "../new", str(tmp_path)):
        assert output_folder(Path(path)) == Path(path)
    for path in (".", "..", "", "/", str(tmp_path), "../.."):
        with pytest.raises(InputError, match="is the working directory or contains it; name a new folder"):
            new_folder(Path(path))
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert new_folder(Path("deep/er/..")).name == "deep"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert output_folder(Path("~/x")) == new_folder(Path("~/x")) == tmp_path / "x"


def test_a_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    for check in (output_folder, new_folder):
        with pytest.raises(InputError, match=r"cannot be written \(permission denied\); name another folder"):
            check(tmp_path / "a" / "b")


def test_a_file_in_a_folder_has_its_default_name(tmp_path):
    assert output_file(tmp_path, "report.html") == tmp_path / "report.html"
    assert output_file(tmp_path / "mine.html", "report.html") == tmp_path / "mine.html"
    (tmp_path / "report.html").mkdir()
    with pytest.raises(InputError, match="is a folder; name a file"):
        output_file(tmp_path, "report.html")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file, not a folder"):
        output_file(tmp_path / "file" / "report.html", "report.html")


def test_a_text_that_the_terminal_cannot_show_is_replaced(monkeypatch):
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="ascii") for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    with terminal():
        print("José ─ 1")
        print("█ 50%|█", file=sys.stderr)
    sys.stderr.flush()
    assert streams["stdout"].buffer.getvalue() == b"Jos? ? 1\n"
    assert streams["stderr"].buffer.getvalue() == b"? 50%|?\n"


def test_closed_streams_discard(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with terminal():
        print("nothing")
        print("nothing", file=sys.stderr)


@pytest.mark.parametrize("command", ["sbp_jax --help", "sbp_jax thresholds --help", "sbp_jax nonsense"])
def test_a_reader_that_leaves_ends_it_quietly(command):
    for redirection in ("", "2>&1"):
        line = f"{sys.executable} -m {command} {redirection} | head -c 1 > /dev/null"
        process = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
        assert "Traceback" not in process.stderr
        assert "BrokenPipe" not in process.stderr


def test_a_full_disk_ends_it_in_one_line():
    code = "from sbp_jax.cli.flags import run; run(lambda words: print('result'), [])"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (process.returncode, process.stderr) == (2, "error: No space left on device\n")


CSV = "wért\n" + "\n".join(f"{3 * (k * 0.37 % 1) ** 4 + k % 7:.3f}" for k in range(400)) + "\n"


def test_an_ascii_locale_gives_the_same_files(tmp_path):
    (tmp_path / "values.csv").write_text(CSV, encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "COLUMNS": "1", "TERM": "dumb"}
    summaries = []
    for name, environment in (("plain", {}), ("ascii", ascii_only)):
        words = ["-m", "sbp_jax", "thresholds", "values.csv", "--column", "wért", "--tail", "upper", "--out", name]
        process = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        summaries.append((tmp_path / name / "summary.md").read_bytes())
    assert summaries[0] == summaries[1]
    assert "wért" in summaries[0].decode("utf-8")
