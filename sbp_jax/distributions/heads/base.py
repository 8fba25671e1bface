"""The head protocol, from raw network outputs to a distribution, and the code shared by all heads."""

import dataclasses
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.pytrees import at_least_float32, compiled_by
from sbp_jax.errors import InputError


@runtime_checkable
class Head(Protocol):
    """Map raw outputs [..., num_outputs] to distributions of batch shape [...].

    A head is hashable: equal heads share compiled programs.
    """

    @property
    def num_outputs(self) -> int: ...

    def __call__(self, raw: Array, /) -> Distribution: ...

    def init_from_data(self, y: np.ndarray, /) -> np.ndarray:
        """Return raw outputs [num_outputs] that estimate the marginal distribution of outcomes y [N]."""
        ...


def checked_outputs(raw: ArrayLike, expected: int) -> Array:
    """Return raw outputs in at least float32; InputError unless their last axis has the expected length."""
    shape = np.shape(raw)
    if not shape or shape[-1] != expected:
        raise InputError(f"raw outputs must have shape [..., {expected}], got {list(shape)}")
    return jnp.asarray(at_least_float32(raw))


def checked_outcomes(y: np.ndarray) -> np.ndarray:
    """Return outcomes as float64 [N]; InputError if there are none or one is not finite."""
    y = np.asarray(y, dtype=np.float64).ravel()
    if y.size == 0 or not np.all(np.isfinite(y)):
        raise InputError(f"y must hold finite outcomes, got {y.size} values, {int(np.sum(~np.isfinite(y)))} not finite")
    return y


def checked_edges(edges: tuple[float, ...] | list[float] | np.ndarray) -> tuple[float, ...]:
    """Return edges as a tuple; InputError unless there are at least two, finite and increasing."""
    grid = np.asarray(edges, dtype=np.float64)
    if grid.ndim != 1 or grid.size < 2:
        raise InputError(f"edges must have shape [K + 1] with K >= 1 bins, got {list(grid.shape)}")
    if not (np.all(np.isfinite(grid)) and np.all(np.diff(grid) > 0)):
        raise InputError(f"edges must be finite and increasing, got {grid.tolist()}")
    return tuple(grid.tolist())


def checked_bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    """Return bounds of a shape; InputError unless increasing and above -1, where the density becomes unbounded."""
    low, high = (float(b) for b in bounds)
    if not -1 < low < high:
        raise InputError(f"shape_bounds must be increasing and above -1, got {bounds}")
    return low, high


def init_logits(y: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the logs of bin counts plus 1/2 [K]; outcomes outside the edges count in the end bins."""
    bins = len(edges) - 1
    index = np.clip(np.searchsorted(edges, checked_outcomes(y), side="right") - 1, 0, bins - 1)
    return np.log(np.bincount(index, minlength=bins) + 0.5)


@dataclasses.dataclass(frozen=True)
class CenteredHead:
    """Add a constant offset to a network's raw outputs, so that zero outputs predict the offset's distribution.

    Args:
        head: maps raw outputs [..., num_outputs] to a distribution.
        offset: raw outputs [num_outputs] of the marginal, such as `head.init_from_data(y)`; stored as a tuple.
    """

    head: Head
    offset: tuple[float, ...]

    @classmethod
    def on(cls, head: Head, y: np.ndarray) -> "CenteredHead":
        """Return the head centered on its estimate of the marginal of `y`; InputError as in `init_from_data`."""
        return cls(head, tuple(head.init_from_data(y).tolist()))

    @property
    def num_outputs(self) -> int:
        """Number of raw outputs of the inner head."""
        return self.head.num_outputs

    @compiled_by
    def __call__(self, raw: Float[Array, "*batch outputs"]) -> Distribution:
        """Return the head's distributions at raw + offset, batch shape [...]."""
        raw = checked_outputs(raw, self.num_outputs)
        offset = np.asarray(self.offset).astype(raw.dtype).reshape((1,) * (raw.ndim - 1) + (-1,))
        return self.head(raw + offset)

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Return raw outputs, relative to the offset, that estimate the marginal of `y`."""
        return self.head.init_from_data(y) - np.asarray(self.offset)
