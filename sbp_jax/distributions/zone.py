"""One side of the blended generalized Pareto law: from its body's inner quantile, through the blending zone, outwards.

The outward coordinate x is y itself on the upper side and -y on the lower.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.base import Constant, leading
from sbp_jax.distributions.binned import Binned
from sbp_jax.distributions.blending import Blend, mixed, unit_rule, weight, weight_gain
from sbp_jax.distributions.histogram import pick, probabilities
from sbp_jax.distributions.numerics import expm1_ratio, log1p_ratio, safe_log
from sbp_jax.distributions.pareto import GeneralizedPareto

# Gauss-Legendre nodes on each piece of the blending zone between two edges
_NODES = {jnp.dtype(jnp.float64): 24}
_NODES_DEFAULT = 12


@dataclasses.dataclass(frozen=True)
class Point:
    """An outcome seen from one side: in the blending zone, beyond it, or neither.

    `excess` over the outer end is 0 unless beyond. Outside the zone, `y` and `blend` are those of the zone's middle.
    """

    inside: Bool[Array, "..."]
    beyond: Bool[Array, "..."]
    excess: Float[Array, "..."]
    y: Float[Array, "..."]
    blend: Blend


@dataclasses.dataclass(frozen=True)
class Side:
    """The upper or the lower side: the body, the tail's shape and the static tail probabilities (outer, inner)."""

    body: Binned
    raw_shape: Float[Array, "..."]
    masses: Constant
    upper: bool

    @functools.cached_property
    def numbers(self) -> tuple[float, float, float]:
        """Outer and inner tail probability as the law's dtype holds them, and the logarithm of inner over outer."""
        outer, inner = (float(m) for m in np.asarray(self.masses).astype(self.body.dtype))
        return outer, inner, math.log(inner / outer)

    @functools.cached_property
    def shape(self) -> Float[Array, "..."]:
        """xi, within the range where (inner / outer)^xi and its inverse can be squared without overflow."""
        limit = 0.45 * math.log(float(jnp.finfo(self.body.dtype).max)) / self.numbers[2]
        return jnp.where(self.raw_shape > limit, limit, jnp.where(self.raw_shape < -limit, -limit, self.raw_shape))

    def out(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        """The outward coordinate of y, and back."""
        return y if self.upper else -y

    @functools.cached_property
    def ends(self) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Inner and outer end of the blending zone, outward coordinates, shape of the batch."""
        rank = len(self.body.batch_shape)
        outer, inner, _ = self.numbers
        a, b = (self.body._quantile(jnp.full((1,) * rank, m, self.body.dtype), self.upper) for m in (inner, outer))
        return self.out(a), self.out(b)

    @functools.cached_property
    def width(self) -> Float[Array, "..."]:
        """Distance of the ends; one rounding step where rounding makes them coincide, so that the tail has a scale."""
        a, b = self.ends
        info = jnp.finfo(self.body.dtype)
        step = float(info.eps) * jnp.abs(b) + float(info.tiny) / float(info.eps)
        return jnp.where(b > a, b - a, step)

    @functools.cached_property
    def tail(self) -> GeneralizedPareto:
        """The law of the excess over the outer end: S_G through both ends makes its scale (b - a) xi / (1 - r^-xi)."""
        xi = self.shape
        scale = self.width / expm1_ratio(-xi, jnp.full_like(xi, self.numbers[2]))
        # derivatives divide by its square, which must not underflow
        least = 4 * math.sqrt(float(jnp.finfo(self.body.dtype).tiny))
        return GeneralizedPareto(xi, jnp.where(scale < least, least, scale))

    def at(self, y: Float[Array, "..."]) -> Point:
        """y from this side."""
        a, b = (leading(e, y.ndim) for e in self.ends)
        x = self.out(y)
        inside, beyond = (x > a) & (x <= b), x > b
        safe = jnp.where(inside, x, a + 0.5 * (b - a))
        excess = jnp.where(beyond, jnp.where(beyond, x, b) - b, 0.0)
        return Point(inside, beyond, excess, self.out(safe), self._blend(safe))

    def log_prob(self, point: Point) -> Float[Array, "..."]:
        """log-density in the zone and beyond it; in the zone -inf with zero gradient where the blend rises."""
        log_width = jnp.log(leading(self.width, point.y.ndim))
        density = point.blend.density(jnp.exp(self.body.clamped_log_prob(point.y) + log_width))
        zone = jnp.where(density > 0, safe_log(density) - log_width, -jnp.inf)
        return jnp.where(point.beyond, math.log(self.numbers[0]) + self.tail.log_prob(point.excess), zone)

    def tail_probability(self, point: Point) -> Float[Array, "..."]:
        """T in the zone and beyond it."""
        beyond = self.numbers[0] * self.tail.survival_function(point.excess)
        return jnp.where(point.beyond, beyond, point.blend.tail)

    def log_tail_probability(self, point: Point) -> Float[Array, "..."]:
        """log T in the zone and beyond it."""
        beyond = math.log(self.numbers[0]) + self.tail.log_survival_function(point.excess)
        return jnp.where(point.beyond, beyond, safe_log(point.blend.tail))

    def log_complement(self, point: Point) -> Float[Array, "..."]:
        """log(1 - T) in the zone and beyond it."""
        beyond = jnp.log1p(-self.numbers[0] * self.tail.survival_function(point.excess))
        return jnp.where(point.beyond, beyond, -point.blend.hazard)

    def interval(
        self, near: Float[Array, "..."], far: Float[Array, "..."]
    ) -> tuple[tuple[Float[Array, "..."], Float[Array, "..."]], Float[Array, "..."]]:
        """Probability of the part in the zone as (log of its size, sign), and log of that beyond; far outside near.

        With H = -log(1 - T), T(near) - T(far) = exp(-H_far) (1 - exp(-d)) and

            d = H_near - H_far = (1 - w_near) dh_b + w_near dh_G + dw (h_b - h_G at far)

        where dh_b comes from the body's interval probability, dh_G from threshold stability and dw from quadrature of
        w', so that no term is a difference of nearly equal numbers.
        """
        a, b = (leading(e, near.ndim) for e in self.ends)
        width = leading(self.width, near.ndim)
        x, stop = self.out(near), self.out(far)
        outer, _, rise = self.numbers
        log_beyond = math.log(outer) + self.tail.interval_log_prob(
            self._snapped(jnp.where(x > b, x - jnp.where(x > b, b, 0.0), 0.0)),
            jnp.where(stop > b, stop - jnp.where(stop > b, b, 0.0), 0.0),
        )
        x, stop = jnp.where(x > a, x, a), jnp.where(stop < b, stop, b)
        some = x < stop
        x, stop = jnp.where(some, x, a), jnp.where(some, stop, b)
        p, q = self._blend(x), self._blend(stop)
        low, high = (self.out(x), self.out(stop)) if self.upper else (self.out(stop), self.out(x))
        body = jnp.log1p(jnp.exp(self.body.interval_log_prob(low, high) + p.body))
        step = (stop - x) / width
        # by threshold stability, from the end where the law is flatter: there 1 + k u keeps its digits
        k = leading(self.shape, near.ndim) * rise
        ahead = log1p_ratio(jnp.where(k < 0, -k, k), step * jnp.where(k < 0, q.rate, p.rate) / rise)
        pareto = jnp.log1p(-p.survival * jnp.expm1(-rise * ahead) * jnp.exp(p.pareto))
        gain = weight_gain(p.t, p.s, step) * (q.body - q.pareto)
        drop = weight(p.s, p.t) * body + weight(p.t, p.s) * pareto + gain
        size = safe_log(jnp.abs(jnp.expm1(-drop))) - q.hazard
        return (jnp.where(some, size, -jnp.inf), jnp.sign(drop)), log_beyond

    def quantile(self, mass: Float[Array, "..."]) -> Float[Array, "..."]:
        """Outward coordinate with tail probability `mass` at most inner: closed form beyond the zone, bisection in it.

        The piece between two edges is found first, from the inner end: its T is smooth and costs the same for any
        number of bins. Halving it to machine precision cannot fail. The gradient is that of the implicit function;
        zero where the blend does not fall.
        """
        outer, inner, _ = self.numbers
        a, b = (leading(e, mass.ndim) for e in self.ends)
        in_tail, in_zone = mass < outer, (mass >= outer) & (mass < inner)
        hazard = -safe_log(jnp.where(in_tail, mass, outer) / outer)
        # a quantile that overflows is infinite without gradient
        overflows = leading(self.shape, mass.ndim) * hazard > math.log(float(jnp.finfo(mass.dtype).max)) - 5
        excess = jnp.where(overflows, jnp.inf, self.tail.excess_at(jnp.where(overflows, 0.0, hazard)))
        target = jnp.where(in_zone, mass, 0.5 * (outer + inner))
        x = jax.lax.stop_gradient(self._bisect(jax.lax.stop_gradient(target)))
        blend, width = self._blend(x), leading(self.width, mass.ndim)
        slope = blend.density(jnp.exp(self.body.clamped_log_prob(self.out(x)) + jnp.log(width)))
        slope = jax.lax.stop_gradient(slope)
        solid = slope > float(jnp.finfo(mass.dtype).eps) * inner
        shortfall = blend.tail - target
        moved = jnp.where(solid, shortfall - jax.lax.stop_gradient(shortfall), 0.0) / jnp.where(solid, slope, 1.0)
        zone = x + jax.lax.stop_gradient(width) * moved
        return jnp.where(in_tail, b + excess, jnp.where(in_zone, zone, a))

    def squared_area(self, low: Float[Array, "..."], high: Float[Array, "..."], of_tail: bool) -> Float[Array, "..."]:
        """Integral of T^2 or, else, of (1 - T)^2 over [low, high] in the zone and beyond it; infinite ends allowed."""
        near, far = (low, high) if self.upper else (-high, -low)
        b, outer = leading(self.ends[1], low.ndim), self.numbers[0]
        start, stop = (jnp.where(e > b, jnp.where(e > b, e, b) - b, 0.0) for e in (near, far))
        if of_tail:
            # an infinite area has no gradient: its shape is replaced before the mathematics
            xi = leading(self.shape, low.ndim)
            diverges = jnp.isinf(stop) & jnp.isfinite(start) & (xi >= 2)
            tail = GeneralizedPareto(jnp.where(diverges, 0.0, xi), leading(self.tail.scale, low.ndim))
            beyond = jnp.where(
                diverges, jnp.inf, outer**2 * tail.survival_area(2, self._snapped(start), self._snapped(stop))
            )
            return self.integral(lambda _, tail: tail**2, near, far) + beyond
        zone = self.integral(lambda _, tail: (1 - tail) ** 2, near, far)
        endless = jnp.isinf(stop)
        start, stop = jnp.where(endless, 0.0, start), jnp.where(endless, 0.0, stop)
        once, twice = (self.tail.survival_area(n, self._snapped(start), self._snapped(stop)) for n in (1, 2))
        beyond = jnp.where(endless, jnp.inf, stop - start - 2 * outer * once + outer**2 * twice)
        # the same infinity at both ends: nothing lies between them
        return zone + jnp.where(near == far, 0.0, beyond)

    def tail_areas(
        self, near: Float[Array, "..."], far: Float[Array, "..."], ahead: bool
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Integrals of p and of |y - near| p over the part of [near, far] in the zone and beyond it.

        p is T where this side lies `ahead` of near on the way to far, else 1 - T; near is finite, far may be infinite.
        """
        start, stop = self.out(near), self.out(far)
        b, outer = leading(self.ends[1], near.ndim), self.numbers[0]
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
        """Integral of function(x, T) over the part of the zone between the outward coordinates low <= high.

        Gauss-Legendre quadrature on each piece between two edges: 12 nodes in float32, 24 in float64.
        """
        x, tail, step, touched = self._nodes(low, high)
        return jnp.sum(jnp.where(touched, step * jnp.where(touched, function(x, tail), 0.0), 0.0), axis=(-2, -1))

    def _snapped(self, z):
        """An excess, and infinity within rounding of the tail's end: what remains there has a scale of no digits."""
        xi, beta = leading(self.shape, z.ndim), leading(self.tail.scale, z.ndim)
        return jnp.where(xi * z < (8 * float(jnp.finfo(z.dtype).eps) - 1) * beta, jnp.inf, z)

    def rises(self) -> Float[Array, "..."]:
        """Sum of the rises of T, which should only fall, from node to node of the quadrature; shape of the batch."""
        rank = len(self.body.batch_shape)
        outer, inner, _ = self.numbers
        whole = jnp.full((1,) * rank, jnp.inf, self.body.dtype)
        _, tail, _, touched = self._nodes(-whole, whole)
        before = self._edges(rank)[0][..., 1:, None] <= leading(self.ends[0], rank)[..., None, None]
        tail = jnp.where(touched, tail, jnp.where(before, inner, outer))
        tail = tail.reshape(*tail.shape[:-2], -1)
        ends = [jnp.full((*tail.shape[:-1], 1), m, tail.dtype) for m in (inner, outer)]
        rise = jnp.diff(jnp.concatenate([ends[0], tail, ends[1]], axis=-1), axis=-1)
        return jnp.sum(jnp.where(rise > 8 * float(jnp.finfo(tail.dtype).eps) * inner, rise, 0.0), axis=-1)

    def _blend(self, x):
        """The blend at the outward coordinate x, which lies in the zone, its ends included."""
        a, b = (leading(e, x.ndim) for e in self.ends)
        width, y = leading(self.width, x.ndim), self.out(x)
        body_tail = self.body.survival_function(y) if self.upper else self.body.cdf(y)
        return mixed(self.numbers, (x - a) / width, (b - x) / width, leading(self.shape, x.ndim), body_tail)

    def _edges(self, ndim):
        """The bins from the inside out: edges [..., K + 1], widths and probabilities [..., K], T at outer edges."""
        edges, widths = self.body._bin_edges(ndim)
        p = probabilities(leading(self.body.logits, ndim, 1))
        if not self.upper:
            edges, widths, p = -edges[..., ::-1], widths[..., ::-1], p[..., ::-1]
        above = jnp.cumsum(p[..., ::-1], axis=-1)[..., ::-1]
        return edges, widths, p, jnp.concatenate([above[..., 1:], jnp.zeros_like(above[..., :1])], axis=-1)

    def _nodes(self, low, high):
        """Nodes [..., K, n] of the pieces between low and high: x, T, weight times length, and which are in use."""
        a, b = (leading(e, low.ndim)[..., None] for e in self.ends)
        low, high = low[..., None], high[..., None]
        low, high = jnp.where(low > a, low, a), jnp.where(high < b, high, b)
        edges, widths, p, beyond = self._edges(low.ndim - 1)
        inner, outer = edges[..., :-1], edges[..., 1:]
        start, stop = jnp.where(inner > low, inner, low), jnp.where(outer < high, outer, high)
        touched = start < stop
        start, stop = jnp.where(touched, start, a), jnp.where(touched, stop, b)
        nodes, weights = (v.astype(low.dtype) for v in unit_rule(_NODES.get(low.dtype, _NODES_DEFAULT)))
        nodes, weights = leading(nodes, low.ndim, 1), leading(weights, low.ndim, 1)
        length = (stop - start)[..., None]
        x, rest = start[..., None] + length * nodes, (outer - stop)[..., None] + length * (1 - nodes)
        body_tail = beyond[..., None] + p[..., None] * rest / widths[..., None]
        used = touched[..., None] & jnp.ones_like(x, bool)
        a, b, width = a[..., None], b[..., None], leading(self.width, low.ndim - 1)[..., None, None]
        t, s = (jnp.where(used, v / width, 0.5) for v in (x - a, b - x))
        xi = leading(self.shape, low.ndim - 1)[..., None, None]
        return x, mixed(self.numbers, t, s, xi, jnp.where(used, body_tail, 0.25)).tail, length * weights, used

    def _bisect(self, target):
        """Where T crosses `target` in (outer, inner), in the first piece from the inside whose outer end is below."""
        a, b = (leading(e, target.ndim) for e in self.ends)
        width, xi = leading(self.width, target.ndim), leading(self.shape, target.ndim)
        edges, widths, p, beyond = self._edges(target.ndim)
        inner, outer = edges[..., :-1], edges[..., 1:]
        within = (outer > a[..., None]) & (outer < b[..., None])
        t, s = ((outer - a[..., None]) / width[..., None], (b[..., None] - outer) / width[..., None])
        t, s = jnp.where(within, t, 0.5), jnp.where(within, s, 0.5)
        tail = mixed(self.numbers, t, s, xi[..., None], jnp.where(within, beyond, 0.25)).tail
        below = jnp.where(within, tail <= target[..., None], outer >= b[..., None])
        index = jnp.argmax(below, axis=-1).astype(jnp.int32)
        inner, outer, p, widths, beyond = (
            pick(jnp.broadcast_to(v, below.shape), index) for v in (inner, outer, p, widths, beyond)
        )
        low, high = jnp.where(inner > a, inner, a), jnp.where(outer < b, outer, b)

        def halve(_, bracket):
            low, high = bracket
            x = 0.5 * (low + high)
            above = (
                mixed(self.numbers, (x - a) / width, (b - x) / width, xi, beyond + p * ((outer - x) / widths)).tail
                > target
            )
            return jnp.where(above, x, low), jnp.where(above, high, x)

        low, high = jnp.broadcast_arrays(low, high)
        low, high = jax.lax.fori_loop(0, jnp.finfo(target.dtype).nmant + 4, halve, (low, high))
        return 0.5 * (low + high)
