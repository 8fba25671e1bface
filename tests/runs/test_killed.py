"""A training killed at twenty random moments ends where one never killed does, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

WORDS = ["smoke", "--data.plays", "250", "--training.epochs", "14", "--training.patience", "14"]
COMMAND = [sys.executable, "-m", "sbp_jax", "train", *WORDS, "--training.checkpoint-every", "2"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "JAX_PLATFORMS": "cpu"}
KILLS = 20


def checkpoints(folder):
    return {path for path in folder.glob("runs/smoke/*/checkpoints/*") if path.name.isdigit()}


def partial(folder):
    return list(folder.glob("runs/smoke/*/checkpoints/*tmp*"))


def outcome(folder):
    """Digests of all arrays of the newest checkpoint, and the history without its seconds."""
    newest = max(checkpoints(folder), key=lambda path: int(path.name))
    record = json.loads((newest / "record" / "metadata").read_text())
    metrics = pl.read_parquet(newest.parents[1] / "metrics.parquet")
    assert metrics.height == len(record["record"]["history"]) == 14
    return record["trees"], metrics.drop("seconds", "plays_per_s")


def kill(folder, kind, random):
    """Start the command and kill it: within the start, within a save, or some time after one."""
    with subprocess.Popen(COMMAND, cwd=folder, env=ENVIRONMENT, stdout=-3, stderr=-3) as process:
        seen = checkpoints(folder)
        reached = {
            "start": lambda: True,
            "save": lambda: partial(folder),
            "between": lambda: checkpoints(folder) - seen,
        }[kind]
        while process.poll() is None and not reached():
            time.sleep(0.001)
        time.sleep(random.uniform(0, {"start": 12.0, "save": 0.15, "between": 0.5}[kind]))
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return bool(partial(folder))


@pytest.mark.slow
def test_training_killed_at_random_moments_ends_in_the_same_bits(tmp_path):
    random = np.random.default_rng(7)
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    subprocess.run(COMMAND, cwd=tmp_path / "whole", env=ENVIRONMENT, check=True, capture_output=True, timeout=300)
    within_save = 0
    for i in range(KILLS):
        within_save += kill(tmp_path / "killed", ("start", "save", "between", "save")[i % 4], random)
    assert within_save >= 3
    subprocess.run(COMMAND, cwd=tmp_path / "killed", env=ENVIRONMENT, check=True, capture_output=True, timeout=300)
    (whole, history), (killed, again) = outcome(tmp_path / "whole"), outcome(tmp_path / "killed")
    assert killed == whole
    assert again.equals(history)
    print(f"{KILLS} kills, {within_save} of them left a save unfinished")
