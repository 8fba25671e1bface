"""The histogram density: probabilities of fixed bins, uniform within each bin."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.bins import Bins, EdgesLike, batch_of, checked_bins, set_bins
from sbp_jax.distributions.cells import Sums, boundary, joined
from sbp_jax.distributions.histogram import (
    bin_index,
    log_partial_mass,
    log_probability,
    partial_mass,
    probabilities,
    quantile_bin,
    take_last,
)
from sbp_jax.distributions.pytrees import Constant, broadcast_batch, compiled, pad_rank, register, set_fields


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Binned(Bins):
    """Histogram density: bin k = [e_k, e_{k+1}) has probability p_k = softmax(logits)_k, spread uniformly over it.

        density   f(y) = p_k / (e_{k+1} - e_k)        cdf   F(y) = p_0 + ... + p_{k-1} + p_k (y - e_k) / (e_{k+1} - e_k)

    The last bin contains its upper edge. Outside the edges the log-density is -inf with zero gradient.

    Args:
        logits: [..., K], any finite numbers; -inf forbids a bin.
        edges: [K + 1], increasing, in the unit of the outcome, or [..., K + 1] with separate edges per element. A
            concrete [K + 1] becomes a constant of the distribution, rounded to the dtype of the logits. A traced or
            batched array becomes a leaf [..., K + 1], through which gradients flow.
    Raises:
        InputError: edges not of shape [..., K + 1], not broadcastable against the logits, or concrete and not finite
            and increasing.
    """

    logits: Float[Array, "*batch bins"]
    _edges: Constant | Array

    def __init__(self, logits: ArrayLike, edges: EdgesLike) -> None:
        logits, edges = checked_bins(logits, edges)
        set_bins(self, logits, edges, broadcast_batch(**batch_of(logits, edges)))

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log f(y) = logit_k - logsumexp(logits) - log width_k, finite even where the probability underflows."""
        (y,) = self._outcomes(y)
        edges, _ = self._bin_edges(y.ndim)
        return self._known(
            jnp.where((y >= edges[..., 0]) & (y <= edges[..., -1]), self.clamped_log_prob(y), -jnp.inf), y
        )

    @compiled
    def clamped_log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return `log_prob`, counting an outcome outside the edges in the nearest end bin."""
        (y,) = self._outcomes(y)
        edges, widths = self._bin_edges(y.ndim)
        index = bin_index(edges, y)
        return self._known(
            log_probability(pad_rank(self.logits, y.ndim, 1), index) - jnp.log(take_last(widths, index)), y
        )

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return F(y), summed from the nearer side."""
        (y,) = self._outcomes(y)
        below, above = self._sides(y)
        return self._known(jnp.where(below <= above, below, 1 - above), y)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 1 - F(y), summed from the nearer side."""
        (y,) = self._outcomes(y)
        below, above = self._sides(y)
        return self._known(jnp.where(above <= below, above, 1 - below), y)

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log F(y), accurate where bins below y underflow; -inf with zero gradient up to the first edge."""
        (y,) = self._outcomes(y)
        below, above = self._sides(y)
        near = below <= above
        log_below = self._log_mass(jnp.full_like(y, -jnp.inf), y)
        return self._known(jnp.where(near, log_below, jnp.log1p(-jnp.where(near, 0.0, above))), y)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log(1 - F(y)), accurate where bins above y underflow; -inf with zero gradient from the last edge."""
        (y,) = self._outcomes(y)
        below, above = self._sides(y)
        near = above <= below
        log_above = self._log_mass(y, jnp.full_like(y, jnp.inf))
        return self._known(jnp.where(near, log_above, jnp.log1p(-jnp.where(near, 0.0, below))), y)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return the log of the sum of p_k times the fraction of bin k inside the interval: no cancellation."""
        low, high = self._outcomes(low, high)
        return self._known(self._log_mass(low, high), low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """Return the sum of p_k times the midpoint of bin k."""
        mass, middle, _ = self.pieces(*self._ends())
        return jnp.sum(mass * middle, axis=-1)

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return the sum of p_k ((middle_k - mean)^2 + width_k^2 / 12)."""
        mass, middle, length = self.pieces(*self._ends())
        return jnp.sum(mass * ((middle - self.mean()[..., None]) ** 2 + length**2 / 12), axis=-1)

    @compiled
    def entropy(self) -> Float[Array, "..."]:
        """Return -(the sum of p_k (log p_k - log width_k)); a bin with probability zero adds nothing."""
        _, widths = self._bin_edges(len(self.batch_shape))
        return self._known(self.partial_entropy(jnp.broadcast_to(widths, self.logits.shape)))

    @compiled
    def mode(self) -> Float[Array, "..."]:
        """Return the midpoint of the bin with the largest density, the first one if several tie."""
        edges, widths = self._bin_edges(len(self.batch_shape))
        index = jnp.argmax(self.logits - jnp.log(widths), axis=-1)
        return self._known(0.5 * (take_last(edges[..., :-1], index) + take_last(edges[..., 1:], index)))

    def partial_entropy(self, length: Float[Array, "*batch bins"]) -> Float[Array, "..."]:
        """Return -(the integral of f log f) over parts of the bins with these lengths, shape `batch_shape`."""
        _, widths = self._bin_edges(len(self.batch_shape))
        log_p = jax.nn.log_softmax(self.logits)
        some = (length > 0) & (log_p > -jnp.inf)
        log_density = jnp.where(some, log_p, 0.0) - jnp.log(widths)
        mass = jnp.where(some, jnp.exp(jnp.where(some, log_p, 0.0)) * (length / widths), 0.0)
        return -jnp.sum(mass * log_density, axis=-1)

    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """h (a^2 + a b + b^2) / 3 on each piece of length h where F is linear from a to b, plus the length above."""
        start, stop, lower, _, slope, p = self._parts(low, high)
        below = _cumulative(p, np.triu, 1)
        a, b = below + slope * (start - lower), below + slope * (stop - lower)
        last = self._bin_edges(low.ndim)[0][..., -1]
        beyond = jnp.where(high >= last, high, last) - jnp.where(low >= last, low, last)
        return jnp.sum((stop - start) * (a * a + a * b + b * b), axis=-1) / 3 + _length(low, high, beyond)

    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """The same for 1 - F, summed from the last bin down, plus the length below the first edge."""
        start, stop, _, upper, slope, p = self._parts(low, high)
        above = _cumulative(p, np.tril, -1)
        a, b = above + slope * (upper - start), above + slope * (upper - stop)
        first = self._bin_edges(low.ndim)[0][..., 0]
        before = jnp.where(high < first, high, first) - jnp.where(low < first, low, first)
        return jnp.sum((stop - start) * (a * a + a * b + b * b), axis=-1) / 3 + _length(low, high, before)

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        """Length times the midpoint value on each piece, plus a slope term; the length beyond the end bin."""
        low, high = (near, far) if upper else (far, near)
        start, stop, lower, outer, slope, p = self._parts(low, high)
        length, middle = stop - start, 0.5 * (start + stop)
        edges = self._bin_edges(low.ndim)[0]
        if upper:
            value = _cumulative(p, np.tril, -1) + slope * (outer - middle)
            distance = middle - near[..., None]
            end = jnp.where(high < edges[..., 0], high, edges[..., 0])
            beyond = jnp.where(end > near, end - near, 0.0)
        else:
            value = _cumulative(p, np.triu, 1) + slope * (middle - lower)
            distance = near[..., None] - middle
            end = jnp.where(low > edges[..., -1], low, edges[..., -1])
            beyond = jnp.where(end < near, near - end, 0.0)
        first = jnp.sum(length * value, axis=-1)
        moment = jnp.sum(length * (distance * value - slope * length**2 / 12), axis=-1)
        return beyond + first, 0.5 * beyond * beyond + moment

    def _cell_areas(self, near: Array, step: Array, length: Array, upper: bool) -> Sums:
        """The cells before the first bin going outward, where T is 1, and the cells of each bin in closed form."""
        edges, _ = self._bin_edges(near.ndim)
        first = edges[..., 0] - near if upper else near - edges[..., -1]
        before = boundary(first, step)
        before = jnp.where(before > 0, jnp.where(before < length, before, length), 0.0)
        bins = self.bin_cells(near, step, before, length, upper)
        return joined((before, before, 0.5 * before * before), (jnp.zeros_like(before), bins))

    def _knots(self, ndim: int) -> list[Array]:
        edges, _ = self._bin_edges(ndim)
        return [edges[..., k] for k in range(edges.shape[-1])]

    def bin_cells(self, near: Array, step: Array, start: Array, stop: Array, upper: bool) -> Sums:
        """Return the sums of `cells` over cells that begin between distances start and stop with midpoints in bins.

        T falls by s = density * step from cell to cell. The n cells of a bin, with mean distance D and mean value V,
        sum to step n V, step n (V^2 + s^2 (n^2 - 1) / 12) and step n (D V - step s (n^2 - 1) / 12).
        """
        edges, widths = self._bin_edges(near.ndim)
        lower, outer = edges[..., :-1], edges[..., 1:]
        p = probabilities(pad_rank(self.logits, near.ndim, 1))
        slope = p / widths
        near, step, start, stop = (x[..., None] for x in (near, step, start, stop))
        ends = boundary(edges - near if upper else near - edges, step)
        ends = jnp.where(ends > start, jnp.where(ends < stop, ends, stop), start)
        inner, far = (ends[..., :-1], ends[..., 1:]) if upper else (ends[..., 1:], ends[..., :-1])
        length, distance = far - inner, 0.5 * (far + inner)
        if upper:
            value = _cumulative(p, np.tril, -1) + slope * (outer - (near + distance))
        else:
            value = _cumulative(p, np.triu, 1) + slope * ((near - distance) - lower)
        value = jnp.where(length > 0, value, 0.0)
        spread = jnp.where(length > 0, (length - step) * (length + step) / 12, 0.0)
        return (
            jnp.sum(length * value, axis=-1),
            jnp.sum(length * (value * value + slope * slope * spread), axis=-1),
            jnp.sum(length * (distance * value - slope * spread), axis=-1),
        )

    def _parts(self, low, high):
        """Start and stop of each bin's part inside [low, high], the bin's edges, its density and its probability.

        Comparisons instead of clips: at an edge or a threshold the entire gradient must go to exactly one bin.
        """
        edges, widths = self._bin_edges(low.ndim)
        p = probabilities(pad_rank(self.logits, low.ndim, 1))
        low, high = low[..., None], high[..., None]
        lower, upper = edges[..., :-1], edges[..., 1:]
        touched = (upper > low) & (lower <= high)
        start = jnp.where(touched & (lower <= low), low, lower)
        stop = jnp.where(touched, jnp.where(upper <= high, upper, high), start)
        return start, stop, lower, upper, p / widths, p

    def pieces(
        self, low: Float[Array, "..."], high: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]:
        """Return probability, midpoint and length of each bin's part inside [low, high], [..., K]; low, high [...]."""
        ndim = len(self.batch_shape)
        edges, widths = self._bin_edges(ndim)
        lower, upper = edges[..., :-1], edges[..., 1:]
        low, high = low[..., None], high[..., None]
        start, stop = jnp.where(lower > low, lower, low), jnp.where(upper < high, upper, high)
        touched = (upper > low) & (lower < high)
        length = jnp.where(touched, stop - start, 0.0)
        p = probabilities(pad_rank(self.logits, ndim, 1))
        return p * (length / widths), jnp.where(touched, 0.5 * (start + stop), 0.0), length

    def tail_quantile(self, mass: float | Float[Array, ""], upper: bool) -> Float[Array, "..."]:
        """Return the point with probability `mass` beyond it on that side, shape `batch_shape`."""
        return self._quantile(self._level(mass), upper)

    def tail_distance(
        self, outer: float | Float[Array, ""], inner: float | Float[Array, ""], upper: bool
    ) -> Float[Array, "..."]:
        """Return the distance between the points with `outer` and with `inner` > `outer` beyond them, [*batch_shape].

        Unlike a difference of quantiles, it keeps its digits where the points are close and far from 0.
        """
        edges, widths = self._bin_edges(len(self.batch_shape))
        ends = edges[..., 1:] if upper else edges[..., :-1]
        (far, outside), (near, inside) = (
            quantile_bin(self.logits, self._level(mass), from_last=upper) for mass in (outer, inner)
        )
        between = jnp.abs(take_last(ends, far) - take_last(ends, near))
        return between + take_last(widths, near) * inside - take_last(widths, far) * outside

    def tail_log_density(self, mass: float | Float[Array, ""], upper: bool) -> Float[Array, "..."]:
        """Return log f at `tail_quantile`, from the bin that contains it, shape `batch_shape`."""
        index, _ = quantile_bin(self.logits, self._level(mass), upper)
        return log_probability(self.logits, index) - jnp.log(take_last(self._bin_edges(index.ndim)[1], index))

    def _level(self, mass):
        return jnp.full(self.batch_shape, mass, self.dtype)

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."] | bool) -> Float[Array, "..."]:
        """Edge of the bin where the probability summed from that side reaches `mass`, plus a fraction of the bin."""
        edges, widths = self._bin_edges(mass.ndim)
        logits = pad_rank(self.logits, mass.ndim, 1)
        if isinstance(upper, bool):
            index, fraction = quantile_bin(logits, mass, from_last=upper)
        else:
            index, fraction = (
                jnp.where(upper, high, low)
                for low, high in zip(quantile_bin(logits, mass, False), quantile_bin(logits, mass, True), strict=True)
            )
        offset = take_last(widths, index) * fraction
        inner = jnp.where(upper, take_last(edges[..., 1:], index) - offset, take_last(edges[..., :-1], index) + offset)
        return jnp.where(mass > 0, inner, jnp.where(upper, edges[..., -1], edges[..., 0]))

    def _ends(self):
        edges, _ = self._bin_edges(len(self.batch_shape))
        return edges[..., 0], edges[..., -1]

    def _sides(self, y):
        """Probability below and above y, each summed over the bins on its side."""
        edges, widths = self._bin_edges(y.ndim)
        logits, index = pad_rank(self.logits, y.ndim, 1), bin_index(edges, y)
        inside = (y >= edges[..., 0]) & (y < edges[..., -1])
        start, stop, width = (
            take_last(edges[..., :-1], index),
            take_last(edges[..., 1:], index),
            take_last(widths, index),
        )
        y = jnp.where(inside, y, start)
        beyond = jnp.where(index == 0, 0.0, 1.0)
        below = jnp.where(inside, (y - start) / width, beyond)
        above = jnp.where(inside, (stop - y) / width, 1 - beyond)
        return partial_mass(logits, index, below, False), partial_mass(logits, index, above, True)

    def _log_mass(self, low, high):
        """log of the probability of [low, high]."""
        edges, widths = self._bin_edges(low.ndim)
        logits, low, high = pad_rank(self.logits, low.ndim, 1), low[..., None], high[..., None]
        lower, upper = edges[..., :-1], edges[..., 1:]
        start = jnp.where(low >= lower, low, lower)
        stop = jnp.where(high <= upper, high, upper)
        touched = stop > start
        length = jnp.where(touched, stop, 1.0) - jnp.where(touched, start, 0.0)
        return log_partial_mass(logits, jnp.where(touched, length, 0.0) / widths)


class BinnedBody(Bins):
    """A distribution whose body is a histogram."""

    @property
    def body(self) -> Binned:
        """Histogram over all bins; the distribution uses the part between its tails."""
        body = object.__new__(Binned)
        set_fields(body, logits=self.logits, _edges=self._edges)
        return body


def _length(low, high, length):
    """`length`, or 0 for an interval whose ends are the same infinity, where it would be NaN."""
    return jnp.where(low == high, 0.0, length)


def _cumulative(values, triangle, diagonal=0):
    """Sums along the last axis as a product with a triangle of ones (np.triu: from the left, np.tril: from the right).

    Several times faster than a scan on CPU. Full precision is requested because GPUs would round the factors.
    """
    size = values.shape[-1]
    ones = jnp.asarray(triangle(np.ones((size, size)), diagonal), dtype=values.dtype)
    return jnp.matmul(values, ones, precision=jax.lax.Precision.HIGHEST)
