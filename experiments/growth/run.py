"""How far the SBP network comes with how many plays and parameters, between training marginal and true law.

Not `experiments.scale`, which measures how reading files grows. One set of simulated plays with tracking, its
test and validation games the same for all; the training sets are the first games of one order, so that each holds the
smaller ones. Passes over the plays are fixed beforehand, more of them where plays are few, and each training stops
early by itself.

Time on 2 idle cores: 4 minutes to simulate and prepare the plays, once; 2 minutes to compile; a seed is 1.7 million
plays in training, 6 minutes at the default network's 5,500 plays a second: 24 minutes for 3 seeds, 36 for 5.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import polars as pl
from flax import nnx

from experiments.growth.page import FIGURES, MARGINAL, ORACLE, Axis, Growth
from experiments.shared.options import Options
from experiments.shared.passes import sampled
from experiments.shared.training import trained
from sbp_jax import configs
from sbp_jax.config import Config, DataConfig
from sbp_jax.data.plays import Plays
from sbp_jax.evaluation import evaluate
from sbp_jax.runs.datasets import open_plays
from sbp_jax.runs.evaluate import evaluate_distribution, oracle_forecast
from sbp_jax.runs.run import Run, load_run
from sbp_jax.runs.setup import marginal_law
from sbp_jax.runs.subset import FirstGames
from sbp_jax.training.stop import Stop

TITLE = "Plays and parameters"


@dataclass(frozen=True)
class Sizes:
    """What is trained.

    Attributes:
        plays: simulated in all.
        epochs: passes at most, by the number of training plays, from the smallest.
        channels: widths of the networks that are trained on `at` plays.
        at: training plays of those.
    """

    plays: int
    epochs: dict[int, int]
    channels: tuple[int, ...]
    at: int


FULL = Sizes(62_000, {1_000: 40, 3_000: 25, 10_000: 15, 25_000: 12, 50_000: 10}, (8, 16, 32, 64, 128), 10_000)
QUICK = Sizes(1_800, {300: 1, 1_100: 1}, (8, 64), 300)


def make(options: Options, root: Path, stop: Stop | None = None) -> list[Growth]:
    """Train what is missing and evaluate it; quick, an epoch of `QUICK`'s sizes.

    Raises:
        Stopped: as asked; the same call resumes.
    """
    seeds, quick, root = options.seeds, options.quick, root / "scale"
    sizes = QUICK if quick else FULL
    base = configs.get("demo")
    assert isinstance(base.data, DataConfig)
    data = replace(base.data, plays=sizes.plays, test=0.2 if quick else 0.1, validation=0.1 if quick else 0.08)
    base, whole = replace(base, data=data), open_plays(data)
    rows, largest = [], Path()
    for count, epochs in sizes.epochs.items():
        chosen = {seed: _of(base, epochs, seed) for seed in range(seeds)}
        part = FirstGames(whole, count)
        found, folders = trained(chosen, part, root, _judge, stop)
        rows += _rows("plays", len(part.split("train")), found)
        largest = folders[0]
    part = FirstGames(whole, sizes.at)
    chosen = {
        (channels, seed): _of(base, sizes.epochs[sizes.at], seed, channels)
        for channels in sizes.channels
        for seed in range(seeds)
    }
    found, _ = trained(chosen, part, root, _judge, stop)
    for channels in sizes.channels:
        own = {seed: figures for (width, seed), figures in found.items() if width == channels}
        if channels == base.network.channels:  # its trainings are rows of the other axis too
            own = {seed: {**figures, "seconds": None} for seed, figures in own.items()}
        rows += _rows("parameters", int(own[0]["parameters"]), own)
    test = sampled(whole.split("test"))
    rows += _rows(None, None, {None: _figures(marginal_law(load_run(largest).model, test), test)}, MARGINAL)
    oracle = evaluate(oracle_forecast(whole.truth(), test), test.yards).flat()
    rows += _rows(None, None, {None: oracle}, ORACLE)
    growth = Growth(
        title="The network by plays and parameters",
        about=_about(sizes, len(part.split("train")), len(test), len(whole.split("validation"))),
        rows=pl.DataFrame(rows, infer_schema_length=None),
    )
    return [growth]


def _of(base: Config, epochs: int, seed: int, channels: int | None = None) -> Config:
    """The base with a length of training and a width; the hidden layers are four and two times as wide."""
    network = base.network
    if channels is not None:
        network = replace(network, channels=channels, hidden=(4 * channels, 2 * channels))
    return replace(base, network=network, training=replace(base.training, epochs=epochs, seed=seed))


def _judge(run: Run, plays: Plays) -> dict[str, float]:
    plays = sampled(plays)
    parameters = sum(int(each.size) for each in jax.tree.leaves(nnx.state(run.model, nnx.Param)))
    return {**_figures(run.predict(plays), plays), "parameters": parameters}


def _figures(law: Any, plays: Plays) -> dict[str, float]:
    return evaluate_distribution(law, plays).metrics.flat()


def _rows(
    axis: Axis | None, value: int | None, found: dict[Any, dict[str, Any]], name: str | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of a size, by its seeds."""
    for seed, figures in found.items():
        own = {key: figures.get(key) for key in (*FIGURES, "seconds")}
        yield {"arm": name or f"{value:,} {axis}", "axis": axis, "value": value, "seed": seed, **own}


def _about(sizes: Sizes, at: int, test: int, validation: int) -> str:
    low, high = min(sizes.epochs.values()), max(sizes.epochs.values())
    return (
        f"The configuration demo on simulated passes with tracking: {test:,} passes to test and {validation:,} to stop "
        f"by, the same for all; each training set holds the smaller ones, to whole games. At most {high} passes over "
        f"the fewest plays and {low} over the most, fixed beforehand. The networks of other sizes, whose hidden layers "
        f"are four and two times as wide as the TCN's state, learn from {at:,} plays. The intervals are over the "
        "network's start, order of plays and dropout, on one draw of the games. The marginal is that of the largest "
        "training set, without a network; the oracle the simulator's law for a league-average passer."
    )
