"""Supports missing from NumPyro: an interval whose ends may be infinite elementwise, and a lattice."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float
from numpyro.distributions import constraints
from numpyro.distributions.transforms import Transform, biject_to

from sbp_jax.distributions import Affine, Binned, Censored, Distribution, Mixture, Normal, Quantized, StudentT
from sbp_jax.distributions.pytrees import Constant

_REAL_LINE = (-np.inf, np.inf)


class Span(constraints.interval):
    """Numbers between two ends, either of which may be infinite, elementwise.

    A subclass of NumPyro's interval, because NumPyro re-evaluates only such supports when the parameters change.
    """

    def __repr__(self) -> str:
        return f"Span({self.lower_bound}, {self.upper_bound})"

    def __call__(self, x: ArrayLike) -> Bool[Array, "..."]:
        with jax.ensure_compile_time_eval():  # check concrete values inside a jit
            x, lower, upper = _broadcast(x, self.lower_bound, self.upper_bound)
            return (x >= lower) & (x <= upper) & jnp.isfinite(x)

    def feasible_like(self, prototype: ArrayLike) -> Float[Array, "..."]:
        return SpanTransform(self)(jnp.zeros_like(prototype))


class SpanTransform(Transform):
    """Increasing map from the real line onto a span (l, u), elementwise.

    l + (u - l) sigmoid(x)  both ends finite        l + exp(x)   u = inf
    u - exp(-x)             l = -inf                x            both infinite
    """

    def __init__(self, span: Span) -> None:
        self.span = span

    @property
    def sign(self) -> int:
        return 1

    @property
    def codomain(self) -> Span:
        return self.span

    def tree_flatten(self) -> tuple[Any, Any]:
        return (self.span,), (("span",), {})

    def eq(self, other: object, static: bool = False) -> ArrayLike:
        return isinstance(other, SpanTransform) and self.span.eq(other.span, static=static)

    def __call__(self, x: ArrayLike) -> Float[Array, "..."]:
        x, lower, upper, above, below = self._cases(x)
        info = jnp.finfo(x.dtype)
        # the density may be infinite at the ends, which rounding could reach
        fraction = jnp.clip(jax.nn.sigmoid(x), float(info.tiny), 1 - float(info.eps))
        value = jnp.where(above, lower + jnp.exp(jnp.where(above & ~below, x, 0.0)), x)
        value = jnp.where(below, upper - jnp.exp(jnp.where(below & ~above, -x, 0.0)), value)
        return jnp.where(above & below, lower + (upper - lower) * fraction, value)

    def _inverse(self, y: ArrayLike) -> Float[Array, "..."]:
        y, lower, upper, above, below = self._cases(y)
        from_lower = jnp.where(above, jnp.log(jnp.where(above, y - lower, 1.0)), 0.0)
        from_upper = jnp.where(below, jnp.log(jnp.where(below, upper - y, 1.0)), 0.0)
        return jnp.where(above | below, from_lower - from_upper, y)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Float[Array, "..."]:
        x, lower, upper, above, below = self._cases(x)
        both = above & below
        width = jnp.where(both, upper - lower, 1.0)
        between = jnp.log(width) + jax.nn.log_sigmoid(x) + jax.nn.log_sigmoid(-x)
        return jnp.where(both, between, jnp.where(above, x, jnp.where(below, -x, 0.0)))

    def _cases(self, x):
        """x and both ends (0 if infinite), of one shape and dtype, and the masks of finite lower and upper ends."""
        x, lower, upper = _broadcast(x, self.span.lower_bound, self.span.upper_bound)
        above, below = jnp.isfinite(lower), jnp.isfinite(upper)
        return x, jnp.where(above, lower, 0.0), jnp.where(below, upper, 0.0), above, below


biject_to.register(Span, SpanTransform)


class FixedSpan(constraints.ParameterFreeConstraint):
    """Numbers between two constant ends, which may be infinite: NumPyro's mixtures accept such components."""

    def __init__(self, lower_bound: float, upper_bound: float) -> None:
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def __repr__(self) -> str:
        return f"FixedSpan({self.lower_bound}, {self.upper_bound})"

    def __call__(self, x: ArrayLike) -> Bool[Array, "..."]:
        with jax.ensure_compile_time_eval():
            x = _floating(x)
            return (x >= self.lower_bound) & (x <= self.upper_bound) & jnp.isfinite(x)

    def feasible_like(self, prototype: ArrayLike) -> Float[Array, "..."]:
        return _fixed_transform(self)(jnp.zeros(jnp.shape(prototype)))

    def tree_flatten(self) -> tuple[Any, Any]:
        return (), ((), {"lower_bound": self.lower_bound, "upper_bound": self.upper_bound})

    def eq(self, other: object, static: bool = False) -> ArrayLike:
        ends = self.lower_bound, self.upper_bound
        return isinstance(other, FixedSpan) and ends == (other.lower_bound, other.upper_bound)


@biject_to.register(FixedSpan)
def _fixed_transform(constraint: FixedSpan) -> "SpanTransform":
    return SpanTransform(Span(jnp.asarray(constraint.lower_bound), jnp.asarray(constraint.upper_bound)))


class Lattice(constraints.ParameterFreeConstraint):
    """Numbers origin + k width, k an integer, up to rounding."""

    is_discrete = True

    def __init__(self, width: float, origin: float = 0.0) -> None:
        self.width, self.origin = width, origin

    def __repr__(self) -> str:
        return f"Lattice({self.width}, {self.origin})"

    def __call__(self, x: ArrayLike) -> Bool[Array, "..."]:
        with jax.ensure_compile_time_eval():
            return _is_multiple(_floating(x), self.width, self.origin)

    def feasible_like(self, prototype: ArrayLike) -> Array:
        return jnp.full_like(prototype, self.origin)

    def tree_flatten(self) -> tuple[Any, Any]:
        return (), ((), {"width": self.width, "origin": self.origin})

    def eq(self, other: object, static: bool = False) -> ArrayLike:
        return isinstance(other, Lattice) and (self.width, self.origin) == (other.width, other.origin)


def fixed_support(dist: Distribution) -> constraints.Constraint | None:
    """Return a constraint that every outcome satisfies whatever the parameters are; None if there is none.

    A lattice for outcomes on a constant grid, the real line, or an interval between constant bounds.
    """
    grid = _grid(dist)
    if grid is not None:
        return Lattice(*grid)
    ends = _fixed_ends(dist)
    return None if ends is None else constraints.real if ends == _REAL_LINE else FixedSpan(*ends)


def _grid(dist: Distribution) -> tuple[float, float] | None:
    """Width and origin of the constant grid that all outcomes lie on; None if there is none."""
    if isinstance(dist, Quantized) and isinstance(dist.width, Constant) and isinstance(dist.origin, Constant):
        return float(dist.width), float(dist.origin)
    if isinstance(dist, Censored):
        grid = _grid(dist.base)
        bounds = [bound for bound in (dist.low, dist.high) if bound is not None]
        if grid and all(isinstance(bound, Constant) and _is_end_on(float(bound), *grid) for bound in bounds):
            return grid
    if isinstance(dist, Mixture):
        grids = {_grid(part) for part in _components(dist)}
        return grids.pop() if len(grids) == 1 else None
    return None


def _is_end_on(bound: float, width: float, origin: float) -> bool:
    ratio = (bound - origin) / width
    slack = 4 * np.finfo(float).eps * max(abs(ratio), abs(origin) / width)
    return bool(np.isinf(bound) or abs(ratio - np.round(ratio)) <= slack)


def _fixed_ends(dist: Distribution) -> tuple[float, float] | None:
    """Constant ends between which all outcomes lie; None if they depend on parameters."""
    if isinstance(dist, Normal | StudentT):
        return _REAL_LINE
    if isinstance(dist, Binned) and isinstance(dist._edges, Constant):
        edges = np.asarray(dist.edges).astype(dist.dtype)
        return float(edges[0]), float(edges[-1])
    if isinstance(dist, Affine | Quantized):  # location, scale and the last grid points move finite ends
        return _REAL_LINE if _fixed_ends(dist.base) == _REAL_LINE else None
    if isinstance(dist, Mixture):
        parts = [_fixed_ends(part) for part in _components(dist)]
        known = [part for part in parts if part is not None]
        return (min(low for low, _ in known), max(high for _, high in known)) if len(known) == len(parts) else None
    if isinstance(dist, Censored):
        low, high = (_constant_bound(bound) for bound in (dist.low, dist.high))
        # two constant bounds suffice whatever the base
        base = _fixed_ends(dist.base) or (_REAL_LINE if low is not None and high is not None else None)
        if base is None or (dist.low is not None and low is None) or (dist.high is not None and high is None):
            return None
        return max(base[0], -np.inf if low is None else low), min(base[1], np.inf if high is None else high)
    return None


def _constant_bound(bound: Constant | Array | None) -> float | None:
    """A constant bound as a number; None if there is none or it is a parameter."""
    return float(bound) if isinstance(bound, Constant) else None


def _components(dist: Mixture) -> tuple[Distribution, ...]:
    return dist.components if isinstance(dist.components, tuple) else (dist.components,)


def _floating(x: ArrayLike) -> Array:
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def _is_multiple(y: Array, width: float, origin: float) -> Array:
    """Whether y is a multiple of `width` from `origin`, up to rounding."""
    finite = jnp.isfinite(y)
    ratio = (jnp.where(finite, y, 0.0) - origin) / width
    k = jnp.round(ratio)
    slack = 4 * float(jnp.finfo(y.dtype).eps) * jnp.maximum(jnp.abs(k), abs(origin) / width)
    return finite & (jnp.abs(ratio - k) <= slack)


def _broadcast(x, lower, upper):
    """x and both ends in the dtype of the ends, broadcast to one shape without implicit rank promotion."""
    lower, upper = jnp.asarray(lower), jnp.asarray(upper)
    return jnp.broadcast_arrays(jnp.asarray(x).astype(lower.dtype), lower, upper)
