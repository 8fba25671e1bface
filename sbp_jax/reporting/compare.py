"""Comparison of runs: tables and curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sbp_jax.reporting.style import figure
from sbp_jax.reporting.tables import markdown, metrics_table


def page(
    differing: Mapping[str, Sequence[Any]],
    runs: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, Mapping[str, Any]],
    notes: Sequence[str],
    unit: str = "yd",
) -> str:
    """Return Markdown with configuration differences, the training and metrics of each run, and notes.

    Args:
        differing: field -> value for each run, in order.
        runs: run -> description of its training, with the same names for each run.
        metrics: run -> metrics, as in `metrics_table`; runs without an evaluation are missing.
        notes: sentences, such as on runs that could not be read.
        unit: unit of the outcome, as in `metrics_table`.
    """
    parts = []
    if differing:
        parts.append(markdown(["field", *runs], [[name, *map(_cell, values)] for name, values in differing.items()]))
    elif len(runs) > 1:
        parts.append("The configurations are the same.")
    rows = list(next(iter(runs.values())))
    table = [[row, *(_cell(each[row]) for each in runs.values())] for row in rows]
    parts.append(markdown(["training", *runs], table))
    if metrics:
        parts.append(metrics_table(metrics, unit))
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def losses(path: Path, histories: Mapping[str, Sequence[Mapping[str, int | float]]]) -> None:
    """Plot training (thin) and validation losses of all runs against the epoch, with the best epochs marked."""
    with figure(path, 7.0, 4.0) as drawing:
        from matplotlib import colormaps
        from matplotlib.ticker import MaxNLocator

        colors = colormaps["tab10"]
        ax = drawing.subplots()
        for i, (name, history) in enumerate(histories.items()):
            if not history:
                continue
            epochs = [row["epoch"] for row in history]
            validation = np.array([row["validation_loss"] for row in history])
            ax.plot(epochs, [row["training_loss"] for row in history], color=colors(i % 10), lw=0.7, alpha=0.6)
            ax.plot(epochs, validation, color=colors(i % 10), label=name)
            if np.isfinite(validation).any():
                best = int(np.nanargmin(validation))
                ax.plot(epochs[best], validation[best], "o", color=colors(i % 10), markersize=4)
        ax.set(xlabel="epoch", ylabel="loss, nats per play (thin: training)")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend()


def pp(path: Path, levels: np.ndarray, curves: Mapping[str, np.ndarray]) -> None:
    """Plot the fraction of outcomes below each predictive quantile minus its level, by run; the truth is 0."""
    with figure(path, 7.0, 3.2) as drawing:
        from matplotlib import colormaps

        colors = colormaps["tab10"]
        ax = drawing.subplots()
        for i, (name, fraction) in enumerate(curves.items()):
            ax.plot(levels, fraction - levels, color=colors(i % 10), label=name)
        ax.axhline(0.0, color="#333333", lw=0.8)
        ax.set(xlabel="level q", ylabel="fraction below the q-quantile - q")
        ax.legend()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
