"""Train a network a fold, so that no play is scored by one that saw its game: python -m experiments.crossfit CONFIG.

Writes runs/CONFIG/crossfit-.../, one run a fold, for experiments.score and experiments.report; interrupted, the same
command goes on where it was. --folds sets how many there are (5), --by whether they are made of games or of seasons.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from experiments.cli import main, option, parse_config
from experiments.compiled import compiled_once
from experiments.data import open_dataset
from experiments.signals import listening
from experiments.train import check, train
from sbp_jax.config import Config, DataConfig, digest
from sbp_jax.errors import InputError
from sbp_jax.training.stop import Stop

FOLDS = 5


def folds_of(config: Config, folds: int, by: str) -> Iterator[Config]:
    """The configuration of each fold; InputError where they cannot be."""
    if not isinstance(config.data, DataConfig):
        raise InputError("crossfit: presumes plays, and the data are time series")
    if by not in ("game", "season"):
        raise InputError(f"--by: expected game or season, got {by!r}")
    if folds < 2:
        raise InputError(f"--folds: expected at least 2, got {folds}")
    for number in range(folds):
        data = replace(config.data, folds=folds, fold=number, fold_by=by, test_seasons=())
        yield replace(config, data=data)


def crossfit(config: Config, folds: int, by: str, root: Path, stop: Stop | None = None) -> Path:
    """Train the folds that are missing; returns the folder that all of them are in.

    Raises:
        InputError: as `folds_of` and `train`.
    """
    configs = list(folds_of(config, folds, by))
    for each in configs:
        check(each)
    first = open_dataset(configs[0].data)
    folder = root / f"crossfit-{digest(dataclasses.asdict(configs[0]), first.fingerprint)}"
    with compiled_once():
        for number, each in enumerate(configs, start=1):
            print(f"fold {number} of {folds}")
            train(each, open_dataset(each.data), folder, stop)
    return folder


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


if __name__ == "__main__":
    main(command)
