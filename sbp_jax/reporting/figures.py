"""The demo's figures, drawn from saved results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from sbp_jax.reporting.style import ACTUAL, COLORS, figure
from sbp_jax.reporting.tables import NAMES

AVERAGE = 74.5  # the league's passing score


def training_curves(path: Path, histories: Mapping[str, Sequence[Mapping[str, int | float]]]) -> None:
    """Plot training and validation loss against the epoch, one panel per model, with the selected epoch marked.

    Args:
        path: PNG to write.
        histories: rows of `epoch`, `training_loss`, `validation_loss` (nats per play) by model.
    """
    with figure(path, 4.2 * len(histories), 3.2) as drawing:
        from matplotlib.ticker import MaxNLocator

        axes = drawing.subplots(1, len(histories), squeeze=False)[0]
        for ax, (model, history) in zip(axes, histories.items(), strict=True):
            epochs = [row["epoch"] for row in history]
            validation = np.array([row["validation_loss"] for row in history])
            ax.plot(epochs, [row["training_loss"] for row in history], color="#999999", label="training (with dropout)")
            if np.isfinite(validation).any():
                best = int(np.nanargmin(validation))
                ax.plot(epochs, validation, color=COLORS.get(model), label="validation")
                ax.plot(
                    epochs[best], validation[best], "o", color=COLORS.get(model), label=f"best: {validation[best]:.3f}"
                )
            ax.set(title=NAMES.get(model, model), xlabel="epoch", ylabel="loss, nats per play")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.legend()


@dataclass(frozen=True)
class DensityPanel:
    """One play: title, probability of each integer outcome by model, actual outcome and both thresholds (yards)."""

    title: str
    yards: np.ndarray
    probability: Mapping[str, np.ndarray]
    actual: float
    thresholds: tuple[float, float] | None = None


def predictive_densities(path: Path, panels: Sequence[DensityPanel]) -> None:
    """Plot the predictive probability of each yard for contrasting plays, on a logarithmic axis to show the tails."""
    columns = min(3, max(1, len(panels)))
    rows = -(-len(panels) // columns)
    with figure(path, 4.2 * columns, 2.9 * rows) as drawing:
        axes = drawing.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for ax in axes[len(panels) :]:
            ax.set_visible(False)
        for ax, panel in zip(axes, panels, strict=False):
            for model, probability in panel.probability.items():
                ax.step(panel.yards, probability, where="mid", lw=1.3, color=COLORS[model], label=NAMES[model])
            for threshold in panel.thresholds or ():
                ax.axvline(threshold, color=COLORS["sbp"], lw=0.7, ls=":")
            ax.axvline(panel.actual, color=ACTUAL, lw=1.6, ls="--", label="actual yards")
            ax.set(title=panel.title, xlabel="yards gained", yscale="log", ylim=(1e-5, 1))
        for ax in axes[::columns]:
            ax.set_ylabel("probability of the yard")
        axes[0].legend(fontsize=7)


def pp_plot(path: Path, levels: np.ndarray, shares: Mapping[str, np.ndarray], lower: float, upper: float) -> None:
    """Plot the fraction of outcomes below each predictive quantile, over all levels and with each tail enlarged.

    Args:
        path: PNG to write.
        levels: q, increasing.
        shares: y_q by model.
        lower: the lower tail is q below this.
        upper: the upper tail is q above this.
    """
    views = (("all levels", 0.0, 1.0), ("lower tail", 0.0, lower), ("upper tail", upper, 1.0))
    with figure(path, 12.0, 4.0) as drawing:
        for ax, (title, low, high) in zip(drawing.subplots(1, 3), views, strict=True):
            margin = 0.02 * (high - low)
            ax.plot([low, high], [low, high], color="black", lw=0.7, ls=":", label="calibrated")
            for model, fraction in shares.items():
                inside = (levels >= low - margin) & (levels <= high + margin)
                ax.plot(levels[inside], fraction[inside], color=COLORS[model], lw=1.4, label=NAMES[model])
            ax.set(title=title, xlabel="level q of the predictive quantile", xlim=(low - margin, high + margin))
            ax.set_ylabel("fraction of outcomes below it")
            if title == "all levels":
                ax.legend(fontsize=8)


@dataclass(frozen=True)
class Truth:
    """The simulated true skill of each passer in a leaderboard, and its rank correlation with the passing score."""

    skill: Mapping[int, float] = field(default_factory=dict)
    rank_correlation: float = float("nan")


def leaderboard(path: Path, table: pl.DataFrame, truth: Truth | None = None, most: int = 40) -> None:
    """Plot quarterbacks by passing score with 90 % intervals, next to their true skill if it is known.

    Args:
        path: PNG to write.
        table: columns passer_id, passer, plays, passing_score, passing_low, passing_high; best first.
        truth: true skill by passer_id.
        most: maximum number of rows.
    """
    table = table.head(most)
    ranks = np.arange(len(table))
    score, low, high = (table[name].to_numpy() for name in ("passing_score", "passing_low", "passing_high"))
    error = np.stack([score - low, high - score])
    with figure(path, 11.0 if truth else 6.5, 1.2 + 0.2 * len(table)) as drawing:
        axes = drawing.subplots(1, 2 if truth else 1, squeeze=False)[0]
        axes[0].errorbar(score, ranks, xerr=error, fmt="o", ms=4, lw=1, color=COLORS["sbp"])
        axes[0].axvline(AVERAGE, color="black", lw=0.7, ls=":")
        names = [f"{row['passer']} ({row['plays']})" for row in table.iter_rows(named=True)]
        axes[0].set_yticks(ranks, names, fontsize=7)
        axes[0].invert_yaxis()
        axes[0].set(xlabel="passing score (50 to 99), 90 % interval", title="Quarterbacks (plays)")
        if truth:
            skill = np.array([truth.skill.get(i, np.nan) for i in table["passer_id"].to_list()])
            axes[1].errorbar(skill, score, yerr=error, fmt="o", ms=4, lw=0.8, color=COLORS["oracle"])
            axes[1].set(
                xlabel="true skill of the simulator (league standard deviations)",
                ylabel="passing score",
                title=f"Rank correlation {truth.rank_correlation:.2f}",
            )
