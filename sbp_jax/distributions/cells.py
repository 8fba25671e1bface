"""Sums of a probability over the midpoints of equal cells, where the cdf of a rounded outcome jumps.

Cell i is the interval [i, i + 1] step of distances outward from a point `near`, with midpoint d_i = (i + 1/2) step.
Let T(d) be the probability beyond `near` +- d: the survival function upward, the cdf downward. Every score and moment
of a rounded outcome is built from three midpoint sums over the cells of a window, however many there are:

    first = step sum T(d_i)      square = step sum T(d_i)^2      moment = step sum d_i T(d_i)

docs/explanation/numerics.md derives the summation rule.
"""

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import comb, factorial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Sums = tuple[Array, Array, Array]
# number of terms summed directly before the first difference, and number of orders of differences
_TERMS = {jnp.dtype(jnp.float64): (24, 8)}
_TERMS_DEFAULT = (12, 4)


def cell_areas(
    tail: Callable[[Array], Array],
    areas: Callable[[Array, Array], Sums],
    knots: Sequence[Array],
    step: Float[Array, "..."],
    length: Float[Array, "..."],
) -> Sums:
    """Return the three midpoint sums (first, square, moment) over the cells of the window [0, length].

    Args:
        tail: T as a function of distances, which have leading axes before those of `step`; decreasing, and smooth
            between the knots.
        areas: (a, b) -> the integrals of T, T^2 and (d - a) T over the window [a, b], inf where they diverge; a is
            finite, and both have one leading axis before those of `step`.
        knots: distances in increasing order, all finite.
        step: size of a cell, positive.
        length: length of the window, a multiple of `step`, or inf.
    """
    direct, orders = _TERMS.get(step.dtype, _TERMS_DEFAULT)
    block = direct + orders
    zero = jnp.zeros(jnp.broadcast_shapes(step.shape, length.shape, *(knot.shape for knot in knots)), step.dtype)
    length = length + zero
    ends = [zero]
    for knot in knots:
        at = boundary(knot, step)
        at = jnp.where(at > ends[-1], at, ends[-1])
        ends.append(jnp.where(at < length, at, length))
    ends.append(length)
    start, stop = jnp.stack(ends[:-1]), jnp.stack(ends[1:])
    start = jnp.where(jnp.isfinite(start), start, 0.0)
    count = jnp.round(jax.lax.stop_gradient(jnp.where(stop > start, stop - start, 0.0) / step[None]))
    many = count > 2 * block

    i = jnp.arange(block, dtype=step.dtype).reshape((1, block) + (1,) * zero.ndim)
    offset = (i + 0.5) * step[None, None]
    taper = jnp.asarray(_taper(direct, orders), step.dtype).reshape(i.shape)
    inner = start[:, None] + offset, i < count[:, None]
    outer = stop[:, None] - offset, (i < count[:, None] - block) & jnp.isfinite(stop[:, None])
    d, used = (jnp.stack(jnp.broadcast_arrays(x, y)) for x, y in zip(inner, outer, strict=True))
    value = jnp.where(used, tail(jnp.where(used, d, 0.0)), 0.0)
    d = jnp.where(used, d, 0.0)
    weighted = step[None, None, None] * jnp.where(many[:, None], taper, 1.0)[None] * value

    low, high = start + direct * step[None], stop - direct * step[None]
    low, high = jnp.where(many, low, 0.0), jnp.where(many, high, 0.0)
    first, square, moment = areas(low, high)

    def total(terms, rest):
        return jnp.sum(terms, axis=(0, 1, 2)) + jnp.sum(jnp.where(many, rest, 0.0), axis=0)

    return (
        total(weighted, first),
        total(weighted * value, square),
        total(d * weighted, jnp.where(many, moment + low * jnp.where(many, first, 0.0), 0.0)),
    )


def quadrature_areas(tail: Callable[[Array], Array], low: Array, high: Array) -> Sums:
    """Return the integrals of T, T^2 and (d - low) T over finite windows with smooth T, at 16 Gauss-Legendre nodes."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    nodes, weights = (jnp.asarray(0.5 * x, low.dtype).reshape(16, *(1,) * low.ndim) for x in (1 + nodes, weights))
    distance = (high - low)[None] * nodes
    value = tail(low[None] + distance)
    weighted = (high - low)[None] * weights * value
    return jnp.sum(weighted, axis=0), jnp.sum(weighted * value, axis=0), jnp.sum(weighted * distance, axis=0)


def boundary(distance: Float[Array, "..."], step: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the end of the last cell whose midpoint is below a distance; beyond 1/(2 eps) cells, the distance itself.

    The number of cells has no gradient: T is continuous at a knot, so the sums do not jump when a midpoint crosses it.
    """
    distance = jax.lax.stop_gradient(distance)
    ratio = distance / jax.lax.stop_gradient(step)
    fine = jnp.abs(ratio) * float(jnp.finfo(step.dtype).eps) > 0.5
    return jnp.where(fine, distance, step * jnp.ceil(jnp.where(fine, 0.0, ratio) - 0.5))


def joined(near: Sums, *others: tuple[Array, Sums]) -> Sums:
    """Return the sums over the union of adjacent windows; pair each of the others with its distance."""
    first, square, moment = near
    for distance, sums in others:
        # avoid the product of a divergent sum and a distance of zero
        shift = jnp.where(distance > 0, distance * jnp.where(distance > 0, sums[0], 0.0), 0.0)
        first, square, moment = first + sums[0], square + sums[1], moment + (sums[2] + shift)
    return first, square, moment


@functools.cache
def _taper(direct: int, orders: int) -> np.ndarray:
    """Weights of the direct terms at an end: 1, except in the differences around the cell boundary `direct`."""
    series = [Fraction((-1) ** k * factorial(2 * k), 4**k * factorial(k) ** 2 * (2 * k + 1)) for k in range(orders + 1)]
    inverse = [Fraction(1)]
    for k in range(1, orders + 1):
        inverse.append(-sum((series[j] * inverse[k - j] for j in range(1, k + 1)), Fraction(0)))
    weights = [Fraction(1)] * direct + [Fraction(0)] * orders
    for m in range(1, orders + 1):
        gamma = -inverse[m] / 4**m
        for j in range(2 * m):
            weights[direct + m - 1 - j] -= gamma * (-1) ** j * comb(2 * m - 1, j)
    return np.array([float(w) for w in weights])
