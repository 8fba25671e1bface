"""Published blend on one side: F = F_b^(1 - w) G^w in the zone, where F may fall."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from sbp_jax.distributions.blending import Blend, mixed, unit_rule, weight, weight_gain
from sbp_jax.distributions.numerics import log1p_ratio, safe_log
from sbp_jax.distributions.pytrees import pad_rank
from sbp_jax.distributions.zone import Piece, Point, Side, nodes_per_piece


@dataclasses.dataclass(frozen=True)
class PublishedSide(Side):
    """T is 1 - F on the upper side and F on the lower; the mass beyond the outer end is the outer probability."""

    @property
    def mass(self) -> float:
        """Return the outer tail probability."""
        return self.numbers[0]

    def zone_density(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return -dT/dt, negative where T rises."""
        log_width = jnp.log(pad_rank(self.width, x.ndim))
        return self._blend(x).density(jnp.exp(self.body.clamped_log_prob(self.out(x)) + log_width))

    def zone_tail(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return T = -expm1(-H) with the blend's hazard H."""
        return self._blend(x).tail

    def log_complement(self, point: Point) -> Float[Array, "..."]:
        """Return log(1 - T), which is -H in the zone."""
        beyond = jnp.log1p(-self._mass(point.x.ndim) * self.tail.survival_function(point.excess))
        return jnp.where(point.beyond, beyond, -self._blend(point.x).hazard)

    def zone_interval(
        self, x: Float[Array, "..."], stop: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Return log |T(x) - T(stop)| and its sign. With H = -log(1 - T), T(x) - T(stop) = exp(-H_stop) (1 - exp(-d)),

            d = H_x - H_stop = (1 - w_x) dh_b + w_x dh_G + dw (h_b - h_G at stop)

        where dh_b comes from the body's interval probability, dh_G from threshold stability and dw from quadrature of
        w', so no term is a difference of nearly equal numbers.
        """
        rise, width = self.numbers[2], pad_rank(self.width, x.ndim)
        p, q = self._blend(x), self._blend(stop)
        low, high = (self.out(x), self.out(stop)) if self.upper else (self.out(stop), self.out(x))
        body = jnp.log1p(jnp.exp(self.body.interval_log_prob(low, high) + p.body))
        step = (stop - x) / width
        # by threshold stability, from the end where the tail is flatter: there 1 + k u keeps full precision
        k = pad_rank(self.shape, x.ndim) * rise
        ahead = log1p_ratio(jnp.where(k < 0, -k, k), step * jnp.where(k < 0, q.rate, p.rate) / rise)
        pareto = jnp.log1p(-p.survival * jnp.expm1(-rise * ahead) * jnp.exp(p.pareto))
        gain = weight_gain(p.t, p.s, step) * (q.body - q.pareto)
        drop = weight(p.s, p.t) * body + weight(p.t, p.s) * pareto + gain
        return safe_log(jnp.abs(jnp.expm1(-drop))) - q.hazard, jnp.sign(drop)

    def rises(self) -> Float[Array, "..."]:
        """Return the sum of the rises of T, which should only fall, between quadrature nodes, of the batch shape."""
        rank = len(self.body.batch_shape)
        outer, inner, _ = self.numbers
        endless = jnp.full((1,) * rank, jnp.inf, self.body.dtype)
        _, tail, _, touched = self.nodes(-endless, endless)
        before = self.edges_outwards(rank)[0][..., 1:, None] <= pad_rank(self.ends[0], rank)[..., None, None]
        tail = jnp.where(touched, tail, jnp.where(before, inner, outer))
        tail = tail.reshape(*tail.shape[:-2], -1)
        ends = [jnp.full((*tail.shape[:-1], 1), m, tail.dtype) for m in (inner, outer)]
        rise = jnp.diff(jnp.concatenate([ends[0], tail, ends[1]], axis=-1), axis=-1)
        return jnp.sum(jnp.where(rise > 8 * float(jnp.finfo(tail.dtype).eps) * inner, rise, 0.0), axis=-1)

    def nodes(self, low, high):
        """Return nodes [..., K, n] of the pieces between low and high: x, T, weight times length, used nodes."""
        start, stop, touched = self.pieces(low, high)
        edges, widths, p, beyond = self.edges_outwards(low.ndim)
        nodes, weights = (v.astype(low.dtype) for v in unit_rule(nodes_per_piece(low.dtype)))
        nodes, weights = pad_rank(nodes, low.ndim + 1, 1), pad_rank(weights, low.ndim + 1, 1)
        length = (stop - start)[..., None]
        x, rest = start[..., None] + length * nodes, (edges[..., 1:] - stop)[..., None] + length * (1 - nodes)
        body_tail = beyond[..., None] + p[..., None] * rest / widths[..., None]
        used = touched[..., None] & jnp.ones_like(x, bool)
        t, s = (jnp.where(used, v, 0.5) for v in self.place(x, 2))
        xi = pad_rank(self.shape, low.ndim)[..., None, None]
        return x, mixed(self.numbers, t, s, xi, jnp.where(used, body_tail, 0.25)).tail, length * weights, used

    def tails_at_edges(self, ndim):
        """Return T at the outer edge of each bin from the inside out, [..., K]."""
        edges, _, _, beyond = self.edges_outwards(ndim)
        a, b = (pad_rank(e, ndim)[..., None] for e in self.ends)
        outer = edges[..., 1:]
        within = (outer > a) & (outer < b)
        t, s = (jnp.where(within, v, 0.5) for v in self.place(outer, 1))
        xi = pad_rank(self.shape, ndim)[..., None]
        return mixed(self.numbers, t, s, xi, jnp.where(within, beyond, 0.25)).tail

    def tail_in(self, piece: Piece, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return T at x from the body's tail probability in the piece."""
        body_tail = piece.beyond + piece.p * ((piece.edge - x) / piece.width)
        return mixed(self.numbers, *self.place(x), pad_rank(self.shape, x.ndim), body_tail).tail

    def _blend(self, x) -> Blend:
        """The blend at the outward coordinate x, which lies in the zone, its ends included."""
        y = self.out(x)
        body_tail = self.body.survival_function(y) if self.upper else self.body.cdf(y)
        return mixed(self.numbers, *self.place(x), pad_rank(self.shape, x.ndim), body_tail)
