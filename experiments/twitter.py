"""Counts of mentions every five minutes, the kind of data of the method's paper: one network for all series.

The series differ by orders of magnitude, and each within itself: windows are in units of their own deviation, the
distribution is that of the count. NLL is of the count's own cell, the same for every row; CRPS and the error of the
median are in units of each series' mean deviation in its training part, so that no series is all of the mean.
"""

from pathlib import Path

from experiments.shared import counts
from experiments.shared.study import Options, rows_of
from sbp_jax.data.series.reading import Series
from sbp_jax.reporting.comparison import PP_ERRORS, Comparison, Figure
from sbp_jax.runs.run import load_run
from sbp_jax.training.stop import Stop

TITLE = "Counts of mentions"
FIGURES = {
    "nll": Figure("NLL of a count, nats", 4, judged=True),
    "crps": Figure("CRPS, deviations", 4, judged=True),
    "mae": Figure("MAE, deviations", 4),
    **PP_ERRORS,
}
NOTES = (
    "The paper reports its counts as figures, on a data set of its own that is not public: no row of it stands here. "
    "No distribution is known to be the true one, and none is told that a count is never negative.",
    "Binned's end bins reach to where a value is possible at all, ten thousand deviations away: its likelihood can do "
    "with that, its CRPS and median cannot, which is what tails are for.",
)


def make(options: Options, root: Path, stop: Stop | None = None) -> list[Comparison]:
    """The table of all series in the folder of counts."""
    found, folders, dataset = counts.networks(options, root / "twitter", stop)
    test = dataset.split("test")
    marginal = counts.figures_of(load_run(folders["SBP", 0]).marginal(test), test, counts.deviations(dataset))
    found |= {("Marginal", seed): marginal for seed in range(options.seeds)}
    sizes = {split: len(dataset.split(split)) for split in ("train", "validation", "test")}
    table = Comparison(
        title="Mention counts, one step ahead",
        about=(
            f"{len(dataset.windows.series)} series ({', '.join(each.name for each in dataset.windows.series)}) of "
            f"{_span(dataset.windows.series)} observations; one network for all of them sees the "
            f"{counts.CONTEXT} before. In order of time {sizes['train']:,} windows to train on, "
            f"{sizes['validation']:,} to stop by and {sizes['test']:,} to test. All are trained by the likelihood of "
            "the count's cell. The marginal is one distribution for all windows in units of each window's own "
            "deviation."
        ),
        rows=rows_of(found, FIGURES),
        figures=FIGURES,
        ours="SBP",
        notes=NOTES,
    )
    return [table]


def _span(series: tuple[Series, ...]) -> str:
    lengths = sorted({len(each) for each in series})
    return f"{lengths[0]:,}" if len(lengths) == 1 else f"{lengths[0]:,} to {lengths[-1]:,}"
