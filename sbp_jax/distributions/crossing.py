"""Selecting a bin and finding where a running sum of weights crosses a target, at the cost of one pass over the bins.

Both have a naive form that is several times slower on CPU: the gradient of a gather is a scatter, and a cumulative
sum is a scan. Here values come from gathers, gradients from comparisons that fuse with the pass over the bins.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@jax.custom_jvp
def pick(values: Float[Array, "... n"], index: Int[Array, "..."]) -> Float[Array, "..."]:
    """values[..., index], with a gradient by comparison; `index` has the rank of the batch of `values`."""
    return jnp.take_along_axis(values, index[..., None], axis=-1, mode="clip")[..., 0]


@pick.defjvp
def _pick_jvp(primals, tangents):
    values, index = primals
    mask = _positions(values, index) == index[..., None]
    return pick(values, index), jnp.sum(jnp.where(mask, tangents[0], 0.0), axis=-1)


def crossing_from_first(
    weights: Float[Array, "... n"], target: Float[Array, "..."]
) -> tuple[Int[Array, "..."], Float[Array, "..."]]:
    """The first index whose inclusive running sum exceeds `target`, and the sum of the weights before it.

    Args:
        weights: non-negative, [..., n].
        target: [...], of the same rank as the batch of `weights`.
    Returns:
        The index, n - 1 if the target is never exceeded; and the sum, whose gradient goes to the weights before it.
    """
    index, passed = _locate(jax.lax.stop_gradient(weights), jax.lax.stop_gradient(target), from_last=False)
    return index, _sum_before(weights, index, passed)


def crossing_from_last(
    weights: Float[Array, "... n"], target: Float[Array, "..."]
) -> tuple[Int[Array, "..."], Float[Array, "..."]]:
    """The same from the last weight down: a sum from the first keeps no digits of a small target at the other end."""
    index, passed = _locate(jax.lax.stop_gradient(weights), jax.lax.stop_gradient(target), from_last=True)
    return index, _sum_after(weights, index, passed)


@functools.partial(jax.jit, static_argnames="from_last", inline=True)
def _locate(weights, target, *, from_last):
    """Two-level search: over the sums of about sqrt(n) blocks, then inside the block that holds the crossing.

    The running sums are unrolled additions of [...] arrays, which compile into one fused loop over the batch; compiled
    also outside of a surrounding jit, where every addition would be an operation of its own.
    """
    n = weights.shape[-1]
    size = math.isqrt(n - 1) + 1
    count = -(-n // size)
    padding = [(0, 0)] * (weights.ndim - 1) + [(0, count * size - n)]
    blocks = jnp.pad(weights, padding).reshape(*weights.shape[:-1], count, size)
    block, passed = _scan_crossing(jnp.sum(blocks, axis=-1), target, jnp.zeros_like(target), from_last)
    inside = jnp.take_along_axis(blocks, block[..., None, None], axis=-2, mode="clip")[..., 0, :]
    offset, passed = _scan_crossing(inside, target, passed, from_last)
    return jnp.minimum(block * size + offset, n - 1), passed


def _scan_crossing(weights, target, start, from_last):
    """Index at which start + running sum first exceeds the target, and that sum before it; the end if it never does."""
    n = weights.shape[-1]
    total = passed = start
    steps = jnp.zeros(jnp.broadcast_shapes(weights.shape[:-1], target.shape), jnp.int32)
    for i in reversed(range(n)) if from_last else range(n):
        total = total + weights[..., i]
        below = total <= target
        if i != (0 if from_last else n - 1):
            steps = steps + below.astype(jnp.int32)
            passed = jnp.where(below, total, passed)
    return (n - 1 - steps if from_last else steps), passed


@jax.custom_jvp
def _sum_before(weights, index, known):
    """weights[..., :index].sum(-1), whose value is already `known`."""
    return known


@_sum_before.defjvp
def _sum_before_jvp(primals, tangents):
    weights, index, known = primals
    mask = _positions(weights, index) < index[..., None]
    return known, jnp.sum(jnp.where(mask, tangents[0], 0.0), axis=-1)


@jax.custom_jvp
def _sum_after(weights, index, known):
    """weights[..., index + 1:].sum(-1), whose value is already `known`."""
    return known


@_sum_after.defjvp
def _sum_after_jvp(primals, tangents):
    weights, index, known = primals
    mask = _positions(weights, index) > index[..., None]
    return known, jnp.sum(jnp.where(mask, tangents[0], 0.0), axis=-1)


def _positions(values, index):
    """0, 1, ..., n - 1 along the last axis, with the rank of `values`."""
    return jnp.arange(values.shape[-1], dtype=index.dtype).reshape((1,) * (values.ndim - 1) + (-1,))
