"""Heads of the baseline distributions."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.baselines import Normal
from sbp_jax.distributions.binned import Binned
from sbp_jax.distributions.blended import BlendedPareto, Masses
from sbp_jax.distributions.heads.base import (
    checked_bounds,
    checked_edges,
    checked_outcomes,
    checked_outputs,
    init_logits,
)
from sbp_jax.distributions.heads.tails import (
    INITIAL_SHAPE,
    bounded_shape,
    inverse_bounded,
    inverse_softplus,
    positive_scale,
)
from sbp_jax.distributions.hybrid import HybridPareto, TwoTailedHybridPareto
from sbp_jax.distributions.pytrees import compiled_by
from sbp_jax.distributions.student import StudentT
from sbp_jax.errors import InputError

# candidate degrees of freedom for initializing a Student-t head
_INITIAL_DF = (1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 40.0)


@dataclasses.dataclass(frozen=True)
class _LocationScaleHead:
    """Map raw outputs to loc = center + unit a and scale = unit softplus(b), which keep raw outputs of order one."""

    center: float = 0.0
    unit: float = 1.0

    def __post_init__(self) -> None:
        if not self.unit > 0:
            raise InputError(f"unit must be positive, got {self.unit}")

    def _location_scale(self, raw):
        return self.center + self.unit * raw[..., 0], self.unit * positive_scale(raw[..., 1])

    def _raw_location_scale(self, loc: float, scale: float) -> list[float]:
        """Raw outputs for a location and scale (at least a thousandth of the unit)."""
        return [(loc - self.center) / self.unit, inverse_softplus(max(scale / self.unit, 1e-3))]


@dataclasses.dataclass(frozen=True)
class NormalHead(_LocationScaleHead):
    """Map raw outputs [..., 2] to a `Normal` with loc = center + unit a and scale = unit softplus(b).

    Args:
        center, unit: location and positive scale of the outcome, which keep raw outputs of order one.
    Raises:
        InputError: unit not positive.
    """

    @property
    def num_outputs(self) -> int:
        """2."""
        return 2

    @compiled_by
    def __call__(self, raw: Float[Array, "*batch outputs"]) -> Normal:
        """Return the distributions of raw outputs [..., 2], batch shape [...]; InputError for another last axis."""
        raw = checked_outputs(raw, 2)
        return Normal(*self._location_scale(raw))

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Return raw outputs [2] with the mean and standard deviation of `y` (at least a thousandth of the unit)."""
        y = checked_outcomes(y)
        return np.array(self._raw_location_scale(float(np.mean(y)), float(np.std(y))))


@dataclasses.dataclass(frozen=True)
class StudentTHead(_LocationScaleHead):
    """Map raw outputs [..., 3] to a `StudentT` with df = lowest_df + softplus(c), loc and scale as in `NormalHead`.

    Args:
        center, unit: location and positive scale of the outcome, which keep raw outputs of order one.
        lowest_df: lower bound of the degrees of freedom; 1 keeps the mean finite.
    Raises:
        InputError: unit not positive, or lowest_df negative.
    """

    lowest_df: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lowest_df >= 0:
            raise InputError(f"lowest_df must not be negative, got {self.lowest_df}")

    @property
    def num_outputs(self) -> int:
        """3."""
        return 3

    @compiled_by
    def __call__(self, raw: Float[Array, "*batch outputs"]) -> StudentT:
        """Return the distributions of raw outputs [..., 3], batch shape [...]; InputError for another last axis."""
        raw = checked_outputs(raw, 3)
        return StudentT(self.lowest_df + positive_scale(raw[..., 2]), *self._location_scale(raw))

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Return raw outputs [3] whose 5, 25, 50, 75, 95 % quantiles are nearest to y's, with df from a short list."""
        dfs = [d for d in _INITIAL_DF if d > self.lowest_df] or [self.lowest_df + 1.0]
        fits = [_fit_quantiles(y, StudentT(df, 0.0, 1.0)) for df in dfs]
        best = int(np.argmin([error for _, _, error in fits]))
        return np.array([*self._raw_location_scale(*fits[best][:2]), inverse_softplus(dfs[best] - self.lowest_df)])


@dataclasses.dataclass(frozen=True)
class _HybridHead(_LocationScaleHead):
    """A Gaussian's location and scale, and bounded tail shapes."""

    shape_bounds: tuple[float, float] = (-0.5, 0.95)

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_bounds(self.shape_bounds)

    def _shape(self, raw):
        return bounded_shape(raw, self.shape_bounds)

    def _init_raw(self, y: np.ndarray, standard: Callable[[float], Distribution]) -> list[float]:
        """Raw location, scale and shape (`INITIAL_SHAPE`) whose 5, 25, 50, 75, 95 % quantiles are nearest to y's."""
        raw_shape = inverse_bounded(INITIAL_SHAPE, self.shape_bounds)
        loc, scale, _ = _fit_quantiles(y, standard(float(self._shape(jnp.asarray(raw_shape)))))
        return [*self._raw_location_scale(loc, scale), raw_shape]


@dataclasses.dataclass(frozen=True)
class HybridParetoHead(_HybridHead):
    """Map raw outputs [..., 3] to a `HybridPareto`: loc and scale of its Gaussian, and the bounded tail shape.

    Args:
        center, unit: location and positive scale of the outcome, which keep raw outputs of order one.
        shape_bounds: (low, high) of the shape, above -1.
    Raises:
        InputError: unit not positive, or bounds not increasing or not above -1.
    """

    @property
    def num_outputs(self) -> int:
        """3."""
        return 3

    @compiled_by
    def __call__(self, raw: Float[Array, "*batch outputs"]) -> HybridPareto:
        """Return the distributions of raw outputs [..., 3], batch shape [...]; InputError for another last axis."""
        raw = checked_outputs(raw, 3)
        return HybridPareto(*self._location_scale(raw), self._shape(raw[..., 2]))

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Return raw outputs [3] with `INITIAL_SHAPE` whose 5, 25, 50, 75, 95 % quantiles are nearest to y's."""
        return np.array(self._init_raw(y, lambda shape: HybridPareto(0.0, 1.0, shape)))


@dataclasses.dataclass(frozen=True)
class TwoTailedHybridParetoHead(_HybridHead):
    """Map raw outputs [..., 4] to a `TwoTailedHybridPareto`: like `HybridParetoHead`, then the upper tail's shape."""

    @property
    def num_outputs(self) -> int:
        """4."""
        return 4

    @compiled_by
    def __call__(self, raw: Float[Array, "*batch outputs"]) -> TwoTailedHybridPareto:
        """Return the distributions of raw outputs [..., 4], batch shape [...]; InputError for another last axis."""
        raw = checked_outputs(raw, 4)
        return TwoTailedHybridPareto(*self._location_scale(raw), self._shape(raw[..., 2]), self._shape(raw[..., 3]))

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Return raw outputs [4] as in `HybridParetoHead`, with equal shapes."""
        raw = self._init_raw(y, lambda shape: TwoTailedHybridPareto(0.0, 1.0, shape, shape))
        return np.array([*raw, raw[-1]])


@dataclasses.dataclass(frozen=True, init=False)
class BinnedHead:
    """Map raw outputs [..., K] to a `Binned`, for which an outcome outside the edges is impossible.

    Args:
        edges: [K + 1], increasing, in the unit of the outcome; stored as a tuple, so that the head is hashable.
    Raises:
        InputError: edges not finite and increasing.
    """

    edges: tuple[float, ...]

    def __init__(self, edges: tuple[float, ...] | list[float] | np.ndarray) -> None:
        object.__setattr__(self, "edges", checked_edges(edges))

    @property
    def num_outputs(self) -> int:
        """K."""
        return len(self.edges) - 1

    @compiled_by
    def __call__(self, raw: Float[Array, "*batch outputs"]) -> Binned:
        """Return the distributions of raw outputs [..., K], batch shape [...]; InputError for another last axis."""
        raw = checked_outputs(raw, self.num_outputs)
        return Binned(raw, np.asarray(self.edges))

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Return raw outputs [K], the logs of bin counts plus 1/2; outcomes outside the edges count in the end bins."""
        return init_logits(y, np.asarray(self.edges))


@dataclasses.dataclass(frozen=True, init=False)
class BlendedParetoHead:
    """Map raw outputs [..., K + 2] to a `BlendedPareto`: K logits, then the bounded shapes of lower and upper tail.

    Args:
        edges: [K + 1], increasing, in the unit of the outcome; stored as a tuple, so that the head is hashable.
        lower_mass, upper_mass: (outer, inner) tail probabilities between which a side blends (see `BlendedPareto`);
            None: the side has no tail.
        shape_bounds: (low, high) of the shapes, above -1.
        blend: "density" or "published", as in `BlendedPareto`.
    Raises:
        InputError: edges not finite and increasing, bad masses, bounds not increasing or not above -1, or an unknown
            blend.
    """

    edges: tuple[float, ...]
    lower_mass: Masses | None
    upper_mass: Masses | None
    shape_bounds: tuple[float, float]
    blend: str

    def __init__(
        self,
        edges: tuple[float, ...] | list[float] | np.ndarray,
        lower_mass: Masses | None = (0.05, 0.2),
        upper_mass: Masses | None = (0.05, 0.2),
        shape_bounds: tuple[float, float] = (-0.5, 0.95),
        blend: str = "density",
    ) -> None:
        object.__setattr__(self, "edges", checked_edges(edges))
        object.__setattr__(self, "blend", blend)
        object.__setattr__(self, "lower_mass", lower_mass)
        object.__setattr__(self, "upper_mass", upper_mass)
        object.__setattr__(self, "shape_bounds", checked_bounds(shape_bounds))
        jax.eval_shape(self, jnp.zeros(self.num_outputs))  # the distribution's own checks of the masses

    @property
    def num_outputs(self) -> int:
        """Number of raw outputs, K + 2."""
        return len(self.edges) + 1

    @compiled_by
    def __call__(self, raw: Float[Array, "*batch outputs"]) -> BlendedPareto:
        """Return the distributions of raw outputs [..., K + 2], batch shape [...]; InputError for another last axis."""
        raw = checked_outputs(raw, self.num_outputs)
        bins = len(self.edges) - 1
        lower, upper = (bounded_shape(raw[..., k], self.shape_bounds) for k in (bins, bins + 1))
        masses = self.lower_mass, self.upper_mass
        return BlendedPareto(raw[..., :bins], np.asarray(self.edges), lower, upper, *masses, self.blend)

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Return raw outputs [K + 2]: the logs of bin counts plus 1/2, and `INITIAL_SHAPE` on both sides."""
        shape = inverse_bounded(INITIAL_SHAPE, self.shape_bounds)
        return np.array([*init_logits(y, np.asarray(self.edges)), shape, shape])


def _fit_quantiles(y: np.ndarray, standard: Distribution) -> tuple[float, float, float]:
    """Location and scale that fit a standard distribution's quantiles to those of `y`, and the squared error."""
    y, levels = checked_outcomes(y), np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    wanted, given = np.quantile(y, levels), np.asarray(standard.icdf(levels), np.float64)
    scale = float(np.cov(given, wanted, bias=True)[0, 1] / np.var(given))
    loc = float(np.mean(wanted) - scale * np.mean(given))
    return loc, scale or float(np.std(y)), float(np.sum((wanted - loc - scale * given) ** 2))
