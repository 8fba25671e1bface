"""XGBoost point prediction, tuned by cross-validation: the baseline for a median. Needs the extra `baselines`."""

import itertools
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sbp_jax.atomic import atomic_write
from sbp_jax.errors import InputError

FOLDS, MOST_ROUNDS, PATIENCE = 5, 1000, 30
RATE, SHARE = 0.05, 0.8  # learning rate; fraction of the rows and of the columns per tree
DEPTHS, WEIGHTS = (3, 5, 7), (1.0, 30.0)  # depths of trees; minimum number of rows in a leaf
Loss = Literal["squared", "absolute"]
OBJECTIVES: dict[Loss, str] = {"squared": "reg:squarederror", "absolute": "reg:absoluteerror"}


@dataclass(frozen=True)
class Trees:
    """The choice of cross-validation: depth, minimum number of rows in a leaf, and number of trees."""

    depth: int
    weight: float
    rounds: int


def tuned(x: np.ndarray, y: np.ndarray, groups: np.ndarray, loss: Loss, file: Path, quick: bool = False) -> Trees:
    """Return the settings with the lowest cross-validated loss over folds of groups, read from `file` if it exists.

    Args:
        x: columns, NaN where missing [N, columns].
        y: outcomes [N].
        groups: groups of rows that folds must not split, such as games [N].
        loss: the loss to minimize.
        file: file that stores the choice.
        quick: try only the first setting, with few trees.
    """
    if file.is_file():
        return Trees(**json.loads(file.read_text(encoding="utf-8")))
    xgb = _library()
    distinct = np.random.default_rng(0).permutation(np.unique(groups))
    fold_of = dict(zip(distinct.tolist(), (np.arange(len(distinct)) % FOLDS).tolist(), strict=True))
    fold = np.array([fold_of[group] for group in groups.tolist()])
    folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]
    data, losses = xgb.DMatrix(x, y), {}
    stopping = {"folds": folds, "early_stopping_rounds": PATIENCE, "as_pandas": False, "verbose_eval": False}
    settings, rounds = list(itertools.product(DEPTHS, WEIGHTS)), MOST_ROUNDS
    if quick:
        settings, rounds = settings[:1], 20
    for depth, weight in settings:
        history = xgb.cv(_settings(loss, depth, weight, 0), data, rounds, **stopping)
        (scores,) = (scores for name, scores in history.items() if name.startswith("test") and name.endswith("mean"))
        losses[Trees(depth, weight, len(scores))] = scores[-1]
    best = min(losses, key=lambda trees: losses[trees])
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(file, (json.dumps(asdict(best)) + "\n").encode())
    return best


def grown(trees: Trees, x: np.ndarray, y: np.ndarray, loss: Loss, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a prediction function [n, columns] -> [n] from trees grown on all rows with the settings of `tuned`."""
    xgb = _library()
    model = xgb.train(_settings(loss, trees.depth, trees.weight, seed), xgb.DMatrix(x, y), trees.rounds)
    return lambda rows: model.predict(xgb.DMatrix(rows))


def _settings(loss: Loss, depth: int, weight: float, seed: int) -> dict[str, Any]:
    return {
        "objective": OBJECTIVES[loss],
        "eval_metric": "mae" if loss == "absolute" else "rmse",
        "max_depth": depth,
        "min_child_weight": weight,
        "learning_rate": RATE,
        "subsample": SHARE,
        "colsample_bytree": SHARE,
        "seed": seed,
    }


def _library() -> Any:
    try:
        import xgboost
    except ImportError as error:
        raise InputError("xgboost is not installed: pip install 'sbp_jax[baselines]'") from error
    return xgboost
