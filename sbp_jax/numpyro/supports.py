"""Supports missing from NumPyro: an interval whose ends may be infinite elementwise, and a lattice."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float
from numpyro.distributions import constraints
from numpyro.distributions.transforms import Transform, biject_to


class Span(constraints.interval):
    """Numbers between two ends, either of which may be infinite, elementwise.

    A subclass of NumPyro's interval, because NumPyro re-evaluates only such supports when the parameters change.
    """

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
    """Numbers between two finite constant ends: NumPyro's mixtures accept components with such a support."""

    def __init__(self, lower_bound: float, upper_bound: float) -> None:
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def __call__(self, x: ArrayLike) -> Bool[Array, "..."]:
        with jax.ensure_compile_time_eval():
            x = jnp.asarray(x)
            x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)
            return (x >= self.lower_bound) & (x <= self.upper_bound)

    def feasible_like(self, prototype: ArrayLike) -> Float[Array, "..."]:
        return jnp.full(jnp.shape(prototype), 0.5 * self.lower_bound + 0.5 * self.upper_bound)

    def tree_flatten(self) -> tuple[Any, Any]:
        return (), ((), {"lower_bound": self.lower_bound, "upper_bound": self.upper_bound})

    def eq(self, other: object, static: bool = False) -> ArrayLike:
        ends = self.lower_bound, self.upper_bound
        return isinstance(other, FixedSpan) and ends == (other.lower_bound, other.upper_bound)


@biject_to.register(FixedSpan)
def _fixed_transform(constraint: FixedSpan) -> "SpanTransform":
    return SpanTransform(Span(jnp.asarray(constraint.lower_bound), jnp.asarray(constraint.upper_bound)))


class Lattice(constraints.ParameterFreeConstraint):
    """Integer multiples of a positive width, up to rounding."""

    is_discrete = True

    def __init__(self, width: float) -> None:
        self.width = width

    def __call__(self, x: ArrayLike) -> Bool[Array, "..."]:
        with jax.ensure_compile_time_eval():
            x = jnp.asarray(x)
            return nearest(x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float), self.width)[1]

    def feasible_like(self, prototype: ArrayLike) -> Array:
        return jnp.zeros_like(prototype)

    def tree_flatten(self) -> tuple[Any, Any]:
        return (), ((), {"width": self.width})

    def eq(self, other: object, static: bool = False) -> ArrayLike:
        return isinstance(other, Lattice) and self.width == other.width


def nearest(y, width):
    """Return the k whose multiple of `width` is nearest to y, and whether y is that multiple up to rounding."""
    finite = jnp.isfinite(y)
    ratio = jnp.where(finite, y, 0.0) / width
    k = jnp.round(ratio)
    return k, finite & (jnp.abs(ratio - k) <= 4 * float(jnp.finfo(y.dtype).eps) * jnp.abs(k))


def _broadcast(x, lower, upper):
    """x and both ends in the dtype of the ends, broadcast to one shape without implicit rank promotion."""
    lower, upper = jnp.asarray(lower), jnp.asarray(upper)
    return jnp.broadcast_arrays(jnp.asarray(x).astype(lower.dtype), lower, upper)
