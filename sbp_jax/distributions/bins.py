"""Bins with logits and increasing edges, and the code shared by distributions over them."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.pytrees import Constant, as_array, float_dtype, is_traced, pad_rank, set_fields
from sbp_jax.errors import InputError

EdgesLike = ArrayLike | Constant | Sequence[float]


class Bins(Distribution):
    """A distribution parameterized by `logits` and `edges` of bins; the logits set its batch shape and dtype."""

    logits: Float[Array, "*batch bins"]
    _edges: Constant | Array

    @property
    def edges(self) -> np.ndarray | Array:
        """Edges of the bins in the unit of the outcome: [K + 1] if they are a constant, else [..., K + 1]."""
        return as_array(self._edges)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.logits.shape[:-1]

    @property
    def dtype(self) -> jnp.dtype:
        return self.logits.dtype

    def _bin_edges(self, ndim):
        """Edges [..., K + 1] and widths [..., K] in the dtype of the logits, `ndim` batch axes."""
        if isinstance(self._edges, Constant):
            # widths of the rounded edges: widths of the exact edges would not add up to them
            edges = np.asarray(self._edges).astype(self.dtype)
            widths = np.diff(edges.astype(np.float64)).astype(self.dtype)
        else:
            edges = self._edges.astype(self.dtype)
            widths = edges[..., 1:] - edges[..., :-1]
        return pad_rank(edges, ndim, 1), pad_rank(widths, ndim, 1)


def checked_bins(logits: ArrayLike, edges: EdgesLike) -> tuple[Array, Constant | Array]:
    """Return the logits as an array and the edges as a constant, or as a leaf if they are traced or batched.

    Raises:
        InputError: edges not of shape [..., K + 1], or concrete but not finite and increasing in the logits' dtype.
    """
    logits = jnp.asarray(logits, dtype=float_dtype(logits))
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise InputError(f"logits must have shape [..., K] with K >= 1 bins, got {list(logits.shape)}")
    expected = logits.shape[-1] + 1
    checked = jnp.asarray(edges) if is_traced(edges) else edges if isinstance(edges, Constant) else Constant(edges)
    if checked.shape[-1:] != (expected,):
        raise InputError(
            f"edges must have shape [{expected}] for logits of shape {list(logits.shape)}, got {list(checked.shape)}"
        )
    if isinstance(checked, Constant):
        rounded = np.asarray(checked).astype(logits.dtype)
        if not (np.all(np.isfinite(rounded)) and np.all(np.diff(rounded.astype(np.float64)) > 0)):
            raise InputError(
                f"edges must be finite and increasing in {logits.dtype}, got {np.asarray(checked).tolist()}"
            )
        if rounded.ndim > 1:  # a batch of edges, which transformations map over
            return logits, jnp.asarray(rounded)
    return logits, checked


def batch_of(logits: Array, edges: Constant | Array) -> dict[str, tuple[int, ...]]:
    """Return batch shapes by name for `broadcast_batch`: that of the logits, and that of batched edges."""
    return {"logits": logits.shape[:-1]} | ({"edges": edges.shape[:-1]} if len(edges.shape) > 1 else {})


def set_bins(dist: Bins, logits: Array, edges: Constant | Array, batch: tuple[int, ...]) -> None:
    """Set both fields: every leaf has the batch shape, so that vmap over the distribution needs no in_axes."""
    set_fields(
        dist,
        logits=jnp.broadcast_to(logits, (*batch, *logits.shape[-1:])),
        _edges=edges if isinstance(edges, Constant) else jnp.broadcast_to(edges, (*batch, *edges.shape[-1:])),
    )
