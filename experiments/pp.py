"""The public demo's table: probability-probability errors on a sinusoid with asymmetric heavy-tailed noise and spikes.

PP errors alone mislead: a network that predicts the same distribution everywhere has small ones. Every row therefore
also has the negative log-likelihood of cells of one width, CRPS, the error of the median, and the spread of the
predicted medians.
"""

from pathlib import Path

from experiments.shared import sinusoid
from experiments.shared.study import MetricValues, Options, rows_of
from sbp_jax.reporting.comparison import PP_ERRORS, Comparison, Metric
from sbp_jax.runs.run import load_run
from sbp_jax.training.stop import StopRequest

TITLE = "Probability-probability errors"
METRICS = {
    "nll": Metric(f"NLL of cells of {sinusoid.WIDTH}, nats", 4, compared=True),
    "crps": Metric("CRPS", 4, compared=True),
    "mae": Metric("MAE", 4),
    **PP_ERRORS,
    "spread": Metric("spread of medians", 3),
}
PUBLISHED: dict[str, dict[str, float]] = {
    "SBP, published": dict(zip(PP_ERRORS, (0.0061, 0.0608, 0.0070, 0.0398), strict=True)),
    "Binned, published": dict(zip(PP_ERRORS, (0.0062, 0.0837, 0.0076, 0.0539), strict=True)),
    "Gaussian, published": dict(zip(PP_ERRORS, (0.1060, 0.3817, 0.0223, 0.2597), strict=True)),
}
NOTES = [
    "The published rows are from one series and from code whose body does not integrate to one and whose Gaussian has "
    "no scale; forecasts were compared with the value two steps later. They have no other metric, and say nothing "
    "about sharpness.",
    "SBP's objective and bins were chosen while looking at the test values of two of the first five series.",
]


def make(options: Options, root: Path, stop: StopRequest | None = None) -> list[Comparison]:
    """Make the table: every seed has its own series, on which all models are trained."""
    results: dict[tuple[str, int], MetricValues] = {}
    for seed in range(options.seeds):
        metrics, folders, dataset = sinusoid.networks(seed, options.quick, root / "pp", stop)
        test = dataset.split("test")
        run = load_run(folders["SBP"])
        metrics |= {"Marginal": sinusoid.metrics_of(run.marginal(test), test), "Oracle": sinusoid.oracle(test)}
        results |= {(name, seed): each for name, each in metrics.items()}
    comparison = Comparison(
        title="The public demo's series",
        about=(
            f"A sinusoid with asymmetric heavy-tailed noise and spikes, predicted one step ahead from 100 values. "
            f"Every seed has its own series of {sinusoid.TRAIN:,} training, {sinusoid.VALIDATION:,} validation and "
            f"{sinusoid.TEST:,} test values. SBP is trained by its composite likelihood, the others by their density. "
            "The marginal is one distribution for all windows in units of each window's own deviation; the oracle "
            "knows the sinusoid."
        ),
        rows=rows_of(results, METRICS),
        metrics=METRICS,
        ours="SBP",
        known=("Oracle",),
        published=PUBLISHED,
        notes=NOTES,
    )
    return [comparison]
