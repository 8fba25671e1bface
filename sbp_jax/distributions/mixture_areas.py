"""Integrals and grid sums of a mixture's squared tail, by quadrature since component products have no closed form.

Let T = sum of w_m T_m be the probability beyond a point. The line is split at the components' knots and quantiles,
between which T is smooth and every T_m changes by a factor of at most 4: 16 Gauss-Legendre nodes on each piece (8 in
float32). Beyond the outermost point the cross terms are set to their Cauchy-Schwarz bound,

    integral of T^2 = (sum of w_m sqrt(integral of T_m^2))^2,

which is exact where the tails are proportional; T there is of the order of the dtype's rounding. On the near side 1 - T
is.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sbp_jax.distributions.cells import boundary, cell_areas

_NODES = {jnp.dtype(jnp.float64): 16}
_NODES_DEFAULT = 8


def squared_area(mixture, near: Array, far: Array, upper: bool) -> Array:
    """Return the integral of T^2 from near outward to far; either may be infinite."""
    near, far = jnp.broadcast_arrays(near, far)
    sign = 1 if upper else -1
    points = _points(mixture, near.ndim, sign)
    # outward coordinates
    low, high = sign * near, sign * far
    low, high, first, last = jnp.broadcast_arrays(low, high, points[0], points[-1])
    inner = _clipped(points, low[None], high[None])
    length = (inner[1:] - inner[:-1])[:, None]
    nodes, weights = _rule(near.ndim, near.dtype)
    x = inner[:-1, None] + length * nodes
    total = jnp.sum(length * weights * _tail(mixture, sign * x, upper) ** 2, axis=(0, 1))

    # before the first point T is nearly 1; all but a finite part of this piece may be empty
    some = low < first
    end = jnp.where(some, jnp.where(high < first, high, first), 0.0)
    start = jnp.where(some, low, end)
    bounded = jnp.isfinite(start) & jnp.isfinite(end)
    start, end = (jnp.where(bounded, z, 0.0) for z in (start, end))
    lost = mixture._each_of(lambda d, a, b: (d._tail_areas(a, b, not upper)[0],), sign * end, sign * start)[0]
    square = mixture._each_of(lambda d, a, b: (_square(d, a, b, not upper),), sign * end, sign * start)[0]
    before = end - start - 2 * mixture._total(lost) + _together(mixture, square)
    before = jnp.where(bounded, before, jnp.where(high > low, jnp.inf, 0.0))
    beyond_start = jnp.where(low > last, low, last)
    beyond = high > beyond_start
    a, b = (jnp.where(beyond, z, last) for z in (beyond_start, high))
    square = mixture._each_of(lambda d, a, b: (_square(d, a, b, upper),), sign * a, sign * b)[0]
    return total + jnp.where(some, before, 0.0) + jnp.where(beyond, _together(mixture, square), 0.0)


def squared_cells(mixture, near: Array, step: Array, length: Array, upper: bool) -> Array:
    """Return step times the sum of T^2 over the cell midpoints of `cells`, from near outward over that length."""
    sign = 1 if upper else -1
    points = _points(mixture, near.ndim, sign)
    distance = boundary(points - (sign * near)[None], jnp.broadcast_to(step, near.shape)[None])
    near, step, length = jnp.broadcast_arrays(near, step, length)
    ends = _clipped(distance, jnp.zeros_like(length)[None], length[None])
    nodes, weights = _rule(near.ndim, near.dtype)

    def piece(window):
        start, stop = window

        def tail(d):
            return _tail(mixture, _from(near, sign, start, d), upper)

        def areas(low, high):
            width = (high - low)[None]
            d = low[None] + width * nodes[0][:, None]
            square = jnp.sum(width * weights[0][:, None] * tail(d) ** 2, axis=0)
            return jnp.zeros_like(square), square, jnp.zeros_like(square)

        return cell_areas(tail, areas, (), step, stop - start)[1]

    total = jnp.sum(jax.lax.map(piece, (ends[:-1], ends[1:])), axis=0)
    first, last = ends[0], ends[-1]

    def sums(window_near, window_length, side):
        return mixture._each_of(lambda d, *window: d._cell_areas(*window, side)[:2], window_near, step, window_length)

    lost, square = sums(near + sign * first, first, not upper)
    before = first - 2 * mixture._total(lost) + _together(mixture, square)
    _, square = sums(near + sign * last, length - last, upper)
    return total + jnp.where(first > 0, before, 0.0) + jnp.where(length > last, _together(mixture, square), 0.0)


def _from(near, sign, start, distance):
    def front(x):
        return x.reshape((1,) * (distance.ndim - x.ndim) + x.shape)

    return front(near) + sign * (front(start) + distance)


def _points(mixture, ndim, sign):
    """The split points in outward coordinates, sorted, along the leading axis."""
    points = jax.lax.stop_gradient(mixture._breaks(ndim))
    points = jnp.stack(jnp.broadcast_arrays(*points))
    # an infinite point does not split the line: replace it by any other point
    finite = jnp.isfinite(points)
    least = jnp.min(jnp.where(finite, points, jnp.inf), axis=0, keepdims=True)
    points = jnp.where(finite, points, jnp.where(jnp.isfinite(least), least, 0.0))
    return jnp.sort(sign * points, axis=0)


def _clipped(points, low, high):
    """Split points clipped to a window; all equal where the window contains no split point."""
    points = jnp.where(points < low, low, jnp.where(points > high, high, points))
    return jnp.where(jnp.isfinite(points), points, 0.0)


def _rule(ndim, dtype):
    nodes, weights = np.polynomial.legendre.leggauss(_NODES.get(jnp.dtype(dtype), _NODES_DEFAULT))
    shape = (1, len(nodes), *(1,) * ndim)
    return (jnp.asarray(0.5 * x, dtype).reshape(shape) for x in (1 + nodes, weights))


def _tail(mixture, x, upper):
    return mixture.survival_function(x) if upper else mixture.cdf(x)


def _square(dist, near, far, upper):
    return dist._squared_survival_area(near, far) if upper else dist._squared_cdf_area(far, near)


def _together(mixture, squares):
    positive = squares > 0
    root = jnp.sqrt(jnp.where(positive, squares, 1.0))
    return mixture._total(jnp.where(positive, root, 0.0)) ** 2
