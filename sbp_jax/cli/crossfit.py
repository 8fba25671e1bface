"""Train a network a fold, so that no play is scored by one that saw its game: python -m experiments.crossfit CONFIG.

Writes runs/CONFIG/crossfit-.../, one run a fold, for experiments.score and experiments.report; interrupted, the same
command goes on where it was. --folds sets how many there are (5), --by whether they are made of games or of seasons.
"""

from pathlib import Path

from sbp_jax.cli.flags import option, parse_config
from sbp_jax.errors import InputError
from sbp_jax.runs.crossfit import FOLDS, crossfit
from sbp_jax.runs.signals import listening


def command(args: list[str]) -> None:
    """Train the folds that the command line asks for."""
    by, args = option(args, "--by")
    said, args = option(args, "--folds")
    name, config = parse_config(args, "python -m experiments.crossfit")
    try:
        folds = FOLDS if said is None else int(said)
    except ValueError as error:
        raise InputError(f"--folds: expected a whole number, got {said!r}") from error
    with listening() as stop:
        print(crossfit(config, folds, by or "game", Path("runs") / name, stop))
