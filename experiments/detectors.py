"""Alarms on extremes: SPOT, DSPOT and NN-SPOT as published against tail probabilities predicted by SBP.

On the demo's series, whose distribution is known, and on counts of mentions. A calibrated detector raises false alarms
at its nominal rate on ordinary values; the extremes are spikes and ramps injected into a copy of the stream.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from tqdm import tqdm

from experiments.shared import counts, sinusoid
from experiments.shared.study import Options
from sbp_jax.data.plays import Sequences
from sbp_jax.data.prepared.splits import SPLITS
from sbp_jax.data.series.reading import Series, windows
from sbp_jax.data.series.sinusoid import TrueDistribution, draw
from sbp_jax.data.series.sinusoid import sinusoid as wave
from sbp_jax.data.series.windows import as_sequences
from sbp_jax.distributions.base import Distribution
from sbp_jax.errors import InputError
from sbp_jax.evaluation.alarms import Injected, found, inject
from sbp_jax.evaluation.detectors import SIDES, Alarms, NoTail, Side, Spot, dspot, nn_spot, spot, tail_alarms
from sbp_jax.reporting.comparison import Comparison, Metric
from sbp_jax.runs.datasets import SeriesDataset
from sbp_jax.runs.run import Run, load_run
from sbp_jax.training.stop import StopRequest

TITLE = "Alarms on extremes"
RATES = (1e-2, 1e-3, 1e-4)
STREAM, EVENTS = 100_000, 400  # number of values, and of events among them
RAMP, HEIGHT = 10, 10.0  # values in a ramp; height of events in mean deviations of the training part
COUNT_EVENTS, MIN_EVENTS = 20, 4  # events in each series; the minimum that has all kinds of events
METRICS = {
    **{f"share_{rate:g}": Metric(f"false alarms / nominal at {rate:g}", 2) for rate in RATES},
    **{f"spikes_{rate:g}": Metric(f"spikes hit at {rate:g}", 3) for rate in RATES},
    **{f"ramps_{rate:g}": Metric(f"ramps hit at {rate:g}", 3) for rate in RATES},
    **{f"delay_{rate:g}": Metric(f"delay on ramps at {rate:g}", 1) for rate in RATES},
    **{f"off_{rate:g}": Metric(f"relative error of the rate at {rate:g}", 2, True, tabled=False) for rate in RATES},
}
ABOUT = (
    "Half of the events are spikes, one value shifted by {height:g} mean deviations of the training part; the others "
    "are ramps, which reach that height at their tenth value. An event is hit if one of its values raises an alarm; "
    "the delay is the number of its values before that one. SPOT and DSPOT (mean of 10 values) have level 0.98 and "
    "adapt to the stream; NN-SPOT is SPOT on the residuals of the Gaussian network's mean; all three are calibrated on "
    "the training and validation parts. SBP raises an alarm where a predicted tail probability is below the rate. "
    "{sides}"
)
SIDED = {
    False: "Only high values raise alarms.",
    True: "High and low values raise alarms, each at half of the rate; every second event is downward.",
}
FAIRNESS = (
    "The metric is whether a detector keeps its rate, |false alarms / nominal - 1|. Hits are reported at each "
    "detector's own rate of false alarms, not at a common one: a detector that raises more false alarms than its "
    "nominal rate finds more events."
)


class View(NamedTuple):
    """A stream of N values with the Gaussian network's means and SBP's predictive distributions."""

    values: np.ndarray
    expected: np.ndarray
    dist: Distribution


@dataclass(frozen=True, eq=False)
class Stream:
    """The data on which detectors are evaluated.

    Attributes:
        calibration: values before the stream [M].
        expected: the Gaussian network's means of them [M].
        clean: the stream without events.
        changed: the same stream with events.
        injected: the events.
        truth: the distribution of each value, where it is known.
    """

    calibration: np.ndarray
    expected: np.ndarray
    clean: View
    changed: View
    injected: Injected
    truth: TrueDistribution | None = None


def _nn_spot(stream: Stream, view: View, how: Spot) -> Alarms:
    expected = {"expected_calibration": stream.expected, "expected_stream": view.expected}
    return nn_spot(stream.calibration, view.values, how, **expected)


def _oracle(stream: Stream, view: View, how: Spot) -> Alarms:
    assert stream.truth is not None
    upper = how.side == "upper"
    beyond = 1.0 - stream.truth.cdf_below(view.values) if upper else stream.truth.cdf(view.values)
    return Alarms(beyond < how.rate, np.full(len(view.values), np.nan))


DETECTORS: dict[str, Callable[[Stream, View, Spot], Alarms]] = {
    "SBP": lambda stream, view, how: tail_alarms(view.dist, view.values, how.rate, how.side),
    "SPOT": lambda stream, view, how: spot(stream.calibration, view.values, how),
    "DSPOT": lambda stream, view, how: dspot(stream.calibration, view.values, how),
    "NN-SPOT": _nn_spot,
    "Oracle": _oracle,
}


def raised(name: str, stream: Stream, view: View, rate: float, sides: tuple[Side, ...]) -> np.ndarray:
    """Return a detector's alarms on `sides`, each at its share of the rate [N]; none on a side without a tail."""
    alarms = np.zeros(len(view.values), bool)
    for side in sides:
        with suppress(NoTail):
            alarms |= DETECTORS[name](stream, view, Spot(rate / len(sides), side)).raised
    return alarms


def metrics_of(name: str, streams: list[Stream], both: bool) -> dict[str, float | None]:
    """Return a detector's metrics over streams."""
    values: dict[str, float | None] = {}
    sides: tuple[Side, ...] = SIDES if both else ("upper",)
    for rate in RATES:
        clean = [raised(name, stream, stream.clean, rate, sides) for stream in streams]
        changed = [raised(name, stream, stream.changed, rate, sides) for stream in streams]
        share = float(np.concatenate(clean).mean()) / rate
        metrics: dict[str, float | None] = {"share": share, "off": abs(share - 1)}
        for event, length in (("spikes", 1), ("ramps", RAMP)):
            of_each = [found(alarms, each.injected, length) for alarms, each in zip(changed, streams, strict=True)]
            metrics[event] = sum(each.hits for each in of_each) / sum(each.events for each in of_each)
            delays = np.concatenate([each.delays for each in of_each])
        metrics["delay"] = float(delays.mean()) if len(delays) else None
        values |= {f"{key}_{rate:g}": value for key, value in metrics.items()}
    return values


def make(options: Options, root: Path, stop: StopRequest | None = None) -> list[Comparison]:
    """Make one- and two-sided tables on both kinds of series, with the networks of the tables `pp` and `twitter`."""
    return [*on_the_sinusoid(options, root / "pp", stop), *on_counts(options, root / "twitter", stop)]


def on_the_sinusoid(options: Options, root: Path, stop: StopRequest | None) -> list[Comparison]:
    """Make one- and two-sided tables on the demo's series; `root` is the folder of its runs."""
    length, events = (5000, 15) if options.quick else (STREAM, EVENTS)
    rows: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for seed in tqdm(range(options.seeds), desc="detectors, synthetic", unit="seed"):
        _, folders, dataset = sinusoid.networks(seed, options.quick, root, stop)
        sbp, gaussian = load_run(folders["SBP"]), load_run(folders["Gaussian"])
        before = Sequences.concatenate([dataset.split("train"), dataset.split("validation")])
        values = draw(length, 1000 + seed)
        height = HEIGHT * counts.deviations(dataset)[0]
        expected, clean = _means(gaussian, before), _view(_windows_of(values), sbp, gaussian)
        for both, own in rows.items():
            injected = inject(values[sinusoid.CONTEXT :], events, height, seed=seed, both=both)
            changed = np.concatenate([values[: sinusoid.CONTEXT], injected.values])
            stream = Stream(
                before.outcome.astype(np.float64),
                expected,
                clean,
                _view(_windows_of(changed), sbp, gaussian),
                injected,
                truth=TrueDistribution(wave(length)[sinusoid.CONTEXT :]),
            )
            own += [{"arm": name, "seed": seed, **metrics_of(name, [stream], both)} for name in DETECTORS]
    about = (
        "Every seed has its own series and networks, as in the table pp, and a stream of "
        f"{length - sinusoid.CONTEXT:,} further values, with {events} events in its copy. The oracle knows each "
        "value's distribution. "
    )
    return [_comparison("the demo's series", about, rows[both], both, ("Oracle",)) for both in (False, True)]


def on_counts(options: Options, root: Path, stop: StopRequest | None) -> list[Comparison]:
    """Make one- and two-sided tables on counts; `root` is the folder of their runs."""
    _, folders, dataset = counts.networks(options, root, stop)
    units = counts.deviations(dataset)
    rows: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for seed in tqdm(range(options.seeds), desc="detectors, counts", unit="seed"):
        sbp, gaussian = load_run(folders["SBP", seed]), load_run(folders["Gaussian", seed])
        for both, own in rows.items():
            streams = [
                _of_counts(dataset, number, units[number], seed, both, sbp, gaussian)
                for number in range(len(dataset.windows.series))
            ]
            names = [name for name in DETECTORS if name != "Oracle"]  # the distribution is unknown
            own += [{"arm": name, "seed": seed, **metrics_of(name, streams, both)} for name in names]
    about = (
        f"The test parts of {len(dataset.windows.series)} series of counts, with each seed's networks of the table "
        f"twitter; at most {COUNT_EVENTS} events in a copy of each. Ordinary values are not labeled: real bursts of "
        "mentions count as false alarms. "
    )
    return [_comparison("mention counts", about, rows[both], both, ()) for both in (False, True)]


def _of_counts(
    dataset: SeriesDataset, number: int, unit: float, seed: int, both: bool, sbp: Run, gaussian: Run
) -> Stream:
    series = dataset.windows.series[number]
    parts = {split: dataset.split(split) for split in SPLITS}
    own = {split: plays.select(np.flatnonzero(plays.game_id == number)) for split, plays in parts.items()}
    before, test = Sequences.concatenate([own["train"], own["validation"]]), own["test"]
    events = min(COUNT_EVENTS, len(test) // (3 * RAMP))
    if events < MIN_EVENTS:
        size = MIN_EVENTS * 3 * RAMP
        raise InputError(f"{series.name}: expected at least {size} test values, got {len(test)}")
    injected = inject(test.outcome, events, HEIGHT * unit, seed=seed, both=both)
    values = series.value.copy()
    values[test.play_id] = np.maximum(np.round(injected.values), 0.0)  # still counts
    injected = injected._replace(values=values[test.play_id])
    changed = replace(series, value=values)
    cells = windows(changed, counts.CONTEXT, training=int(own["train"].play_id.max()) + 1)
    plays = as_sequences(changed, cells, number)
    plays = plays.select(np.flatnonzero(np.isin(plays.play_id, test.play_id)))
    return Stream(
        before.outcome.astype(np.float64),
        _means(gaussian, before),
        _view(test, sbp, gaussian),
        _view(plays, sbp, gaussian),
        injected,
    )


def _windows_of(values: np.ndarray) -> Sequences:
    """The windows of a stream with a full context."""
    series = Series("stream", np.arange(len(values), dtype=np.float64), values, 1.0, dated=False)
    plays = as_sequences(series, windows(series, sinusoid.CONTEXT))
    return plays.select(np.flatnonzero(plays.play_id >= sinusoid.CONTEXT))


def _view(plays: Sequences, sbp: Run, gaussian: Run) -> View:
    return View(plays.outcome.astype(np.float64), _means(gaussian, plays), sbp.predict(plays))


def _means(run: Run, plays: Sequences) -> np.ndarray:
    return np.asarray(run.predict_latent(plays).mean(), np.float64)


def _comparison(where: str, about: str, rows: list[dict[str, Any]], both: bool, known: tuple[str, ...]) -> Comparison:
    sided = "Two-sided" if both else "One-sided"
    return Comparison(
        title=f"{sided} alarms on {where}",
        about=about + ABOUT.format(height=HEIGHT, sides=SIDED[both]),
        rows=pl.DataFrame(rows, infer_schema_length=None),
        metrics=METRICS,
        ours="SBP",
        known=known,
        notes=(FAIRNESS,),
    )
