"""Networks on the public demo's series, a sinusoid with asymmetric heavy-tailed noise, and their metrics."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import polars as pl

from experiments.shared.study import MetricValues, chosen_models
from sbp_jax import configs
from sbp_jax.atomic import atomic_write
from sbp_jax.config import Config, SeriesConfig
from sbp_jax.data.plays import Sequences
from sbp_jax.data.series.sinusoid import TrueDistribution, draw, sinusoid
from sbp_jax.evaluation.metrics import Metrics, pp_error
from sbp_jax.runs.datasets import SeriesDataset, open_dataset
from sbp_jax.runs.members import train_and_evaluate
from sbp_jax.runs.run import Run
from sbp_jax.training.stop import StopRequest

CONTEXT = 100  # values that a network sees
WIDTH = 0.1  # width of the cells whose probability is evaluated, the same for every row
TRAIN, VALIDATION, TEST = 5000, 1000, 1000  # as in the demo
MODELS = {"SBP": "sbp", "Binned": "binned", "Student-t": "student_t", "Gaussian": "gaussian"}


def configuration(file: Path, kind: str, seed: int, quick: bool) -> Config:
    """Return the configuration of a model on a series in a file."""
    base = configs.get("series")
    data = SeriesConfig(path=(str(file),), context=CONTEXT, lead=1, validation=1 / 7, test=1 / 7)
    objective = base.training.objective if kind == "sbp" else "exact"
    epochs = 2 if quick else 40
    training = replace(base.training, objective=objective, seed=seed, batch_size=128, epochs=epochs, patience=8)
    return replace(base, data=data, head=replace(base.head, kind=kind), training=training)


def metrics_of(dist: Any, plays: Sequences) -> dict[str, float]:
    """Return the metrics of predictive distributions of batch shape [N]."""
    y = np.asarray(plays.outcome, np.float64)
    low = np.floor(y / WIDTH) * WIDTH
    cells = dist.interval_log_prob(jnp.asarray(low, jnp.float32), jnp.asarray(low + WIDTH, jnp.float32))
    outcome = jnp.asarray(plays.outcome)
    at, median = np.asarray(dist.cdf(outcome), np.float64), np.asarray(dist.median(), np.float64)
    return _figures(-np.mean(cells), np.mean(dist.crps(outcome)), y, median, at, at)


def oracle(plays: Sequences) -> dict[str, float]:
    """Return the metrics of the true conditional distribution."""
    y = np.asarray(plays.outcome, np.float64)
    dist = TrueDistribution(sinusoid(TRAIN + VALIDATION + TEST)[plays.play_id])
    low = np.floor(y / WIDTH) * WIDTH
    cells = np.log(dist.probability(low, low + WIDTH))
    return _figures(-np.mean(cells), np.mean(dist.crps(y)), y, dist.median(), dist.cdf_below(y), dist.cdf(y))


def networks(
    seed: int, quick: bool, root: Path, stop: StopRequest | None = None
) -> tuple[dict[str, MetricValues], dict[str, Path], SeriesDataset]:
    """Train missing networks on the series of a seed; return metrics and run folder of each model, and the data."""
    file = root / "series" / f"sinusoid-{seed}.csv"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        values = draw(TRAIN + VALIDATION + TEST, seed)
        table = pl.DataFrame({"time": np.arange(len(values)), "value": values})
        atomic_write(file, table.write_csv().encode())
    models = chosen_models(MODELS, quick)
    chosen = {name: configuration(file, kind, seed, quick) for name, kind in models.items()}
    dataset = open_dataset(chosen["SBP"].data)
    assert isinstance(dataset, SeriesDataset)

    def evaluate(run: Run, plays: Sequences) -> dict[str, float]:
        return metrics_of(run.predict(plays), plays)

    return *train_and_evaluate(chosen, dataset, root, evaluate, stop, may_diverge=True), dataset


def _figures(
    nll: Any, crps: Any, y: np.ndarray, median: np.ndarray, below: np.ndarray, at: np.ndarray
) -> dict[str, float]:
    metrics = Metrics(float(nll), float(crps), float(np.mean(np.abs(y - median))), pp_error(below, at))
    return {**metrics.flat(), "spread": float(np.std(median))}
