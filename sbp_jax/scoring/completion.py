"""Expected completion: a logistic regression of completions on information before the throw, fitted to other games.

The regressors are a play's columns, standardized, with their squares and products; a missing value is 0 and has an
indicator column. The coefficients maximize the log-likelihood minus `RIDGE` / 2 times their squared length, by Newton's
method (iteratively reweighted least squares).
"""

import itertools
from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.special import expit

from sbp_jax.errors import InputError

RIDGE = 1.0
_STEPS, _CLOSE = 50, 1e-8


def expected_completion(plays: pl.DataFrame, columns: Sequence[str], folds: int = 5, seed: int = 0) -> np.ndarray:
    """Return the completion probability of each attempt, fitted to other games [plays]; NaN for other plays.

    Args:
        plays: `game_id`, `result` and the numeric `columns`.
        columns: regressors, such as "air_yards", "down", "distance".
        folds: number of folds of games.
        seed: seed of the assignment of games to folds.

    Raises:
        InputError: a column is missing or not numeric, or there are fewer than two games.
    """
    for name in columns:
        if name not in plays.columns or not (plays.schema[name].is_numeric() or plays.schema[name] == pl.Boolean):
            raise InputError(f"expected_completion: expected a numeric column {name!r}")
    games = plays["game_id"].to_numpy()
    names = np.unique(games)
    if len(names) < 2:
        raise InputError(f"expected_completion: expected plays of at least 2 games, got {len(names)}")
    fold_of_game = np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names))
    fold = fold_of_game[np.searchsorted(names, games)]
    x = _terms(plays.select(pl.col(name).cast(pl.Float64) for name in columns).to_numpy())
    attempt = plays["result"].is_in(["C", "I", "IN"]).fill_null(value=False).to_numpy()
    complete = (plays["result"] == "C").fill_null(value=False).to_numpy()
    probability = np.full(len(plays), np.nan)
    for number in range(fold.max() + 1):
        train, test = attempt & (fold != number), attempt & (fold == number)
        if train.any() and test.any():
            probability[test] = expit(x[test] @ _logistic(x[train], complete[train]))
    return probability


def _terms(values: np.ndarray) -> np.ndarray:
    """A constant, the standardized columns, their pairwise products, and missing-value indicators [plays, terms]."""
    missing = ~np.isfinite(values)
    observed = np.where(missing, np.nan, values)
    with np.errstate(invalid="ignore"):
        mean = np.nanmean(observed, axis=0) if len(observed) else 0.0
        spread = np.nanstd(observed, axis=0) if len(observed) else 1.0
    mean, spread = np.nan_to_num(mean), np.where(np.nan_to_num(spread) > 0, spread, 1.0)
    z = np.where(missing, 0.0, (values - mean) / spread)
    z = np.clip(z, -5.0, 5.0)  # an outlier must not determine a quadratic term
    pairs = [z[:, i] * z[:, j] for i, j in itertools.combinations_with_replacement(range(z.shape[1]), 2)]
    flags = missing[:, missing.any(axis=0)].astype(float)
    return np.column_stack([np.ones(len(z)), z, *pairs, flags])


def _logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coefficients [terms]; the constant is not shrunk."""
    ridge = np.full(x.shape[1], RIDGE)
    ridge[0] = 1e-6
    coefficients = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = expit(x @ coefficients)
        slope = x.T @ (y - p) - ridge * coefficients
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge), slope)
        coefficients = coefficients + step
        if np.max(np.abs(step)) < _CLOSE:
            break
    return coefficients
