"""Counts of mentions every five minutes, the kind of data of the method's paper: one network for all series.

Counts differ by orders of magnitude, between series and within them: windows are in units of their own deviation, and
the predicted distribution is that of the count. The NLL is that of the count's cell, the same for every row. CRPS and
the error of the median are in units of each series' mean deviation in its training part, so that none dominates.
"""

from pathlib import Path

from experiments.shared import counts
from experiments.shared.study import Options, rows_of
from sbp_jax.data.series.reading import Series
from sbp_jax.reporting.comparison import PP_ERRORS, Comparison, Metric
from sbp_jax.runs.run import load_run
from sbp_jax.training.stop import StopRequest

TITLE = "Counts of mentions"
METRICS = {
    "nll": Metric("NLL of a count, nats", 4, compared=True),
    "crps": Metric("CRPS, deviations", 4, compared=True),
    "mae": Metric("MAE, deviations", 4),
    **PP_ERRORS,
}
NOTES = (
    "The paper shows its counts as plots, on a data set of its own that is not public: none of its rows are here. The "
    "true distribution is unknown, and no model is constrained to nonnegative counts.",
    "Binned's end bins extend to the end of the support, ten thousand deviations away: its likelihood tolerates that, "
    "its CRPS and median do not, which is what tails are for.",
)


def make(options: Options, root: Path, stop: StopRequest | None = None) -> list[Comparison]:
    """Make the table of all series in the folder of counts."""
    results, folders, dataset = counts.networks(options, root / "twitter", stop)
    test = dataset.split("test")
    marginal = counts.metrics_of(load_run(folders["SBP", 0]).marginal(test), test, counts.deviations(dataset))
    results |= {("Marginal", seed): marginal for seed in range(options.seeds)}
    sizes = {split: len(dataset.split(split)) for split in ("train", "validation", "test")}
    table = Comparison(
        title="Mention counts, one step ahead",
        about=(
            f"{len(dataset.windows.series)} series ({', '.join(each.name for each in dataset.windows.series)}) of "
            f"{_span(dataset.windows.series)} observations; one network for all of them sees the previous "
            f"{counts.CONTEXT} values. In order of time, there are {sizes['train']:,} training, "
            f"{sizes['validation']:,} validation and {sizes['test']:,} test windows. All models are trained by the "
            "likelihood of the count's cell. The marginal is one distribution for all windows in units of each "
            "window's own deviation."
        ),
        rows=rows_of(results, METRICS),
        metrics=METRICS,
        ours="SBP",
        notes=NOTES,
    )
    return [table]


def _span(series: tuple[Series, ...]) -> str:
    """The number of observations of a series, or its range."""
    lengths = sorted({len(each) for each in series})
    return f"{lengths[0]:,}" if len(lengths) == 1 else f"{lengths[0]:,} to {lengths[-1]:,}"
