"""Probabilities of bins as functions of their logits, in a few fused passes over the bins, forward and backward.

Automatic differentiation stores the exponentials of the forward pass for the backward pass: several arrays the size of
the logits that must travel through memory. Here every derivative has a closed form based on the normalizer, so a
gradient costs one elementwise pass that recomputes the exponentials, and no memory beyond its result.

Throughout, p = softmax(logits) over the last axis, and arguments without bins have the rank of the logits' batch.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from sbp_jax.distributions.numerics import safe_log

_SMALLEST = 1e3  # weight of a bin that is divided by, in units of the smallest normal float


@jax.custom_jvp
def take_last(values: Float[Array, "... n"], index: Int[Array, "..."]) -> Float[Array, "..."]:
    """Return values[..., index], with a gradient by comparison: a gather's, a scatter, is not vectorized."""
    return jnp.take_along_axis(values, index[..., None], axis=-1, mode="clip")[..., 0]


@take_last.defjvp
def _take_last_jvp(primals, tangents):
    values, index = primals
    mask = _positions(values) == index[..., None]
    return take_last(values, index), jnp.sum(jnp.where(mask, tangents[0], 0.0), axis=-1)


@jax.custom_jvp
def log_probability(logits: Float[Array, "... n"], index: Int[Array, "..."]) -> Float[Array, "..."]:
    """Return log p_index, finite where the probability underflows."""
    peak, log_total = _normalizer(logits)
    return take_last(logits, index) - peak - log_total


@log_probability.defjvp
def _log_probability_jvp(primals, tangents):
    logits, index = primals
    weight = jnp.where(_positions(logits) == _materialized(index)[..., None], 1.0, 0.0) - probabilities(logits)
    return log_probability(logits, index), _materialized(jnp.sum(weight * tangents[0], axis=-1))


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def partial_mass(
    logits: Float[Array, "... n"], index: Int[Array, "..."], fraction: Float[Array, "..."], from_last: bool
) -> Float[Array, "..."]:
    """Return the probability of the bins before (or after) `index` plus a fraction in [0, 1] of that bin."""
    peak, blocks = _block_sums(logits)
    size = _block_size(logits)
    block = index // size
    position, weights = _inside(logits, peak, block)
    number = _positions(blocks)
    outer = (number > block[..., None]) if from_last else (number < block[..., None])
    inner = (position > index[..., None]) if from_last else (position < index[..., None])
    passed = jnp.sum(jnp.where(outer, blocks, 0.0), axis=-1) + jnp.sum(jnp.where(inner, weights, 0.0), axis=-1)
    part = jnp.sum(jnp.where(position == index[..., None], weights, 0.0), axis=-1) * fraction
    return (passed + part) / jnp.sum(blocks, axis=-1)


@partial_mass.defjvp
def _partial_mass_jvp(from_last, primals, tangents):
    logits, index, fraction = primals
    value = partial_mass(*primals, from_last)
    weight = probabilities(logits) * (_passed(logits, index, fraction, from_last) - value[..., None])
    slope = jnp.sum(weight * tangents[0], axis=-1)
    return value, slope + jnp.exp(log_probability(logits, index)) * tangents[2]


@jax.custom_jvp
def log_partial_mass(logits: Float[Array, "... n"], part: Float[Array, "... n"]) -> Float[Array, "..."]:
    """Return log `partial_mass`, accurate where it underflows; -inf with zero gradient for an empty region."""
    peak, log_total = _normalizer(logits)
    touched = jnp.where(part > 0, logits, -jnp.inf)
    near = jnp.max(touched, axis=-1, keepdims=True)
    near = jnp.where(jnp.isfinite(near), near, 0.0)
    mass = jnp.sum(jnp.exp(touched - near) * part, axis=-1)
    return safe_log(mass) + (near[..., 0] - peak) - log_total


@log_partial_mass.defjvp
def _log_partial_mass_jvp(primals, tangents):
    logits, part = primals
    value = log_partial_mass(logits, part)
    peak, log_total = _normalizer(logits)
    inside = (part > 0) & (value > -jnp.inf)[..., None]
    # p_j / mass, masked before the exponential: for a bin outside, the ratio may overflow
    exponent = (logits - peak[..., None]) - (log_total + jnp.where(value > -jnp.inf, value, 0.0))[..., None]
    relative = jnp.where(inside, jnp.exp(jnp.where(inside, exponent, 0.0)), 0.0)
    p = jnp.where((value > -jnp.inf)[..., None], probabilities(logits), 0.0)
    slope = jnp.sum((relative * part - p) * tangents[0], axis=-1)
    return value, slope + jnp.sum(relative * tangents[1], axis=-1)


def bin_index(edges: Float[Array, "... edges"], y: Float[Array, "..."]) -> Int[Array, "..."]:
    """Return the index of the bin [edge_k, edge_k+1) that contains y; the nearest end bin outside the edges or for NaN.

    By bisection: comparing with every edge is simpler, but the sum does not fuse on CPU.
    """
    bins = edges.shape[-1] - 1
    index = jnp.zeros(jnp.broadcast_shapes(y.shape, edges.shape[:-1]), jnp.int32)
    for step in (2**k for k in reversed(range((bins - 1).bit_length()))):
        there = index + step
        reached = (there < bins) & (y >= take_last(edges, jnp.minimum(there, bins - 1)))
        index = jnp.where(reached, there, index)
    return index


def quantile_bin(
    logits: Float[Array, "... n"], mass: Float[Array, "..."], from_last: bool
) -> tuple[Int[Array, "..."], Float[Array, "..."]]:
    """Find where the probability summed from the first bin (or from the last bin down) reaches `mass`.

    A sum from the first bin loses the digits of a small mass at the other end.

    Args:
        logits: [..., n].
        mass: probability in [0, 1], [...].
        from_last: whether the sum starts at the last bin.
    Returns:
        The index of the bin in which the sum reaches `mass`, and the fraction of that bin below that point. A bin whose
        probability is below rounding is never divided by: its fraction is 0, without gradient.
    """
    frozen, level = jax.lax.stop_gradient((logits, mass))
    index, passed, total = _locate(frozen, level, from_last=from_last)
    return index, _fraction(logits, mass, index, passed, total, from_last)


@functools.partial(jax.custom_jvp, nondiff_argnums=(5,))
def _fraction(logits, mass, index, passed, total, from_last):
    """(mass total - passed) / weight of the bin, with weights, their total and the passed sum relative to the peak."""
    target = mass * total
    weight, solid = _solid_weight(logits, index, target)
    return jnp.where(solid, jnp.clip((target - passed) / weight, 0.0, 1.0), 0.0)


@_fraction.defjvp
def _fraction_jvp(from_last, primals, tangents):
    logits, mass, index, _, total = primals
    value = _fraction(*primals, from_last)
    _, solid = _solid_weight(logits, index, mass * total)
    scale = jnp.where(solid, jnp.exp(-jnp.where(solid, log_probability(logits, index), 0.0)), 0.0)
    passed = _passed(logits, _materialized(index), _materialized(value), from_last)
    weight = probabilities(logits) * (_materialized(mass)[..., None] - passed)
    return value, scale * (tangents[1] + _materialized(jnp.sum(weight * tangents[0], axis=-1)))


def _solid_weight(logits, index, target):
    """Weight of a bin, 1 where it is below the rounding of the target or nearly 0, and the mask of other bins."""
    peak, _ = _normalizer(logits)
    weight = jnp.exp(take_last(logits, index) - peak)
    limits = jnp.finfo(logits.dtype)
    # without mass to reach, the target's rounding is 0, but the inverse of a weight must be finite
    solid = weight > jnp.maximum(float(limits.eps) * target, _SMALLEST * float(limits.tiny))
    return jnp.where(solid, weight, 1.0), solid


@functools.partial(jax.jit, static_argnames="from_last", inline=True)
def _locate(logits, target, *, from_last):
    """Two-level search: over the sums of about sqrt(n) blocks, then inside the block where the sum reaches the target.

    The running sums are unrolled additions of [...] arrays, which compile into one fused loop over the batch. Compiled
    even outside a surrounding jit, where every addition would otherwise be a separate operation.
    """
    peak, blocks = _block_sums(logits)
    total = jnp.sum(blocks, axis=-1)
    target = target * total
    block, passed = _scan_to_target(blocks, target, jnp.zeros_like(target), from_last)
    _, weights = _inside(logits, peak, block)
    offset, passed = _scan_to_target(weights, target, passed, from_last)
    return jnp.minimum(block * _block_size(logits) + offset, logits.shape[-1] - 1), passed, total


def _scan_to_target(weights, target, start, from_last):
    """Index at which start + running sum first exceeds the target, and the sum before it; the end if it never does."""
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


def probabilities(logits: Float[Array, "... n"]) -> Float[Array, "... n"]:
    """Return p, to be fused into its consumer rather than stored."""
    peak, log_total = _normalizer(logits)
    return _softmax(logits, peak, log_total)


def _normalizer(logits):
    """The largest logit, and log of the sum of exp(logits - largest): separate, since their sum would lose digits."""
    peak = jax.lax.stop_gradient(jnp.max(logits, axis=-1))
    return peak, _log_total(logits, peak)


@jax.custom_jvp
def _log_total(logits, peak):
    return jnp.log(jnp.sum(_block_sums(logits)[1], axis=-1))


@_log_total.defjvp
def _log_total_jvp(primals, tangents):
    logits, peak = primals
    value = _log_total(logits, peak)
    return value, jnp.sum(_softmax(logits, peak, value) * tangents[0], axis=-1)


def _softmax(logits, peak, log_total):
    # behind the barrier the difference is not the forward pass's, so that one is not stored for the backward pass
    return jnp.exp(logits - _materialized(peak)[..., None] - _materialized(log_total)[..., None])


def _block_size(logits):
    return math.isqrt(logits.shape[-1] - 1) + 1


def _block_sums(logits):
    """The largest logit [..., 1], and the sums of exp(logits - largest) over blocks of about sqrt(n) bins.

    Every value comes from this one pass over the bins. A windowed sum, because it fuses with the exponential: before a
    plain reduction the CPU compiler writes an array the size of the logits.
    """
    n, size = logits.shape[-1], _block_size(logits)
    peak = jnp.max(logits, axis=-1, keepdims=True)
    window = (1,) * (logits.ndim - 1) + (size,)
    padding = [(0, 0)] * (logits.ndim - 1) + [(0, -n % size)]
    zero = np.zeros((), logits.dtype)
    return peak, jax.lax.reduce_window(jnp.exp(logits - peak), zero, jax.lax.add, window, window, padding)


def _inside(logits, peak, block):
    """Positions and weights of the bins of one block, weight 0 past the last bin."""
    n, size = logits.shape[-1], _block_size(logits)
    offset = jnp.arange(size, dtype=block.dtype).reshape((1,) * block.ndim + (-1,))
    position = block[..., None] * size + offset
    values = jnp.take_along_axis(logits, jnp.minimum(position, n - 1), axis=-1, mode="clip")
    return position, jnp.where(position < n, jnp.exp(values - peak), 0.0)


def _passed(logits, index, fraction, from_last):
    """1 for each bin before (or after) the index, the fraction for the bin at the index, 0 for the others."""
    position, at = _positions(logits), index[..., None]
    part = jnp.where(position == at, fraction[..., None], 0.0)
    return jnp.where(position > at if from_last else position < at, 1.0, part)


def _materialized(x):
    """x, computed before a pass over the bins that uses it; the same holds for its cotangent.

    A compiler would fuse the computation of x into that pass and repeat it for every bin. It may look through an
    optimization barrier, but not through a windowed sum, here of each number and a zero. The numbers are complex
    because the CPU compiler's reduction library would take over real ones and the operations around them. The
    operation is linear, so transposing keeps it in place.
    """
    window, padding = (1,) * x.ndim + (2,), [(0, 0)] * x.ndim + [(0, 1)]
    if jnp.issubdtype(x.dtype, jnp.integer):
        result = jax.lax.reduce_window(x[..., None], np.zeros((), x.dtype), jax.lax.bitwise_or, window, window, padding)
    else:
        pairs = jax.lax.complex(x, jnp.zeros_like(x))[..., None]
        result = jax.lax.reduce_window(pairs, np.zeros((), pairs.dtype), jax.lax.add, window, window, padding)
        result = jax.lax.real(result)
    return result[..., 0]


def _positions(values):
    """0, 1, ..., n - 1 along the last axis, with the rank of `values`."""
    return jnp.arange(values.shape[-1], dtype=jnp.int32).reshape((1,) * (values.ndim - 1) + (-1,))
