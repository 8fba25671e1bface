"""The published implementation and ours, property by property: python -m experiments.parity [--out FOLDER]."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sbp_jax.cli.flags import parse, run
from sbp_jax.evaluation.conformance import Case, Implementation, Ours, Reference, compare
from sbp_jax.evaluation.conformance.case import pareto_log_density
from sbp_jax.evaluation.conformance.measures import EXCESS, SCALE, total_mass
from sbp_jax.reporting.style import COLORS, figure
from sbp_jax.reporting.tables import markdown
from sbp_jax.runs import provenance

PROGRAM = "python -m experiments.parity"
INSTALL = "pip install 'sbp_jax[reference]'"
NOTES = """\
- Each row is one measurement of both implementations, in float32 unless stated otherwise: 100 uneven bins, tail mass
  0.05, shapes 0.2 and 0.3, scales 1.5 and 2.5 bin widths. Exact values are computed from the formulas in float64.
- Tolerances: 1e-6 for a probability, 5e-6 of max(1, |value|) for a logarithm or moment, 1e-4 of it for a derivative.
- gluonts: its density is `pdf`; its default `log_prob` is the training loss. Shapes of zero and below are measured
  without its argument checks. It has no survival function; its users have log(1 − cdf).
- The paper's own code is not an installable package and was not run, so it has no column."""


@dataclass(frozen=True)
class Options:
    """Measure the published distributions (gluonts, where installed) and ours; exit with 1 if ours fails a property.

    Attributes:
        out: folder for page.md, page.json and page.png.
    """

    out: Path = Path("experiments/results/parity")


def curves(ours: Implementation, reference: Implementation | None) -> dict[str, dict[str, list[float]]]:
    """Return the curves of the figure by panel."""
    sides = {"ours": ours} if reference is None else {"ours": ours, "reference": reference}
    widths = np.geomspace(0.02, 10.0, 7)
    case = Case.uneven(0.3)
    points, weights = case.nodes()
    order = np.argsort(points)
    points, weights = points[order], weights[order]
    shown = (points > -22.0) & (points < 28.0)
    xi = np.geomspace(1e-9, 0.3, 120)
    value, derivative = pareto_log_density(xi, SCALE, EXCESS)
    drawn: dict[str, dict[str, Any]] = {
        "mass": {"width": widths},
        "integral": {"y": points[shown], "width": [0.3], "cdf": case.cdf(points)[shown]},
        "log_density": {"xi": xi, "right": value},
        "derivative": {"xi": xi, "right": derivative},
    }
    for name, side in sides.items():
        drawn["mass"][name] = [total_mass(float(width), side).values["mass"] for width in widths]
        piece = weights * side.density(case, case.rounded(points))
        drawn["integral"][name] = (np.cumsum(piece) - piece / 2)[shown]
        drawn["log_density"][name], drawn["derivative"][name] = side.pareto(xi, SCALE, EXCESS)
    return {panel: {k: np.asarray(v, float).tolist() for k, v in c.items()} for panel, c in drawn.items()}


def command(args: list[str]) -> None:
    """Measure, print the table and write the results."""
    options = parse(Options, args, PROGRAM, folder="out")
    reference = Reference.load()
    if reference is None:
        print(f"gluonts and torch are not installed, so their column is empty; to fill it: {INSTALL}\n")
    heading = "gluonts.torch" if reference is None else f"gluonts.torch {version('gluonts')}"
    properties = compare(Ours(), reference)
    drawn = curves(Ours(), reference)
    described = provenance.describe()
    table = table_of(properties, heading)
    failing = [row["name"] for row in properties if not row["ours"]["holds"]]
    summary = _summary(properties, reference is not None)
    title = "The published distributions and ours, property by property"
    text = [
        provenance.heading(title, "experiments.parity", args, described),
        summary,
        table,
        "![total mass, integrated density, and a tail near shape zero](parity.png)",
        NOTES,
    ]
    call = provenance.command_line("experiments.parity", args)
    result = {"command": call, "machine": described, "reference": heading, "properties": properties, "curves": drawn}
    draw(options.out / "parity.png", drawn, heading)
    provenance.write_page(options.out, "parity", text, _finite(result))
    print(f"{table}\n\n{summary}\n{provenance.sentence(described)}")
    print(f"written to {options.out}: parity.md, parity.json, parity.png")
    if failing:
        print(f"error: ours fails: {'; '.join(failing)}", file=sys.stderr)
        sys.exit(1)


def _summary(properties: list[dict[str, Any]], installed: bool) -> str:
    ours = sum(row["ours"]["holds"] for row in properties)
    if not installed:
        return f"Ours has {ours} of {len(properties)} properties; gluonts is not installed ({INSTALL})."
    other = sum(row["reference"]["holds"] for row in properties)
    return f"Ours has {ours} of {len(properties)} properties, gluonts {other}."


def _finite(value: Any) -> Any:
    """The value for JSON, which has neither NaN nor infinity: they become text."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


ABSENT = "not installed"
_STYLES = {
    "ours": {"color": COLORS["sbp"], "lw": 1.8},
    "reference": {"color": COLORS["gaussian"], "lw": 1.8},
    "right": {"color": "#222222", "lw": 1.2, "ls": (0, (1, 2)), "zorder": 5},
}


def verdict(row: Mapping[str, Any]) -> str:
    """Return which implementations have the property, as text, and the name of the published defect, if any."""
    ours, reference = row["ours"]["holds"], row["reference"] and row["reference"]["holds"]
    if reference is None:
        return "ours holds" if ours else "ours fails"
    if reference:
        return "both hold" if ours else "only theirs"
    return ("only ours" if ours else "neither") + (f": {row['defect']}" if row["defect"] else "")


def table_of(properties: Sequence[Mapping[str, Any]], heading: str) -> str:
    """Return the properties as a Markdown table.

    Args:
        properties: each with `name`, `right`, `defect` and the findings `ours` and `reference` with `text` and `holds`;
            the latter is None where the reference implementation is not installed.
        heading: heading of the reference implementation's column.
    """
    rows = [
        [
            row["name"],
            row["right"],
            row["reference"]["text"] if row["reference"] else ABSENT,
            row["ours"]["text"],
            verdict(row),
        ]
        for row in properties
    ]
    return markdown(["property", "exact", heading, "ours", "verdict"], rows)


def draw(path: Path, curves: Mapping[str, Mapping[str, Sequence[float]]], label: str) -> None:
    """Draw total mass against bin width, cdf against integrated density, and a tail against its shape near zero.

    Args:
        path: PNG to write.
        curves: `mass` with `width`; `integral` with `y`, `cdf` and `width`; `log_density` and `derivative` with `xi`
            and `right`; each with `ours` and, where it is installed, `reference`, the reference implementation.
        label: the reference implementation's label in the legend.
    """
    names = {"ours": "sbp_jax", "reference": label, "right": "closed form"}
    with figure(path, 9.6, 6.4) as drawing:
        (mass, integral), (value, derivative) = drawing.subplots(2, 2)
        _lines(mass, curves["mass"], "width", names, marker="o", ms=4)
        mass.axhline(1.0, **_STYLES["right"])
        mass.set(title="Total mass of the density", xlabel="bin width", ylabel="mass", xscale="log", yscale="log")
        mass.legend(loc="upper left")

        curve = curves["integral"]
        integral.plot(curve["y"], curve["cdf"], label="the cdf", **_STYLES["right"])
        _lines(integral, curve, "y", names)
        integral.set(title=f"Density, integrated up to y (bins {curve['width'][0]:g} wide)", ylim=(-0.03, 1.05))
        integral.set(xlabel="outcome y", ylabel="integral")
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


def _lines(ax: Any, curve: Mapping[str, Sequence[float]], x: str, names: Mapping[str, str], **extra: Any) -> None:
    for side in ("reference", "ours", "right"):
        if side in curve:
            ax.plot(curve[x], np.asarray(curve[side]), label=names[side], **_STYLES[side], **extra)


if __name__ == "__main__":
    run(command, sys.argv[1:])
