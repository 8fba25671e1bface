"""Code that the studies of the published tables share: options, models, rows, and the test passes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from sbp_jax.data.plays import Sequences
from sbp_jax.errors import InputError
from sbp_jax.evaluation import evaluate
from sbp_jax.runs.run import Run


@dataclass(frozen=True)
class Options:
    """Options of a table.

    Attributes:
        seeds: number of seeds, of drawn data and of training runs.
        quick: train one seed of SBP and the Gaussian for an epoch or two; shows that it works, without useful results.
        out: folder of the results; by default runs/reproduce/TABLE, next to the runs.
        play_by_play: list of real plays of the seasons 2017 to 2019, for the tables "mae" and "winning".
        team_seasons: table of team-seasons with win percentage, playoffs and listed ratings, for the table "winning".
        counts: folder of CSV files, each a series of counts, for the tables "twitter" and "detectors".
    """

    seeds: int = 3
    quick: bool = False
    out: Path | None = None
    play_by_play: Path | None = None
    team_seasons: Path | None = None
    counts: Path | None = None

    def path(self, name: str) -> Path:
        """Return the path that a field holds.

        Raises:
            InputError: the path is not given or does not exist; the line names the flag.
        """
        path, flag = getattr(self, name), f"--{name.replace('_', '-')}"
        if path is None:
            raise InputError(f"{flag}: expected a path, got none")
        if not path.exists():
            raise InputError(f"{path}: not found; specify it with {flag} PATH")
        return path


V = TypeVar("V")
MetricValues = dict[str, Any]


def chosen_models(models: Mapping[str, V], quick: bool) -> dict[str, V]:
    """Return the models of a table by name; with `quick`, SBP and the Gaussian alone, to compile fewer programs."""
    return {name: model for name, model in models.items() if not quick or name in ("SBP", "Gaussian")}


def rows_of(results: Mapping[tuple[str, int], MetricValues], metrics: Iterable[str]) -> pl.DataFrame:
    """Return one row per model and seed, as `Comparison` has them, with null for a missing metric."""
    keys = (*metrics, "seconds", "diverged")
    rows = [
        {"arm": name, "seed": seed, **{key: values.get(key) for key in keys}}
        for (name, seed), values in results.items()
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


TEST_PLAYS = 5000
# extra features of the networks, which measure the same as XGBoost's columns
EXTRAS = ("receiver_separation_yards", "rusher_distance_yards", "quarterback_speed_yps", "time_since_snap_s")
# 1.8 % of the passes of 2017 and 2018 lose yards; the lower threshold at 5 % would be in the atom at zero
REAL_TAILS = (0.01, 0.05)


def sampled(plays: Sequences) -> Sequences:
    """Return `TEST_PLAYS` of the plays, always the same ones; all plays where there are fewer."""
    count = min(TEST_PLAYS, len(plays))
    return plays.select(np.sort(np.random.default_rng(0).permutation(len(plays))[:count]))


def evaluated(run: Run, plays: Sequences) -> dict[str, float]:
    """Return the metrics of a run on `sampled` plays."""
    plays = sampled(plays)
    return evaluate(run.predict(plays), run.outcome.bounded(plays)).flat()
