"""Networks trained on series of counts, one network for all series, and their metrics."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments.shared.study import MetricValues, Options, chosen_models
from sbp_jax import configs
from sbp_jax.config import Config, Kind, SeriesConfig
from sbp_jax.data.plays import Sequences
from sbp_jax.distributions.base import Distribution
from sbp_jax.errors import InputError
from sbp_jax.evaluation import evaluate
from sbp_jax.runs.datasets import SeriesDataset, open_dataset
from sbp_jax.runs.members import train_and_evaluate
from sbp_jax.runs.run import Run
from sbp_jax.training.stop import StopRequest

MODELS: dict[str, Kind] = {"SBP": "sbp", "Binned": "binned", "Student-t": "student_t", "Gaussian": "gaussian"}
CONTEXT = 100  # values that a network sees


def configuration(files: list[Path], kind: Kind, seed: int, quick: bool) -> Config:
    """Return the configuration of a model on the series in files."""
    base = configs.get("series")
    data = SeriesConfig(path=tuple(map(str, files)), context=CONTEXT, lead=1)
    training = replace(
        base.training, objective="interval", seed=seed, batch_size=512, epochs=1 if quick else 12, patience=3
    )
    return replace(base, data=data, head=replace(base.head, kind=kind), training=training)


def files_of(source: Path, quick: bool) -> list[Path]:
    """Return the CSV files of a folder, only the first two if `quick`; raise InputError if there are none."""
    files = sorted(source.glob("*.csv"))
    if not files:
        raise InputError(f"{source}: no CSV files; specify the folder of counts with --counts FOLDER")
    return files[:2] if quick else files


def networks(
    options: Options, root: Path, stop: StopRequest | None = None
) -> tuple[dict[tuple[str, int], MetricValues], dict[tuple[str, int], Path], SeriesDataset]:
    """Train the missing networks; return the metrics and run folder of each model and seed, and the data."""
    files, quick = files_of(options.path("counts"), options.quick), options.quick
    models = chosen_models(MODELS, quick).items()
    chosen = {
        (name, seed): configuration(files, kind, seed, quick) for name, kind in models for seed in range(options.seeds)
    }
    dataset = open_dataset(chosen["SBP", 0].data)
    assert isinstance(dataset, SeriesDataset)
    units = deviations(dataset)

    def evaluated(run: Run, plays: Sequences) -> dict[str, float]:
        return metrics_of(run.predict(plays), plays, units)

    return *train_and_evaluate(chosen, dataset, root, evaluated, stop, may_diverge=True), dataset


def metrics_of(dist: Distribution, plays: Sequences, units: Mapping[int, float]) -> dict[str, float]:
    """Return the metrics of predictive distributions of batch shape [N], in the `units` of each series."""
    unit = np.array([units[number] for number in plays.game_id.tolist()])
    return evaluate(dist, plays.outcome, unit).flat()


def deviations(dataset: SeriesDataset) -> dict[int, float]:
    """Return the mean absolute deviation of each series' training part, in its own unit, keyed by series number."""
    train = dataset.split("train")
    return {
        number: deviation(series.value[: int(train.play_id[train.game_id == number].max()) + 1])
        for number, series in enumerate(dataset.windows.series)
    }


def deviation(values: np.ndarray) -> float:
    """Return the mean absolute deviation from the median."""
    return float(np.mean(np.abs(values - np.median(values))))
