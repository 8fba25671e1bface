"""The published implementation and ours, property by property: python -m experiments.parity [--out FOLDER]."""

import json
import math
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from experiments.parity import page
from sbp_jax.cli.flags import parse
from sbp_jax.evaluation.conformance import PROPERTIES, Case, Implementation, Ours, Reference, measure
from sbp_jax.evaluation.conformance.case import pareto_log_density
from sbp_jax.evaluation.conformance.measures import EXCESS, SCALE
from sbp_jax.runs import provenance

PROGRAM = "python -m experiments.parity"
INSTALL = "pip install 'sbp_jax[reference]'"
NOTES = """\
- Each row is one measuring function applied to both sides, in float32 unless it says otherwise: 100 uneven bins, tail
  mass 0.05, shapes 0.2 and 0.3, scales 1.5 and 2.5 bin widths. What is right is computed from the formulas in float64.
- A figure holds within 1e-6 for a probability, 5e-6 of max(1, |value|) for a logarithm or moment, 1e-4 of it for a
  derivative.
- gluonts: its density is `pdf`, its default `log_prob` the training loss. Shapes of zero and below are measured with
  its checks of arguments off. It has no survival function: log(1 − cdf) is what its user can take.
- The paper's own code is not an installable package and was not run, so it has no column."""


@dataclass(frozen=True)
class Options:
    """Measure the published distributions (gluonts, where installed) and ours; exit code 1 if ours fails a property.

    Attributes:
        out: folder for page.md, page.json and page.png.
    """

    out: Path = Path("experiments/results/parity")


def compare(ours: Implementation, peer: Implementation | None) -> list[dict[str, Any]]:
    """Every property with its findings on both sides; that of the peer is None where it is not installed."""
    return [
        {
            "name": prop.name,
            "right": prop.right,
            "defect": prop.defect,
            "ours": asdict(measure(prop, ours)),
            "peer": None if peer is None else asdict(measure(prop, peer)),
        }
        for prop in PROPERTIES
    ]


def curves(ours: Implementation, peer: Implementation | None) -> dict[str, dict[str, list[float]]]:
    """What the figure shows, by panel."""
    sides = {"ours": ours} if peer is None else {"ours": ours, "peer": peer}
    widths = np.geomspace(0.02, 10.0, 7)
    case = Case.uneven(0.3)
    points, weights = case.nodes()
    rising = np.argsort(points)
    points, weights = points[rising], weights[rising]
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
        drawn["mass"][name] = [_mass(side, Case.uneven(float(width))) for width in widths]
        piece = weights * side.density(case, case.rounded(points))
        drawn["integral"][name] = (np.cumsum(piece) - piece / 2)[shown]
        drawn["log_density"][name], drawn["derivative"][name] = side.pareto(xi, SCALE, EXCESS)
    return {panel: {k: np.asarray(v, float).tolist() for k, v in c.items()} for panel, c in drawn.items()}


def command(args: list[str]) -> None:
    """Measure, print the table and write the results."""
    options = parse(Options, args, PROGRAM)
    peer = Reference.load()
    if peer is None:
        print(f"gluonts and torch are not installed, so their column is empty; to fill it: {INSTALL}\n")
    heading = "gluonts.torch" if peer is None else f"gluonts.torch {version('gluonts')}"
    properties = compare(Ours(), peer)
    drawn = curves(Ours(), peer)
    described = provenance.describe()
    table = page.table(properties, heading)
    failing = [row["name"] for row in properties if not row["ours"]["holds"]]
    summary = _summary(properties, peer is not None)

    options.out.mkdir(parents=True, exist_ok=True)
    result = {
        "command": provenance.command_line("experiments.parity", args),
        "machine": described,
        "peer": heading,
        "properties": properties,
        "curves": drawn,
    }
    (options.out / "parity.json").write_text(json.dumps(_finite(result), indent=1, allow_nan=False) + "\n")
    page.draw(options.out / "parity.png", drawn, heading)
    text = [
        provenance.heading(
            "The published distributions and ours, property by property", "experiments.parity", args, described
        ),
        summary,
        table,
        "![total mass, integrated density, and a tail near shape zero](parity.png)",
        NOTES,
    ]
    (options.out / "parity.md").write_text("\n\n".join(text) + "\n")
    print(f"{table}\n\n{summary}\n{provenance.sentence(described)}")
    print(f"written to {options.out}: parity.md, parity.json, parity.png")
    if failing:
        print(f"error: ours fails: {'; '.join(failing)}", file=sys.stderr)
        sys.exit(1)


def _summary(properties: list[dict[str, Any]], installed: bool) -> str:
    ours = sum(row["ours"]["holds"] for row in properties)
    if not installed:
        return f"Ours has {ours} of {len(properties)} properties; gluonts is not installed ({INSTALL})."
    theirs = sum(row["peer"]["holds"] for row in properties)
    return f"Ours has {ours} of {len(properties)} properties, gluonts {theirs}."


def _mass(side: Implementation, case: Case) -> float:
    points, weights = case.nodes()
    return float(weights @ side.density(case, case.rounded(points)))


def _finite(value: Any) -> Any:
    """The same for JSON, which knows neither NaN nor infinity: they become their names."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
