"""XGBoost's point prediction, tuned by cross-validation: the rival of a median. Needs the extra `baselines`."""

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
RATE, SHARE = 0.05, 0.8  # learning rate; of the rows and of the columns that a tree sees
DEPTHS, WEIGHTS = (3, 5, 7), (1.0, 30.0)  # of trees; least number of rows in a leaf
Loss = Literal["squared", "absolute"]
OBJECTIVES: dict[Loss, str] = {"squared": "reg:squarederror", "absolute": "reg:absoluteerror"}


@dataclass(frozen=True)
class Trees:
    """What cross-validation chose: depth, least number of rows in a leaf, and number of trees."""

    depth: int
    weight: float
    rounds: int


def tuned(x: np.ndarray, y: np.ndarray, groups: np.ndarray, loss: Loss, file: Path, quick: bool = False) -> Trees:
    """The trees that do best by their own loss over folds of whole groups; kept in `file`, and read from there.

    Args:
        x: columns, NaN where missing [N, columns].
        y: outcomes [N].
        groups: of rows that folds must not part, such as games [N].
        loss: what is minimized.
        file: where the choice is kept.
        quick: the first of the settings alone, and few trees.
    """
    if file.is_file():
        return Trees(**json.loads(file.read_text()))
    xgb = _library()
    distinct = np.random.default_rng(0).permutation(np.unique(groups))
    fold_of = dict(zip(distinct.tolist(), (np.arange(len(distinct)) % FOLDS).tolist(), strict=True))
    fold = np.array([fold_of[group] for group in groups.tolist()])
    folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]
    data, found = xgb.DMatrix(x, y), {}
    stopping = {"folds": folds, "early_stopping_rounds": PATIENCE, "as_pandas": False, "verbose_eval": False}
    settings, rounds = list(itertools.product(DEPTHS, WEIGHTS)), MOST_ROUNDS
    if quick:
        settings, rounds = settings[:1], 20
    for depth, weight in settings:
        history = xgb.cv(_settings(loss, depth, weight, 0), data, rounds, **stopping)
        (scores,) = (scores for name, scores in history.items() if name.startswith("test") and name.endswith("mean"))
        found[Trees(depth, weight, len(scores))] = scores[-1]
    best = min(found, key=lambda trees: found[trees])
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(file, (json.dumps(asdict(best)) + "\n").encode())
    return best


def grown(trees: Trees, x: np.ndarray, y: np.ndarray, loss: Loss, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """A prediction [n, columns] -> [n] by trees grown on all rows, as `tuned` has them."""
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
