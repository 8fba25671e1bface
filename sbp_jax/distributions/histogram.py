"""Probabilities of bins as functions of their logits, each in a few fused passes over the bins, backward as forward.

Automatic differentiation keeps the exponentials of the forward pass for the backward one, several arrays of the size
of the logits that must travel through memory. Here every derivative is written in closed form from the normalizer, so
that a gradient costs one elementwise pass that computes the exponentials again, and no memory beyond its result.

Throughout, p = softmax(logits) over the last axis, and arguments without bins have the rank of the logits' batch.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from sbp_jax.distributions.numerics import safe_log


@jax.custom_jvp
def take_last(values: Float[Array, "... n"], index: Int[Array, "..."]) -> Float[Array, "..."]:
    """values[..., index], with a gradient by comparison: that of a gather is a scatter, which does not vectorize."""
    return jnp.take_along_axis(values, index[..., None], axis=-1, mode="clip")[..., 0]


@take_last.defjvp
def _pick_jvp(primals, tangents):
    values, index = primals
    mask = _positions(values) == index[..., None]
    return take_last(values, index), jnp.sum(jnp.where(mask, tangents[0], 0.0), axis=-1)


@jax.custom_jvp
def log_probability(logits: Float[Array, "... n"], index: Int[Array, "..."]) -> Float[Array, "..."]:
    """log p_index, finite where the probability underflows."""
    peak, log_total = _normalizer(logits)
    return take_last(logits, index) - peak - log_total


@log_probability.defjvp
def _log_probability_jvp(primals, tangents):
    logits, index = primals
    weight = jnp.where(_positions(logits) == _held(index)[..., None], 1.0, 0.0) - probabilities(logits)
    return log_probability(logits, index), _held(jnp.sum(weight * tangents[0], axis=-1))


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def partial_mass(
    logits: Float[Array, "... n"], index: Int[Array, "..."], fraction: Float[Array, "..."], from_last: bool
) -> Float[Array, "..."]:
    """Probability of the bins before (or after) `index`, and of a fraction in [0, 1] of that bin itself."""
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
def _share_jvp(from_last, primals, tangents):
    logits, index, fraction = primals
    value = partial_mass(*primals, from_last)
    weight = probabilities(logits) * (_passed(logits, index, fraction, from_last) - value[..., None])
    slope = jnp.sum(weight * tangents[0], axis=-1)
    return value, slope + jnp.exp(log_probability(logits, index)) * tangents[2]


@jax.custom_jvp
def log_partial_mass(logits: Float[Array, "... n"], part: Float[Array, "... n"]) -> Float[Array, "..."]:
    """log of `partial_mass`, accurate where the probability underflows; -inf with zero gradient for an empty region."""
    peak, log_total = _normalizer(logits)
    touched = jnp.where(part > 0, logits, -jnp.inf)
    near = jnp.max(touched, axis=-1, keepdims=True)
    near = jnp.where(jnp.isfinite(near), near, 0.0)
    mass = jnp.sum(jnp.exp(touched - near) * part, axis=-1)
    return safe_log(mass) + (near[..., 0] - peak) - log_total


@log_partial_mass.defjvp
def _log_share_jvp(primals, tangents):
    logits, part = primals
    value = log_partial_mass(logits, part)
    peak, log_total = _normalizer(logits)
    inside = (part > 0) & (value > -jnp.inf)[..., None]
    # p_j / share, masked before the exponential: a bin outside may be likelier by more than a float holds
    exponent = (logits - peak[..., None]) - (log_total + jnp.where(value > -jnp.inf, value, 0.0))[..., None]
    relative = jnp.where(inside, jnp.exp(jnp.where(inside, exponent, 0.0)), 0.0)
    p = jnp.where((value > -jnp.inf)[..., None], probabilities(logits), 0.0)
    slope = jnp.sum((relative * part - p) * tangents[0], axis=-1)
    return value, slope + jnp.sum(relative * tangents[1], axis=-1)


def bin_index(edges: Float[Array, "... edges"], y: Float[Array, "..."]) -> Int[Array, "..."]:
    """Index of the bin [edge_k, edge_k+1) that holds y, the nearest end bin for y outside the edges or NaN.

    Bisection: a comparison with every edge is the obvious way, but its sum does not fuse on CPU.
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
    """Where the probability summed from the first bin (or from the last bin down) reaches `mass`.

    A sum from the first bin keeps no digits of a small mass at the other end.

    Args:
        logits: [..., n].
        mass: probability in [0, 1], [...].
        from_last: the side that the sum starts at.
    Returns:
        The index of the bin that holds the crossing, and the fraction of that bin that the sum has passed there. A bin
        whose probability is below rounding holds no crossing and is never divided by: fraction 0 without gradient.
    """
    frozen, level = jax.lax.stop_gradient((logits, mass))
    index, passed, total = _locate(frozen, level, from_last=from_last)
    return index, _fraction(logits, mass, index, passed, total, from_last)


@functools.partial(jax.custom_jvp, nondiff_argnums=(5,))
def _fraction(logits, mass, index, passed, total, from_last):
    """(mass total - passed) / weight of the bin: weights, their total and what was passed are relative to the peak."""
    target = mass * total
    weight, solid = _solid_weight(logits, index, target)
    return jnp.where(solid, jnp.clip((target - passed) / weight, 0.0, 1.0), 0.0)


@_fraction.defjvp
def _fraction_jvp(from_last, primals, tangents):
    logits, mass, index, _, total = primals
    value = _fraction(*primals, from_last)
    _, solid = _solid_weight(logits, index, mass * total)
    scale = jnp.where(solid, jnp.exp(-jnp.where(solid, log_probability(logits, index), 0.0)), 0.0)
    passed = _passed(logits, _held(index), _held(value), from_last)
    weight = probabilities(logits) * (_held(mass)[..., None] - passed)
    return value, scale * (tangents[1] + _held(jnp.sum(weight * tangents[0], axis=-1)))


def _solid_weight(logits, index, target):
    """Weight of a bin, 1 where it is below the rounding of the target, and where it is not."""
    peak, _ = _normalizer(logits)
    weight = jnp.exp(take_last(logits, index) - peak)
    solid = weight > float(jnp.finfo(logits.dtype).eps) * target
    return jnp.where(solid, weight, 1.0), solid


@functools.partial(jax.jit, static_argnames="from_last", inline=True)
def _locate(logits, target, *, from_last):
    """Two-level search: over the sums of about sqrt(n) blocks, then inside the block that holds the crossing.

    The running sums are unrolled additions of [...] arrays, which compile into one fused loop over the batch; compiled
    also outside of a surrounding jit, where every addition would be an operation of its own.
    """
    peak, blocks = _block_sums(logits)
    total = jnp.sum(blocks, axis=-1)
    target = target * total
    block, passed = _scan_crossing(blocks, target, jnp.zeros_like(target), from_last)
    _, weights = _inside(logits, peak, block)
    offset, passed = _scan_crossing(weights, target, passed, from_last)
    return jnp.minimum(block * _block_size(logits) + offset, logits.shape[-1] - 1), passed, total


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


def probabilities(logits: Float[Array, "... n"]) -> Float[Array, "... n"]:
    """p, to be fused into whatever uses it rather than kept."""
    peak, log_total = _normalizer(logits)
    return _softmax(logits, peak, log_total)


def _normalizer(logits):
    """The largest logit, and log of the sum of exp(logits - largest): two numbers, for their sum would lose digits."""
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
    # held, the difference is another one than in the forward pass, which is not kept for this one then
    return jnp.exp(logits - _held(peak)[..., None] - _held(log_total)[..., None])


def _block_size(logits):
    return math.isqrt(logits.shape[-1] - 1) + 1


def _block_sums(logits):
    """The largest logit [..., 1], and the sums of exp(logits - largest) over blocks of about sqrt(n) bins.

    The one pass over the bins that every value comes from. A window, since it fuses with the exponential: before a
    reduction the CPU compiler writes an array of the size of the logits.
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
    found = jnp.take_along_axis(logits, jnp.minimum(position, n - 1), axis=-1, mode="clip")
    return position, jnp.where(position < n, jnp.exp(found - peak), 0.0)


def _passed(logits, index, fraction, from_last):
    """1 for each bin before (or after) the index, the fraction for that bin itself, 0 for the others."""
    position, at = _positions(logits), index[..., None]
    part = jnp.where(position == at, fraction[..., None], 0.0)
    return jnp.where(position > at if from_last else position < at, 1.0, part)


def _held(x):
    """x, computed before a pass over the bins that uses it, and its cotangent likewise.

    A compiler would fuse what x is made of into that pass and compute it for every bin. It may look through a barrier,
    but not through a windowed sum, here of each number with nothing; of complex numbers, since the CPU compiler's
    library of reductions takes real ones and all around them. It is linear, so that transposing leaves it in place.
    """
    window, padding = (1,) * x.ndim + (2,), [(0, 0)] * x.ndim + [(0, 1)]
    if jnp.issubdtype(x.dtype, jnp.integer):
        held = jax.lax.reduce_window(x[..., None], np.zeros((), x.dtype), jax.lax.bitwise_or, window, window, padding)
    else:
        pairs = jax.lax.complex(x, jnp.zeros_like(x))[..., None]
        held = jax.lax.reduce_window(pairs, np.zeros((), pairs.dtype), jax.lax.add, window, window, padding)
        held = jax.lax.real(held)
    return held[..., 0]


def _positions(values):
    """0, 1, ..., n - 1 along the last axis, with the rank of `values`."""
    return jnp.arange(values.shape[-1], dtype=jnp.int32).reshape((1,) * (values.ndim - 1) + (-1,))
