"""The demo: train networks on tracking files or simulated plays, evaluate them, score quarterbacks, draw figures."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sbp_jax import configs
from sbp_jax.cli.flags import parse
from sbp_jax.cli.terminal import output_folder
from sbp_jax.config import Config


@dataclass(frozen=True)
class Options:
    """Simulate or read plays, train an SBP and a Gaussian network, evaluate them, score quarterbacks, draw figures.

    Attributes:
        data: a folder or files of real tracking data; by default 8,000 plays are simulated.
        smoke: simulate 900 plays and train small networks, to check that everything runs.
        seed: seed of the simulation and of the split by game.
        malformed: stop at a malformed play with an error ("raise"), or leave it out and count it ("drop").
        out: folder for the results.
    """

    data: tuple[str, ...] = ()
    smoke: bool = False
    seed: int = 0
    malformed: Literal["raise", "drop"] = "raise"
    out: Path = Path("runs/demo")


def configuration(options: Options) -> Config:
    """Return the demo's configuration for the options."""
    config = configs.get("smoke" if options.smoke else "demo")
    data = replace(config.data, source=options.data, seed=options.seed, malformed=options.malformed)
    return replace(config, data=data)


def command(args: list[str]) -> None:
    """Run the demo."""
    options = parse(Options, args, "sbp demo")
    from sbp_jax.runs.demo import run_demo
    from sbp_jax.runs.signals import listening

    out = output_folder(options.out)

    with listening() as stop:
        run_demo(configuration(options), out, stop)
