"""Mixture of distributions from one or several families, such as an ensemble of networks."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.base import Distribution, broadcast_to
from sbp_jax.distributions.cells import Sums
from sbp_jax.distributions.censored import Censored
from sbp_jax.distributions.deterministic import Deterministic
from sbp_jax.distributions.mixture_areas import squared_area, squared_cells
from sbp_jax.distributions.numerics import safe_log
from sbp_jax.distributions.pytrees import Constant, broadcast_batch, compiled, is_traced, pad_rank, register, set_fields
from sbp_jax.distributions.quantized import Quantized
from sbp_jax.errors import InputError


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Mixture(Distribution):
    """Distribution of an outcome drawn from component m with probability w_m.

        f(y) = sum of w_m f_m(y)        F(y) = sum of w_m F_m(y)

    The components may have atoms: the dominating measure is Lebesgue measure plus counting measure at the atoms. Where
    a component has an atom at y, `log_prob` is the log of the total probability of the atoms there, and the densities
    of the other components, negligible by comparison, are ignored. Elsewhere, `log_prob` is the log-density of the
    components that have one.

    Mean, variance and probabilities follow in closed form from those of the components. Quantiles come from bisection
    between the components' quantiles, with the implicit gradient (none at an atom). The square F^2 contains products of
    different components' cdfs, whose integrals have no closed form: `crps` and `twcrps` use Gauss-Legendre quadrature
    between all knots and quantiles of the components, and closed forms beyond them. The error is below 1e-12 in float64
    and 3e-6 in float32, relative to max(1, value), for tails of shape up to 1 (see the tests). If all components are
    `Quantized` to one grid, censored or not, or `Deterministic`, both scores are sums over that grid instead; bounds
    and values must lie on it.

    Args:
        weights: w, [..., M], nonnegative, summing to 1 along the last axis; None for equal weights. See `from_logits`.
        components: M distributions of one dtype whose batch shapes broadcast to [...], or one distribution of batch
            shape [..., M], for an ensemble of M members.
    Raises:
        InputError: incompatible shapes or dtypes, or concrete weights that are negative or do not sum to 1.

    Example:
        >>> Mixture([0.4, 0.6], [Deterministic(0.0), Quantized(Normal(11.0, 9.0))])  # incompletions and gains
    """

    log_weights: Float[Array, "*batch components"]
    components: Distribution | tuple[Distribution, ...]

    def __init__(
        self, weights: ArrayLike | Sequence[float] | None, components: Distribution | Sequence[Distribution]
    ) -> None:
        if weights is None:
            _set(self, None, components)
            return
        if not is_traced(weights):
            array = np.asarray(weights, np.float64)
            if np.any(array < 0) or np.any(np.abs(np.sum(array, axis=-1) - 1) > 1e-5):
                raise InputError(f"weights must be nonnegative and sum to 1 along the last axis, got {array.tolist()}")
        _set(self, safe_log(jnp.asarray(weights, dtype=_dtype(components))), components)

    @classmethod
    def from_logits(
        cls, logits: ArrayLike | Sequence[float], components: Distribution | Sequence[Distribution]
    ) -> "Mixture":
        """Return the mixture with weights softmax(logits), [..., M]; -inf excludes a component."""
        self = object.__new__(cls)
        _set(self, jax.nn.log_softmax(jnp.asarray(logits, dtype=_dtype(components)), axis=-1), components)
        return self

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.log_weights.shape[:-1]

    @property
    def dtype(self) -> jnp.dtype:
        return self.log_weights.dtype

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the log of the sum of w_m f_m(y), or of w_m P(Y_m = y) where there is an atom; see `Mixture`."""
        (y,) = self._outcomes(y)
        log_weights = self._log_weights(y.ndim)
        values = self._each(lambda d, y: d.log_prob(y), y)
        atoms = self._each(lambda d, y: d._atom_below(y) == d._at_grid(y), y) & (values > -jnp.inf)
        atoms &= log_weights > -jnp.inf
        some = jnp.any(atoms, axis=-1, keepdims=True)
        return self._known(_log_total(jnp.where(atoms == some, values + log_weights, -jnp.inf)), y)

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the sum of w_m F_m(y)."""
        return self._sum(lambda d, y: d.cdf(y), y)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the sum of w_m (1 - F_m(y))."""
        return self._sum(lambda d, y: d.survival_function(y), y)

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the log of the sum of w_m F_m(y)."""
        return self._log_sum(lambda d, y: d.log_cdf(y), y)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the log of the sum of w_m (1 - F_m(y))."""
        return self._log_sum(lambda d, y: d.log_survival_function(y), y)

    @compiled
    def cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the sum of w_m P(Y_m < y)."""
        return self._sum(lambda d, y: d.cdf_left(y), y)

    @compiled
    def log_cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the log of the sum of w_m P(Y_m < y)."""
        return self._log_sum(lambda d, y: d.log_cdf_left(y), y)

    @compiled
    def log_survival_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return the log of the sum of w_m P(Y_m >= y)."""
        return self._log_sum(lambda d, y: d.log_survival_left(y), y)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return the log of the sum of w_m P(low < Y_m <= high)."""
        return self._log_sum(lambda d, low, high: d.interval_log_prob(low, high), low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """Return the sum of w_m times the mean of component m, ignoring components of weight 0."""
        return self._known(self._total(self._moments(lambda d: d.mean())))

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return the sum of w_m (variance_m + (mean_m - mean)^2): the law of total variance."""
        means, variances = self._moments(lambda d: d.mean()), self._moments(lambda d: d.variance())
        finite = jnp.isfinite(means)
        off = jnp.where(finite, means, 0.0) - self._total(jnp.where(finite, means, 0.0))[..., None]
        return self._known(self._total(jnp.where(finite, variances + off * off, variances)))

    def _squared_cdf_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        return self._squared(high, low, False)

    def _squared_survival_area(self, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
        return self._squared(low, high, True)

    def _squared(self, near, far, upper):
        rounded = self._on_one_grid()
        if rounded is not None:
            return rounded._areas(near, far, upper)[1]
        return squared_area(self, near, far, upper)

    def _on_one_grid(self) -> Quantized | None:
        """The same distribution, rounded after mixing; None if no component is rounded."""
        parts = self.components if isinstance(self.components, tuple) else (self.components,)
        grids, bases = [], []
        for part in parts:
            inner = part.base if isinstance(part, Censored) else part
            if isinstance(inner, Quantized):
                grids.append((inner.width, inner.origin))
                base = inner.base
                if isinstance(part, Censored):
                    base = object.__new__(Censored)
                    set_fields(base, base=inner.base, low=part.low, high=part.high)
                bases.append(base)
            elif isinstance(part, Deterministic):
                bases.append(part)
            else:
                bases.append(None)
        if not grids:
            return None
        constant = all(isinstance(value, Constant) for grid in grids for value in grid)
        if None in bases or not constant or any(grid != grids[0] for grid in grids):
            raise InputError(
                "crps of a mixture: expected all components continuous, or all Quantized to one grid of constant width"
            )
        mixed, rounded = object.__new__(Mixture), object.__new__(Quantized)
        components = tuple(bases) if isinstance(self.components, tuple) else bases[0]
        set_fields(mixed, log_weights=self.log_weights, components=components)
        set_fields(rounded, base=mixed, width=grids[0][0], origin=grids[0][1])
        return rounded

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        firsts, moments = self._each_of(lambda d, near, far: d._tail_areas(near, far, upper), near, far)
        return self._total(firsts), self._total(moments)

    def _cell_areas(self, near: Array, step: Array, length: Array, upper: bool) -> Sums:
        firsts, _, moments = self._each_of(lambda d, *window: d._cell_areas(*window, upper), near, step, length)
        return self._total(firsts), squared_cells(self, near, step, length, upper), self._total(moments)

    def _breaks(self, ndim: int) -> list[Array]:
        if isinstance(self.components, tuple):
            return [point for component in self.components for point in component._breaks(ndim)]
        points = self.components._breaks(ndim + 1)
        return [point[..., m] for point in points for m in range(point.shape[-1])]

    @property
    def _has_atoms(self) -> bool:
        parts = self.components if isinstance(self.components, tuple) else (self.components,)
        return any(part._has_atoms for part in parts)

    def _atom_below(self, y: Array) -> Array:
        return jnp.max(self._each(lambda d, y: d._atom_below(y), y), axis=-1)

    def _quantile(self, mass: Float[Array, "..."], upper: Bool[Array, "..."]) -> Float[Array, "..."]:
        """The least y with F(y) >= mass (`upper`: 1 - F(y) <= mass), by bisection between the components' quantiles.

        Bisection ends at adjacent floats; if the last bracket contains an atom, the atom is the quantile.
        """
        upper = jnp.broadcast_to(upper, jnp.broadcast_shapes(upper.shape, mass.shape, (1,) * mass.ndim))
        fixed = jax.lax.stop_gradient(self)
        level = jax.lax.stop_gradient(mass)
        present = fixed._log_weights(mass.ndim) > -jnp.inf
        ends = fixed._each(lambda d, mass, upper: d._quantile(mass, upper), level, upper)
        low = jnp.min(jnp.where(present, ends, jnp.inf), axis=-1)
        high = jnp.max(jnp.where(present, ends, -jnp.inf), axis=-1)
        outermost = jnp.where(upper, high, low)
        open_ = jnp.isfinite(low) & jnp.isfinite(high) & (level > 0)
        # one rounding step below the least component quantile, where F may already reach the mass
        least, high = jnp.where(open_, low, 0.0), jnp.where(open_, high, 0.0)
        tiny = float(jnp.finfo(self.dtype).tiny)
        least = jnp.where(
            jnp.abs(least) > tiny, jnp.nextafter(least, -jnp.inf), -2 * tiny
        )  # subnormal numbers count as 0

        def reached(y):
            return jnp.where(upper, fixed.survival_function(y) <= level, fixed.cdf(y) >= level)

        def halve(_, bracket):
            low, high = bracket
            y = 0.5 * low + 0.5 * high
            enough = reached(y)
            return jnp.where(enough, low, y), jnp.where(enough, y, high)

        low, high = jax.lax.fori_loop(0, jnp.finfo(self.dtype).nmant + 12, halve, (least, high))
        atom = fixed._atom_below(high)
        on_atom = atom > low
        y = jnp.where(on_atom, atom, high)
        # the implicit function theorem: dy = -dF / f
        density = jnp.exp(fixed.log_prob(y))
        solid = open_ & ~on_atom & (density > 0) & jnp.isfinite(density)
        at = jnp.where(solid, y, jax.lax.stop_gradient(self._log_weights(mass.ndim)[..., 0] * 0))
        excess = jnp.where(upper, self.survival_function(at) - mass, mass - self.cdf(at))
        moved = jnp.where(solid, excess - jax.lax.stop_gradient(excess), 0.0) / jnp.where(solid, density, 1.0)
        return jnp.where(open_, y + moved, outermost)

    def _missing(self) -> Bool[Array, "..."]:
        if isinstance(self.components, tuple):
            missing = [component._missing() for component in self.components]
            missing = jnp.stack(missing, axis=-1)
        else:
            missing = self.components._missing()
        return jnp.any(missing, axis=-1) | jnp.any(jnp.isnan(self.log_weights), axis=-1)

    def _log_weights(self, ndim):
        return pad_rank(self.log_weights, ndim, 1)

    def _each(self, function, *ys):
        """function(component, ys), with the components stacked along the last axis."""
        return self._each_of(lambda d, *ys: (function(d, *ys),), *ys)[0]

    def _each_of(self, function, *ys):
        if isinstance(self.components, tuple):
            shape = jnp.broadcast_shapes(self.batch_shape, *(y.shape for y in ys))
            values = [[jnp.broadcast_to(v, shape) for v in function(component, *ys)] for component in self.components]
            return [jnp.stack(each, axis=-1) for each in zip(*values, strict=True)]
        return function(self.components, *(y[..., None] for y in ys))

    def _moments(self, function):
        if isinstance(self.components, tuple):
            return jnp.stack([function(component) for component in self.components], axis=-1)
        return function(self.components)

    def _total(self, values):
        """Sum of w_m times values [..., M]; a component of weight 0 adds nothing, an infinite value has no gradient."""
        weights = jnp.exp(self._log_weights(values.ndim - 1))
        finite = jnp.isfinite(values) & (weights > 0)
        inner = weights * jnp.where(finite, values, 0.0)
        return jnp.sum(jnp.where(finite, inner, jnp.where(weights > 0, jax.lax.stop_gradient(values), 0.0)), axis=-1)

    def _sum(self, function, *ys):
        ys = self._outcomes(*ys)
        return self._known(self._total(self._each(function, *ys)), *ys)

    def _log_sum(self, function, *ys):
        ys = self._outcomes(*ys)
        values = self._each(function, *ys)
        return self._known(_log_total(values + self._log_weights(values.ndim - 1)), *ys)


def _log_total(values):
    """log of the sum of exp(values) along the last axis; -inf with zero gradient where all are -inf."""
    peak = jax.lax.stop_gradient(jnp.max(values, axis=-1, keepdims=True))
    infinite = peak == jnp.inf
    peak = jnp.where(jnp.isfinite(peak), peak, 0.0)
    total = safe_log(jnp.sum(jnp.exp(jnp.where(infinite, -jnp.inf, values) - peak), axis=-1)) + peak[..., 0]
    return jnp.where(infinite[..., 0], jnp.inf, total)


def _dtype(components):
    first = components if isinstance(components, Distribution) else next(iter(components), None)
    if not isinstance(first, Distribution):
        raise InputError(f"components must be distributions of sbp_jax, got {type(first).__name__}")
    return first.dtype


def _set(self, log_weights, components):
    """Check the weights against the components, broadcast them, and set both fields."""
    dtype = _dtype(components)
    if isinstance(components, Distribution):
        if not components.batch_shape:
            raise InputError("components: expected a batch shape [..., M], or a sequence of distributions, got ()")
        count, batch = components.batch_shape[-1], components.batch_shape[:-1]
    else:
        components = tuple(components)
        for component in components:
            if not isinstance(component, Distribution) or component.dtype != dtype:
                what = component.dtype if isinstance(component, Distribution) else type(component).__name__
                raise InputError(f"components must be distributions of one dtype, got {dtype} and {what}")
        count = len(components)
        batch = broadcast_batch(**{f"component_{m}": c.batch_shape for m, c in enumerate(components)})
    if log_weights is None:
        log_weights = jnp.full((count,), -np.log(count), dtype)
    if log_weights.ndim == 0 or log_weights.shape[-1] != count:
        raise InputError(
            f"weights must have shape [..., {count}] for {count} components, got {list(log_weights.shape)}"
        )
    batch = broadcast_batch(weights=log_weights.shape[:-1], components=batch)
    if isinstance(components, Distribution):
        components = broadcast_to(components, (*batch, count))
    else:
        components = tuple(broadcast_to(component, batch) for component in components)
    set_fields(self, log_weights=jnp.broadcast_to(log_weights, (*batch, count)), components=components)
