"""Tables and plots of the gradient check, from its rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sbp_jax.reporting.style import COLORS, figure
from sbp_jax.reporting.tables import markdown

Rows = Sequence[Mapping[str, Any]]


def worst(rows: Rows) -> list[Mapping[str, Any]]:
    """Return the row with the largest error relative to its bound for each parameterization, regime and precision."""
    largest: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for row in rows:
        key = row["parameterization"], row["regime"], row["precision"]
        if key not in largest or _ratio(row) > _ratio(largest[key]):
            largest[key] = row
    return list(largest.values())


def table(rows: Rows) -> str:
    """Return a table of the worst error relative to its bound, by parameterization, regime and precision."""
    largest = {(r["parameterization"], r["regime"], r["precision"]): r for r in worst(rows)}
    precisions = sorted({r["precision"] for r in rows})
    header = ["parameterization, regime"]
    for precision in precisions:
        header += [f"{precision}: worst error / bound", "of"]
    lines = []
    for name, regime in dict.fromkeys((r["parameterization"], r["regime"]) for r in rows):
        line = [f"{name}, {regime}"]
        for precision in precisions:
            row = largest.get((name, regime, precision))
            line += ["", ""] if row is None else [f"{_ratio(row):.3f}", str(row["quantity"])]
        lines.append(line)
    return markdown(header, lines)


def draw(path: Path, rows: Rows) -> None:
    """Plot every error relative to its bound by regime, one panel per precision; above the line a bound is missed."""
    precisions, regimes = sorted({r["precision"] for r in rows}), list(dict.fromkeys(r["regime"] for r in rows))
    names = list(dict.fromkeys(r["parameterization"] for r in rows))
    colors = [*COLORS.values(), "#E69F00", "#56B4E9", "#F0E442"]
    rng = np.random.default_rng(0)
    with figure(path, 6.2 * len(precisions), 4.4) as drawing:
        for ax, precision in zip(drawing.subplots(1, len(precisions), squeeze=False)[0], precisions, strict=True):
            for k, name in enumerate(names):
                mine = [r for r in rows if r["precision"] == precision and r["parameterization"] == name]
                x = np.array([regimes.index(r["regime"]) for r in mine]) + (k - len(names) / 2) * 0.12
                y = np.array([max(_ratio(r), 1e-6) for r in mine])
                ax.plot(x + rng.uniform(-0.04, 0.04, len(x)), y, ".", ms=2.5, color=colors[k], label=name)
            ax.axhline(1, color="black", lw=0.8, ls="--")
            ax.set_xticks(range(len(regimes)), regimes, rotation=25, ha="right")
            ax.set(yscale="log", ylabel="error / bound", title=f"{precision}: autodiff against 50 digits")
            ax.legend(markerscale=4, fontsize=7, loc="lower right")


def truth_table(rows: Rows) -> str:
    """Return a table by start, objective and parameterization: mean gradient, drift, and required consistency."""
    header = ["bins", "objective", "parameterization", "mean gradient", "drift, nats", "largest shape", "stays"]
    lines = []
    starts, objectives = (list(dict.fromkeys(row[name] for row in rows)) for name in ("start", "objective"))
    for row in sorted(rows, key=lambda row: (starts.index(row["start"]), objectives.index(row["objective"]))):
        stays = (
            ("yes" if row["ratio"] <= 1 else "MISSED") if row["consistent"] else "no" if row["ratio"] > 1 else "here"
        )
        measured = [f"{row['gradient']:.1e}", f"{row['drift']:+.1e}", f"{row['shape']:.2f}"]
        lines.append([row["start"], row["objective"], row["parameterization"], *measured, stays])
    return markdown(header, lines)


def draw_truth(path: Path, offsets: np.ndarray, profiles: Mapping[str, tuple[np.ndarray, float]]) -> None:
    """Plot the expected log-likelihood around the truth and the mean gradient there, one panel per objective."""
    with figure(path, 10.0, 4.2) as drawing:
        panels = drawing.subplots(1, len(profiles), sharey=True)
        for ax, (name, (values, slope)) in zip(panels, profiles.items(), strict=True):
            ax.plot(offsets, values - values[len(offsets) // 2], color="black", label="expected log-likelihood")
            ax.plot(offsets, slope * offsets, color=COLORS["sbp"], ls="--", label="slope by autodiff")
            ax.axvline(0, color="grey", lw=0.6)
            ax.set(xlabel="first logit - truth", title=name)
            ax.legend(fontsize=8, loc="lower center")
        drawing.axes[0].set_ylabel("nats per outcome, from the truth")


def _ratio(row: Mapping[str, Any]) -> float:
    return float("inf") if np.isnan(row["ratio"]) else row["ratio"]
