"""Signals and locks: a training run that is asked to stop saves and prints how to resume; a folder has one writer."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from sbp_jax.errors import InputError
from sbp_jax.runs.lock import held

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}

HANG_S = 600  # only ends a test that hangs

# Stands for a training run: `phase` is its state when the signal arrives. If the interpreter reacts, the listener has
# no reason to end the process; otherwise it ends it without waiting, so that the outcome does not depend on speed.
PROGRAM = """
import hashlib, sys, threading
from sbp_jax.runs import signals
from sbp_jax.training.stop import Stopped, StopRequest

phase = sys.argv[1]
signals.TIMEOUT_S = 600.0 if phase == "python" else 0.0

class Watched(StopRequest):
    seen = threading.Event()  # the listener has checked whether steps would be lost

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if name == "unsaved" and threading.current_thread() is not threading.main_thread():
            Watched.seen.set()
        return value

def ready():
    print("ready", flush=True)

signals.StopRequest = Watched
with signals.listening() as stop:
    stop.unsaved = phase in ("training", "deaf")
    try:
        if phase == "compiling":  # the interpreter cannot run a handler
            sys.setswitchinterval(1000.0)  # so that "ready" is printed while the main thread is in C
            called = threading.Event()
            threading.Thread(target=lambda: (called.wait(), ready()), daemon=True).start()
            called.set()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
        ready()
        if phase == "python":  # as while data are prepared
            threading.Event().wait()
        Watched.seen.wait()
        assert stop.requested
        if phase == "training":
            stop.unsaved = False
            raise Stopped(7)
        print("asked", flush=True)
        threading.Event().wait()
    finally:
        print("left", flush=True)
"""


def start(phase, *words):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, phase, *words], env=ENVIRONMENT, stdout=-1, stderr=-1, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.sample(1)
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
def test_the_first_signal_stops_and_prints_how_to_resume(phase, number, code, saved):
    process = start(phase, "two words")
    process.send_signal(number)
    printed, errors = process.communicate(timeout=HANG_S)
    assert process.returncode == code
    assert printed == ("" if phase == "compiling" else "left\n")  # the listener ends a main thread in C
    command = shlex.join([sys.executable, "-c", PROGRAM, phase, "two words"])
    assert errors.strip() == f"stopped by {number.name}, {saved}; to resume: {command}"


def test_second_signal_ends_at_once():
    process = start("deaf")
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "asked\n"
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    printed, errors = process.communicate(timeout=HANG_S)
    assert process.returncode == 143
    assert printed == ""  # the main thread did not run
    assert errors.strip() == "ended at once by a second signal"


HOLDER = """
import sys
from pathlib import Path
from sbp_jax.runs.lock import held
with held(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_second_run_on_a_folder_is_refused_until_the_first_is_gone(tmp_path):
    folder = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, folder], env=ENVIRONMENT, stdin=-1, stdout=-1, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    line = f"{folder}: in use by process {holder.pid} on {socket.gethostname()}; two runs must not write to one folder"
    with pytest.raises(InputError) as refused, held(folder):
        pass
    assert str(refused.value) == line
    holder.kill()
    holder.wait()
    with held(folder), pytest.raises(InputError, match=f"process {os.getpid()} "), held(folder):
        pass


# The command sends itself a signal: while it creates the folder of its data, while it compiles the training program,
# or while its first checkpoint is moved into place.
ASKED = """
import glob, os, signal, sys
import jax
from sbp_jax.cli import main

phase = sys.argv.pop(1)
asked = False

def ask():
    global asked
    if not asked:
        asked = True
        os.kill(os.getpid(), signal.SIGTERM)

def audit(event, words):
    if phase == "data" and event == "os.mkdir" and "runs/data" in str(words[0]):
        ask()
    if phase == "train" and event == "os.rename" and "checkpoints" in str(words[0]):
        ask()

def compiling(event, *_, **__):
    if phase == "compile" and "jaxpr_to_mlir" in event and glob.glob("runs/smoke/*/config.json"):
        ask()

sys.addaudithook(audit)
jax.monitoring.register_event_duration_secs_listener(compiling)
main("train")
"""


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["data", "compile", "train"])
def test_training_resumes_after_sigterm(tmp_path, phase):
    words = [sys.executable, "-c", ASKED, phase, "smoke", "--data.plays", "250", "--training.epochs", "60"]
    words += ["--training.patience", "60"]
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
    head, command = done.stderr[done.stderr.rindex("stopped by") :].split("; to resume: ")
    assert shlex.split(command) == words
    saved = [int(path.name) for path in tmp_path.glob("runs/smoke/*/checkpoints/*") if path.name.isdigit()]
    if phase != "train":
        assert head == "stopped by SIGTERM, nothing new to save"
        assert not saved
        return
    (metrics,) = tmp_path.glob("runs/smoke/*/metrics.parquet")
    assert pl.read_parquet(metrics).height < 10  # of 60 epochs
    assert head in ("stopped by SIGTERM, nothing new to save", f"stopped by SIGTERM, saved at step {max(saved)}")
