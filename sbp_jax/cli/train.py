"""Train one network: python -m experiments.train CONFIG [--field value ...] [--distributed WHERE].

Writes runs/CONFIG/RUN/; the same command goes on where it was, or says that it is done. With --distributed, the same
command on several hosts, or once for each of several processes, trains one network on all their devices: WHERE is
"auto" under Slurm and the like, else HOST:PORT,COUNT,NUMBER, the address of process 0, their count and each one's own.
"""

import sys
from pathlib import Path

from sbp_jax.cli.flags import option, parse_config
from sbp_jax.runs.datasets import open_dataset
from sbp_jax.runs.signals import listening
from sbp_jax.runs.train import train_folder
from sbp_jax.training.check import check
from sbp_jax.training.distributed import connect, is_first, wait_for_all


def command(args: list[str]) -> None:
    """Train the configuration that the command line names."""
    where, args = option(args, "--distributed")
    name, config = parse_config(args, "python -m experiments.train")
    if where is not None:
        connect(where)  # before JAX does anything
    check(config)
    with listening() as stop:
        if not is_first():
            wait_for_all("plays are prepared")
        dataset = open_dataset(config.data)
        if is_first():
            wait_for_all("plays are prepared")
            print(dataset.account())
        folder = train_folder(config, dataset, Path("runs") / name, stop, spread=where is not None)
    if is_first():
        print(f"next: python -m experiments.compare {folder}", file=sys.stderr)
        print(f"{folder}")
