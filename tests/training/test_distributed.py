"""A training run in two processes gives the numbers of one process, also when it resumes after a kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sbp_jax.cli import train
from sbp_jax.cli.flags import parse_named
from sbp_jax.errors import InputError
from sbp_jax.training.distributed import connect

WORDS = ["smoke", "--data.plays", "250", "--training.epochs", "4", "--training.checkpoint-every", "5"]
ROOT = Path(__file__).parents[2]


def start(folder, *words):
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}
    command = [sys.executable, "-m", "experiments.train", *WORDS, "--data.cache", str(folder.parent / "cache"), *words]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def start_two(folder):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    return [start(folder, "--distributed", f"{address},2,{number}") for number in range(2)]


def losses(folder):
    (file,) = folder.glob("runs/smoke/*/metrics.parquet")
    return pl.read_parquet(file).select("training_loss", "validation_loss").to_numpy()


def finish(process):
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output.decode()[-2000:]


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    finish(start(tmp_path / "alone"))
    for process in start_two(tmp_path / "two"):
        finish(process)
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "alone"), rtol=1e-5)

    killed = start_two(tmp_path / "killed")
    while not list((tmp_path / "killed").glob("runs/smoke/*/checkpoints/[0-9]*")):
        assert killed[0].poll() is None
        time.sleep(0.05)
    killed[1].send_signal(signal.SIGKILL)
    for process in killed:
        process.wait(timeout=600)  # the other process does not wait forever
    for process in start_two(tmp_path / "killed"):
        finish(process)
    np.testing.assert_array_equal(losses(tmp_path / "killed"), losses(tmp_path / "two"))


@pytest.mark.parametrize("where", ["here", "localhost:1,2", "localhost:1,2,2", "localhost:1,two,0"])
def test_an_invalid_address_is_refused(where):
    with pytest.raises(InputError, match="--distributed: expected auto or HOST:PORT,COUNT,NUMBER"):
        connect(where)


def test_the_address_is_a_separate_option():
    _, options = parse_named(train.Options, ["demo", "--distributed", "auto", "--data.seed", "1"], "sbp train")
    assert (options.distributed, options.config.data.seed) == ("auto", 1)
    assert parse_named(train.Options, ["demo"], "sbp train")[1].distributed is None
    with pytest.raises(InputError, match="Missing value for argument '--distributed'"):
        parse_named(train.Options, ["demo", "--distributed"], "sbp train")
