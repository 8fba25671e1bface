"""What each approach can do, measured: every cell is a number of an approach fitted to draws of a known distribution.

The criteria are those of `experiments.capabilities.probes`. Needs the extra `baselines`; GluonTS's distribution is
measured as well where the extra `reference` is installed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import polars as pl
from matplotlib.patches import Rectangle
from tqdm import tqdm

from experiments.capabilities.approaches import BINS, DISTS, HOLD, SIZE, STEPS, Approach, Fitted, dist
from experiments.capabilities.baselines import Detector, Point, published
from experiments.capabilities.probes import PROBES, Probe
from experiments.shared.study import Options, chosen_models
from sbp_jax.evaluation.conformance import Reference
from sbp_jax.reporting.comparison import Headline
from sbp_jax.reporting.style import figure
from sbp_jax.reporting.tables import markdown
from sbp_jax.training.stop import Stop

TITLE = "Capabilities"
ANSWER = {True: "yes", False: "no"}
COLORS = {True: "#CDE6DC", False: "#F3DCD0"}
MOVING = "time-varying threshold"


class Claim(NamedTuple):
    """What the public article says of an approach, and what may explain that another thing is measured."""

    method: str
    capability: str
    can: bool
    why: str = ""


_HYBRID = (
    "its location, scale and shape are here outputs of a head for each state of the input, and its threshold is found "
    "as that of the other distributions"
)
CLAIMS = (
    *(Claim("SBP", probe.name, True) for probe in PROBES if probe.name != "exact density"),
    Claim("Hybrid Pareto", "threshold learnt by gradient", False, _HYBRID),
    Claim("Hybrid Pareto", MOVING, False, _HYBRID),
    *(Claim(name, "models the base", False) for name in ("SPOT", "DSPOT", "NN-SPOT")),
    *(Claim(name, MOVING, False) for name in ("SPOT", "DSPOT", "NN-SPOT")),
)


@dataclass(frozen=True)
class Capabilities:
    """What was measured.

    Attributes:
        rows: one an approach and capability: `method`, `capability`, `can` (bool), and in words `measured`, `truth`
            and `criterion`.
    """

    rows: pl.DataFrame
    title: str = "What each approach can do"

    def can(self) -> dict[str, int]:
        """How many capabilities each approach has."""
        return dict(self.rows.group_by("method", maintain_order=True).agg(pl.col("can").sum()).iter_rows())


def approaches() -> dict[str, Approach]:
    """All of them by name, in the order of the table; GluonTS's distribution where it is installed."""
    found: dict[str, Approach] = {name: dist(kind) for name, kind in DISTS.items()}
    found |= {
        "SPOT": partial(Detector, "SPOT"),
        "DSPOT": partial(Detector, "DSPOT"),
        "NN-SPOT": partial(Detector, "NN-SPOT"),
    }
    found["XGBoost"] = Point.fit
    peer = Reference.load()
    if peer is not None:
        found["GluonTS SBP"] = partial(published, peer)
    return found


def measured(chosen: Mapping[str, Approach], probes: Sequence[Probe] = PROBES) -> Capabilities:
    """Capabilities of the approaches, each fitted once to a sample.

    Raises:
        InputError: libspot or xgboost is not installed; one line says how to install it.
    """
    backwards = reversed(list(chosen))  # what may be missing is known at once
    rows = {name: _rows(name, chosen[name], probes) for name in tqdm(backwards, desc="capabilities", total=len(chosen))}
    return Capabilities(pl.DataFrame([row for name in chosen for row in rows[name]]))


def make(options: Options, root: Path, stop: Stop | None = None) -> list[Capabilities]:
    """The table of all approaches, in four minutes; quick, of this project's distributions only SBP and the Gaussian.

    Raises:
        InputError: as `measured`.
    """
    del root, stop  # nothing is trained that is kept
    left_out = set(DISTS) - set(chosen_models(DISTS, options.quick))
    return [measured({name: approach for name, approach in approaches().items() if name not in left_out})]


def _rows(name: str, approach: Approach, probes: Sequence[Probe]) -> list[dict[str, object]]:
    fits: dict[int, Fitted] = {}
    rows = []
    for probe in probes:
        if id(probe.sample) not in fits:
            fits[id(probe.sample)] = approach(probe.sample)
        can, text = probe(fits[id(probe.sample)])
        row = {"method": name, "capability": probe.name, "can": can, "measured": text}
        rows.append(row | {"truth": probe.truth, "criterion": probe.criterion})
    return rows


def report(found: Capabilities) -> list[str]:
    """Paragraphs of Markdown: how it was measured, the table, each capability's figures, the article's claims."""
    names = found.rows["method"].unique(maintain_order=True).to_list()
    answers = [
        [name, *(ANSWER[can] for can in found.rows.filter(pl.col("method") == name)["can"].to_list())] for name in names
    ]
    parts = [_about(names), markdown(["approach", *(probe.name for probe in PROBES)], answers)]
    for probe in PROBES:
        rows = found.rows.filter(pl.col("capability") == probe.name)
        lines = [["true distribution", "", probe.truth]]
        lines += [[row["method"], ANSWER[row["can"]], row["measured"]] for row in rows.iter_rows(named=True)]
        parts += [
            f"### {probe.name.capitalize()}",
            f"{probe.data} Criterion: {probe.criterion}.",
            markdown(["approach", "can", probe.figures], lines),
        ]
    return [*parts, "### What differs from the article", *differing(found)]


def headline(found: Capabilities) -> Headline:
    """How many capabilities each approach has, by name."""
    count = len(PROBES)
    said = [f"{name} {can}" for name, can in found.can().items()]
    sentence = f"Of {count} capabilities, each measured, the approaches have: {', '.join(said)}."
    return Headline(found.title, header=[], rows=[], sentences=[sentence])


def differing(found: Capabilities) -> list[str]:
    """By rule: where a cell is not what the article says of the approach, and why."""
    can = {(row["method"], row["capability"]): row["can"] for row in found.rows.iter_rows(named=True)}
    lines = [
        f"- {claim.method}, {claim.capability}: the article says {ANSWER[claim.can]}, measured is "
        f"{ANSWER[not claim.can]}{': ' + claim.why if claim.why else ''}."
        for claim in CLAIMS
        if can.get((claim.method, claim.capability), claim.can) != claim.can
    ]
    return ["\n".join(lines) if lines else "No cell that the article speaks of differs from it.", _NOTES]


def drawing(found: Capabilities, path: Path) -> None:
    """The table as a matrix, with the measured figures in its cells."""
    names = found.rows["method"].unique(maintain_order=True).to_list()
    with figure(path, 1.75 * len(PROBES) + 1.2, 0.62 * len(names) + 0.9) as drawn:
        axis = drawn.subplots()
        for row in found.rows.iter_rows(named=True):
            y, x = names.index(row["method"]), [probe.name for probe in PROBES].index(row["capability"])
            axis.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=COLORS[row["can"]], edgecolor="white"))
            text = f"{ANSWER[row['can']]}\n{fill(row['measured'], 26)}"
            axis.text(x, y, text, ha="center", va="center", fontsize=6)
        axis.set_xticks(range(len(PROBES)), [fill(f"{probe.name}", 18) for probe in PROBES])
        axis.set_yticks(range(len(names)), names)
        axis.set(xlim=(-0.5, len(PROBES) - 0.5), ylim=(len(names) - 0.5, -0.5))
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.grid(visible=False)
        for side in ("left", "bottom"):
            axis.spines[side].set_visible(False)


def _about(names: list[str]) -> str:
    dists = [name for name in names if name in DISTS]
    said = (
        f"Each approach is fitted to {SIZE:,} draws of a known distribution in each state of the input; a figure of "
        "what was "
        "found is compared with the distribution's own, by one criterion for all approaches; one seed. The draws "
        "are one out of each of as many equal parts of the probability, so that the approach is measured and not the "
        f"luck of a draw. {', '.join(dists)}: a head's raw outputs for each state, found by {STEPS} steps of Adam on "
        f"the exact likelihood, from the distribution of all states together; binned distributions have {BINS} equal "
        "bins over the bulk "
        "of all states, and Binned's end bins reach to the extremes of the draws. Shapes of tails are free between "
        "-0.5 and 0.95. SPOT, DSPOT, NN-SPOT: calibrated on the same draws in order of time, a state of the input "
        f"lasting for {HOLD:,} of them, then watching as many others; the threshold is its median over a state. "
        "NN-SPOT is given the true mean of each state: the best that a network could predict. XGBoost: the median of "
        "the outcome from the state of the input."
    )
    if "GluonTS SBP" not in names:
        return f"{said} GluonTS's own distribution is not installed here (extra `reference`)."
    return f"{said} GluonTS SBP: its own loss and its own map of outputs, from the same start in as many steps of Adam."


_NOTES = (
    "- SPOT's threshold moves with what its excesses teach alone. Those of DSPOT and NN-SPOT follow the mean: they are "
    "about as far apart in the two states as the means, not as the true thresholds.\n"
    "- Hybrid Pareto: unlike what the article says of the published one, the threshold of this project's "
    "distribution moves "
    "with the input and the descent, as outputs of a head make it (see the figures). Where its cells say no, that is "
    "the error of the fit: a single Hybrid Pareto is no Gaussian at any shape, as its tail begins near the middle.\n"
    "- Blended Pareto: not every blend of uneven bins with a tail is a distribution (see the distribution's "
    "docstring), and a "
    "draw where it is none has no likelihood; the descent does not pass such places, and where bins must move far, as "
    "between the two states, it stops before them.\n"
    "- A Student-t's heaviness varies with the input, but not its symmetry (see its figures in the three states).\n"
    "- That Binned ends is a setting of its bins, here the extremes of the draws."
)
