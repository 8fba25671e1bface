"""One side of the blended generalized Pareto distribution: from the body's inner quantile outward through the zone.

The outward coordinate x is y on the upper side and -y on the lower side. This module holds the code shared by both
constructions; `zone_published` and `zone_density` hold their blends in the zone.
"""

import abc
import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.binned import Binned
from sbp_jax.distributions.cells import Sums, boundary, cell_areas, quadrature_areas
from sbp_jax.distributions.histogram import probabilities, take_last
from sbp_jax.distributions.numerics import expm1_ratio, safe_log
from sbp_jax.distributions.pareto import GeneralizedPareto
from sbp_jax.distributions.pytrees import Constant, pad_rank

# Gauss-Legendre nodes on each piece of the blending zone between two edges
_NODES = {jnp.dtype(jnp.float64): 24}
_NODES_DEFAULT = 12


@dataclasses.dataclass(frozen=True)
class Point:
    """An outcome seen from one side: in the blending zone, beyond it, or neither.

    `excess` over the outer end is 0 unless beyond. Outside the zone, the outward coordinate `x` is the zone's midpoint.
    """

    inside: Bool[Array, "..."]
    beyond: Bool[Array, "..."]
    excess: Float[Array, "..."]
    x: Float[Array, "..."]


class Piece(NamedTuple):
    """The part of one bin inside the zone, or of all bins from the inside out: every field [...] or [..., K]."""

    low: Float[Array, "..."]  # inner end, outward coordinate
    high: Float[Array, "..."]
    edge: Float[Array, "..."]  # outer edge of the bin
    width: Float[Array, "..."]  # of the bin
    p: Float[Array, "..."]  # probability of the bin
    beyond: Float[Array, "..."]  # the body's tail probability at the outer edge
    tail: Float[Array, "..."]  # T at the outer end


@dataclasses.dataclass(frozen=True)
class Side(abc.ABC):
    """The upper or lower side: the body, the tail's shape and the static tail probabilities (outer, inner)."""

    body: Binned
    raw_shape: Float[Array, "..."]
    masses: Constant
    upper: bool

    @property
    @abc.abstractmethod
    def mass(self) -> float | Float[Array, "..."]:
        """Return the probability beyond the outer end, a number or an array of the batch shape."""

    @abc.abstractmethod
    def zone_density(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return -dT/dt at the outward coordinate x in the zone, where t in [0, 1] is the position between its ends."""

    @abc.abstractmethod
    def zone_tail(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return T at the outward coordinate x in the zone."""

    @abc.abstractmethod
    def zone_interval(
        self, x: Float[Array, "..."], stop: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Return log |T(x) - T(stop)| and the sign of the difference, x <= stop in the zone."""

    @abc.abstractmethod
    def nodes(
        self, low: Float[Array, "..."], high: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."], Bool[Array, "..."]]:
        """Return nodes [..., K, n] of the pieces between low and high: x, T, weight times length, used nodes."""

    @abc.abstractmethod
    def tails_at_edges(self, ndim: int) -> Float[Array, "... bins"]:
        """Return T at the outer edge of each bin from the inside out, [..., K]; arbitrary where not in the zone."""

    @abc.abstractmethod
    def tail_in(self, piece: Piece, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return T at the outward coordinate x in a piece with the rank of x, at less cost than `zone_tail`."""

    @functools.cached_property
    def numbers(self) -> tuple[float, float, float]:
        """Outer and inner tail probability rounded to the dtype, and the log of inner over outer."""
        outer, inner = (float(m) for m in np.asarray(self.masses).astype(self.body.dtype))
        return outer, inner, math.log(inner / outer)

    @functools.cached_property
    def shape(self) -> Float[Array, "..."]:
        """xi, within the range where (inner / outer)^xi and its inverse can be squared without overflow."""
        limit = 0.45 * math.log(float(jnp.finfo(self.body.dtype).max)) / self.numbers[2]
        return jnp.where(self.raw_shape > limit, limit, jnp.where(self.raw_shape < -limit, -limit, self.raw_shape))

    def out(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the outward coordinate of y, or y of an outward coordinate."""
        return y if self.upper else -y

    @functools.cached_property
    def ends(self) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Inner and outer end of the blending zone, in outward coordinates, of the batch shape."""
        rank = len(self.body.batch_shape)
        outer, inner, _ = self.numbers
        a, b = (self.body._quantile(jnp.full((1,) * rank, m, self.body.dtype), self.upper) for m in (inner, outer))
        return self.out(a), self.out(b)

    @functools.cached_property
    def width(self) -> Float[Array, "..."]:
        """Distance between the ends; one rounding step where rounding makes them coincide, so the tail has a scale."""
        a, b = self.ends
        info = jnp.finfo(self.body.dtype)
        step = float(info.eps) * jnp.abs(b) + float(info.tiny) / float(info.eps)
        return jnp.where(b > a, b - a, step)

    @functools.cached_property
    def tail(self) -> GeneralizedPareto:
        """The distribution of the excess over the outer end; its scale is (b - a) xi / (1 - r^-xi).

        S_G passes through both ends.
        """
        xi = self.shape
        scale = self.width / expm1_ratio(-xi, jnp.full_like(xi, self.numbers[2]))
        # derivatives divide by the squared scale, which must not underflow
        least = 4 * math.sqrt(float(jnp.finfo(self.body.dtype).tiny))
        return GeneralizedPareto(xi, jnp.where(scale < least, least, scale))

    def at(self, y: Float[Array, "..."]) -> Point:
        """Return y seen from this side."""
        a, b = (pad_rank(e, y.ndim) for e in self.ends)
        x = self.out(y)
        inside, beyond = (x > a) & (x <= b), x > b
        safe = jnp.where(inside, x, a + 0.5 * (b - a))
        return Point(inside, beyond, jnp.where(beyond, jnp.where(beyond, x, b) - b, 0.0), safe)

    def log_prob(self, point: Point) -> Float[Array, "..."]:
        """Return the log-density in the zone and beyond it; -inf with zero gradient where T rises in the zone."""
        log_width = jnp.log(pad_rank(self.width, point.x.ndim))
        density = self.zone_density(point.x)
        zone = jnp.where(density > 0, safe_log(density) - log_width, -jnp.inf)
        return jnp.where(point.beyond, self._log_mass(point.x.ndim) + self.tail.log_prob(point.excess), zone)

    def tail_probability(self, point: Point) -> Float[Array, "..."]:
        """Return T in the zone and beyond it."""
        beyond = self._mass(point.x.ndim) * self.tail.survival_function(point.excess)
        return jnp.where(point.beyond, beyond, self.zone_tail(point.x))

    def log_tail_probability(self, point: Point) -> Float[Array, "..."]:
        """Return log T in the zone and beyond it."""
        beyond = self._log_mass(point.x.ndim) + self.tail.log_survival_function(point.excess)
        return jnp.where(point.beyond, beyond, safe_log(self.zone_tail(point.x)))

    def log_complement(self, point: Point) -> Float[Array, "..."]:
        """Return log(1 - T) in the zone and beyond it."""
        return jnp.log1p(-self.tail_probability(point))

    def interval(
        self, near: Float[Array, "..."], far: Float[Array, "..."]
    ) -> tuple[tuple[Float[Array, "..."], Float[Array, "..."]], Float[Array, "..."]]:
        """Return the probability in the zone as (log of its absolute value, sign), and the log of that beyond."""
        a, b = (pad_rank(e, near.ndim) for e in self.ends)
        x, stop = self.out(near), self.out(far)
        log_beyond = self._log_mass(near.ndim) + self.tail.interval_log_prob(
            self._snapped(jnp.where(x > b, x - jnp.where(x > b, b, 0.0), 0.0)),
            jnp.where(stop > b, stop - jnp.where(stop > b, b, 0.0), 0.0),
        )
        x, stop = jnp.where(x > a, x, a), jnp.where(stop < b, stop, b)
        some = x < stop
        size, sign = self.zone_interval(jnp.where(some, x, a), jnp.where(some, stop, b))
        return (jnp.where(some, size, -jnp.inf), sign), log_beyond

    def quantile(self, mass: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the outward coordinate with tail probability `mass` <= inner: a closed form, or bisection in the zone.

        First find the piece between two edges, from the inner end: there T is smooth, at the same cost for any number
        of bins. Bisecting it to machine precision cannot fail. The gradient comes from the implicit function theorem;
        it is zero where T does not fall.
        """
        inner, outer = self.numbers[1], self._mass(mass.ndim)
        a, b = (pad_rank(e, mass.ndim) for e in self.ends)
        in_tail, in_zone = mass < outer, (mass >= outer) & (mass < inner)
        hazard = -safe_log(jnp.where(in_tail, mass, outer) / outer)
        # a quantile that overflows is infinite without gradient
        overflows = pad_rank(self.shape, mass.ndim) * hazard > math.log(float(jnp.finfo(mass.dtype).max)) - 5
        excess = jnp.where(overflows, jnp.inf, self.tail.excess_at(jnp.where(overflows, 0.0, hazard)))
        target = jnp.where(in_zone, mass, 0.5 * (outer + inner))
        x = jax.lax.stop_gradient(self._bisect(jax.lax.stop_gradient(target)))
        width = pad_rank(self.width, mass.ndim)
        slope = jax.lax.stop_gradient(self.zone_density(x))
        solid = slope > float(jnp.finfo(mass.dtype).eps) * inner
        shortfall = self.zone_tail(x) - target
        moved = jnp.where(solid, shortfall - jax.lax.stop_gradient(shortfall), 0.0) / jnp.where(solid, slope, 1.0)
        zone = x + jax.lax.stop_gradient(width) * moved
        return jnp.where(in_tail, b + excess, jnp.where(in_zone, zone, a))

    def squared_area(self, low: Float[Array, "..."], high: Float[Array, "..."], of_tail: bool) -> Float[Array, "..."]:
        """Return the integral of T^2 (`of_tail`) or (1 - T)^2 over [low, high] in the zone and beyond it.

        Infinite ends are allowed.
        """
        near, far = (low, high) if self.upper else (-high, -low)
        b, outer = pad_rank(self.ends[1], low.ndim), self._mass(low.ndim)
        start, stop = (jnp.where(e > b, jnp.where(e > b, e, b) - b, 0.0) for e in (near, far))
        if of_tail:
            # an infinite area has no gradient: replace its shape before computing
            xi = pad_rank(self.shape, low.ndim)
            diverges = jnp.isinf(stop) & jnp.isfinite(start) & (xi >= 2)
            tail = GeneralizedPareto(jnp.where(diverges, 0.0, xi), pad_rank(self.tail.scale, low.ndim))
            beyond = jnp.where(
                diverges, jnp.inf, outer**2 * tail.survival_area(2, self._snapped(start), self._snapped(stop))
            )
            return self.integral(lambda _, tail: tail**2, near, far) + beyond
        zone = self.integral(lambda _, tail: (1 - tail) ** 2, near, far)
        endless = jnp.isinf(stop)
        start, stop = jnp.where(endless, 0.0, start), jnp.where(endless, 0.0, stop)
        once, twice = (self.tail.survival_area(n, self._snapped(start), self._snapped(stop)) for n in (1, 2))
        beyond = jnp.where(endless, jnp.inf, stop - start - 2 * outer * once + outer**2 * twice)
        # if both ends are the same infinity, the interval is empty
        return zone + jnp.where(near == far, 0.0, beyond)

    def tail_areas(
        self, near: Float[Array, "..."], far: Float[Array, "..."], ahead: bool
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Return the integrals of p and |y - near| p over the part of [near, far] in the zone and beyond it.

        p is T if this side lies `ahead` of near going to far, else 1 - T; near is finite, far may be infinite.
        """
        start, stop = self.out(near), self.out(far)
        b, outer = pad_rank(self.ends[1], near.ndim), self._mass(near.ndim)
        low, high = (start, stop) if ahead else (stop, start)
        sign = 1 if ahead else -1
        origin = start[..., None, None]
        first = self.integral(lambda _, tail: tail if ahead else 1 - tail, low, high)
        moment = self.integral(lambda x, tail: sign * (x - origin) * (tail if ahead else 1 - tail), low, high)
        z_low, z_high = (self._snapped(jnp.where(x > b, jnp.where(x > b, x, b) - b, 0.0)) for x in (low, high))
        area, about = self.tail.survival_area(1, z_low, z_high), self.tail.survival_moment(z_low, z_high)
        if ahead:
            distance = jnp.where(b > start, b - start, 0.0)
            shift = jnp.where(distance > 0, distance * jnp.where(distance > 0, area, 0.0), 0.0)
            return first + outer * area, moment + outer * (about + shift)
        reach = jnp.where(high > b, high - b, 0.0) - jnp.where(low > b, low - b, 0.0)
        return (
            first + reach - outer * area,
            moment + (0.5 * reach * reach - outer * (reach * area - about)),
        )

    def integral(self, function, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the integral of function(x, T) over the part of the zone between outward coordinates low <= high.

        Gauss-Legendre quadrature on each piece between two edges: 12 nodes in float32, 24 in float64.
        """
        x, tail, step, touched = self.nodes(low, high)
        return jnp.sum(jnp.where(touched, step * jnp.where(touched, function(x, tail), 0.0), 0.0), axis=(-2, -1))

    def cells(self, near: Array, step: Array, start: Array, stop: Array, ahead: bool) -> Sums:
        """Return the sums of `cells` over the part of the zone between distances start and stop outward from `near`.

        They are those of T if this side lies `ahead` of near, else of 1 - T. One piece at a time, so that memory does
        not grow with the number of bins; a piece without cells in any row costs nothing.
        """
        origin, sign = self.out(near), 1 if ahead else -1
        shape = jnp.broadcast_shapes(near.shape, step.shape, start.shape, stop.shape, self.body.batch_shape)
        pieces = self.pieces_outwards(near.ndim)
        inner, outer = (pieces.low, pieces.high) if ahead else (pieces.high, pieces.low)
        ends = [boundary(sign * (x - origin[..., None]), step[..., None]) for x in (inner, outer)]
        ends = [jnp.where(x > start[..., None], x, start[..., None]) for x in ends]
        ends = [jnp.where(x < stop[..., None], x, stop[..., None]) for x in ends]
        by_piece = [jnp.moveaxis(jnp.broadcast_to(x, (*shape, x.shape[-1])), -1, 0) for x in (*ends, *pieces)]

        zeros = (jnp.zeros(shape, near.dtype),) * 3

        def add(total, of_piece):
            begin, end, *fields = of_piece
            piece = Piece(*fields)

            def tail(distance):
                x = pad_rank(origin + sign * begin, distance.ndim) + sign * distance
                # distance 0 stands for no cell
                x = jnp.where(distance > 0, x, pad_rank(piece.low, distance.ndim))
                at = self.tail_in(Piece(*(pad_rank(field, distance.ndim) for field in piece)), x)
                return at if ahead else 1 - at

            def sums():
                areas = functools.partial(quadrature_areas, tail)
                first, square, moment = cell_areas(tail, areas, (), step, end - begin)
                return first, square, moment + begin * first

            some = jax.lax.cond(jnp.any(end > begin), sums, lambda: zeros)
            return jax.tree.map(jnp.add, total, some), None

        (first, square, moment), _ = jax.lax.scan(jax.checkpoint(add), zeros, by_piece)
        return first, square, moment

    def rises(self) -> Float[Array, "..."]:
        """Return the sum of the rises of T, which should only fall, between quadrature nodes, of the batch shape."""
        return jnp.zeros(self.body.batch_shape, self.body.dtype)

    def edges_outwards(self, ndim: int) -> tuple[Array, Array, Array, Array]:
        """Return the bins from the inside out: edges [..., K + 1]; widths, probabilities, T_b at outer edges."""
        edges, widths = self.body._bin_edges(ndim)
        p = probabilities(pad_rank(self.body.logits, ndim, 1))
        if not self.upper:
            edges, widths, p = -edges[..., ::-1], widths[..., ::-1], p[..., ::-1]
        above = jnp.cumsum(p[..., ::-1], axis=-1)[..., ::-1]
        return edges, widths, p, jnp.concatenate([above[..., 1:], jnp.zeros_like(above[..., :1])], axis=-1)

    def pieces(
        self, low: Float[Array, "..."], high: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."], Bool[Array, "..."]]:
        """Return start and stop of each bin's part between low and high in the zone, [..., K], and their mask."""
        a, b = (pad_rank(e, low.ndim)[..., None] for e in self.ends)
        low, high = low[..., None], high[..., None]
        low, high = jnp.where(low > a, low, a), jnp.where(high < b, high, b)
        edges = self.edges_outwards(low.ndim - 1)[0]
        inner, outer = edges[..., :-1], edges[..., 1:]
        start, stop = jnp.where(inner > low, inner, low), jnp.where(outer < high, outer, high)
        touched = start < stop
        return jnp.where(touched, start, a), jnp.where(touched, stop, b), touched

    def place(self, x: Float[Array, "..."], extra: int = 0) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Return t and 1 - t of the outward coordinate x, which has `extra` axes after those of the batch."""
        ndim = x.ndim - extra
        a, b, width = (
            pad_rank(v, ndim).reshape(pad_rank(v, ndim).shape + (1,) * extra) for v in (*self.ends, self.width)
        )
        return (x - a) / width, (b - x) / width

    def _mass(self, ndim):
        mass = self.mass
        return pad_rank(mass, ndim) if isinstance(mass, jax.Array) else mass

    def _log_mass(self, ndim):
        mass = self._mass(ndim)
        return math.log(mass) if isinstance(mass, float) else jnp.log(mass)

    def _snapped(self, z):
        """An excess, set to infinity within rounding of the tail's end, where the remaining scale has no precision."""
        xi, beta = pad_rank(self.shape, z.ndim), pad_rank(self.tail.scale, z.ndim)
        return jnp.where(xi * z < (8 * float(jnp.finfo(z.dtype).eps) - 1) * beta, jnp.inf, z)

    def pieces_outwards(self, ndim: int) -> Piece:
        """Return the parts of all bins from the inside out; a bin outside the zone has a part without length."""
        a, b = (pad_rank(e, ndim)[..., None] for e in self.ends)
        edges, widths, p, beyond = self.edges_outwards(ndim)
        inner, outer = edges[..., :-1], edges[..., 1:]
        low, high = (jnp.where(x > a, jnp.where(x < b, x, b), a) for x in (inner, outer))
        mass = jnp.asarray(self._mass(ndim), edges.dtype)[..., None]
        tail = jnp.where(outer > a, jnp.where(outer < b, self.tails_at_edges(ndim), mass), self.numbers[1])
        return Piece(*jnp.broadcast_arrays(low, high, outer, widths, p, beyond, tail))

    def _bisect(self, target):
        """Where T reaches `target` in (outer, inner): in the first piece from the inside that ends below it."""
        pieces = self.pieces_outwards(target.ndim)
        below = pieces.tail <= target[..., None]
        index = jnp.argmax(below, axis=-1).astype(jnp.int32)
        piece = Piece(*(take_last(jnp.broadcast_to(field, below.shape), index) for field in pieces))
        low, high = piece.low, piece.high

        def halve(_, bracket):
            low, high = bracket
            x = 0.5 * (low + high)
            above = self.tail_in(piece, x) > target
            return jnp.where(above, x, low), jnp.where(above, high, x)

        low, high = jax.lax.fori_loop(0, jnp.finfo(target.dtype).nmant + 4, halve, (low, high))
        return 0.5 * (low + high)


def nodes_per_piece(dtype: jnp.dtype) -> int:
    """Return the number of Gauss-Legendre nodes per piece."""
    return _NODES.get(jnp.dtype(dtype), _NODES_DEFAULT)
