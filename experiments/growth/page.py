"""How a network's figures grow with its training plays and with its size: tables, a figure, sentences by rule."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from experiments.shared.headline import VERDICTS, Headline, listed
from sbp_jax.evaluation.statistics import LEVEL, MeanInterval, gap_closed, mean_interval, paired_difference
from sbp_jax.reporting.comparison import PP_ERRORS, Figure
from sbp_jax.reporting.style import COLOURS, figure
from sbp_jax.reporting.tables import markdown

Axis = Literal["plays", "parameters"]
FIGURES = {
    "nll": Figure("NLL, nats", 4, judged=True),
    "crps": Figure("CRPS, yd", 4, judged=True),
    "mae": Figure("MAE, yd", 4),
    "pp_full": PP_ERRORS["pp_full"],
}
JUDGED = {name: each for name, each in FIGURES.items() if each.judged}
CLOSED = ("gap closed, NLL", "gap closed, CRPS")
MARGINAL, ORACLE = "Marginal", "Oracle"
HEADINGS: dict[Axis, str] = {"plays": "training plays", "parameters": "parameters"}
LARGER: dict[Axis, str] = {"plays": "more training plays are", "parameters": "a larger network is"}


@dataclass(frozen=True)
class Growth:
    """The figures of one network by the number of its training plays, and by the number of its parameters.

    Attributes:
        title: of the page.
        about: what was done, with units and sizes.
        rows: one row a training, and one for each of `MARGINAL` and `ORACLE`: `arm`, which is the size in words,
            `axis` ("plays" or "parameters", null of the two), `value` (the size), `seed`, the figures, and `seconds`,
            null where the same training stands in a row of the other axis.
    """

    title: str
    about: str
    rows: pl.DataFrame

    def arms(self, axis: Axis) -> dict[str, int]:
        """The sizes along an axis, by their names, from the smallest."""
        placed = self.rows.filter(pl.col("axis") == axis).sort("value")
        return dict(placed.select("arm", "value").unique(maintain_order=True).iter_rows())

    def mean(self, arm: str, name: str) -> MeanInterval:
        """A figure of a size over the seeds, or of `MARGINAL` or `ORACLE`."""
        return mean_interval(self.rows, arm, name)

    def closed(self, arm: str, name: str) -> float:
        """Share of the gap between the training marginal and the true law that a size closes."""
        return gap_closed(*(self.mean(each, name).mean for each in (arm, MARGINAL, ORACLE)))

    def steps(self, axis: Axis, name: str) -> dict[tuple[str, str], MeanInterval]:
        """A figure of each size less that of the one before it, seed by seed."""
        found = {}
        for smaller, larger in itertools.pairwise(self.arms(axis)):
            gap = paired_difference(self.rows, larger, smaller, name)
            if gap is not None:
                found[smaller, larger] = gap
        return found


def table(growth: Growth, axis: Axis) -> str:
    """The means with their intervals and the share of the gap that each size closes; then marginal and true law."""
    header = [HEADINGS[axis], *(each.heading for each in FIGURES.values()), *CLOSED]
    rows = [[f"{value:,}", *_means(growth, arm), *_closed(growth, arm)] for arm, value in growth.arms(axis).items()]
    rows += [[arm, *_means(growth, arm), *([""] * len(JUDGED))] for arm in (MARGINAL, ORACLE)]
    return markdown(header, rows)


def differences(growth: Growth, axis: Axis) -> str:
    """Each size less the one before it, seed by seed: negative is better."""
    steps = {name: growth.steps(axis, name) for name in JUDGED}
    rows = [
        [f"{larger} less {smaller}", *(steps[name][smaller, larger].text(each.digits) for name, each in JUDGED.items())]
        for smaller, larger in steps["nll"]
    ]
    return markdown(["", *(each.heading for each in JUDGED.values())], rows)


def shares(growth: Growth, axis: Axis) -> list[str]:
    """By rule: the share of the gap between training marginal and true law that each size closes."""
    found = {name: [f"{growth.closed(arm, name):.0%} at {arm}" for arm in growth.arms(axis)] for name in JUDGED}
    return [
        f"Of the {_short(name)} gap between training marginal and true law it closes {listed(parts)}."
        for name, parts in found.items()
    ]


def helps(growth: Growth, axis: Axis) -> list[str]:
    """By rule: which steps to a larger size are told apart, which size is best, and the last step by itself."""
    arms, said = growth.arms(axis), []
    if len(arms) < 2:
        return said
    steps = {name: growth.steps(axis, name) for name in JUDGED}
    for name, each in JUDGED.items():
        means = {arm: growth.mean(arm, name).mean for arm in arms}
        told = []
        for verdict, word in VERDICTS.items():
            same = {between: gap for between, gap in steps[name].items() if gap.verdict == verdict}
            group = [f"from {low} to {high} ({gap.mean:+.{each.digits}f})" for (low, high), gap in same.items()]
            told += [f"{word} {listed(group)}"] if group else []
        best = min(arms, key=lambda arm, means=means: means[arm])
        said.append(f"{_short(name)}: {LARGER[axis]}, seed by seed, {'; '.join(told)}; the best mean is at {best}.")
    *_, last = itertools.pairwise(arms)
    better = [_short(name) for name in JUDGED if steps[name][last].verdict == "significantly better"]
    by = f"still helps by {listed(better)}" if better else "is not seen to help by either figure"
    return [*said, f"The last step, from {last[0]} to {last[1]}, {by}."]


def page(growth: Growth) -> list[str]:
    """Paragraphs of Markdown: what was done, and along each axis the table, the paired differences, what they show."""
    seeds = growth.rows["seed"].n_unique() - growth.rows["seed"].has_nulls()
    parts = [f"{growth.about} {seeds} seeds; mean and {LEVEL:.0%} interval over them."]
    for axis in HEADINGS:
        parts += [
            f"### By {HEADINGS[axis]}",
            table(growth, axis),
            "Each size less the one before it, seed by seed:",
            differences(growth, axis),
            "What it shows. " + " ".join([*shares(growth, axis), *helps(growth, axis)]),
        ]
    return parts


def headline(growth: Growth) -> Headline:
    """Each number of training plays with marginal and true law, and whether more plays help or a larger network."""
    rows = [
        [arm, *(growth.mean(arm, name).text(each.digits) for name, each in JUDGED.items()), *_closed(growth, arm)]
        for arm in growth.arms("plays")
    ]
    for arm in (MARGINAL, ORACLE):
        means = [growth.mean(arm, name).text(each.digits) for name, each in JUDGED.items()]
        rows.append([arm, *means, *([""] * len(JUDGED))])
    header = ["SBP network", *(each.heading for each in JUDGED.values()), *CLOSED]
    return Headline(growth.title, header, rows, [*helps(growth, "plays")[-1:], *helps(growth, "parameters")])


def drawing(path: Path, growth: Growth) -> None:
    """NLL and CRPS against plays and parameters: every training a point, means with intervals, the bounds as lines.

    Args:
        path: PNG to write.
        growth: what it shows.
    """
    with figure(path, 8.5, 6.2) as drawn:
        axes = drawn.subplots(len(JUDGED), len(HEADINGS), squeeze=False, sharey="row")
        for row, name in enumerate(JUDGED):
            for column, axis in enumerate(HEADINGS):
                _panel(axes[row, column], growth, axis, name)
                axes[row, column].set_ylabel(JUDGED[name].heading if column == 0 else "")
                axes[row, column].set_xlabel(HEADINGS[axis] if row == len(JUDGED) - 1 else "")
        axes[0, 0].legend()
        drawn.suptitle(f"{growth.title} (lower is better)")


def _panel(panel: Axes, growth: Growth, axis: Axis, name: str) -> None:
    placed = growth.rows.filter(pl.col("axis") == axis)
    panel.plot(placed["value"], placed[name], ".", color="#BBBBBB", markersize=4)
    arms = growth.arms(axis)
    found = [growth.mean(arm, name) for arm in arms]
    half = np.nan_to_num([each.half for each in found])
    drawn = {"color": COLOURS["sbp"], "marker": "o", "markersize": 4, "capsize": 2, "label": "SBP network"}
    panel.errorbar(list(arms.values()), [each.mean for each in found], yerr=half, **drawn)
    for arm, style in ((MARGINAL, ":"), (ORACLE, "--")):
        level = growth.mean(arm, name).mean
        panel.axhline(level, color=COLOURS[arm.lower()], linestyle=style, label=arm)
    panel.set_xscale("log")
    panel.set_xticks(list(arms.values()), [f"{value:,}" for value in arms.values()])
    panel.minorticks_off()


def _short(name: str) -> str:
    return JUDGED[name].heading.split(",")[0]


def _means(growth: Growth, arm: str) -> list[str]:
    return [growth.mean(arm, name).text(each.digits) for name, each in FIGURES.items()]


def _closed(growth: Growth, arm: str) -> list[str]:
    return [f"{growth.closed(arm, name):.0%}" for name in JUDGED]
