"""Small data sets and networks, of few sizes, so that the tests of the estimator share compiled programs."""

from typing import Any

import numpy as np

from sbp_jax import SBPRegressor
from sbp_jax.estimator.program import Program, Rows, Values
from sbp_jax.estimator.target import Target

ROWS = 48
# no validation rows: one compiled program less
SMALL: dict[str, Any] = {
    "hidden": (4,),
    "bins": 8,
    "batch_size": 16,
    "max_epochs": 2,
    "validation_fraction": 0,
    "random_state": 0,
    "head": "normal",
    "networks": 1,
}


def small(**changes: Any) -> SBPRegressor:
    """Return an estimator with a tiny network and few steps; its normal distribution compiles fast."""
    return SBPRegressor(**(SMALL | changes))


def features(rows: int = ROWS, columns: int = 3, seed: int = 0) -> np.ndarray:
    """Return standard normal features, float64 [rows, columns]."""
    return np.random.default_rng(seed).normal(size=(rows, columns))


def outcomes(kind: str = "real", rows: int = ROWS, seed: int = 1) -> np.ndarray:
    """Return outcomes that depend on the first column of `features`, float64 [rows].

    Args:
        kind: "real", "integer", or "atoms": a third are 0, the others positive.
        rows: number of rows.
        seed: seed of the noise.
    """
    random = np.random.default_rng(seed)
    y = features(rows)[:, 0] + random.standard_t(3, rows)
    if kind == "integer":
        return np.round(5 * y)
    return np.where(np.arange(rows) % 3 == 0, 0.0, np.exp(y)) if kind == "atoms" else y


def losses(model: SBPRegressor, X: Any, y: np.ndarray, censoring: np.ndarray | None = None) -> np.ndarray:
    """Return the loss of training of each row [N] for a single network, in nats, in units of the scale."""
    import jax

    program: Program = model._trainable.program
    target: Target = model.target_
    codes = np.zeros(len(y), np.int8) if censoring is None else censoring.astype(np.int8)
    raw = model._outputs(X, None, None, None)[:, 0]
    compiled = jax.jit(program.losses)
    return np.asarray(compiled(raw, Rows.of(target, y, codes, np.ones(len(y))), Values.of(target)), np.float64)
