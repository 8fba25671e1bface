"""Capabilities of each approach, measured on fits to draws of a known distribution.

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
from tqdm import tqdm

from experiments.capabilities.approaches import BINS, DISTS, HOLD, SIZE, STEPS, Approach, Fitted, dist
from experiments.capabilities.baselines import Detector, Point, published
from experiments.capabilities.probes import PROBES, Probe
from experiments.shared.study import Options, chosen_models
from sbp_jax.evaluation.conformance import Reference
from sbp_jax.reporting.comparison import Headline
from sbp_jax.reporting.style import figure
from sbp_jax.reporting.tables import markdown
from sbp_jax.training.stop import StopRequest

TITLE = "Capabilities"
ANSWER = {True: "yes", False: "no"}
COLORS = {True: "#CDE6DC", False: "#F3DCD0"}
MOVING = "time-varying threshold"


class Claim(NamedTuple):
    """A claim of the public article about an approach, and a possible reason for a different measurement."""

    method: str
    capability: str
    can: bool
    why: str = ""


_HYBRID = (
    "here its location, scale and shape are outputs of a head for each state of the input, and its threshold is "
    "obtained in the same way as that of the other distributions"
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
    """Measured capabilities.

    Attributes:
        rows: one row per approach and capability: `method`, `capability`, `can` (bool), and as text `measured`,
            `truth` and `criterion`.
        title: title of the page.
    """

    rows: pl.DataFrame
    title: str = "What each approach can do"

    def can(self) -> dict[str, int]:
        """Return the number of capabilities of each approach."""
        return dict(self.rows.group_by("method", maintain_order=True).agg(pl.col("can").sum()).iter_rows())


def approaches() -> dict[str, Approach]:
    """Return all approaches by name, in the order of the table; GluonTS's distribution only where it is installed."""
    named: dict[str, Approach] = {name: dist(kind) for name, kind in DISTS.items()}
    named |= {
        "SPOT": partial(Detector, "SPOT"),
        "DSPOT": partial(Detector, "DSPOT"),
        "NN-SPOT": partial(Detector, "NN-SPOT"),
    }
    named["XGBoost"] = Point.fit
    reference = Reference.load()
    if reference is not None:
        named["GluonTS SBP"] = partial(published, reference)
    return named


def measured(chosen: Mapping[str, Approach], probes: Sequence[Probe] = PROBES) -> Capabilities:
    """Measure the capabilities of the approaches, each fitted once per sample.

    Raises:
        InputError: libspot or xgboost is not installed; the line names the command that installs it.
    """
    backwards = reversed(list(chosen))  # a missing package is reported at once
    rows = {name: _rows(name, chosen[name], probes) for name in tqdm(backwards, desc="capabilities", total=len(chosen))}
    return Capabilities(pl.DataFrame([row for name in chosen for row in rows[name]]))


def make(options: Options, root: Path, stop: StopRequest | None = None) -> list[Capabilities]:
    """Measure all approaches in four minutes; with `quick`, only SBP and the Gaussian of this project's distributions.

    Raises:
        InputError: as for `measured`.
    """
    del root, stop  # no run is saved
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


def report(table: Capabilities) -> list[str]:
    """Return the page as Markdown paragraphs: the setup, the table, each capability's metrics, the article's claims."""
    names = table.rows["method"].unique(maintain_order=True).to_list()
    answers = [
        [name, *(ANSWER[can] for can in table.rows.filter(pl.col("method") == name)["can"].to_list())] for name in names
    ]
    parts = [_about(names), markdown(["approach", *(probe.name for probe in PROBES)], answers)]
    for probe in PROBES:
        rows = table.rows.filter(pl.col("capability") == probe.name)
        lines = [["true distribution", "", probe.truth]]
        lines += [[row["method"], ANSWER[row["can"]], row["measured"]] for row in rows.iter_rows(named=True)]
        parts += [
            f"### {probe.name.capitalize()}",
            f"{probe.data} Criterion: {probe.criterion}.",
            markdown(["approach", "can", probe.figures], lines),
        ]
    return [*parts, "### What differs from the article", *differing(table)]


def headline(table: Capabilities) -> Headline:
    """Return a sentence with the number of capabilities of each approach."""
    counts = [f"{name} {can}" for name, can in table.can().items()]
    sentence = f"Number of capabilities, out of {len(PROBES)} measured: {', '.join(counts)}."
    return Headline(table.title, header=[], rows=[], sentences=[sentence])


def differing(table: Capabilities) -> list[str]:
    """Return the cells that contradict the article's claims, with reasons, and the notes."""
    can = {(row["method"], row["capability"]): row["can"] for row in table.rows.iter_rows(named=True)}
    lines = [
        f"- {claim.method}, {claim.capability}: the article states {ANSWER[claim.can]}, the measurement is "
        f"{ANSWER[not claim.can]}{': ' + claim.why if claim.why else ''}."
        for claim in CLAIMS
        if can.get((claim.method, claim.capability), claim.can) != claim.can
    ]
    return ["\n".join(lines) if lines else "All cells that the article covers agree with it.", _NOTES]


def drawing(table: Capabilities, path: Path) -> None:
    """Draw the table as a matrix, with the measured values in its cells."""
    names = table.rows["method"].unique(maintain_order=True).to_list()
    with figure(path, 1.75 * len(PROBES) + 1.2, 0.62 * len(names) + 0.9) as drawn:
        from matplotlib.patches import Rectangle

        axis = drawn.subplots()
        for row in table.rows.iter_rows(named=True):
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
    text = (
        f"Each approach is fitted to {SIZE:,} draws of a known distribution in each state of the input. A metric of "
        "the fit is compared with its true value, by one criterion for all approaches; one seed. The draws are "
        "stratified, one from each of as many equal parts of the probability, to remove sampling noise. "
        f"{', '.join(dists)}: a head's raw outputs for each state, fitted by {STEPS} steps of Adam on the exact "
        f"likelihood, starting at the distribution of all states together; binned distributions have {BINS} equal bins "
        "over the bulk of all states, and Binned's end bins reach to the extremes of the draws. Tail shapes are free "
        "between -0.5 and 0.95. SPOT, DSPOT, NN-SPOT: calibrated on the same draws as a time series, each state of the "
        f"input lasting for {HOLD:,} draws, then applied to as many others; the threshold is its median over a state. "
        "NN-SPOT is given the true mean of each state, the best that a network could predict. XGBoost: the median of "
        "the outcome given the state of the input."
    )
    if "GluonTS SBP" not in names:
        return f"{text} GluonTS's own distribution is not installed here (extra `reference`)."
    return f"{text} GluonTS SBP: its own loss and output map, from the same start, with as many steps of Adam."


_NOTES = (
    "- SPOT's threshold changes only with the excesses that it observes. Those of DSPOT and NN-SPOT follow the mean: "
    "their difference between the two states is about that of the means, not that of the true thresholds.\n"
    "- Hybrid Pareto: unlike the published one as the article describes it, the threshold of this project's "
    "distribution changes with the input and during the descent, since it depends on a head's outputs (see the "
    "metrics). Where its cells are no, the reason is the error of the fit: a single Hybrid Pareto is not a Gaussian at "
    "any shape, as its tail begins near the middle.\n"
    "- Blended Pareto: not every blend of uneven bins with a tail is a distribution (see the distribution's "
    "docstring), and a draw has no likelihood where it is not one. The descent cannot cross such regions, and where "
    "bins must move far, as between the two states, it stops before them.\n"
    "- The tail weight of a Student-t varies with the input, but it stays symmetric (see its metrics in the three "
    "states).\n"
    "- The end of Binned's support is a setting of its bins, here the extremes of the draws."
)
