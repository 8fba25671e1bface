"""Blend of densities on one side: f = (1 - w) f_b + c w g in the zone, never negative."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sbp_jax.distributions.blending import pareto, running_rule, unit_rule, weight
from sbp_jax.distributions.histogram import bin_index, take_last
from sbp_jax.distributions.numerics import safe_log
from sbp_jax.distributions.pytrees import pad_rank
from sbp_jax.distributions.zone import Piece, Side, nodes_per_piece


@dataclasses.dataclass(frozen=True)
class DensitySide(Side):
    """T is the sum of positive parts: the body's density times 1 - w, g times c w, and the tail beyond.

    In the position t in [0, 1] between the ends, g does not depend on the zone's width. w has degree 9, so five
    Gauss-Legendre nodes integrate it exactly on a piece of constant f_b. The integral of w g, a smooth function without
    edges, takes twice 12 nodes (float32) or 24 (float64): a relative error below 1e-8 or 1e-14 for xi in [-1, 1] and
    tau_a / tau_b up to 300.
    """

    @functools.cached_property
    def factor(self) -> Float[Array, "..."]:
        """c = (tau_b + the integral of w f_b) / (tau_b + the integral of w g) over the zone, of the batch shape.

        Where rounding makes the ends coincide, the body's integral is the limit for one bin, (tau_a - tau_b) / 2.
        """
        outer, inner, _ = self.numbers
        rank = len(self.body.batch_shape)
        _, _, body = self._bin_masses(rank)
        a, b = (pad_rank(e, rank) for e in self.ends)
        zero, one = (jnp.full_like(self.shape, v) for v in (0.0, 1.0))
        above = outer + jnp.where(b > a, jnp.sum(body, axis=-1), 0.5 * (inner - outer))
        return above / (outer + self._pareto_mass(zero, one, one, zero, self.shape))

    @property
    def mass(self) -> Float[Array, "..."]:
        """c tau_b."""
        return self.factor * self.numbers[0]

    def zone_density(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return -dT/dt = (1 - w) f_b + c w g, per unit of t."""
        t, s = self.place(x)
        body = jnp.exp(self.body.clamped_log_prob(self.out(x)) + jnp.log(pad_rank(self.width, x.ndim)))
        return weight(s, t) * body + pad_rank(self.factor, x.ndim) * self._weighted(t, s, pad_rank(self.shape, x.ndim))

    def zone_tail(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return T = c tau_b + the integral of the density from x to the outer end: a sum of positive terms."""
        edges, widths, p, _ = self.edges_outwards(x.ndim)
        index = bin_index(edges, jax.lax.stop_gradient(x))
        b, c = pad_rank(self.ends[1], x.ndim), pad_rank(self.factor, x.ndim)
        edge = take_last(edges[..., 1:], index)
        stop = jnp.where(edge < b, edge, b)
        near = take_last(p, index) * self._remaining(x, stop) / take_last(widths, index)
        far = take_last(self._masses_beyond(x.ndim), index)
        t, s = self.place(x)
        outer = self._pareto_mass(t, s, jnp.ones_like(t), jnp.zeros_like(t), pad_rank(self.shape, x.ndim))
        return c * self.numbers[0] + near + far + c * outer

    def zone_interval(
        self, x: Float[Array, "..."], stop: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Return the log of the integral of the density from x to stop, and its sign 1.

        It sums the bins in between, the parts of the end bins, and g. No term is a difference, so a narrow interval
        keeps full precision.
        """
        edges, widths, p, _ = self.edges_outwards(x.ndim)
        bins, at_x, at_stop = (bin_index(edges, jax.lax.stop_gradient(v)) for v in (x, x, stop))
        numbers = jnp.arange(edges.shape[-1] - 1, dtype=bins.dtype).reshape((1,) * x.ndim + (-1,))
        between = (numbers > at_x[..., None]) & (numbers < at_stop[..., None])
        total = jnp.sum(jnp.where(between, self._bin_masses(x.ndim)[1], 0.0), axis=-1)
        apart = at_x < at_stop
        first, last = take_last(edges[..., 1:], at_x), take_last(edges[..., :-1], at_stop)
        total = total + take_last(p, at_x) / take_last(widths, at_x) * self._remaining(x, jnp.where(apart, first, stop))
        part = take_last(p, at_stop) / take_last(widths, at_stop) * self._remaining(jnp.where(apart, last, x), stop)
        total = total + jnp.where(apart, part, 0.0)
        ends = (*self.place(x), *self.place(stop))
        pareto_part = self._pareto_mass(*ends, pad_rank(self.shape, x.ndim), (stop - x) / pad_rank(self.width, x.ndim))
        total = total + pad_rank(self.factor, x.ndim) * pareto_part
        return safe_log(total), jnp.ones_like(total)

    def nodes(self, low, high):
        """Return nodes [..., K, n] of the pieces between low and high: x, T, weight times length, used nodes.

        T at a node is the sum of T at the end of the pieces, the pieces beyond the node's own, and the part of its own
        piece by `running_rule`.
        """
        ndim, count = low.ndim, nodes_per_piece(low.dtype)
        start, stop, touched = self.pieces(low, high)
        _, widths, p, _ = self.edges_outwards(ndim)
        nodes, weights = (pad_rank(v.astype(low.dtype), ndim + 1, 1) for v in unit_rule(count))
        length = (stop - start)[..., None]
        x = start[..., None] + length * nodes
        used = touched[..., None] & jnp.ones_like(x, bool)
        (t, _), (_, s) = self.place(start, 1), self.place(stop, 1)
        step = length / pad_rank(self.width, ndim)[..., None, None]
        t, s = (jnp.where(used, v, 0.5) for v in (t[..., None] + step * nodes, s[..., None] + step * (1 - nodes)))
        xi, c = (pad_rank(v, ndim)[..., None, None] for v in (self.shape, self.factor))
        density = weight(s, t) * (p / widths)[..., None] * length + c * self._weighted(t, s, xi) * step
        density = jnp.where(used, density, 0.0)
        own = jnp.sum(density * weights, axis=-1)
        after = jnp.cumsum(own[..., ::-1], axis=-1)[..., ::-1] - own
        rule = jnp.asarray(running_rule(count).T, density.dtype)
        inner = jnp.matmul(density, rule, precision=jax.lax.Precision.HIGHEST)
        a, b = (pad_rank(e, ndim) for e in self.ends)
        end = self.zone_tail(jnp.where(high < b, jnp.where(high > a, high, a), b))
        return x, end[..., None, None] + after[..., None] + inner, length * weights, used

    def tails_at_edges(self, ndim):
        """Return T at the outer edge of each bin from the inside out, [..., K]."""
        edges, _, _, _ = self.edges_outwards(ndim)
        a, b, xi, c = (pad_rank(v, ndim)[..., None] for v in (*self.ends, self.shape, self.factor))
        outer = edges[..., 1:]
        within = (outer > a) & (outer < b)
        t, s = (jnp.where(within, v, 0.5) for v in self.place(outer, 1))
        mass = self._pareto_mass(t, s, jnp.ones_like(t), jnp.zeros_like(t), xi)
        return c * self.numbers[0] + self._masses_beyond(ndim) + c * mass

    def tail_in(self, piece: Piece, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return T at x: T at the end of the piece plus the integral from x to that end."""
        xi, c = pad_rank(self.shape, x.ndim), pad_rank(self.factor, x.ndim)
        body = piece.p * self._remaining(x, piece.high) / piece.width
        return piece.tail + body + c * self._pareto_mass(*self.place(x), *self.place(piece.high), xi)

    def _weighted(self, t, s, xi):
        """w g per unit of t."""
        survival, rate = pareto(self.numbers, t, s, xi)
        return weight(t, s) * survival * rate

    def _pareto_mass(self, t, s, t_stop, s_stop, xi, step=None):
        """Integral of w g from t to t_stop; s = 1 - t, s_stop = 1 - t_stop, `step` = t_stop - t; all of the same rank.

        In two panels, split where log T_G has fallen by half: the singularity of a heavy tail's density, close to the
        inner end, is then far from both.
        """
        nodes, weights = (pad_rank(v.astype(t.dtype), t.ndim, 1) for v in unit_rule(nodes_per_piece(t.dtype)))
        step = t_stop - t if step is None else step
        middle = jax.lax.stop_gradient(jax.nn.sigmoid(-0.5 * self.numbers[2] * xi))
        # the second length is the rest of the step, so that a narrow interval keeps its width
        first = jnp.where(middle <= t, 0.0, jnp.where(middle >= t_stop, step, middle - t))
        second = step - first
        values = [
            size[..., None] * weights * self._weighted(low[..., None] + size[..., None] * nodes, rest, xi[..., None])
            for low, size, end in ((t, first, s_stop + second), (t + first, second, s_stop))
            for rest in (end[..., None] + size[..., None] * (1 - nodes),)
        ]
        return jnp.sum(jnp.concatenate(values, axis=-1), axis=-1)

    def _remaining(self, x, stop):
        """Integral of 1 - w from x to stop, in the unit of the outcome; five nodes are exact."""
        return self._integrated(x, stop, False)

    def _integrated(self, x, stop, outer, extra=0):
        """Integral of w (outer) or 1 - w from x to stop, which have `extra` axes after those of the batch."""
        nodes, weights = (pad_rank(v.astype(x.dtype), x.ndim, 1) for v in unit_rule(5))
        (t, _), (_, s) = self.place(x, extra), self.place(stop, extra)
        length = stop - x
        width = pad_rank(self.width, x.ndim - extra)
        step = (length / width.reshape(width.shape + (1,) * extra))[..., None]
        t, s = t[..., None] + step * nodes, s[..., None] + step * (1 - nodes)
        return length * jnp.sum(weights * (weight(t, s) if outer else weight(s, t)), axis=-1)

    def _bin_masses(self, ndim):
        """For each bin [..., K]: whether part of it is in the zone, and its integrals of (1 - w) f_b and w f_b."""
        endless = jnp.full((1,) * ndim, jnp.inf, self.body.dtype)
        start, stop, touched = self.pieces(-endless, endless)
        _, widths, p, _ = self.edges_outwards(ndim)
        inner, outer = (
            jnp.where(touched, p * (self._integrated(start, stop, which, 1) / widths), 0.0) for which in (False, True)
        )
        return touched, inner, outer

    def _masses_beyond(self, ndim):
        """Integral of (1 - w) f_b beyond the outer edge of each bin, in the zone, [..., K]."""
        inner = self._bin_masses(ndim)[1]
        above = jnp.cumsum(inner[..., ::-1], axis=-1)[..., ::-1]
        return jnp.concatenate([above[..., 1:], jnp.zeros_like(above[..., :1])], axis=-1)
