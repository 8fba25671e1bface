"""Train one network per fold, so that each play is scored by a network that never saw its game: sbp crossfit CONFIG.

The command writes runs/CONFIG/crossfit-.../ with one run per fold, for sbp score and sbp report. After an interrupt,
the same command resumes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from sbp_jax.cli.flags import FLAT, parse_named
from sbp_jax.config import Config


@dataclass(frozen=True)
class Options:
    """Train one network per fold, so that each play is scored by a network that never saw its game.

    Attributes:
        config: configuration of every fold.
        folds: number of folds; by season, the number of seasons.
        by: build folds from games or from seasons.
    """

    config: Annotated[Config, FLAT]
    folds: int = 5
    by: Literal["game", "season"] = "game"


def command(args: list[str]) -> None:
    """Train the folds of the configuration on the command line."""
    name, options = parse_named(Options, args, "sbp crossfit")
    from sbp_jax.runs.crossfit import crossfit
    from sbp_jax.runs.signals import listening

    with listening() as stop:
        print(crossfit(options.config, options.folds, options.by, Path("runs") / name, stop))
