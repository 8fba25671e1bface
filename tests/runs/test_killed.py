"""A training run killed at twenty random moments ends bitwise equal to an uninterrupted one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

WORDS = ["train", "smoke", "--data.plays", "250", "--training.epochs", "14", "--training.patience", "14"]
WORDS += ["--training.checkpoint-every", "2"]
COMMAND = [sys.executable, "-m", "sbp_jax", *WORDS]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "JAX_PLATFORMS": "cpu"}
KILLS = 20
HANG_S = 1200  # only ends a test that hangs


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
    """Start the command and kill it: within the start, within a save, or anywhere among the first few saves."""
    pattern, most = {"start": ("", 3000), "save": (r"\.orbax-checkpoint-tmp", 30), "any": ("runs/", 200)}[kind]
    program = [sys.executable, "-m", "tests.killed", pattern, str(random.integers(2, most)), *WORDS]
    done = subprocess.run(program, cwd=folder, env=ENVIRONMENT, capture_output=True, timeout=HANG_S)
    assert done.returncode == -signal.SIGKILL
    return bool(partial(folder))


@pytest.mark.slow
def test_training_killed_at_random_moments_ends_in_the_same_bits(tmp_path):
    random = np.random.default_rng(7)
    (tmp_path / "uninterrupted").mkdir()
    (tmp_path / "killed").mkdir()
    subprocess.run(
        COMMAND, cwd=tmp_path / "uninterrupted", env=ENVIRONMENT, check=True, capture_output=True, timeout=HANG_S
    )
    for i in range(KILLS):
        unfinished = kill(tmp_path / "killed", kind := ("start", "save", "any", "save")[i % 4], random)
        assert unfinished or kind != "save"
    assert checkpoints(tmp_path / "killed")  # not every start was from the beginning
    subprocess.run(COMMAND, cwd=tmp_path / "killed", env=ENVIRONMENT, check=True, capture_output=True, timeout=HANG_S)
    (uninterrupted, history), (killed, again) = outcome(tmp_path / "uninterrupted"), outcome(tmp_path / "killed")
    assert killed == uninterrupted
    assert again.equals(history)
