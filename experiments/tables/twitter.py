"""Counts of mentions every five minutes, the kind of data of the method's paper: one network for all series.

The series differ by orders of magnitude, and each within itself: windows are in units of their own deviation, the law
is that of the count. NLL is of the count's own cell, the same for every row; CRPS and the error of the median are in
units of each series' mean deviation in its training part, so that no series is all of the mean.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.tables.comparison_page import Comparison, Figure
from experiments.tables.trained import Figures, chosen_models, rows_of, trained
from sbp_jax import configs
from sbp_jax.config import Config, Kind, SeriesConfig
from sbp_jax.data.plays import Plays
from sbp_jax.data.series.reading import Series
from sbp_jax.errors import InputError
from sbp_jax.evaluation import evaluate_counts
from sbp_jax.runs.datasets import SeriesDataset, open_dataset
from sbp_jax.runs.run import Run, load_run
from sbp_jax.runs.setup import marginal_law
from sbp_jax.training.stop import Stop

MODELS: dict[str, Kind] = {"SBP": "sbp", "Binned": "binned", "Student-t": "student_t", "Gaussian": "gaussian"}
CONTEXT = 100  # values that a network sees
FIGURES = {
    "nll": Figure("NLL of a count, nats", 4, judged=True),
    "crps": Figure("CRPS, deviations", 4, judged=True),
    "mae": Figure("MAE, deviations", 4),
    "pp_lower": Figure("PP lower"),
    "pp_base": Figure("PP base"),
    "pp_upper": Figure("PP upper"),
    "pp_full": Figure("PP full"),
}
NOTES = (
    "The paper reports its counts as figures, on a data set of its own that is not public: no row of it stands here. "
    "No law is known to be the true one, and none is told that a count is never negative.",
    "Binned's end bins reach to where a value is possible at all, ten thousand deviations away: its likelihood can do "
    "with that, its CRPS and median cannot, which is what tails are for.",
)


def configuration(files: list[Path], kind: Kind, seed: int, quick: bool) -> Config:
    """The network of a model on the series in files."""
    base = configs.get("series")
    data = SeriesConfig(path=tuple(map(str, files)), context=CONTEXT, lead=1)
    training = replace(
        base.training, objective="interval", seed=seed, batch_size=512, epochs=1 if quick else 12, patience=3
    )
    return replace(base, data=data, head=replace(base.head, kind=kind), training=training)


def files_of(source: Path, quick: bool) -> list[Path]:
    """The series in a folder; the first two where it is quick.

    Raises:
        InputError: no such folder, or no CSV file in it.
    """
    files = sorted(source.glob("*.csv"))
    if not files:
        raise InputError(f"{source}: no CSV files of counts there; say where they are with --counts FOLDER")
    return files[:2] if quick else files


def networks(
    seeds: int, quick: bool, root: Path, source: Path, stop: Stop | None = None
) -> tuple[dict[tuple[str, int], Figures], dict[tuple[str, int], Path], SeriesDataset]:
    """The figures and the runs of each model and seed, trained where they are missing, and the data."""
    files, models = files_of(source, quick), chosen_models(MODELS, quick)
    chosen = {
        (name, seed): configuration(files, kind, seed, quick) for name, kind in models.items() for seed in range(seeds)
    }
    dataset = open_dataset(chosen["SBP", 0].data)
    assert isinstance(dataset, SeriesDataset)
    units = deviations(dataset)

    def judge(run: Run, plays: Plays) -> dict[str, float]:
        return figures_of(run.predict(plays), plays, units)

    found, folders = trained(chosen, dataset, root, judge, stop, may_diverge=True)
    return found, folders, dataset


def figures_of(law: Any, plays: Plays, units: Mapping[int, float]) -> dict[str, float]:
    """The figures of predicted laws of batch shape [N]; `units` is each series' own."""
    unit = np.array([units[number] for number in plays.game_id.tolist()])
    return evaluate_counts(law, plays.yards, unit).flat()


def deviations(dataset: SeriesDataset) -> dict[int, float]:
    """Mean absolute deviation from the median of each series' training part, by its number, in its own unit."""
    train = dataset.split("train")
    return {
        number: deviation(series.value[: int(train.play_id[train.game_id == number].max()) + 1])
        for number, series in enumerate(dataset.windows.series)
    }


def deviation(values: np.ndarray) -> float:
    """Mean absolute deviation from the median."""
    return float(np.mean(np.abs(values - np.median(values))))


def make(seeds: int, quick: bool, root: Path, source: Path, stop: Stop | None = None) -> Comparison:
    """The table of all series in the folder `source`."""
    found, folders, dataset = networks(seeds, quick, root, source, stop)
    test = dataset.split("test")
    marginal = figures_of(marginal_law(load_run(folders["SBP", 0]).model, test), test, deviations(dataset))
    found |= {("Marginal", seed): marginal for seed in range(seeds)}
    counts = {split: len(dataset.split(split)) for split in ("train", "validation", "test")}
    return Comparison(
        title="Mention counts, one step ahead",
        about=(
            f"{len(dataset.windows.series)} series ({', '.join(each.name for each in dataset.windows.series)}) of "
            f"{_span(dataset.windows.series)} observations; one network for all of them sees the {CONTEXT} before. In "
            f"order of time {counts['train']:,} windows to train on, {counts['validation']:,} to stop by and "
            f"{counts['test']:,} to test. All are trained by the likelihood of the count's cell. The marginal is one "
            "law for all windows in units of each window's own deviation."
        ),
        rows=rows_of(found, FIGURES),
        figures=FIGURES,
        ours="SBP",
        notes=NOTES,
    )


def _span(series: tuple[Series, ...]) -> str:
    lengths = sorted({len(each) for each in series})
    return f"{lengths[0]:,}" if len(lengths) == 1 else f"{lengths[0]:,} to {lengths[-1]:,}"
