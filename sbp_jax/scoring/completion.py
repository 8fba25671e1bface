"""Expected completion: a logistic regression of completed on what was known before the throw, fitted to other games.

A completion over expectation is judged by a play's own columns, each standardized, squared and multiplied by each
other; a missing value is 0 and has a column that says so. The coefficients maximize the likelihood less
`RIDGE` / 2 times their squared length, by Newton's method (iteratively reweighted least squares).
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
    """Probability of a completion of each attempt, from games other than its own [plays]; NaN of a play that is none.

    Args:
        plays: `game_id`, `result` and the numeric `columns`.
        columns: what the probability depends on, such as "air_yards", "down", "distance".
        folds: into which the games are dealt.
        seed: of the dealing.

    Raises:
        InputError: a column is missing or holds no numbers, or there are fewer games than two.
    """
    for name in columns:
        if name not in plays.columns or not (plays.schema[name].is_numeric() or plays.schema[name] == pl.Boolean):
            raise InputError(f"expected_completion: expected a numeric column {name!r}")
    games = plays["game_id"].to_numpy()
    names = np.unique(games)
    if len(names) < 2:
        raise InputError(f"expected_completion: expected plays of at least 2 games, got {len(names)}")
    dealt = np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names))
    fold = dealt[np.searchsorted(names, games)]
    x = _terms(plays.select(pl.col(name).cast(pl.Float64) for name in columns).to_numpy())
    attempt = plays["result"].is_in(["C", "I", "IN"]).fill_null(value=False).to_numpy()
    complete = (plays["result"] == "C").fill_null(value=False).to_numpy()
    found = np.full(len(plays), np.nan)
    for number in range(fold.max() + 1):
        known, asked = attempt & (fold != number), attempt & (fold == number)
        if known.any() and asked.any():
            found[asked] = expit(x[asked] @ _logistic(x[known], complete[known]))
    return found


def _terms(values: np.ndarray) -> np.ndarray:
    """A constant, the standardized columns, what is missing of them, and the products of any two [plays, terms]."""
    missing = ~np.isfinite(values)
    known = np.where(missing, np.nan, values)
    with np.errstate(invalid="ignore"):
        mean = np.nanmean(known, axis=0) if len(known) else 0.0
        spread = np.nanstd(known, axis=0) if len(known) else 1.0
    mean, spread = np.nan_to_num(mean), np.where(np.nan_to_num(spread) > 0, spread, 1.0)
    z = np.where(missing, 0.0, (values - mean) / spread)
    z = np.clip(z, -5.0, 5.0)  # one far value must not decide a parabola
    pairs = [z[:, i] * z[:, j] for i, j in itertools.combinations_with_replacement(range(z.shape[1]), 2)]
    flags = missing[:, missing.any(axis=0)].astype(float)
    return np.column_stack([np.ones(len(z)), z, *pairs, flags])


def _logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coefficients [terms]; the constant is not shrunk."""
    ridge = np.full(x.shape[1], RIDGE)
    ridge[0] = 1e-6
    found = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        share = expit(x @ found)
        slope = x.T @ (y - share) - ridge * found
        step = np.linalg.solve((x * (share * (1 - share))[:, None]).T @ x + np.diag(ridge), slope)
        found = found + step
        if np.max(np.abs(step)) < _CLOSE:
            break
    return found
