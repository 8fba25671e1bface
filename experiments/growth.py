"""Metrics of the SBP network by number of plays and of parameters, between training marginal and true distribution.

Unlike `experiments.scale`, which measures how reading files scales. All networks share one set of simulated plays with
tracking and its test and validation games. The training sets are the first games of one order, so they are nested. The
number of epochs is fixed beforehand, larger for fewer plays, and each training run stops early on its own.

Time on 2 idle cores: 4 minutes to simulate and prepare the plays, once; 2 minutes to compile; 6 minutes per seed (1.7
million plays at the default network's 5,500 plays per second). In total, 24 minutes for 3 seeds, 36 for 5.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import polars as pl
from flax import nnx

from experiments.shared.study import Options, evaluated, sampled
from sbp_jax import configs
from sbp_jax.config import Config, DataConfig
from sbp_jax.data.plays import Sequences
from sbp_jax.evaluation import evaluate
from sbp_jax.evaluation.statistics import LEVEL, MeanInterval, gap_closed, mean_interval, paired_difference
from sbp_jax.reporting.comparison import PP_ERRORS, VERDICTS, Headline, Metric, listed
from sbp_jax.reporting.style import COLORS, figure
from sbp_jax.reporting.tables import markdown
from sbp_jax.runs.datasets import open_plays
from sbp_jax.runs.evaluate import oracle
from sbp_jax.runs.members import train_and_evaluate
from sbp_jax.runs.run import Run, load_run
from sbp_jax.runs.subset import FirstGames
from sbp_jax.training.stop import StopRequest

TITLE = "Plays and parameters"
Axis = Literal["plays", "parameters"]
METRICS = {
    "nll": Metric("NLL, nats", 4, compared=True),
    "crps": Metric("CRPS, yd", 4, compared=True),
    "mae": Metric("MAE, yd", 4),
    "pp_full": PP_ERRORS["pp_full"],
}
LOSSES = {name: each for name, each in METRICS.items() if each.compared}
CLOSED = ("gap closed, NLL", "gap closed, CRPS")
MARGINAL, ORACLE = "Marginal", "Oracle"
HEADINGS: dict[Axis, str] = {"plays": "training plays", "parameters": "parameters"}
LARGER: dict[Axis, str] = {"plays": "more training plays are", "parameters": "a larger network is"}


@dataclass(frozen=True)
class Growth:
    """The metrics of a network by its number of training plays, and by its number of parameters.

    Attributes:
        title: title of the page.
        about: description of the study, with units and sizes.
        rows: one row per training run, and one for each of `MARGINAL` and `ORACLE`. Columns: `arm` (the size in words),
            `axis` ("plays" or "parameters"; null for the bounds), `value` (the size), `seed`, the metrics, and
            `seconds`, null where the other axis has a row of the same training run.
    """

    title: str
    about: str
    rows: pl.DataFrame

    def arms(self, axis: Axis) -> dict[str, int]:
        """Return the sizes along an axis by name, in ascending order."""
        placed = self.rows.filter(pl.col("axis") == axis).sort("value")
        return dict(placed.select("arm", "value").unique(maintain_order=True).iter_rows())

    def mean(self, arm: str, name: str) -> MeanInterval:
        """Return the mean over seeds of a metric, for a size or for `MARGINAL` or `ORACLE`."""
        return mean_interval(self.rows, arm, name)

    def closed(self, arm: str, name: str) -> float:
        """Return the share of the gap between training marginal and true distribution that a size closes."""
        return gap_closed(*(self.mean(each, name).mean for each in (arm, MARGINAL, ORACLE)))

    def steps(self, axis: Axis, name: str) -> dict[tuple[str, str], MeanInterval]:
        """Return the difference in a metric between each size and the previous one, paired by seed."""
        gaps = {}
        for smaller, larger in itertools.pairwise(self.arms(axis)):
            gap = paired_difference(self.rows, larger, smaller, name)
            if gap is not None:
                gaps[smaller, larger] = gap
        return gaps


def table(growth: Growth, axis: Axis) -> str:
    """Return a Markdown table of means with intervals and gap closed by size; marginal and oracle come last."""
    header = [HEADINGS[axis], *(each.heading for each in METRICS.values()), *CLOSED]
    rows = [[f"{value:,}", *_means(growth, arm), *_closed(growth, arm)] for arm, value in growth.arms(axis).items()]
    rows += [[arm, *_means(growth, arm), *([""] * len(LOSSES))] for arm in (MARGINAL, ORACLE)]
    return markdown(header, rows)


def differences(growth: Growth, axis: Axis) -> str:
    """Return a Markdown table of differences between successive sizes, paired by seed; negative is better."""
    steps = {name: growth.steps(axis, name) for name in LOSSES}
    rows = [
        [f"{larger} - {smaller}", *(steps[name][smaller, larger].text(each.digits) for name, each in LOSSES.items())]
        for smaller, larger in steps["nll"]
    ]
    return markdown(["", *(each.heading for each in LOSSES.values())], rows)


def shares(growth: Growth, axis: Axis) -> list[str]:
    """Return sentences on the share of the gap between marginal and true distribution that each size closes."""
    closed = {name: [f"{growth.closed(arm, name):.0%} at {arm}" for arm in growth.arms(axis)] for name in LOSSES}
    return [
        f"Share of the {_short(name)} gap from training marginal to true distribution that is closed: {listed(parts)}."
        for name, parts in closed.items()
    ]


def helps(growth: Growth, axis: Axis) -> list[str]:
    """Return sentences on which steps to a larger size help significantly, which size is best, and the last step."""
    arms, sentences = growth.arms(axis), []
    if len(arms) < 2:
        return sentences
    steps = {name: growth.steps(axis, name) for name in LOSSES}
    for name, each in LOSSES.items():
        means = {arm: growth.mean(arm, name).mean for arm in arms}
        groups = []
        for verdict, word in VERDICTS.items():
            same = {between: gap for between, gap in steps[name].items() if gap.verdict == verdict}
            group = [f"from {low} to {high} ({gap.mean:+.{each.digits}f})" for (low, high), gap in same.items()]
            groups += [f"{word} {listed(group)}"] if group else []
        best = min(arms, key=lambda arm, means=means: means[arm])
        comparison = f"{LARGER[axis]}, paired by seed, {'; '.join(groups)}"
        sentences.append(f"{_short(name)}: {comparison}; the best mean is at {best}.")
    *_, last = itertools.pairwise(arms)
    better = [_short(name) for name in LOSSES if steps[name][last].verdict == "significantly better"]
    by = f"still helps by {listed(better)}" if better else "shows no improvement by either metric"
    return [*sentences, f"The last step, from {last[0]} to {last[1]}, {by}."]


def report(growth: Growth) -> list[str]:
    """Return the page as Markdown paragraphs: the setup, then for each axis a table, paired differences, findings."""
    seeds = growth.rows["seed"].n_unique() - growth.rows["seed"].has_nulls()
    parts = [f"{growth.about} {seeds} seeds; mean and {LEVEL:.0%} interval over them."]
    for axis in HEADINGS:
        parts += [
            f"### By {HEADINGS[axis]}",
            table(growth, axis),
            "Differences between successive sizes, paired by seed:",
            differences(growth, axis),
            "What it shows. " + " ".join([*shares(growth, axis), *helps(growth, axis)]),
        ]
    return parts


def headline(growth: Growth) -> Headline:
    """Return the table by training plays, with marginal and oracle, and whether more plays or a larger network help."""
    rows = [
        [arm, *(growth.mean(arm, name).text(each.digits) for name, each in LOSSES.items()), *_closed(growth, arm)]
        for arm in growth.arms("plays")
    ]
    for arm in (MARGINAL, ORACLE):
        means = [growth.mean(arm, name).text(each.digits) for name, each in LOSSES.items()]
        rows.append([arm, *means, *([""] * len(LOSSES))])
    header = ["SBP network", *(each.heading for each in LOSSES.values()), *CLOSED]
    return Headline(growth.title, header, rows, [*helps(growth, "plays")[-1:], *helps(growth, "parameters")])


def drawing(growth: Growth, path: Path) -> None:
    """Draw NLL and CRPS against plays and parameters to a PNG: one point per run, means with intervals, bounds."""
    with figure(path, 8.5, 6.2) as drawn:
        axes = drawn.subplots(len(LOSSES), len(HEADINGS), squeeze=False, sharey="row")
        for row, name in enumerate(LOSSES):
            for column, axis in enumerate(HEADINGS):
                _panel(axes[row, column], growth, axis, name)
                axes[row, column].set_ylabel(LOSSES[name].heading if column == 0 else "")
                axes[row, column].set_xlabel(HEADINGS[axis] if row == len(LOSSES) - 1 else "")
        axes[0, 0].legend()
        drawn.suptitle(f"{growth.title} (lower is better)")


def _panel(panel: Any, growth: Growth, axis: Axis, name: str) -> None:
    placed = growth.rows.filter(pl.col("axis") == axis)
    panel.plot(placed["value"], placed[name], ".", color="#BBBBBB", markersize=4)
    arms = growth.arms(axis)
    means = [growth.mean(arm, name) for arm in arms]
    half = np.nan_to_num([each.half for each in means])
    drawn = {"color": COLORS["sbp"], "marker": "o", "markersize": 4, "capsize": 2, "label": "SBP network"}
    panel.errorbar(list(arms.values()), [each.mean for each in means], yerr=half, **drawn)
    for arm, style in ((MARGINAL, ":"), (ORACLE, "--")):
        level = growth.mean(arm, name).mean
        panel.axhline(level, color=COLORS[arm.lower()], linestyle=style, label=arm)
    panel.set_xscale("log")
    panel.set_xticks(list(arms.values()), [f"{value:,}" for value in arms.values()])
    panel.minorticks_off()


def _short(name: str) -> str:
    return LOSSES[name].heading.split(",")[0]


def _means(growth: Growth, arm: str) -> list[str]:
    return [growth.mean(arm, name).text(each.digits) for name, each in METRICS.items()]


def _closed(growth: Growth, arm: str) -> list[str]:
    return [f"{growth.closed(arm, name):.0%}" for name in LOSSES]


@dataclass(frozen=True)
class Sizes:
    """Sizes of the study.

    Attributes:
        plays: number of simulated plays.
        epochs: maximum number of epochs by number of training plays, in ascending order.
        channels: widths of the networks that are trained on `at` plays.
        at: number of training plays of those networks.
    """

    plays: int
    epochs: dict[int, int]
    channels: tuple[int, ...]
    at: int


FULL = Sizes(62_000, {1_000: 40, 3_000: 25, 10_000: 15, 25_000: 12, 50_000: 10}, (8, 16, 32, 64, 128), 10_000)
QUICK = Sizes(1_800, {300: 1, 1_100: 1}, (8, 64), 300)


def make(options: Options, root: Path, stop: StopRequest | None = None) -> list[Growth]:
    """Train and evaluate all sizes; with `quick`, those of `QUICK` for one epoch.

    Raises:
        Stopped: a stop was requested; the same call resumes.
    """
    seeds, quick, root = options.seeds, options.quick, root / "scale"
    sizes = QUICK if quick else FULL
    base = configs.get("demo")
    assert isinstance(base.data, DataConfig)
    data = replace(base.data, plays=sizes.plays, test=0.2 if quick else 0.1, validation=0.1 if quick else 0.08)
    base, dataset = replace(base, data=data), open_plays(data)
    rows, largest = [], Path()
    for count, epochs in sizes.epochs.items():
        chosen = {seed: _of(base, epochs, seed) for seed in range(seeds)}
        part = FirstGames(dataset, count)
        results, folders = train_and_evaluate(chosen, part, root, _evaluated, stop)
        rows += _rows("plays", len(part.split("train")), results)
        largest = folders[0]
    part = FirstGames(dataset, sizes.at)
    chosen = {
        (channels, seed): _of(base, sizes.epochs[sizes.at], seed, channels)
        for channels in sizes.channels
        for seed in range(seeds)
    }
    results, _ = train_and_evaluate(chosen, part, root, _evaluated, stop)
    for channels in sizes.channels:
        own = {seed: metrics for (width, seed), metrics in results.items() if width == channels}
        if channels == base.network.channels:  # its training runs are also rows of the other axis
            own = {seed: {**metrics, "seconds": None} for seed, metrics in own.items()}
        rows += _rows("parameters", int(own[0]["parameters"]), own)
    test = sampled(dataset.split("test"))
    run = load_run(largest)
    y = run.outcome.bounded(test)
    for dist, name in ((run.marginal(test), MARGINAL), (oracle(dataset.truth(), test), ORACLE)):
        rows += _rows(None, None, {None: evaluate(dist, y).flat()}, name)
    growth = Growth(
        title="The network by plays and parameters",
        about=_about(sizes, len(part.split("train")), len(test), len(dataset.split("validation"))),
        rows=pl.DataFrame(rows, infer_schema_length=None),
    )
    return [growth]


def _of(base: Config, epochs: int, seed: int, channels: int | None = None) -> Config:
    """The base configuration with these epochs and width; hidden layers are four and two times as wide."""
    network = base.network
    if channels is not None:
        network = replace(network, channels=channels, hidden=(4 * channels, 2 * channels))
    return replace(base, network=network, training=replace(base.training, epochs=epochs, seed=seed))


def _evaluated(run: Run, plays: Sequences) -> dict[str, float]:
    parameters = sum(int(each.size) for each in jax.tree.leaves(nnx.state(run.model, nnx.Param)))
    return {**evaluated(run, plays), "parameters": parameters}


def _rows(
    axis: Axis | None, value: int | None, results: dict[Any, dict[str, Any]], name: str | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of one size, one per seed."""
    for seed, metrics in results.items():
        own = {key: metrics.get(key) for key in (*METRICS, "seconds")}
        yield {"arm": name or f"{value:,} {axis}", "axis": axis, "value": value, "seed": seed, **own}


def _about(sizes: Sizes, at: int, test: int, validation: int) -> str:
    low, high = min(sizes.epochs.values()), max(sizes.epochs.values())
    return (
        f"The configuration demo on simulated passes with tracking. All sizes share {test:,} test passes and "
        f"{validation:,} validation passes. The training sets are nested and consist of entire games; they are trained "
        f"for at most {high} epochs (the smallest) to {low} (the largest), fixed beforehand. The networks of other "
        f"sizes, whose hidden layers are four and two times as wide as the TCN's state, are trained on {at:,} plays. "
        "Intervals reflect initialization, batch order and dropout, on one draw of the games. The marginal is that of "
        "the largest training set, without a network; the oracle is the simulator's distribution for a league-average "
        "passer."
    )
