"""The blended generalized Pareto distribution over a binned body: a baseline without a free tail scale."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.binned import BinnedBody
from sbp_jax.distributions.bins import EdgesLike, batch_of, checked_bins, set_bins
from sbp_jax.distributions.blending import checked_masses
from sbp_jax.distributions.cells import Sums, boundary, joined
from sbp_jax.distributions.numerics import safe_log, term
from sbp_jax.distributions.pareto import GeneralizedPareto, tail_cells
from sbp_jax.distributions.pytrees import Constant, Name, broadcast_batch, compiled, pad_rank, register, set_fields
from sbp_jax.distributions.zone_density import DensitySide
from sbp_jax.distributions.zone_published import PublishedSide
from sbp_jax.errors import InputError

Masses = ArrayLike | Sequence[float] | Constant
_BLENDS = {"density": DensitySide, "published": PublishedSide}


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class BlendedPareto(BinnedBody):
    """Histogram that passes smoothly into a generalized Pareto tail between two of its own quantiles on each side.

    Upper side, with the histogram's density f_b and cdf F_b, inner and outer tail probabilities tau_a > tau_b, their
    quantiles a = F_b^-1(1 - tau_a) < b = F_b^-1(1 - tau_b), the generalized Pareto cdf G of shape xi whose location and
    scale make G(a) = F_b(a) and G(b) = F_b(b), its density g, and the Beta(5, 5) cdf w of (y - a) / (b - a):

        y <= a       f(y) = f_b(y)
        a < y <= b   f(y) = (1 - w) f_b(y) + c w g(y)
        y > b        f(y) = c g(y)
        c = (tau_b + integral of w f_b over [a, b]) / (tau_b + integral of w g over [a, b])

    The lower side is its mirror image: the same with survival functions, on the reflected axis. Only the shapes are
    free. w and four derivatives are flat at both ends, so the density is continuous at a and at b; between them the
    bins' steps remain, multiplied by 1 - w.

    It is a valid distribution for all parameters: f is a sum of nonnegative terms, since 0 <= w <= 1 and c > 0, and c
    makes the mass above a equal to that of the body,

        integral of (1 - w) f_b + c (integral of w g + tau_b) = integral of f_b + tau_b = tau_a.

    The tail beyond b has probability c tau_b (`tail_masses`), with c between tau_b / tau_a and tau_a / tau_b. A mixture
    of densities whose weight depends on y is the dynamic mixture of Frigessi, Haug and Rue (2002), Extremes 5. Theirs
    is normalized globally; this one is normalized in its tail only, so that the body keeps the bin probabilities.

    `blend="published"` is the blended generalized Pareto distribution of Castro-Camilo, Huser and Rue (2022),
    Environmetrics 33, which Majumder and Richards (2025), arXiv 2504.19994, apply to a network's cdf. It blends cdfs,
    with F = G beyond b and in the zone

        F(y) = F_b(y)^(1 - w) G(y)^w     f(y) = F ((1 - w) f_b / F_b + w g / G + w' (log G - log F_b))

    The last term is negative where G < F_b, that is, where the body's mass between a and b lies nearer to a than G's,
    and F falls wherever w' (log F_b - log G) > (1 - w) f_b / F_b + w g / G. F cannot fall where a and b lie
    in one bin and xi >= -1, nor where F_b <= G; it does fall for bins that are very uneven between a and b. There
    `log_prob` is -inf with zero gradient, and so is `interval_log_prob` for an interval over which F falls, so a
    network trained on it runs into infinite losses. The cdf, moments and scores are those of F as defined; a quantile
    is one of the points where F reaches the level. The positive part of f integrates to 1 + `negative_mass()`; the
    authors' training adds a multiple of the same integral to the loss. Measured on 4000 draws, 40 equal bins, xi = 0.1
    and the default masses: with logits from N(0, sigma^2), F falls somewhere in 0, 0.1, 7 and 43 % of the distributions
    at sigma = 0.25, 0.5, 1 and 2 (0, 0.1, 14 and 51 % with a Gaussian's log-density added), by 0.005 on average at
    sigma = 2.

    Mean, variance, CRPS and twCRPS are closed forms in the body and beyond b. In the zone they use Gauss-Legendre
    quadrature on each piece between edges, with 12 nodes in float32 and 24 in float64, and so does the integral of w g.
    Measured against 50 digits, for xi in [-1, 1] and one to twelve pieces, the error is below the rounding of the dtype
    (see the tests).

    Args:
        logits: [..., K], of the bins' probabilities; they set the distribution's dtype.
        edges: [K + 1] or [..., K + 1], increasing, in the unit of the outcome; see `Binned`.
        lower_shape, upper_shape: xi of each tail, any real number, [...]. None: no tail on that side, the body ends at
            the last edge. A shape whose absolute value exceeds 40 / log(tau_a / tau_b) in float32 (320 in float64) is
            clamped to that number, with zero gradient: its tail is a step. The tail's scale is at least 4e-19 in
            float32 (6e-154 in float64) units of the outcome, so that its derivatives do not overflow.
        lower_mass, upper_mass: tail probabilities (tau_b, tau_a) of the body beyond the outer and the inner end of the
            blending zone, numbers with 0 < tau_b < tau_a < 1/2, constants of the distribution. None: no tail there.
        blend: "density" or "published".
    Raises:
        InputError: incompatible shapes, edges not increasing, an invalid pair of masses, or an unknown blend.
    Example:
        >>> d = BlendedPareto(jnp.zeros(40), np.linspace(-10.0, 10.0, 41), 0.1, 0.3)
        >>> d.prob(-jnp.inf, jnp.inf)
        Array(1., dtype=float32)
    """

    logits: Float[Array, "*batch bins"]
    _edges: Constant | Array
    lower_shape: Float[Array, "*batch"] | None
    upper_shape: Float[Array, "*batch"] | None
    _lower_mass: Constant | None
    _upper_mass: Constant | None
    blend: Name

    def __init__(
        self,
        logits: ArrayLike,
        edges: EdgesLike,
        lower_shape: ArrayLike | None,
        upper_shape: ArrayLike | None,
        lower_mass: Masses | None = (0.05, 0.2),
        upper_mass: Masses | None = (0.05, 0.2),
        blend: str = "density",
    ) -> None:
        if blend not in _BLENDS:
            raise InputError(f"blend: expected one of {', '.join(_BLENDS)}, got {blend!r}")
        logits, edges = checked_bins(logits, edges)
        sides = {}
        for name, shape, mass in (("lower", lower_shape, lower_mass), ("upper", upper_shape, upper_mass)):
            if shape is not None and mass is not None:
                sides[name] = jnp.asarray(shape).astype(logits.dtype), checked_masses(mass, name, logits.dtype)
        batch = broadcast_batch(
            **batch_of(logits, edges), **{f"{name}_shape": shape.shape for name, (shape, _) in sides.items()}
        )
        shapes = {name: jnp.broadcast_to(shape, batch) for name, (shape, _) in sides.items()}
        set_bins(self, logits, edges, batch)
        set_fields(
            self,
            lower_shape=shapes.get("lower"),
            upper_shape=shapes.get("upper"),
            _lower_mass=sides["lower"][1] if "lower" in sides else None,
            _upper_mass=sides["upper"][1] if "upper" in sides else None,
            blend=Name(blend),
        )

    @property
    def lower_mass(self) -> np.ndarray | None:
        """(tau_b, tau_a) of the lower side, [2]; None without a lower tail."""
        return None if self._lower_mass is None else np.asarray(self._lower_mass)

    @property
    def upper_mass(self) -> np.ndarray | None:
        """(tau_b, tau_a) of the upper side, [2]; None without an upper tail."""
        return None if self._upper_mass is None else np.asarray(self._upper_mass)

    @compiled
    def thresholds(self) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]:
        """Return (b_l, a_l, a_u, b_u): the ends of the lower and upper blending zones, in the unit of the outcome.

        Shape `batch_shape`; on a side without a tail, both ends are the outer edge.
        """
        edges, _ = self.body._bin_edges(len(self.batch_shape))
        ends = [jnp.broadcast_to(edges[..., i], self.batch_shape) for i in (0, 0, -1, -1)]
        for side in self._sides:
            a, b = (side.out(end) for end in side.ends)
            ends[slice(2, 4) if side.upper else slice(0, 2)] = (a, b) if side.upper else (b, a)
        b_l, a_l, a_u, b_u = ends
        return b_l, a_l, a_u, b_u

    @compiled
    def tail_masses(self) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Return the probabilities beyond the outer ends of the zones, lower and upper, each of shape `batch_shape`.

        c tau_b for blend "density", tau_b for blend "published", 0 on a side without a tail.
        """
        masses = [jnp.zeros(self.batch_shape, self.dtype)] * 2
        for side in self._sides:
            masses[side.upper] = self._known(jnp.broadcast_to(jnp.asarray(side.mass, self.dtype), self.batch_shape))
        return masses[0], masses[1]

    @compiled
    def negative_mass(self) -> Float[Array, "..."]:
        """Return the integral of the negative part of f, the total fall of F, shape `batch_shape`.

        0 for blend "density". For blend "published", the sum of the rises of the tail probability from one quadrature
        node to the next. Dips between two nodes (12 in float32, 24 in float64 on each piece between edges) and dips
        below eight rounding errors are not detected. Differentiable: as a penalty it keeps a network where the blend is
        a valid distribution.
        """
        total = jnp.zeros(self.batch_shape, self.dtype)
        for side in self._sides:
            total = total + side.rises()
        return self._known(total)

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log f(y); -inf with zero gradient beyond the end of a finite tail and where the published F falls."""
        (y,) = self._outcomes(y)
        points, center = self._points(y)
        value = self.body.log_prob(center)
        for side, point in zip(self._sides, points, strict=True):
            value = jnp.where(point.inside | point.beyond, side.log_prob(point), value)
        return self._known(value, y)

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return F(y)."""
        return self._probability(y, False, False)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 1 - F(y), to full precision in the upper tail."""
        return self._probability(y, True, False)

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log F(y)."""
        return self._probability(y, False, True)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log(1 - F(y))."""
        return self._probability(y, True, True)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return log(F(high) - F(low)), summed over tails, blending zones and body, each without cancellation.

        -inf with zero gradient for an interval without mass, or over which the published F falls; infinite ends are
        allowed.
        """
        low, high = self._outcomes(low, high)
        (_, start), (_, stop) = self._points(low), self._points(high)
        logs, signs = [self.body.interval_log_prob(start, stop)], [1.0]
        # an empty interval has no parts, even if its ends lie in different pieces
        far = jnp.where(high > low, high, low)
        for side in self._sides:
            (zone, sign), beyond = side.interval(*((low, far) if side.upper else (far, low)))
            logs, signs = [*logs, zone, beyond], [*signs, sign, 1.0]
        peak = jax.lax.stop_gradient(functools.reduce(jnp.maximum, logs))
        peak = jnp.where(jnp.isfinite(peak), peak, 0.0)
        total = sum((sign * jnp.exp(log - peak) for log, sign in zip(logs, signs, strict=True)), jnp.zeros_like(peak))
        return self._known(jnp.where(high > low, safe_log(total) + peak, -jnp.inf), low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """Return the sum over the body's pieces, plus for each side, in outward coordinates, with tail probability T:

            a tau_a + integral of T over the zone + tail mass times the tail's mean excess

        Infinite where a tail has xi >= 1; NaN, being undefined, where both have.
        """
        mass, middle, _ = self._pieces()
        total = jnp.sum(mass * middle, axis=-1)
        for side in self._sides:
            inner, a = side.numbers[1], side.ends[0]
            endless = jnp.full((1,) * len(self.batch_shape), jnp.inf, self.dtype)
            zone = side.integral(lambda x, tail: tail, -endless, endless)
            excess = term(jnp.asarray(side.mass, self.dtype), side.tail.mean())
            total = total + side.out(a * inner + zone + excess)
        return self._known(total)

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return the second moment about the mean m: the sum over the body's pieces plus for each side, outward:

            (a - m)^2 tau_a + 2 integral of (x - m) T over the zone + tail mass (E z^2 + 2 (b - m) E z)

        with z the tail's excess. Infinite where a tail has xi >= 1/2.
        """
        mass, middle, length = self._pieces()
        finite = jnp.ones(self.batch_shape, bool)
        for side in self._sides:
            finite &= ~(side.shape >= 0.5)
        mean = jnp.where(finite, self.mean(), 0.0)
        total = jnp.sum(mass * ((middle - mean[..., None]) ** 2 + length**2 / 12), axis=-1)
        for side in self._sides:
            inner, outer = side.numbers[1], jnp.asarray(side.mass, self.dtype)
            (a, b), endless = side.ends, jnp.full((1,) * len(self.batch_shape), jnp.inf, self.dtype)
            about = side.out(mean)
            zone = side.integral(lambda x, tail, c=about: (x - c[..., None, None]) * tail, -endless, endless)
            first = jnp.where(finite, side.tail.mean(), 0.0)
            second = jnp.where(finite, side.tail.variance(), 0.0) + first**2
            total = total + (a - about) ** 2 * inner + 2 * zone + outer * (second + 2 * (b - about) * first)
        return self._known(jnp.where(finite, total, jnp.inf))

    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """The body's area, plus for each side quadrature in the zone and the closed form beyond it."""
        return self._area(low, high, False)

    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        """The mirror image."""
        return self._area(low, high, True)

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        """Closed forms in the body; for each side, quadrature in the zone and closed forms beyond it."""
        sign = 1 if upper else -1
        (_, start), (_, stop) = self._points(near), self._points(far)
        first, moment = self.body._tail_areas(start, stop, upper)
        moment = moment + jnp.where(sign * (start - near) > 0, sign * (start - near), 0.0) * first
        for side in self._sides:
            area, about = side.tail_areas(near, far, side.upper == upper)
            first, moment = first + area, moment + about
        return self._known(first), self._known(moment)

    def _knots(self, ndim: int) -> list[Array]:
        """The edges between the outer ends of the zones, and the zones' ends."""
        b_l, a_l, a_u, b_u = (pad_rank(end, ndim) for end in self.thresholds())
        edges, _ = self._bin_edges(ndim)
        inner = jnp.where(
            edges < b_l[..., None], b_l[..., None], jnp.where(edges > b_u[..., None], b_u[..., None], edges)
        )
        ends = jnp.stack([b_l, a_l, a_u, b_u], axis=-1)
        points = jnp.concatenate([jnp.broadcast_to(inner, (*ends.shape[:-1], edges.shape[-1])), ends], axis=-1)
        points = jnp.sort(jax.lax.stop_gradient(points), axis=-1)
        return [points[..., k] for k in range(points.shape[-1])]

    def _cell_areas(self, near: Array, step: Array, length: Array, upper: bool) -> Sums:
        """Closed forms in the tails and in the body; in the zones quadrature, one piece between edges at a time."""
        sign = 1 if upper else -1
        ends = [sign * (pad_rank(end, near.ndim) - near) for end in self.thresholds()[::sign]]
        absent = GeneralizedPareto(jnp.zeros(self.batch_shape, self.dtype), jnp.ones(self.batch_shape, self.dtype))
        tails = [absent] * 2
        for side in self._sides:
            tails[side.upper] = side.tail
        masses = [pad_rank(mass, near.ndim) for mass in self.tail_masses()[::sign]]
        (start, nearest), (stop, tail) = tail_cells(tails[::sign], masses, (ends[0], ends[3]), step, length)
        inner, outer = (jnp.clip(boundary(end, step), start, stop) for end in ends[1:3])
        parts = [self.body.bin_cells(near, step, inner, outer, upper)]
        for side in self._sides:
            ahead = side.upper == upper
            window = (outer, stop) if ahead else (start, inner)
            parts.append(side.cells(near, step, *window, ahead))
        return joined(nearest, *((jnp.zeros_like(start), part) for part in parts), (stop, tail))

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        """The body's quantile where mass is at least the inner mass, the side's quantile below it."""
        value = self.body._quantile(mass, upper)
        for side in self._sides:
            ours = (upper == side.upper) & (mass < side.numbers[1])
            # where the body's quantile applies, the side gets a mass that needs no iteration and loses no digits
            value = jnp.where(ours, side.out(side.quantile(jnp.where(ours, mass, side.numbers[1]))), value)
        return self._known(value, mass)

    @property
    def _sides(self):
        """The sides that have a tail."""
        sides = ((self.lower_shape, self._lower_mass, False), (self.upper_shape, self._upper_mass, True))
        kind = _BLENDS[self.blend]
        return [kind(self.body, xi, mass, upper) for xi, mass, upper in sides if xi is not None and mass is not None]

    def _points(self, y):
        """y seen from every side, and y clamped to the inner ends of the zones: the body's outcome."""
        points, center = [], y
        for side in self._sides:
            point = side.at(y)
            inner = pad_rank(side.out(side.ends[0]), y.ndim)
            points.append(point)
            center = jnp.where(point.inside | point.beyond, inner, center)
        return points, center

    def _pieces(self):
        """Probability, middle and length of each bin's part between the two zones."""
        _, a_l, a_u, _ = self.thresholds()
        return self.body.pieces(a_l, a_u)

    def _probability(self, y, survival, log):
        """F or 1 - F, or its logarithm."""
        (y,) = self._outcomes(y)
        points, center = self._points(y)
        value = getattr(self.body, ("log_" if log else "") + ("survival_function" if survival else "cdf"))(center)
        for side, point in zip(self._sides, points, strict=True):
            if log:
                part = side.log_tail_probability(point) if side.upper == survival else side.log_complement(point)
            else:
                part = side.tail_probability(point)
                part = part if side.upper == survival else 1 - part
            value = jnp.where(point.inside | point.beyond, part, value)
        return self._known(value, y)

    def _area(self, low, high, survival):
        """Integral of (1 - F)^2 (survival) or F^2 over [low, high]."""
        (_, start), (_, stop) = self._points(low), self._points(high)
        area = self.body._squared_survival_area if survival else self.body._squared_cdf_area
        total = area(start, stop)
        for side in self._sides:
            total = total + side.squared_area(low, high, side.upper == survival)
        return self._known(total)
