"""Ablations: a table with intervals, plots, and a paragraph generated from the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sbp_jax.evaluation.statistics import (
    LEVEL,
    VERDICTS,
    Verdict,
    gap_closed,
    mean_interval,
    paired_difference,
)
from sbp_jax.reporting.style import COLORS, figure
from sbp_jax.reporting.tables import NAMES, markdown

if TYPE_CHECKING:
    import matplotlib.axes

# metrics in the table and the plot: heading and digits
SHOWN = {
    "nll": ("NLL, nats", 4),
    "crps": ("CRPS, yd", 4),
    "mae": ("MAE, yd", 3),
    "pp_lower": ("PP lower", 4),
    "pp_base": ("PP base", 4),
    "pp_upper": ("PP upper", 4),
    "pp_full": ("PP full", 4),
}
# proper scores: lower is better, and the true distribution is optimal
SCORES = {
    "nll": "negative log-likelihood",
    "crps": "CRPS",
}


@dataclass(frozen=True)
class Context:
    """The description of a grid; see `sbp_jax.cli.grid.Grid`."""

    title: str
    about: str
    reference: str
    axis: str = ""
    logarithmic: bool = False


def arms_of(table: pl.DataFrame) -> list[str]:
    """Return the arms with at least one completed training run, in order."""
    completed = table.filter(pl.col("nll").is_not_null())
    return completed["arm"].unique(maintain_order=True).to_list()


def report(
    table: pl.DataFrame, baselines: Mapping[str, Mapping[str, float]], context: Context, plays: tuple[int, int]
) -> list[str]:
    """Return paragraphs of Markdown: the setup, the table, and the findings.

    Args:
        table: one row per training run: arm, x, seed, diverged, and metrics, null where the run diverged.
        baselines: metrics of the marginal distribution, and of the true distribution if it is known.
        context: description of the grid.
        plays: numbers of training and test plays.
    """
    seeds = table["seed"].n_unique()
    header = ["arm", "seeds", *(heading for heading, _ in SHOWN.values())]
    rows = []
    for arm in arms_of(table):
        count = len(table.filter((pl.col("arm") == arm) & pl.col("nll").is_not_null()))
        cells = [mean_interval(table, arm, name).text(digits) for name, (_, digits) in SHOWN.items()]
        rows.append([arm, count, *cells])
    for name, metrics in baselines.items():
        rows.append([NAMES.get(name, name), "", *(f"{metrics[key]:.{digits}f}" for key, (_, digits) in SHOWN.items())])
    return [
        f"{context.about} {plays[0]:,} training plays, {plays[1]:,} test plays, {seeds} seeds per arm; mean and "
        f"{LEVEL:.0%} interval over the seeds of initialization, order of the plays and dropout, on one split.",
        markdown(header, rows),
        "What it shows. " + " ".join(shown(table, baselines, context)),
    ]


def shown(table: pl.DataFrame, baselines: Mapping[str, Mapping[str, float]], context: Context) -> list[str]:
    """Return sentences on the best arm by each proper score, differences from the reference, and the oracle gap."""
    sentences = []
    arms = arms_of(table)
    for name, title in SCORES.items():
        digits = SHOWN[name][1]
        means = {arm: mean_interval(table, arm, name).mean for arm in arms}
        best = min(arms, key=lambda arm: means[arm])
        sentences.append(f"By {title} the best arm is {best} ({means[best]:.{digits}f}).")
        if context.reference not in arms:
            continue
        groups: dict[Verdict, list[str]] = {verdict: [] for verdict in VERDICTS}
        for arm in arms:
            gap = None if arm == context.reference else paired_difference(table, arm, context.reference, name)
            if gap is not None:
                groups[gap.verdict].append(f"{arm} ({gap.mean:+.{digits}f})")
        better, worse, same = (", ".join(groups[verdict]) for verdict in VERDICTS)
        if better:
            sentences.append(f"Better than {context.reference}, paired by seed: {better}.")
        if worse:
            sentences.append(f"Worse than {context.reference}, paired by seed: {worse}.")
        if same:
            sentences.append(f"No significant difference from {context.reference} with these seeds: {same}.")
    if "oracle" in baselines:
        bounds = baselines["marginal"]["crps"], baselines["oracle"]["crps"]
        closed = {arm: gap_closed(mean_interval(table, arm, "crps").mean, *bounds) for arm in arms}
        low, high = min(closed, key=lambda arm: closed[arm]), max(closed, key=lambda arm: closed[arm])
        sentences.append(
            f"The arms close {closed[low]:.0%} ({low}) to {closed[high]:.0%} ({high}) of the CRPS gap between the "
            "marginal and the true distribution."
        )
    tail = {arm: sum(mean_interval(table, arm, name).mean for name in ("pp_lower", "pp_upper")) for arm in arms}
    calm = min(arms, key=lambda arm: tail[arm])
    sentences.append(f"The tails of {calm} are calibrated best (sum of both PP errors {tail[calm]:.4f}).")
    diverged = table.filter(pl.col("nll").is_null())
    if len(diverged):
        names = ", ".join(f"{arm} seed {seed}" for arm, seed in diverged.select("arm", "seed").iter_rows())
        sentences.append(f"Diverged and excluded: {names}.")
    return sentences


def drawing(path: Path, table: pl.DataFrame, baselines: Mapping[str, Mapping[str, float]], context: Context) -> None:
    """Plot NLL, CRPS and PP error of the arms: a point per training run, means with intervals, baselines in titles."""
    arms = arms_of(table)
    names = ("nll", "crps", "pp_full")
    positions = dict(table.filter(pl.col("x").is_not_null()).select("arm", "x").unique().iter_rows())
    categorical = [arm for arm in arms if arm not in positions]
    with figure(path, 10.5, 0.3 * len(categorical) + (3.4 if positions else 1.2)) as page:
        rows = [row for row in (bool(positions), bool(categorical)) if row]
        heights = ([3.0] if positions else []) + ([0.3 * len(categorical) + 0.8] if categorical else [])
        axes = page.subplots(len(rows), len(names), squeeze=False, height_ratios=heights)
        for column, name in enumerate(names):
            if positions:
                _along(axes[0, column], table, {a: positions[a] for a in arms if a in positions}, name, context)
            if categorical:
                _listed(axes[-1, column], table, categorical, name, with_names=column == 0)
            # a line for a baseline would compress the differences between arms
            titles = [f"{NAMES[each]} {metrics[name]:.{SHOWN[name][1]}f}" for each, metrics in baselines.items()]
            axes[0, column].set_title("\n".join(titles))
        page.suptitle(f"{context.title} (lower is better)")


def _along(
    axis: "matplotlib.axes.Axes", table: pl.DataFrame, positions: Mapping[str, float], name: str, context: Context
) -> None:
    points = table.filter(pl.col("arm").is_in(list(positions)) & pl.col(name).is_not_null())
    axis.plot(points["x"], points[name], ".", color="#999999", markersize=4)
    arms = sorted(positions, key=lambda arm: positions[arm])
    means = [mean_interval(table, arm, name) for arm in arms]
    half = np.nan_to_num([each.half for each in means])
    x = [positions[arm] for arm in arms]
    axis.errorbar(x, [each.mean for each in means], yerr=half, color=COLORS["sbp"], marker="o", markersize=4, capsize=2)
    axis.set(xlabel=context.axis, ylabel=SHOWN[name][0])
    if context.logarithmic:
        axis.set_xscale("log")


def _listed(axis: "matplotlib.axes.Axes", table: pl.DataFrame, arms: list[str], name: str, with_names: bool) -> None:
    for row, arm in enumerate(arms):
        values = table.filter((pl.col("arm") == arm) & pl.col(name).is_not_null())[name]
        interval = mean_interval(table, arm, name)
        axis.plot(values, [row] * len(values), ".", color="#999999", markersize=4)
        half = np.nan_to_num(interval.half)
        axis.errorbar([interval.mean], [row], xerr=[half], color=COLORS["sbp"], marker="o", markersize=4, capsize=2)
    axis.set_yticks(range(len(arms)), arms if with_names else [""] * len(arms))
    axis.set(ylim=(len(arms) - 0.5, -0.5), xlabel=SHOWN[name][0])
