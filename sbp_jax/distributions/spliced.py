"""The Spliced Binned-Pareto distribution: a histogram body between two generalized Pareto tails."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.binned import BinnedBody
from sbp_jax.distributions.bins import EdgesLike, batch_of, checked_bins, set_bins
from sbp_jax.distributions.cells import Sums, joined
from sbp_jax.distributions.histogram import bin_index, take_last
from sbp_jax.distributions.numerics import log_sum, log_term, safe_log, term
from sbp_jax.distributions.pareto import GeneralizedPareto, tail_cells
from sbp_jax.distributions.pytrees import (
    Constant,
    as_array,
    broadcast_batch,
    compiled,
    is_traced,
    pad_rank,
    register,
    set_fields,
)
from sbp_jax.errors import InputError

TailMass = tuple[ArrayLike | Constant, ArrayLike | Constant]
CELLS_PER_BIN = 8  # a power of two: the cells of integer edges are exact floats


@dataclasses.dataclass(frozen=True)
class Sides:
    """Location of an outcome: tail masses, thresholds, masks of the tails, excesses (0 outside the tail)."""

    tau_l: Array
    tau_u: Array
    t_l: Array
    t_u: Array
    in_lower: Array
    in_upper: Array
    in_body: Array
    z_l: Array
    z_u: Array

    def within(self, y: Array) -> Array:
        """Return y, the outcome that these sides describe, clamped to the thresholds."""
        return jnp.where(self.in_lower, self.t_l, jnp.where(self.in_upper, self.t_u, y))


def complement_area(tail, tau, low, high):
    """Return the integral of (1 - tau S)^2 over the excesses [low, high] of a tail."""
    endless = jnp.isinf(high)
    high = jnp.where(endless, jnp.where(jnp.isinf(low), 0.0, low), high)
    low = jnp.where(jnp.isinf(low), high, low)
    area = high - low - 2 * tau * tail.survival_area(1, low, high) + tau * tau * tail.survival_area(2, low, high)
    return jnp.where(endless, jnp.inf, area)


def checked_mass(mass, side, dtype):
    """Return a tail mass as a constant (concrete scalar) or leaf (traced or array); InputError outside [0, 1/2)."""
    if isinstance(mass, Constant):
        return mass
    if is_traced(mass):
        return jnp.asarray(mass).astype(dtype)
    value = np.asarray(mass)
    if not np.all((value >= 0) & (value < 0.5)):
        raise InputError(f"tail_mass must be at least 0 and below 1/2, got {value.tolist()} for the {side} tail")
    return Constant(value) if value.ndim == 0 else jnp.asarray(mass).astype(dtype)


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class SplicedBinnedPareto(BinnedBody):
    """Histogram between its own tau_l- and (1 - tau_u)-quantiles, generalized Pareto beyond them.

    With the histogram's density f_b and cdf F_b, thresholds t_l = F_b^-1(tau_l) and t_u = F_b^-1(1 - tau_u), and a
    generalized Pareto density g and survival function S for each tail:

        y < t_l          f(y) = tau_l g_l(t_l - y)       F(y) = tau_l S_l(t_l - y)
        t_l <= y <= t_u  f(y) = f_b(y)                   F(y) = F_b(y)
        y > t_u          f(y) = tau_u g_u(y - t_u)       F(y) = 1 - tau_u S_u(y - t_u)

    The density integrates to one, and gradients flow through the thresholds. A tail mass of 0 means no tail on that
    side: the body then ends at the outermost edge. Source: Ehrlich, Callot and Aubet (2021), arXiv 2106.10952.

    Args:
        logits: [..., K], logits of the bins' probabilities; their dtype is the distribution's.
        edges: [K + 1] or [..., K + 1], increasing, in the unit of the outcome; see `Binned`.
        lower, upper: tails, with batch shapes that broadcast against [...].
        tail_mass: (tau_l, tau_u), each in [0, 1/2). Numbers become constants; arrays of the batch shape and traced
            values become leaves, through which gradients flow.

    Raises:
        InputError: incompatible shapes, edges not increasing, or a concrete tail mass outside [0, 1/2).
    """

    logits: Float[Array, "*batch bins"]
    _edges: Constant | Array
    lower: GeneralizedPareto
    upper: GeneralizedPareto
    _tail_mass: tuple[Constant | Array, Constant | Array]

    def __init__(
        self,
        logits: ArrayLike,
        edges: EdgesLike,
        lower: GeneralizedPareto,
        upper: GeneralizedPareto,
        tail_mass: TailMass = (0.05, 0.05),
    ) -> None:
        logits, edges = checked_bins(logits, edges)
        if len(tail_mass) != 2:
            raise InputError(f"tail_mass must be a pair (lower, upper), got {len(tail_mass)} values")
        masses = [checked_mass(m, side, logits.dtype) for m, side in zip(tail_mass, ("lower", "upper"), strict=True)]
        batch = broadcast_batch(
            **batch_of(logits, edges),
            lower=lower.batch_shape,
            upper=upper.batch_shape,
            lower_tail_mass=masses[0].shape,
            upper_tail_mass=masses[1].shape,
        )

        def tail(t: GeneralizedPareto) -> GeneralizedPareto:
            return GeneralizedPareto(
                jnp.broadcast_to(t.shape.astype(logits.dtype), batch),
                jnp.broadcast_to(t.scale.astype(logits.dtype), batch),
            )

        set_bins(self, logits, edges, batch)
        set_fields(
            self,
            lower=tail(lower),
            upper=tail(upper),
            _tail_mass=tuple(m if isinstance(m, Constant) else jnp.broadcast_to(m, batch) for m in masses),
        )

    @property
    def tail_mass(self) -> tuple[np.ndarray | Array, np.ndarray | Array]:
        """(tau_l, tau_u): scalars where they are constants, else arrays of shape `batch_shape`."""
        lower, upper = self._tail_mass
        return as_array(lower), as_array(upper)

    def _missing(self) -> Bool[Array, "..."]:
        return super()._missing() | self.lower._missing() | self.upper._missing()

    @compiled
    def thresholds(self) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Return (t_l, t_u) in the unit of the outcome, shape `batch_shape`.

        Where a tail mass is 0, the threshold is the outer edge of the first or last bin that is not forbidden.
        """
        masses = self._masses(len(self.batch_shape))
        t_l, t_u = self.body._quantile(masses[0], False), self.body._quantile(masses[1], True)
        if self._has_tails:
            return t_l, t_u
        first, last = self._outer_edges(len(self.batch_shape))
        return jnp.where(masses[0] > 0, t_l, first), jnp.where(masses[1] > 0, t_u, last)

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log f(y); -inf with zero gradient beyond the end of a finite tail and beyond a side without a tail."""
        (y,) = self._outcomes(y)
        side = self._sides(y)
        inside = jnp.where(side.in_body, y, side.t_l)
        body = self.body.clamped_log_prob(inside if self._has_tails else self._within_bins(inside))
        lower = log_term(side.tau_l, self.lower.log_prob(side.z_l))
        upper = log_term(side.tau_u, self.upper.log_prob(side.z_u))
        return self._known(jnp.where(side.in_lower, lower, jnp.where(side.in_upper, upper, body)), y)

    @compiled
    def cell_log_density(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the log of the density averaged over the cell of y, an eighth of a bin; outside the bins, log f(y).

            log(P(cell) / width of the cell)

        It equals `log_prob` in every cell of the body that contains no threshold and is close to it in the others. Use
        it as the likelihood in training: where the density jumps at a threshold, log f(y) jumps as the threshold passes
        y. Automatic differentiation misses that jump, so the mean gradient of -log f is not zero at the truth. The
        probability of a fixed cell is continuous in the parameters, so that its mean gradient is zero at the truth, for
        every tail.

        Args:
            y: outcomes, broadcast against `batch_shape`, in the unit of the outcome.

        Returns:
            The log-density, broadcast; -inf with zero gradient where `log_prob` is -inf beyond the edges, NaN for a NaN
            outcome. The derivative in y is 0 inside the edges. No gradient flows through the cells of traced edges.

        Example:
            >>> tail = GeneralizedPareto(0.1, 1.0)
            >>> dist = SplicedBinnedPareto(jnp.array([0.0, 1.0, 0.0]), (-1.0, 0.0, 1.0, 2.0), tail, tail)
            >>> bool(dist.cell_log_density(0.5) == dist.log_prob(0.5))
            True
        """
        (y,) = self._outcomes(y)
        edges, widths = (jax.lax.stop_gradient(each) for each in self._bin_edges(y.ndim))
        # ignore forbidden bins beyond all others, such as those that pad the smaller heads of a family
        lowest, highest = jax.lax.stop_gradient(self._outer_edges(y.ndim))
        inside = (y >= lowest) & (y <= highest)
        at = self._within_bins(jnp.where(inside, y, lowest))
        index = bin_index(edges, at)
        first, last = take_last(edges[..., :-1], index), take_last(edges[..., 1:], index)
        width = take_last(widths, index) / CELLS_PER_BIN
        cell = jnp.clip(jnp.floor((at - first) / width), 0, CELLS_PER_BIN - 1)
        low = first + cell * width
        high = jnp.where(cell == CELLS_PER_BIN - 1, last, first + (cell + 1) * width)
        a, b = self._sides(low), self._sides(high)
        start, stop = jnp.where(a.in_lower, a.t_l, low), jnp.where(b.in_upper, b.t_u, high)
        touched = stop > start
        fraction = jnp.where(
            touched, (jnp.where(touched, stop, high) - jnp.where(touched, start, low)) / (high - low), 0.0
        )
        density = self.body.clamped_log_prob(at)
        body = jnp.where(touched, density + safe_log(fraction), -jnp.inf)
        lower = log_term(a.tau_l, self.lower.interval_log_prob(b.z_l, a.z_l)) - jnp.log(high - low)
        upper = log_term(a.tau_u, self.upper.interval_log_prob(a.z_u, b.z_u)) - jnp.log(high - low)
        averaged = log_sum(lower, body, upper)
        beyond = self.log_prob(jnp.where(inside, highest + 1, y))
        return self._known(jnp.where(inside, averaged, beyond), y)

    def composite_log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the published training objective: log f_b(y), plus log tau + log g in a tail with fixed thresholds.

        This is a composite likelihood: the bins learn from every outcome, the tails from exceedances. It is not a
        log-density and is not comparable with one. An outcome outside the edges, or in a forbidden bin beyond all
        allowed ones, counts in the nearest allowed bin.
        """
        return self.stop_threshold_gradient().coupled_composite_log_prob(y)

    @compiled
    def coupled_composite_log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return `composite_log_prob` with gradients that also flow through the thresholds."""
        (y,) = self._outcomes(y)
        side = self._sides(y)
        lower = jnp.where(side.in_lower, safe_log(side.tau_l) + self.lower.log_prob(side.z_l), 0.0)
        upper = jnp.where(side.in_upper, safe_log(side.tau_u) + self.upper.log_prob(side.z_u), 0.0)
        return self._known(self.body.clamped_log_prob(self._within_bins(y)) + lower + upper, y)

    def stop_threshold_gradient(self) -> "SplicedBinnedPareto":
        """Return the same distribution with no gradient through its thresholds.

        Gradients still flow through the parameters that a head computed from the thresholds, such as a scale that makes
        the tail reach an end of the support.
        """
        dist = object.__new__(_FixedThresholdSplicedBinnedPareto)
        set_fields(dist, **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})
        return dist

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return F(y)."""
        (y,) = self._outcomes(y)
        side = self._sides(y)
        lower = side.tau_l * self.lower.survival_function(side.z_l)
        upper = 1 - side.tau_u * self.upper.survival_function(side.z_u)
        return self._known(jnp.where(side.in_lower, lower, jnp.where(side.in_upper, upper, self.body.cdf(y))), y)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 1 - F(y), to full precision in the upper tail."""
        (y,) = self._outcomes(y)
        side = self._sides(y)
        lower = 1 - side.tau_l * self.lower.survival_function(side.z_l)
        upper = side.tau_u * self.upper.survival_function(side.z_u)
        body = self.body.survival_function(y)
        return self._known(jnp.where(side.in_lower, lower, jnp.where(side.in_upper, upper, body)), y)

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log F(y): log tau_l + log S_l in the lower tail, log1p(-tau_u S_u) in the upper."""
        (y,) = self._outcomes(y)
        side = self._sides(y)
        lower = safe_log(side.tau_l) + self.lower.log_survival_function(side.z_l)
        upper = jnp.log1p(-side.tau_u * self.upper.survival_function(side.z_u))
        return self._known(jnp.where(side.in_lower, lower, jnp.where(side.in_upper, upper, self.body.log_cdf(y))), y)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log(1 - F(y)): log1p(-tau_l S_l) in the lower tail, log tau_u + log S_u in the upper."""
        (y,) = self._outcomes(y)
        side = self._sides(y)
        lower = jnp.log1p(-side.tau_l * self.lower.survival_function(side.z_l))
        upper = safe_log(side.tau_u) + self.upper.log_survival_function(side.z_u)
        body = self.body.log_survival_function(y)
        return self._known(jnp.where(side.in_lower, lower, jnp.where(side.in_upper, upper, body)), y)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return log P(low < Y <= high), summed over lower tail, body and upper tail, each without cancellation.

        -inf with zero gradient for an interval without mass; infinite ends are allowed.
        """
        low, high = self._outcomes(low, high)
        a, b = self._sides(low), self._sides(high)
        body = self.body.interval_log_prob(jnp.where(a.in_lower, a.t_l, low), jnp.where(b.in_upper, b.t_u, high))
        lower = safe_log(a.tau_l) + self.lower.interval_log_prob(b.z_l, a.z_l)
        upper = safe_log(a.tau_u) + self.upper.interval_log_prob(a.z_u, b.z_u)
        return self._known(log_sum(lower, body, upper), low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """Return the body's sum plus tau_l (t_l - beta_l / (1 - xi_l)) + tau_u (t_u + beta_u / (1 - xi_u)).

        The body's sum is that of probability times midpoint over the parts of bins between the thresholds. Infinite
        where a tail of positive mass has xi >= 1; NaN (undefined) where both tails do.
        """
        tau_l, tau_u = self._masses(len(self.batch_shape))
        t_l, t_u = self.thresholds()
        mass, middle, _ = self.body.pieces(t_l, t_u)
        tails = term(tau_l, t_l - self.lower.mean()) + term(tau_u, t_u + self.upper.mean())
        return self._known(jnp.sum(mass * middle, axis=-1) + tails)

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return the variance, summed over body and tails; infinite where a tail of positive mass has xi >= 1/2."""
        tau_l, tau_u = self._masses(len(self.batch_shape))
        t_l, t_u = self.thresholds()
        mass, middle, length = self.body.pieces(t_l, t_u)
        var_l, var_u = self.lower.variance(), self.upper.variance()
        finite = (jnp.isfinite(var_l) | (tau_l == 0)) & (jnp.isfinite(var_u) | (tau_u == 0))
        mean = jnp.where(finite, self.mean(), 0.0)
        mean_l, mean_u = (
            jnp.where(finite, t_l - self.lower.mean(), 0.0),
            jnp.where(finite, t_u + self.upper.mean(), 0.0),
        )
        body = jnp.sum(mass * ((middle - mean[..., None]) ** 2 + length**2 / 12), axis=-1)
        tails = term(tau_l, (mean_l - mean) ** 2 + var_l) + term(tau_u, (mean_u - mean) ** 2 + var_u)
        return self._known(jnp.where(finite, body + tails, jnp.inf))

    @compiled
    def entropy(self) -> Float[Array, "..."]:
        """Return the differential entropy in nats, shape `batch_shape`.

            -(integral of f_b log f_b between the thresholds) + sum over tails of tau (1 + xi + log beta - log tau)

        A tail of mass 0 adds nothing.
        """
        t_l, t_u = self.thresholds()
        _, _, length = self.body.pieces(t_l, t_u)
        total = self.body.partial_entropy(length)
        for tau, tail in zip(self._masses(len(self.batch_shape)), (self.lower, self.upper), strict=True):
            total = total + term(tau, tail.entropy() - jnp.where(tau > 0, safe_log(tau), 0.0))
        return self._known(total)

    @compiled
    def mode(self) -> Float[Array, "..."]:
        """Return where the density is largest: the midpoint of a bin's part between the thresholds, or a tail's mode.

        For xi >= -1, a tail's mode is its threshold, just beyond which the tail's density is largest. For xi < -1, it
        is the end of the support, where the density is infinite. Ties go to the body, and within the body to the first
        bin.
        """
        t_l, t_u = self.thresholds()
        mass, middle, length = self.body.pieces(t_l, t_u)
        some = (length > 0) & (mass > 0)
        density = jnp.where(some, mass, 0.0) / jnp.where(some, length, 1.0)
        index = jnp.argmax(density, axis=-1)
        best, value = jnp.max(density, axis=-1), take_last(middle, index)
        masses = self._masses(len(self.batch_shape))
        for tau, tail, threshold, sign in zip(masses, (self.lower, self.upper), (t_l, t_u), (-1, 1), strict=True):
            excess = tail.mode()
            peak = jnp.where(tail.shape < -1, jnp.inf, tau / tail.scale)
            better = (tau > 0) & (peak > best)
            best, value = jnp.where(better, peak, best), jnp.where(better, threshold + sign * excess, value)
        return self._known(value)

    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """Integral of tau^2 S^2 in the lower tail, of F_b^2 in the body, of (1 - tau S)^2 in the upper tail."""
        a, b = self._sides(low), self._sides(high)
        body = self.body._squared_cdf_area(a.within(low), b.within(high))
        near = a.tau_l * term(a.tau_l, self.lower.survival_area(2, b.z_l, a.z_l))
        return near + body + complement_area(self.upper, a.tau_u, a.z_u, b.z_u)

    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """The mirror image of `_squared_cdf_area`."""
        a, b = self._sides(low), self._sides(high)
        body = self.body._squared_survival_area(a.within(low), b.within(high))
        near = a.tau_u * term(a.tau_u, self.upper.survival_area(2, a.z_u, b.z_u))
        return near + body + complement_area(self.lower, a.tau_l, b.z_l, a.z_l)

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        """T is tau S in the tail ahead, the histogram's in the body, and 1 - tau S in the tail behind."""
        a, b = self._sides(near), self._sides(far)
        sign = 1 if upper else -1
        first, moment = self.body._tail_areas(a.within(near), b.within(far), upper)
        (ahead, tau), (behind, rest) = ((self.upper, a.tau_u), (self.lower, a.tau_l))[::sign]
        (z, z_far), (z_behind, z_left) = ((a.z_u, b.z_u), (a.z_l, b.z_l))[::sign]
        # from near to the threshold behind, from one threshold to the other, and beyond
        length = z_behind - z_left
        area = term(rest, behind.survival_area(1, z_left, z_behind))
        about = term(rest, behind.survival_moment(z_left, z_behind))
        pieces = [(length - area, 0.5 * length * length - (length * area - about))]
        pieces.append((first, moment))
        pieces.append((term(tau, ahead.survival_area(1, z, z_far)), term(tau, ahead.survival_moment(z, z_far))))
        inside = sign * (a.within(near) - near), sign * ((a.t_u if upper else a.t_l) - near)
        total, second = pieces[0]
        for (area, about), distance in zip(pieces[1:], inside, strict=True):
            some = distance > 0
            second = second + about + jnp.where(some, distance * jnp.where(some, area, 0.0), 0.0)
            total = total + area
        return total, second

    def _knots(self, ndim: int) -> list[Array]:
        """The lower threshold, the edges, and the upper threshold; the thresholds may lie anywhere among the edges."""
        t_l, t_u = (pad_rank(t, ndim) for t in self.thresholds())
        return [t_l, *self.body._knots(ndim), t_u]

    def _cell_areas(self, near: Array, step: Array, length: Array, upper: bool) -> Sums:
        """Like `_tail_areas`, over the cells whose midpoints lie in each part."""
        sign = 1 if upper else -1
        (start, nearest), (stop, tail) = tail_cells(
            (self.lower, self.upper)[::sign],
            self._masses(near.ndim)[::sign],
            [sign * (pad_rank(t, near.ndim) - near) for t in self.thresholds()[::sign]],
            step,
            length,
        )
        body = self.body.bin_cells(near, step, start, stop, upper)
        return joined(nearest, (jnp.zeros_like(start), body), (stop, tail))

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        """The body's quantile where mass >= tau, else the threshold and the excess of survival mass / tau beyond it."""
        tau = jnp.where(upper, *reversed(self._masses(mass.ndim)))
        in_tail = mass < tau
        body = self.body._quantile(jnp.where(in_tail, tau, mass), upper)
        side = GeneralizedPareto(
            jnp.where(upper, pad_rank(self.upper.shape, mass.ndim), pad_rank(self.lower.shape, mass.ndim)),
            jnp.where(upper, pad_rank(self.upper.scale, mass.ndim), pad_rank(self.lower.scale, mass.ndim)),
        )
        survival = jnp.where(in_tail, mass, 1.0) / jnp.where(in_tail, tau, 1.0)
        excess = side.excess_at(-safe_log(survival))
        return body + jnp.where(upper, excess, -excess)

    @property
    def _has_tails(self) -> bool:
        """Whether both tail masses are known to be positive: no threshold is an outer edge."""
        return all(isinstance(mass, Constant) and np.all(np.asarray(mass) > 0) for mass in self._tail_mass)

    def _outer_edges(self, ndim):
        """The outer edges of the first and the last bin whose logit is not -inf."""
        edges, _ = self._bin_edges(ndim)
        allowed = pad_rank(self.logits, ndim, 1) > -jnp.inf
        first = jnp.min(jnp.where(allowed, edges[..., :-1], jnp.inf), axis=-1)
        return first, jnp.max(jnp.where(allowed, edges[..., 1:], -jnp.inf), axis=-1)

    def _within_bins(self, y):
        """y, clamped to the range of bins that are not forbidden."""
        first, last = jax.lax.stop_gradient(self._outer_edges(y.ndim))
        # the edge itself belongs to the bin above it
        return jnp.where(y < first, first, jnp.where(y < last, y, jnp.nextafter(last, first)))

    def _masses(self, ndim):
        """(tau_l, tau_u) in the distribution's dtype with `ndim` axes."""
        return tuple(
            pad_rank(np.asarray(m).astype(self.dtype) if isinstance(m, Constant) else m.astype(self.dtype), ndim)
            for m in self._tail_mass
        )

    def _sides(self, y):
        """The piece that contains y, and the excess of y over each threshold."""
        t_l, t_u = (pad_rank(t, y.ndim) for t in self.thresholds())
        tau_l, tau_u = self._masses(y.ndim)
        in_lower, in_upper = y < t_l, y > t_u
        return Sides(
            tau_l=tau_l,
            tau_u=tau_u,
            t_l=t_l,
            t_u=t_u,
            in_lower=in_lower,
            in_upper=in_upper,
            in_body=~(in_lower | in_upper),
            z_l=jnp.where(in_lower, t_l - jnp.where(in_lower, y, 0.0), 0.0),
            z_u=jnp.where(in_upper, jnp.where(in_upper, y, 0.0) - t_u, 0.0),
        )


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class _FixedThresholdSplicedBinnedPareto(SplicedBinnedPareto):
    """See `SplicedBinnedPareto.stop_threshold_gradient`."""

    @compiled
    def thresholds(self) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Return the thresholds without gradient."""
        return jax.lax.stop_gradient(SplicedBinnedPareto.thresholds(self))
