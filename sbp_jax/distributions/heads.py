"""Raw network outputs to distributions: the only place where outputs are constrained, by a named parameterization."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.baselines import Normal
from sbp_jax.distributions.pareto import GeneralizedPareto
from sbp_jax.distributions.spliced import SplicedBinnedPareto
from sbp_jax.errors import InputError

# softplus underflows to 0, where z / scale and its square stop being finite in float32
SMALLEST_SCALE = 1e-12
# the published estimates of sports and financial tails lie around it; 0 would be on the boundary of `positive`
INITIAL_SHAPE = 0.1


@dataclasses.dataclass(frozen=True)
class TailInputs:
    """What a parameterization may use for one tail: two raw outputs [...] and the head's bounds on the shape."""

    raw_shape: Float[Array, "..."]
    raw_scale: Float[Array, "..."]
    shape_bounds: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Parameterization:
    """A map from raw outputs to a tail, and its inverse (xi, beta, shape_bounds) -> (raw_shape, raw_scale) in NumPy."""

    tail: Callable[[TailInputs], GeneralizedPareto]
    raw: Callable[[float, float, tuple[float, float]], tuple[float, float]]


def positive_scale(raw: Float[Array, "..."]) -> Float[Array, "..."]:
    """softplus(raw), but not below `SMALLEST_SCALE`, where the gradient is zero."""
    scale = jax.nn.softplus(raw)
    return jnp.where(scale > SMALLEST_SCALE, scale, SMALLEST_SCALE)


def bounded_shape(raw: Float[Array, "..."], bounds: tuple[float, float]) -> Float[Array, "..."]:
    """low sigmoid(-raw) + high sigmoid(raw): saturates exactly at the bounds, never past them by rounding."""
    low, high = bounds
    return low * jax.nn.sigmoid(-raw) + high * jax.nn.sigmoid(raw)


def _inverse_softplus(value: float) -> float:
    return float(value + np.log(-np.expm1(-value)))


def _inverse_bounded(xi: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    # a shape at or beyond a bound would need an infinite raw output: start within the inner 98 %
    share = min(max((xi - low) / (high - low), 0.01), 0.99)
    return float(np.log(share) - np.log1p(-share))


def _orthogonal_tail(inputs: TailInputs) -> GeneralizedPareto:
    xi = bounded_shape(inputs.raw_shape, inputs.shape_bounds)
    return GeneralizedPareto(xi, positive_scale(inputs.raw_scale) / (1 + xi))


PARAMETERIZATIONS: dict[str, Parameterization] = {
    # xi = softplus(a), beta = softplus(b): the published one
    "positive": Parameterization(
        tail=lambda t: GeneralizedPareto(jax.nn.softplus(t.raw_shape), positive_scale(t.raw_scale)),
        raw=lambda xi, beta, bounds: (_inverse_softplus(max(xi, 0.01)), _inverse_softplus(beta)),
    ),
    # xi between two bounds by a scaled sigmoid, beta = softplus(b)
    "bounded": Parameterization(
        tail=lambda t: GeneralizedPareto(bounded_shape(t.raw_shape, t.shape_bounds), positive_scale(t.raw_scale)),
        raw=lambda xi, beta, bounds: (_inverse_bounded(xi, bounds), _inverse_softplus(beta)),
    ),
    # xi as in `bounded`, beta = softplus(b) / (1 + xi): orthogonal in Fisher information (Cox and Reid 1987)
    "orthogonal": Parameterization(
        tail=_orthogonal_tail,
        raw=lambda xi, beta, bounds: (_inverse_bounded(xi, bounds), _inverse_softplus(beta * (1 + xi))),
    ),
    # xi = 0, beta = softplus(b); the raw shape is ignored and receives no gradient
    "exponential": Parameterization(
        tail=lambda t: GeneralizedPareto(jnp.zeros_like(t.raw_shape), positive_scale(t.raw_scale)),
        raw=lambda xi, beta, bounds: (0.0, _inverse_softplus(beta / (1 - xi))),
    ),
}


def _widened(tail: GeneralizedPareto, room: float) -> GeneralizedPareto:
    """The tail with its scale increased where xi < 0, so that it ends more than `room` beyond its threshold."""
    return GeneralizedPareto(tail.shape, tail.scale + room * jax.nn.relu(-tail.shape))


@dataclasses.dataclass(frozen=True, init=False)
class SplicedBinnedParetoHead:
    """Maps raw outputs [..., K + 4] to a `SplicedBinnedPareto`: K logits, then raw (shape, scale) of each tail.

    The lower tail comes before the upper.

    Args:
        edges: [K + 1], increasing, in the unit of the outcome; kept as a tuple, so that the head is hashable.
        tail_mass: (tau_l, tau_u), each in [0, 1/2).
        parameterization: a name in `PARAMETERIZATIONS`.
        shape_bounds: (low, high) of the shape, for the parameterizations that bound it.
        support: (low, high), outcomes that every distribution must hold possible, or None. A tail with xi < 0 ends at
            -beta / xi beyond its threshold; its scale is increased by -xi times the distance from the farthest edge to
            the end of this interval, so that no outcome inside has probability zero. Tails with xi >= 0 are unchanged.
    Raises:
        InputError: unknown parameterization, bounds not increasing or not above -1 (where a density is unbounded), bad
            edges or tail masses, a support that does not hold the edges.
    """

    edges: tuple[float, ...]
    tail_mass: tuple[float, float] = (0.05, 0.05)
    parameterization: str = "bounded"
    shape_bounds: tuple[float, float] = (-0.5, 0.95)
    support: tuple[float, float] | None = None

    def __init__(
        self,
        edges: tuple[float, ...] | list[float] | np.ndarray,
        tail_mass: tuple[float, float] = (0.05, 0.05),
        parameterization: str = "bounded",
        shape_bounds: tuple[float, float] = (-0.5, 0.95),
        support: tuple[float, float] | None = None,
    ) -> None:
        if parameterization not in PARAMETERIZATIONS:
            known = ", ".join(PARAMETERIZATIONS)
            raise InputError(f"unknown parameterization {parameterization!r}; known: {known}")
        low, high = (float(b) for b in shape_bounds)
        if not -1 < low < high:
            raise InputError(f"shape_bounds must be increasing and above -1, got {shape_bounds}")
        grid = np.asarray(edges, dtype=np.float64)
        if grid.ndim != 1 or grid.size < 2:
            raise InputError(f"edges must have shape [K + 1] with K >= 1 bins, got {list(grid.shape)}")
        if support is not None and not support[0] <= grid[0] < grid[-1] <= support[1]:
            raise InputError(f"support must hold the edges from {grid[0]} to {grid[-1]}, got {support}")
        object.__setattr__(self, "support", support)
        object.__setattr__(self, "edges", tuple(grid.tolist()))
        object.__setattr__(self, "tail_mass", tuple(float(m) for m in tail_mass))
        object.__setattr__(self, "parameterization", parameterization)
        object.__setattr__(self, "shape_bounds", (low, high))
        self(jnp.zeros(self.num_outputs))  # the law's own checks of edges and tail masses

    @property
    def num_outputs(self) -> int:
        """K + 4."""
        return len(self.edges) + 3

    def __call__(self, raw: Float[Array, "*batch outputs"]) -> SplicedBinnedPareto:
        """The distributions of raw outputs [..., K + 4], batch shape [...]; InputError for another last axis."""
        _check_outputs(raw, self.num_outputs)
        bins = len(self.edges) - 1
        tail = PARAMETERIZATIONS[self.parameterization].tail
        lower = tail(TailInputs(raw[..., bins], raw[..., bins + 1], self.shape_bounds))
        upper = tail(TailInputs(raw[..., bins + 2], raw[..., bins + 3], self.shape_bounds))
        if self.support is not None:
            lower = _widened(lower, self.edges[-1] - self.support[0])
            upper = _widened(upper, self.support[1] - self.edges[0])
        return SplicedBinnedPareto(raw[..., :bins], np.asarray(self.edges), lower, upper, self.tail_mass)

    def initial(self, y: np.ndarray) -> np.ndarray:
        """Raw outputs [K + 4] whose distribution estimates the marginal of outcomes `y`: a start for a network's bias.

        Logits are the logs of bin counts plus 1/2 (outcomes outside the edges count in the end bins). Shapes start at
        `INITIAL_SHAPE`, scales at the mean excess over the threshold times 1 - xi; without exceedances, at the mean bin
        width. Finite for any finite outcomes.

        Raises:
            InputError: no outcome, or one that is not finite.
        """
        y = _checked_outcomes(y)
        edges = np.asarray(self.edges)
        bins = len(edges) - 1
        index = np.clip(np.searchsorted(edges, y, side="right") - 1, 0, bins - 1)
        logits = np.log(np.bincount(index, minlength=bins) + 0.5)
        raw = np.concatenate([logits, np.zeros(4)])
        low, high = (float(t) for t in self(jnp.asarray(raw)).thresholds())
        width = float(np.mean(np.diff(edges)))
        parameterization = PARAMETERIZATIONS[self.parameterization]
        for start, excess in ((bins, low - y[y < low]), (bins + 2, y[y > high] - high)):
            mean_excess = float(np.mean(excess)) if excess.size else width
            # a sliver of an excess is rounding of the threshold, not the scale of a tail
            scale = max(mean_excess, 1e-3 * width) * (1 - INITIAL_SHAPE)
            raw[start : start + 2] = parameterization.raw(INITIAL_SHAPE, scale, self.shape_bounds)
        return raw


@dataclasses.dataclass(frozen=True)
class NormalHead:
    """Maps raw outputs [..., 2] to a `Normal` with loc = center + unit a and scale = unit softplus(b).

    Args:
        center, unit: location and positive scale of the outcome, which keep raw outputs of order one.
    Raises:
        InputError: unit not positive.
    """

    center: float = 0.0
    unit: float = 1.0

    def __post_init__(self) -> None:
        if not self.unit > 0:
            raise InputError(f"unit must be positive, got {self.unit}")

    @property
    def num_outputs(self) -> int:
        """2."""
        return 2

    def __call__(self, raw: Float[Array, "*batch outputs"]) -> Normal:
        """The distributions of raw outputs [..., 2], batch shape [...]; InputError for another last axis."""
        _check_outputs(raw, 2)
        return Normal(self.center + self.unit * raw[..., 0], self.unit * positive_scale(raw[..., 1]))

    def initial(self, y: np.ndarray) -> np.ndarray:
        """Raw outputs [2] with the mean and standard deviation of `y` (at least a thousandth of the unit)."""
        y = _checked_outcomes(y)
        spread = max(float(np.std(y)) / self.unit, 1e-3)
        return np.array([(float(np.mean(y)) - self.center) / self.unit, _inverse_softplus(spread)])


Loss = Callable[[Distribution, Float[Array, "..."]], Float[Array, "..."]]


def objective(name: str, width: float = 1.0) -> Loss:
    """The training loss of that name, a function (distribution, y) -> loss per outcome.

    | name | loss |
    | --- | --- |
    | `exact` | -log f(y) |
    | `composite` | the published surrogate, -`composite_log_prob`; InputError for a distribution without one |
    | `interval` | -log P(y - width/2 < Y <= y + width/2), for outcomes rounded to multiples of `width` |

    Raises:
        InputError: unknown name, or width not positive.
    """
    if not width > 0:
        raise InputError(f"width must be positive, got {width}")

    def exact(distribution: Distribution, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return -distribution.log_prob(y)

    def composite(distribution: Distribution, y: Float[Array, "..."]) -> Float[Array, "..."]:
        if not isinstance(distribution, SplicedBinnedPareto):
            raise InputError(f"objective 'composite' needs a SplicedBinnedPareto, got {type(distribution).__name__}")
        return -distribution.composite_log_prob(y)

    def interval(distribution: Distribution, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return -distribution.interval_log_prob(y - 0.5 * width, y + 0.5 * width)

    losses: dict[str, Loss] = {"exact": exact, "composite": composite, "interval": interval}
    if name not in losses:
        raise InputError(f"unknown objective {name!r}; known: {', '.join(losses)}")
    return losses[name]


def _check_outputs(raw: Array, expected: int) -> None:
    if raw.ndim == 0 or raw.shape[-1] != expected:
        raise InputError(f"raw outputs must have shape [..., {expected}], got {list(raw.shape)}")


def _checked_outcomes(y: np.ndarray) -> np.ndarray:
    y = np.asarray(y, dtype=np.float64).ravel()
    if y.size == 0 or not np.all(np.isfinite(y)):
        raise InputError(f"y must hold finite outcomes, got {y.size} values, {int(np.sum(~np.isfinite(y)))} not finite")
    return y
