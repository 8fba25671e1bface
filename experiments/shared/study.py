"""What the studies of the published tables share: options, missing networks trained, rows, and the test passes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from sbp_jax.data.plays import Plays
from sbp_jax.errors import InputError
from sbp_jax.evaluation import evaluate
from sbp_jax.runs.run import Run


@dataclass(frozen=True)
class Options:
    """How a table is made.

    Attributes:
        seeds: of the data, where they are drawn, and of the training runs.
        quick: an epoch or two of one seed, SBP and the Gaussian alone: shows that it works, not what comes out.
        out: folder of the results; without, runs/reproduce/TABLE, where the runs are.
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
            InputError: it is not given, or nothing is there; the line names the flag.
        """
        path, flag = getattr(self, name), f"--{name.replace('_', '-')}"
        if path is None:
            raise InputError(f"{flag}: expected a path, got none")
        if not path.exists():
            raise InputError(f"{path}: not found; say where it is with {flag} PATH")
        return path


V = TypeVar("V")
Figures = dict[str, Any]


def chosen_models(models: Mapping[str, V], quick: bool) -> dict[str, V]:
    """The models of a table by name; quick, SBP and the Gaussian alone, as every distribution is a program to
    compile."""
    return {name: model for name, model in models.items() if not quick or name in ("SBP", "Gaussian")}


def rows_of(found: Mapping[tuple[str, int], Figures], figures: Iterable[str]) -> pl.DataFrame:
    """One row per model and seed, as `Comparison` has them: a null where there is no such figure."""
    keys = (*figures, "seconds", "diverged")
    rows = [{"arm": name, "seed": seed, **{key: each.get(key) for key in keys}} for (name, seed), each in found.items()]
    return pl.DataFrame(rows, infer_schema_length=None)


TEST_PLAYS = 5000
# what the columns that XGBoost is given measure, for the networks
EXTRAS = ("receiver_separation_yards", "rusher_distance_yards", "quarterback_speed_yps", "time_since_snap_s")
# 1.8 % of the passes of 2017 and 2018 lose yards: a lower threshold of 5 % would lie in the atom at zero
REAL_TAILS = (0.01, 0.05)


def sampled(plays: Plays) -> Plays:
    """Return `TEST_PLAYS` of the plays, the same ones always; all where there are fewer."""
    count = min(TEST_PLAYS, len(plays))
    return plays.select(np.sort(np.random.default_rng(0).permutation(len(plays))[:count]))


def evaluated(run: Run, plays: Plays) -> dict[str, float]:
    """Return the metrics of a run on `sampled` plays."""
    plays = sampled(plays)
    return evaluate(run.predict(plays), run.outcome.bounded(plays)).flat()
