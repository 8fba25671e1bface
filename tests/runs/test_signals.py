"""Signals and locks: a training that is asked to stop saves and says how to go on; a folder has one writer."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sbp_jax.errors import InputError
from sbp_jax.runs.lock import held
from sbp_jax.runs.signals import PATIENCE_S

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}

# Stands for a training: `phase` says where the signal finds it.
PROGRAM = """
import hashlib, sys, time
from sbp_jax.runs.signals import listening
from sbp_jax.training.stop import Stopped
phase = sys.argv[1]
with listening() as stop:
    stop.unsaved = phase in ("training", "deaf")
    print("ready", flush=True)
    if phase == "python":  # data are prepared
        while True:
            time.sleep(0.05)
    if phase == "compiling":  # the interpreter runs no handler
        hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000_000)
    if phase == "training":
        while not stop.asked:
            time.sleep(0.05)
        time.sleep(0.5)
        stop.unsaved = False
        raise Stopped(7)
    if phase == "deaf":
        while True:
            time.sleep(0.05)
"""


def start(phase, *words):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, phase, *words], env=ENVIRONMENT, stdout=-1, stderr=-1, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    ("phase", "number", "code", "saved"),
    [
        ("python", signal.SIGTERM, 0, "nothing new to save"),
        ("python", signal.SIGINT, 130, "nothing new to save"),
        ("compiling", signal.SIGTERM, 0, "nothing new to save"),
        ("training", signal.SIGTERM, 0, "saved at step 7"),
        ("training", signal.SIGINT, 130, "saved at step 7"),
    ],
)
def test_first_signal_stops_and_says_how_to_go_on(phase, number, code, saved):
    process = start(phase, "two words")
    time.sleep(0.3)  # well within the phase
    began = time.monotonic()
    process.send_signal(number)
    _, told = process.communicate(timeout=20)
    assert process.returncode == code
    assert (time.monotonic() - began > PATIENCE_S) == (phase == "compiling")  # ended from beside
    command = shlex.join([sys.executable, "-c", PROGRAM, phase, "two words"])
    assert told.strip() == f"stopped by {number.name}, {saved}; to go on: {command}"


def test_second_signal_ends_at_once():
    process = start("deaf")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=2)
    assert process.returncode == 143
    assert told.strip() == "ended at once by a second signal"


HOLDER = """
import sys, time
from pathlib import Path
from sbp_jax.runs.lock import held
with held(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_second_run_on_a_folder_is_refused_until_the_first_is_gone(tmp_path):
    folder = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, folder], env=ENVIRONMENT, stdout=-1, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    line = f"{folder}: in use by process {holder.pid} on {socket.gethostname()}; two runs must not write one folder"
    with pytest.raises(InputError) as refused, held(folder):
        pass
    assert str(refused.value) == line
    holder.kill()
    holder.wait()
    with held(folder), pytest.raises(InputError, match=f"process {os.getpid()} "), held(folder):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["data", "compile", "train"])
def test_training_that_gets_sigterm_is_gone_on_with(tmp_path, phase):
    words = [sys.executable, "-m", "experiments.train", "smoke", "--data.plays", "250", "--training.epochs", "60"]
    words += ["--training.patience", "60"]
    with subprocess.Popen(words, cwd=tmp_path, env=ENVIRONMENT, stdout=-1, stderr=-1, text=True) as process:
        wanted = {"data": "runs/data", "compile": "runs/smoke/*/config.json", "train": "runs/smoke/*/checkpoints/*0"}
        while not list(tmp_path.glob(wanted[phase])):
            time.sleep(0.02)
        time.sleep(0.3 if phase == "data" else 1)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert time.monotonic() - began < 15
    line = told.strip().splitlines()[-1]
    head, command = line.split("; to go on: ")
    assert shlex.split(command) == words
    if phase != "train":
        assert head == "stopped by SIGTERM, nothing new to save"
        return
    step = int(head.removeprefix("stopped by SIGTERM, saved at step "))
    (folder,) = tmp_path.glob("runs/smoke/*")
    assert max(int(p.name) for p in (folder / "checkpoints").iterdir()) == step
