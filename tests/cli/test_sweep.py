"""A grid gives one result: as one program, killed and resumed, and on a cluster with a killed worker."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import sbp_jax as sbp
from sbp_jax.cli import train
from tests.cli.test_grid import GOOD

ROOT = Path(__file__).parents[2]
WORDS = ["mine.toml", "--seeds", "2", "--epochs", "6", "--plays", "250"]


def start(folder, *words, program=("experiments.ablation",)):
    folder.mkdir(exist_ok=True)
    (folder / "mine.toml").write_text(GOOD)
    command = [sys.executable, "-m", *program, *WORDS, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process):
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output.decode()[-3000:]
    return output.decode()


def result(folder):
    table = pl.read_parquet(folder / "runs/ablation/mine/mine.parquet")
    return table.drop("seconds").sort("arm", "seed")


def wait_for(folder, pattern, process):
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()[0].decode()[-3000:]
        time.sleep(0.05)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "alone"
    finish(start(folder))
    return folder


@pytest.mark.slow
def test_every_member_is_a_run_of_its_own(alone):
    table = result(alone)
    assert table.select("arm", "seed").rows() == [("large", 0), ("large", 1), ("small", 0), ("small", 1)]
    assert sorted(path.name for path in (alone / "runs/ablation/mine").glob("mine.*")) == [
        "mine.json",
        "mine.md",
        "mine.parquet",
        "mine.png",
    ]
    assert not list((alone / "runs/ablation/mine/groups").glob("*"))
    (folder, *others) = (alone / "runs/ablation/mine").glob("sbp-*")
    assert len(others) == 3
    run = sbp.load_run(folder)
    # training the same configuration separately uses the same name, and finds the run complete
    words = ["smoke", "--data.plays", "250", "--training.epochs", "6"]
    words += ["--head.tail-mass", *map(str, run.config.head.tail_mass)]
    words += ["--training.objective", run.config.training.objective, "--training.seed", str(run.config.training.seed)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(alone)
        train.command(words)
    (single,) = (alone / "runs/smoke").glob("sbp-*")
    assert single.name == folder.name
    np.testing.assert_allclose(
        sbp.load_run(single).metrics["validation_loss"], run.metrics["validation_loss"], rtol=1e-3
    )


@pytest.mark.slow
def test_a_killed_sweep_resumes(alone):
    folder = alone.parent / "killed"
    process = start(
        folder, program=("tests.killed", r"mine/groups/.*/checkpoints/\d+\.orbax-checkpoint-tmp$", "3", "sweep")
    )
    process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL
    assert "4 training runs, 0 complete" in finish(start(folder))
    assert result(folder).equals(result(alone))


@pytest.mark.slow
def test_on_a_cluster_of_two_nodes_with_a_worker_killed(alone):
    from ray.cluster_utils import Cluster

    folder = alone.parent / "cluster"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        process = start(folder, "--ray", cluster.address)
        wait_for(folder, "runs/ablation/mine/groups/*/checkpoints/[0-9]*", process)
        workers = subprocess.run(["pgrep", "-f", "ray::train_members"], capture_output=True, text=True, check=True)
        os.kill(int(workers.stdout.split()[0]), signal.SIGKILL)
        output = finish(process)
    finally:
        cluster.shutdown()
    assert "2 tasks on 2 slots" in output
    figures = result(folder).drop("arm", "diverged"), result(alone).drop("arm", "diverged")
    np.testing.assert_allclose(*(each.to_numpy().astype(float) for each in figures), rtol=1e-5)
