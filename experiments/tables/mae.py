"""The article's comparison: the error of the predictive median on 5,000 passes that no model saw.

Real plays: dropbacks of two seasons to train on, attempts of the third to test, by the situation alone and with the
air yards, which are known only after the throw. XGBoost predicts a point, so that it has no other figure.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import configs
from experiments.data import open_dataset
from experiments.judge import judge_law, marginal_distribution
from experiments.tables.boosting import OBJECTIVES, grown, tuned
from experiments.tables.trained import trained
from sbp_jax.config import Config, DataConfig, Kind
from sbp_jax.data.batching import Plays
from sbp_jax.errors import InputError
from sbp_jax.reporting.ablation import flat
from sbp_jax.reporting.comparison import Comparison, Figure
from sbp_jax.run import Run, load_run
from sbp_jax.training.stop import Stop

TEST_PLAYS = 5000
MODELS: dict[str, Kind] = {
    "SBP": "sbp",
    "Binned": "binned",
    "Blended Pareto": "blended_pareto",
    "Hybrid Pareto": "hybrid_pareto",
    "Student-t": "student_t",
    "Gaussian": "gaussian",
}
FIGURES = {
    "nll": Figure("NLL, nats", 4, judged=True),
    "crps": Figure("CRPS, yd", 4, judged=True),
    "mae": Figure("MAE, yd", 4, judged=True),
    "pp_lower": Figure("PP lower"),
    "pp_base": Figure("PP base"),
    "pp_upper": Figure("PP upper"),
    "pp_full": Figure("PP full"),
}
TEST_SEASON = 2019
VARIANTS = {"the situation": (), "the situation and the air yards": ("air_yards",)}


def make(seeds: int, quick: bool, root: Path, source: Path, stop: Stop | None = None) -> list[Comparison]:
    """The tables of both variants."""
    if not source.exists():
        raise InputError(f"{source}: no list of plays there; say where one is with --play-by-play FILE")
    return [real(seeds, quick, root, source, name, stop) for name in VARIANTS]


def real(seeds: int, quick: bool, root: Path, source: Path, variant: str, stop: Stop | None) -> Comparison:
    """The table of real plays, by one of `VARIANTS`."""
    base = configs.get("play_by_play")
    assert isinstance(base.data, DataConfig)
    data = replace(base.data, source=(str(source),), situation=VARIANTS[variant], test_seasons=(TEST_SEASON,))
    dataset = open_dataset(data)
    chosen = {
        (name, seed): _model(replace(base, data=data), kind, seed, quick)
        for name, kind in MODELS.items()
        for seed in range(seeds)
    }
    found, folders = trained(chosen, dataset, root, _judge, stop)
    test, run = sampled(dataset.split("test")), load_run(folders["SBP", 0])
    marginal = _figures(marginal_distribution(run, test), test)
    found |= {("Marginal", seed): marginal for seed in range(seeds)}
    known = Plays.concatenate([dataset.split("train"), dataset.split("validation")])
    x, y = columns_of(known), known.yards
    for loss in OBJECTIVES:
        trees = tuned(x, y, known.game_id, loss, root / f"xgboost-{loss}-{dataset.fingerprint}.json")
        for seed in range(seeds):
            error = grown(trees, x, y, loss, seed)(columns_of(test)) - test.yards
            found[f"XGBoost, {loss} error", seed] = {"mae": float(np.mean(np.abs(error)))}
    rows = [
        {"arm": name, "seed": seed, **{key: figures.get(key) for key in FIGURES}}
        for (name, seed), figures in found.items()
    ]
    counts = len(dataset.split("train")), len(dataset.split("validation"))
    return Comparison(
        title=f"Predictive medians on real passes, by {variant}",
        about=(
            f"{TEST_PLAYS:,} attempts of {TEST_SEASON}, drawn once, by {variant}; {counts[0]:,} of the seasons before "
            f"to train on and {counts[1]:,} to stop by, both of them XGBoost's, whose trees are tuned by "
            "cross-validation over games."
        ),
        rows=pl.DataFrame(rows, infer_schema_length=None),
        figures=FIGURES,
        ours="SBP",
        notes=(
            "The article reports its comparison as a figure without a table, on tracking that is not public: no row of "
            "it stands here.",
        ),
    )


def sampled(plays: Plays) -> Plays:
    """`TEST_PLAYS` of the plays, the same ones always; all where there are fewer."""
    count = min(TEST_PLAYS, len(plays))
    return plays.select(np.sort(np.random.default_rng(0).permutation(len(plays))[:count]))


def columns_of(plays: Plays) -> np.ndarray:
    """What a network of situations sees, as columns, NaN where missing [N, columns]."""
    half = plays.static.shape[1] // 2
    return np.where(plays.static[:, half:] > 0, np.nan, plays.static[:, :half])


def _model(base: Config, kind: Kind, seed: int, quick: bool) -> Config:
    training = replace(base.training, seed=seed, epochs=1 if quick else base.training.epochs)
    return replace(base, head=replace(base.head, kind=kind), training=training)


def _judge(run: Run, plays: Plays) -> dict[str, float]:
    plays = sampled(plays)
    return _figures(run.predict(plays), plays)


def _figures(law: Any, plays: Plays) -> dict[str, float]:
    return flat(judge_law(law, plays).metrics.to_dict())
