"""What all heads check and count."""

import numpy as np
from jax.typing import ArrayLike

from sbp_jax.errors import InputError


def check_outputs(raw: ArrayLike, expected: int) -> None:
    """InputError unless raw outputs have that last axis."""
    shape = np.shape(raw)
    if not shape or shape[-1] != expected:
        raise InputError(f"raw outputs must have shape [..., {expected}], got {list(shape)}")


def checked_outcomes(y: np.ndarray) -> np.ndarray:
    """Outcomes as float64 [N]; InputError if there are none or one is not finite."""
    y = np.asarray(y, dtype=np.float64).ravel()
    if y.size == 0 or not np.all(np.isfinite(y)):
        raise InputError(f"y must hold finite outcomes, got {y.size} values, {int(np.sum(~np.isfinite(y)))} not finite")
    return y


def checked_edges(edges: tuple[float, ...] | list[float] | np.ndarray) -> tuple[float, ...]:
    """Edges as a tuple; InputError unless they are at least two, finite and increasing."""
    grid = np.asarray(edges, dtype=np.float64)
    if grid.ndim != 1 or grid.size < 2:
        raise InputError(f"edges must have shape [K + 1] with K >= 1 bins, got {list(grid.shape)}")
    if not (np.all(np.isfinite(grid)) and np.all(np.diff(grid) > 0)):
        raise InputError(f"edges must be finite and increasing, got {grid.tolist()}")
    return tuple(grid.tolist())


def checked_bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    """Bounds of a shape; InputError unless increasing and above -1, where a density is unbounded."""
    low, high = (float(b) for b in bounds)
    if not -1 < low < high:
        raise InputError(f"shape_bounds must be increasing and above -1, got {bounds}")
    return low, high


def initial_logits(y: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Logs of bin counts plus 1/2 [K]; outcomes outside the edges count in the end bins."""
    bins = len(edges) - 1
    index = np.clip(np.searchsorted(edges, checked_outcomes(y), side="right") - 1, 0, bins - 1)
    return np.log(np.bincount(index, minlength=bins) + 0.5)
