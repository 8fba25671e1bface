"""What each approach can do, measured: every cell is a number of an approach fitted to draws of a known law.

The criteria are those of `experiments.capabilities.probes`. Needs the extra `baselines`; GluonTS's law is measured as
well where the extra `reference` is installed.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl
from tqdm import tqdm

from experiments.capabilities.approaches import LAWS, Approach, Fitted, law
from experiments.capabilities.baselines import Point, Watch, published
from experiments.capabilities.page import Capabilities
from experiments.capabilities.probes import PROBES, Probe
from experiments.shared.options import Options
from experiments.shared.training import chosen_models
from sbp_jax.evaluation.conformance import Reference
from sbp_jax.training.stop import Stop

TITLE = "Capabilities"


def approaches() -> dict[str, Approach]:
    """All of them by name, in the order of the table; GluonTS's law where it is installed."""
    found: dict[str, Approach] = {name: law(kind) for name, kind in LAWS.items()}
    found |= {"SPOT": partial(Watch, "SPOT"), "DSPOT": partial(Watch, "DSPOT"), "NN-SPOT": partial(Watch, "NN-SPOT")}
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
    """The table of all approaches, in four minutes; quick, of this project's laws only SBP and the Gaussian.

    Raises:
        InputError: as `measured`.
    """
    del root, stop  # nothing is trained that is kept
    left_out = set(LAWS) - set(chosen_models(LAWS, options.quick))
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
