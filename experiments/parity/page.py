"""Two implementations side by side, drawn from results alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from sbp_jax.reporting.style import COLOURS, figure

ABSENT = "not installed"
_STYLES = {
    "ours": {"color": COLOURS["sbp"], "lw": 1.8},
    "peer": {"color": COLOURS["gaussian"], "lw": 1.8},
    "right": {"color": "#222222", "lw": 1.2, "ls": (0, (1, 2)), "zorder": 5},
}


def verdict(row: Mapping[str, Any]) -> str:
    """Who has the property, in words, and the published defect's name where it shows."""
    ours, peer = row["ours"]["holds"], row["peer"] and row["peer"]["holds"]
    if peer is None:
        return "ours holds" if ours else "ours fails"
    if peer:
        return "both hold" if ours else "only theirs"
    return ("only ours" if ours else "neither") + (f": {row['defect']}" if row["defect"] else "")


def table(properties: Sequence[Mapping[str, Any]], peer: str) -> str:
    """The properties as a Markdown table.

    Args:
        properties: each with `name`, `right`, `defect` and the findings `ours` and `peer`, with `text` and `holds`;
            `peer` is None where the package is not installed.
        peer: heading of its column.
    """
    lines = [f"| property | right | {peer} | ours | verdict |", "| --- | --- | --- | --- | --- |"]
    for row in properties:
        ours, theirs = row["ours"], row["peer"]
        cells = [row["name"], row["right"], theirs["text"] if theirs else ABSENT, ours["text"], verdict(row)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def draw(path: Path, curves: Mapping[str, Mapping[str, Sequence[float]]], peer: str) -> None:
    """Total mass against the bin width, cdf against the integrated density, and a tail against its shape near zero.

    Args:
        path: PNG to write.
        curves: `mass` with `width`; `integral` with `y`, `cdf` and `width`; `log_density` and `derivative` with `xi`
            and `right`; each with `ours` and, where it is installed, `peer`.
        peer: name for the legend.
    """
    names = {"ours": "sbp_jax", "peer": peer, "right": "closed form"}
    with figure(path, 9.6, 6.4) as drawing:
        (mass, integral), (value, derivative) = drawing.subplots(2, 2)
        _lines(mass, curves["mass"], "width", names, marker="o", ms=4)
        mass.axhline(1.0, **_STYLES["right"])
        mass.set(title="Total mass of the density", xlabel="bin width", ylabel="mass", xscale="log", yscale="log")
        mass.legend(loc="upper left")

        curve = curves["integral"]
        integral.plot(curve["y"], curve["cdf"], label="the cdf", **_STYLES["right"])
        _lines(integral, curve, "y", names)
        integral.set(
            title=f"Density, integrated up to y (bins {curve['width'][0]:g} wide)",
            xlabel="outcome y",
            ylabel="integral",
            ylim=(-0.03, 1.05),
        )
        integral.legend(loc="center right", bbox_to_anchor=(1.0, 0.66))

        for ax, name, title in (
            (value, "log_density", "Log-density of a tail (z = 6, β = 1.5)"),
            (derivative, "derivative", "Its derivative in the shape ξ"),
        ):
            _lines(ax, curves[name], "xi", names)
            ax.set(title=title, xlabel="shape ξ", xscale="log")
        value.set_ylabel("log g(z)")
        value.legend(loc="upper right")
        derivative.set(ylabel="∂ log g / ∂ξ")
        derivative.set_yscale("symlog", linthresh=10.0)
        derivative.set_ylim(top=100.0)
        derivative.axhline(0.0, color="#999999", lw=0.6)


def _lines(ax: Axes, curve: Mapping[str, Sequence[float]], x: str, names: Mapping[str, str], **extra: Any) -> None:
    for side in ("peer", "ours", "right"):
        if side in curve:
            ax.plot(curve[x], np.asarray(curve[side]), label=names[side], **_STYLES[side], **extra)
