"""Integrals of the standard Gaussian tail over windows, to rounding at any distance and width.

The closed forms, x P(T > x) - phi(x) and its integral, cancel in the tails and over narrow windows. Gauss-Legendre
quadrature of the tail itself does not: twelve nodes on each of eight pieces, which grow with the distance from the
window's start in units of the local decay 1 / max(1, x), leave an error of 1e-15. Derivatives are closed forms: the
integrand at the ends.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

# ends of the pieces in units of the decay; beyond the last one P is below 1e-16 of its value at the start
_ENDS = (0.0, 0.75, 1.5, 2.5, 4.0, 6.0, 9.0, 14.0, 40.0)
_NODES = 12


def tail_areas(low: Float[Array, "..."], high: Float[Array, "..."]) -> tuple[Array, Array]:
    """Return the integrals of P(T > x) and (x - low) P(T > x) over [low, high]; low is finite, high may be infinite."""
    low, high = jnp.broadcast_arrays(low, high)
    return _tail_areas(low, high)


@jax.custom_jvp
def _tail_areas(low, high):
    # below 0: the length minus the mirrored window, whose integrals are at most half of the length
    middle = jnp.where(high < 0, high, 0.0)
    behind = jnp.where(low < 0, middle - low, 0.0)
    mirrored, about = _positive(jnp.where(low < 0, -middle, 0.0), jnp.where(low < 0, -low, 0.0))
    start = jnp.where(low > 0, low, 0.0)
    first, moment = _positive(start, jnp.where(high > start, high, start))
    left = behind - mirrored, 0.5 * behind * behind - (behind * mirrored - about)
    return left[0] + first, left[1] + moment + behind * first


@_tail_areas.defjvp
def _tail_areas_jvp(primals, tangents):
    (low, high), (d_low, d_high) = primals, tangents
    first, moment = _tail_areas(low, high)
    finite = jnp.isfinite(high)
    end = jnp.where(finite, high, 0.0)
    at_high = jnp.where(finite, ndtr(-end), 0.0) * d_high
    return (first, moment), (at_high - ndtr(-low) * d_low, jnp.where(finite, end - low, 0.0) * at_high - first * d_low)


def _positive(low, high):
    """The integrals over [low, high] with low >= 0.

    An infinite end stops at the last piece.
    """
    decay = 1 / jnp.where(low > 1, low, 1.0)
    ends = jnp.asarray(_ENDS, low.dtype).reshape(len(_ENDS), *(1,) * low.ndim) * decay[None]
    width = jnp.where(high > low, high - low, 0.0)
    ends = jnp.where(ends < width[None], ends, width[None])
    length = (ends[1:] - ends[:-1])[:, None]
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    shape = (1, _NODES, *(1,) * low.ndim)
    distance = ends[:-1, None] + length * jnp.asarray(0.5 + 0.5 * nodes, low.dtype).reshape(shape)
    value = length * jnp.asarray(0.5 * weights, low.dtype).reshape(shape) * ndtr(-(low[None, None] + distance))
    return jnp.sum(value, axis=(0, 1)), jnp.sum(distance * value, axis=(0, 1))
