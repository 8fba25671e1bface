"""Train one network: sbp train CONFIG [--field value ...] [--distributed WHERE].

The command writes runs/CONFIG/RUN/. The same command resumes an interrupted run, or reports that it is complete.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sbp_jax.cli.flags import FLAT, parse_named
from sbp_jax.config import Config


@dataclass(frozen=True)
class Options:
    """Train one network from a named configuration.

    Attributes:
        config: the run's configuration.
        distributed: train one network on the devices of several hosts or processes, each of which runs this command:
            "auto" under Slurm and similar schedulers, else HOST:PORT,COUNT,NUMBER: the address of process 0, the number
            of processes, and the number of this one.
    """

    config: Annotated[Config, FLAT]
    distributed: Annotated[str | None, tyro.conf.arg(metavar="WHERE")] = None


def command(args: list[str]) -> None:
    """Train the configuration named on the command line."""
    name, options = parse_named(Options, args, "sbp train")
    config = options.config
    from sbp_jax.runs.datasets import open_dataset
    from sbp_jax.runs.signals import listening
    from sbp_jax.runs.train import train_folder
    from sbp_jax.training.check import check
    from sbp_jax.training.distributed import connect, is_first, wait_for_all

    if options.distributed is not None:
        connect(options.distributed)  # must precede any other use of JAX
    check(config)
    with listening() as stop:
        if not is_first():
            wait_for_all("plays are prepared")
        dataset = open_dataset(config.data)
        if is_first():
            wait_for_all("plays are prepared")
            print(dataset.account())
        folder = train_folder(config, dataset, Path("runs") / name, stop, spread=options.distributed is not None)
    if is_first():
        print(f"next: sbp compare {folder}", file=sys.stderr)
        print(f"{folder}")
