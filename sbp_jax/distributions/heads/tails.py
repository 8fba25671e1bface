"""Parameterizations of a generalized Pareto tail by two raw outputs."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sbp_jax.distributions.binned import Binned
from sbp_jax.distributions.pareto import GeneralizedPareto

# softplus underflows to 0, where z / scale and its square are no longer finite in float32
MIN_SCALE = 1e-12
# published estimates for sports and financial tails lie near this value; 0 would be on the boundary of `positive`
INITIAL_SHAPE = 0.1
# shapes of a tail with a known endpoint: above -1/2, where the Fisher information is finite, and below 0
ENDPOINT_BOUNDS = (-0.5, 0.0)


@dataclasses.dataclass(frozen=True)
class TailInputs:
    """Inputs of a parameterization for one tail.

    Attributes:
        raw_shape, raw_scale: two raw outputs, [...].
        shape_bounds: (low, high) of the shape.
        body: the histogram that the tail is spliced to.
        tail_mass: tau, the tail's probability; may be traced.
        upper: whether this is the upper tail.
        end: outcome that the tail must reach, or None.
    """

    raw_shape: Float[Array, "..."]
    raw_scale: Float[Array, "..."]
    shape_bounds: tuple[float, float]
    body: Binned
    tail_mass: float | Float[Array, ""]
    upper: bool
    end: float | None = None

    def room(self) -> Float[Array, "..."] | None:
        """Return the distance from the threshold to `end`, [...] in the unit of the outcome; None without an end."""
        if self.end is None:
            return None
        distance = self.end - self.body.tail_quantile(self.tail_mass, self.upper)
        return distance if self.upper else -distance

    def continuous_scale(self) -> Float[Array, "..."]:
        """Return tau w_k / p_k, k the bin of the threshold: tau g(0) = tau / beta is then the body's density."""
        return _continuous_scale(self.body, self.tail_mass, self.upper)

    def exponential_scale(self) -> Float[Array, "..."]:
        """Return |Q(tau) - Q(1/2)| / log(1 / (2 tau)), Q from this side: the scale of a body with exponential decay."""
        mass = jnp.maximum(jnp.asarray(self.tail_mass, self.body.dtype), 1e-30)
        distance = self.body.tail_distance(self.tail_mass, 0.5, self.upper)
        return at_least_smallest(distance / jnp.log(0.5 / mass))


@functools.partial(jax.jit, static_argnums=2, inline=True)
def _continuous_scale(body: Binned, tail_mass: float | Float[Array, ""], upper: bool) -> Float[Array, "..."]:
    return at_least_smallest(tail_mass * jnp.exp(-body.tail_log_density(tail_mass, upper)))


@dataclasses.dataclass(frozen=True)
class Parameterization:
    """A map from raw outputs to a tail, with initial raw outputs.

    Attributes:
        tail: the map.
        init: (mean excess, inputs) -> raw outputs (raw_shape, raw_scale) of a tail with about that mean excess, with
            shape `INITIAL_SHAPE` where the shape is free; the raw outputs in the inputs are ignored.
        needs_end: whether the map needs an end of the support.
        continuous: whether the density is continuous at the threshold.
    """

    tail: Callable[[TailInputs], GeneralizedPareto]
    init: Callable[[float, TailInputs], tuple[float, float]]
    needs_end: bool = False
    continuous: bool = False


def at_least_smallest(scale: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return `scale`, but at least `MIN_SCALE`, where the gradient is zero; NaN stays NaN."""
    return jnp.where(scale < MIN_SCALE, MIN_SCALE, scale)


def positive_scale(raw: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return softplus(raw), but at least `MIN_SCALE`, where the gradient is zero."""
    return at_least_smallest(jax.nn.softplus(raw))


def bounded_shape(raw: Float[Array, "..."], bounds: tuple[float | Float[Array, "..."], float]) -> Float[Array, "..."]:
    """Return low sigmoid(-raw) + high sigmoid(raw), which saturates exactly at the bounds, never past them.

    The two terms cancel near a shape of 0, where -high sigmoid(raw) expm1(root - raw) keeps full precision.
    """
    low, high = bounds
    far = low * jax.nn.sigmoid(-raw) + high * jax.nn.sigmoid(raw)
    if not isinstance(low, float) or not low < 0 < high:
        return far
    root = float(np.log(-low / high))
    head = float(np.asarray(root).astype(raw.dtype))
    # the root in two parts: rounded to one float, it would be as inaccurate as the cancellation
    distance = (head - raw) + (root - head)
    close = jnp.abs(distance) < 1
    near = -high * jax.nn.sigmoid(raw) * jnp.expm1(jnp.where(close, distance, 0.0))
    return jnp.where(close, near, far)


def inverse_softplus(value: float) -> float:
    """Return the raw output whose softplus is `value` > 0."""
    return float(value + np.log(-np.expm1(-value)))


def inverse_bounded(xi: float, bounds: tuple[float, float]) -> float:
    """Return the raw output of a bounded shape xi; a shape at or beyond a bound is moved to the inner 98 %."""
    low, high = bounds
    # at a bound the raw output would be infinite
    fraction = min(max((xi - low) / (high - low), 0.01), 0.99)
    return float(np.log(fraction) - np.log1p(-fraction))


def _reaching(xi: Array, beta: Array, inputs: TailInputs) -> GeneralizedPareto:
    """The tail, with its scale increased by -xi times the distance to the end where xi < 0, so that it ends beyond."""
    room = inputs.room()
    return GeneralizedPareto(xi, beta if room is None else beta + room * jax.nn.relu(-xi))


def _positive(inputs: TailInputs) -> GeneralizedPareto:
    return _reaching(jax.nn.softplus(inputs.raw_shape), positive_scale(inputs.raw_scale), inputs)


def _bounded(inputs: TailInputs) -> GeneralizedPareto:
    xi = bounded_shape(inputs.raw_shape, inputs.shape_bounds)
    return _reaching(xi, positive_scale(inputs.raw_scale), inputs)


def _orthogonal(inputs: TailInputs) -> GeneralizedPareto:
    xi = bounded_shape(inputs.raw_shape, inputs.shape_bounds)
    return _reaching(xi, positive_scale(inputs.raw_scale) / (1 + xi), inputs)


def _exponential(inputs: TailInputs) -> GeneralizedPareto:
    return _reaching(jnp.zeros_like(inputs.raw_shape), positive_scale(inputs.raw_scale), inputs)


def _continuous_bounds(inputs: TailInputs, beta: Array) -> tuple[float | Array, float]:
    """Bounds of the shape whose tail reaches the end of the support, since the scale is not free."""
    room, (low, high) = inputs.room(), inputs.shape_bounds
    if room is None or low >= 0:
        return low, high
    nearest = -beta / jnp.where(room > 0, room, 1.0)
    return jnp.where((room > 0) & (nearest > low), nearest, low), high


def _continuous(inputs: TailInputs) -> GeneralizedPareto:
    beta = inputs.continuous_scale()
    return GeneralizedPareto(bounded_shape(inputs.raw_shape, _continuous_bounds(inputs, beta)), beta)


def _proportional(inputs: TailInputs) -> GeneralizedPareto:
    xi = bounded_shape(inputs.raw_shape, inputs.shape_bounds)
    beta = positive_scale(inputs.raw_scale) * inputs.exponential_scale()
    return _reaching(xi, at_least_smallest(beta), inputs)


def _endpoint(inputs: TailInputs) -> GeneralizedPareto:
    room = inputs.room()
    assert room is not None, "the head checks that there is a support"
    xi = bounded_shape(inputs.raw_shape, ENDPOINT_BOUNDS)
    return GeneralizedPareto(xi, at_least_smallest(-xi * room))


def _init_bounded(mean_excess: float, inputs: TailInputs) -> tuple[float, float]:
    return inverse_bounded(INITIAL_SHAPE, inputs.shape_bounds), inverse_softplus(mean_excess * (1 - INITIAL_SHAPE))


def _init_continuous(mean_excess: float, inputs: TailInputs) -> tuple[float, float]:
    beta = inputs.continuous_scale()
    low, high = _continuous_bounds(inputs, beta)
    # the scale is fixed, so the shape has to match the mean excess beta / (1 - xi)
    return inverse_bounded(min(1 - float(beta) / mean_excess, 0.5), (float(low), high)), 0.0


def _init_proportional(mean_excess: float, inputs: TailInputs) -> tuple[float, float]:
    # a tail without mass has no scale to be proportional to
    return _init_bounded(min(mean_excess / float(inputs.exponential_scale()), 1e6), inputs)


def _init_endpoint(mean_excess: float, inputs: TailInputs) -> tuple[float, float]:
    room = float(np.asarray(inputs.room()))
    mean_excess = min(mean_excess, 0.3 * room)
    # the shape with the requested mean excess -xi distance / (1 - xi)
    return inverse_bounded(-mean_excess / (room - mean_excess), ENDPOINT_BOUNDS), 0.0


PARAMETERIZATIONS: dict[str, Parameterization] = {
    # xi = softplus(a), beta = softplus(b): the published parameterization
    "positive": Parameterization(
        _positive, lambda m, _: (inverse_softplus(INITIAL_SHAPE), inverse_softplus(m * (1 - INITIAL_SHAPE)))
    ),
    # xi between two bounds by a scaled sigmoid, beta = softplus(b)
    "bounded": Parameterization(_bounded, _init_bounded),
    # xi as in `bounded`, beta = softplus(b) / (1 + xi): orthogonal in Fisher information (Cox and Reid 1987)
    "orthogonal": Parameterization(_orthogonal, lambda m, inputs: _init_bounded(m * (1 + INITIAL_SHAPE), inputs)),
    # xi as in `bounded`, beta = tau w_k / p_k: no jump of the density at the threshold; the raw scale is ignored
    "continuous": Parameterization(_continuous, _init_continuous, continuous=True),
    # xi as in `bounded`, beta = softplus(b) (Q(1 - tau) - Q(1/2)) / log(1 / (2 tau)), Q the body's quantiles: a body
    # that narrows takes its tails along; unlike in `continuous`, beta does not jump where a threshold passes an edge
    "proportional": Parameterization(_proportional, _init_proportional),
    # xi = 0, beta = softplus(b); the raw shape is ignored and receives no gradient
    "exponential": Parameterization(_exponential, lambda m, _: (0.0, inverse_softplus(m))),
    # xi in (-1/2, 0), beta = -xi distance: the tail ends exactly at the end of the support; the raw scale is ignored
    "endpoint": Parameterization(_endpoint, _init_endpoint, needs_end=True),
}
