"""Heads of the distributions to compare with."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sbp_jax.distributions.base import Distribution, compiled_by
from sbp_jax.distributions.baselines import Normal
from sbp_jax.distributions.binned import Binned
from sbp_jax.distributions.blended import BlendedPareto, Masses
from sbp_jax.distributions.heads.base import (
    check_outputs,
    checked_bounds,
    checked_edges,
    checked_outcomes,
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
from sbp_jax.distributions.student import StudentT
from sbp_jax.errors import InputError

# degrees of freedom that a network's first Student-t may have
_INITIAL_DF = (1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 40.0)


@dataclasses.dataclass(frozen=True)
class _LocationScaleHead:
    """Maps raw outputs to loc = center + unit a and scale = unit softplus(b), which keep raw outputs of order one."""

    center: float = 0.0
    unit: float = 1.0

    def __post_init__(self) -> None:
        if not self.unit > 0:
            raise InputError(f"unit must be positive, got {self.unit}")

    def _location_scale(self, raw):
        return self.center + self.unit * raw[..., 0], self.unit * positive_scale(raw[..., 1])

    def _raw_location_scale(self, loc: float, scale: float) -> list[float]:
        """Raw outputs of that location and scale (at least a thousandth of the unit)."""
        return [(loc - self.center) / self.unit, inverse_softplus(max(scale / self.unit, 1e-3))]


@dataclasses.dataclass(frozen=True)
class NormalHead(_LocationScaleHead):
    """Maps raw outputs [..., 2] to a `Normal` with loc = center + unit a and scale = unit softplus(b).

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
        """The distributions of raw outputs [..., 2], batch shape [...]; InputError for another last axis."""
        check_outputs(raw, 2)
        return Normal(*self._location_scale(raw))

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Raw outputs [2] with the mean and standard deviation of `y` (at least a thousandth of the unit)."""
        y = checked_outcomes(y)
        return np.array(self._raw_location_scale(float(np.mean(y)), float(np.std(y))))


@dataclasses.dataclass(frozen=True)
class StudentTHead(_LocationScaleHead):
    """Maps raw outputs [..., 3] to a `StudentT` with df = lowest_df + softplus(c), loc and scale as in `NormalHead`.

    Args:
        center, unit: location and positive scale of the outcome, which keep raw outputs of order one.
        lowest_df: degrees of freedom that are never undercut; 1 keeps the mean finite.
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
        """The distributions of raw outputs [..., 3], batch shape [...]; InputError for another last axis."""
        check_outputs(raw, 3)
        return StudentT(self.lowest_df + positive_scale(raw[..., 2]), *self._location_scale(raw))

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Raw outputs [3] whose quantiles (5, 25, 50, 75, 95 %) are nearest to those of `y`, df out of a short list."""
        dfs = [d for d in _INITIAL_DF if d > self.lowest_df] or [self.lowest_df + 1.0]
        fits = [_matched(y, StudentT(df, 0.0, 1.0)) for df in dfs]
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

    def _start(self, y: np.ndarray, standard: Callable[[float], Distribution]) -> list[float]:
        """Raw location, scale and shape of `INITIAL_SHAPE` whose quantiles (5, 25, 50, 75, 95 %) are nearest to y's."""
        raw_shape = inverse_bounded(INITIAL_SHAPE, self.shape_bounds)
        loc, scale, _ = _matched(y, standard(float(self._shape(jnp.asarray(raw_shape)))))
        return [*self._raw_location_scale(loc, scale), raw_shape]


@dataclasses.dataclass(frozen=True)
class HybridParetoHead(_HybridHead):
    """Maps raw outputs [..., 3] to a `HybridPareto`: loc and scale of its Gaussian, and the bounded tail shape.

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
        """The distributions of raw outputs [..., 3], batch shape [...]; InputError for another last axis."""
        check_outputs(raw, 3)
        return HybridPareto(*self._location_scale(raw), self._shape(raw[..., 2]))

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Raw outputs [3] of `INITIAL_SHAPE` whose quantiles (5, 25, 50, 75, 95 %) are nearest to those of `y`."""
        return np.array(self._start(y, lambda shape: HybridPareto(0.0, 1.0, shape)))


@dataclasses.dataclass(frozen=True)
class TwoTailedHybridParetoHead(_HybridHead):
    """Maps raw outputs [..., 4] to a `TwoTailedHybridPareto`: as `HybridParetoHead`, then the upper tail's shape."""

    @property
    def num_outputs(self) -> int:
        """4."""
        return 4

    @compiled_by
    def __call__(self, raw: Float[Array, "*batch outputs"]) -> TwoTailedHybridPareto:
        """The distributions of raw outputs [..., 4], batch shape [...]; InputError for another last axis."""
        check_outputs(raw, 4)
        return TwoTailedHybridPareto(*self._location_scale(raw), self._shape(raw[..., 2]), self._shape(raw[..., 3]))

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Raw outputs [4] as those of `HybridParetoHead`, both shapes alike."""
        raw = self._start(y, lambda shape: TwoTailedHybridPareto(0.0, 1.0, shape, shape))
        return np.array([*raw, raw[-1]])


@dataclasses.dataclass(frozen=True, init=False)
class BinnedHead:
    """Maps raw outputs [..., K] to a `Binned`: an outcome outside the edges is impossible to it.

    Args:
        edges: [K + 1], increasing, in the unit of the outcome; kept as a tuple, so that the head is hashable.
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
        """The distributions of raw outputs [..., K], batch shape [...]; InputError for another last axis."""
        check_outputs(raw, self.num_outputs)
        return Binned(raw, np.asarray(self.edges))

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Raw outputs [K], the logs of bin counts plus 1/2 (outcomes outside the edges count in the end bins)."""
        return init_logits(y, np.asarray(self.edges))


@dataclasses.dataclass(frozen=True, init=False)
class BlendedParetoHead:
    """Maps raw outputs [..., K + 2] to a `BlendedPareto`: K logits, then the bounded shapes of lower and upper tail.

    Args:
        edges: [K + 1], increasing, in the unit of the outcome; kept as a tuple, so that the head is hashable.
        lower_mass, upper_mass: (outer, inner) tail probabilities between which a side blends (see `BlendedPareto`);
            None: the side has no tail.
        shape_bounds: (low, high) of the shapes, above -1.
        blend: "density" or "published", as of `BlendedPareto`.
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
        """K + 2."""
        return len(self.edges) + 1

    @compiled_by
    def __call__(self, raw: Float[Array, "*batch outputs"]) -> BlendedPareto:
        """The distributions of raw outputs [..., K + 2], batch shape [...]; InputError for another last axis."""
        check_outputs(raw, self.num_outputs)
        bins = len(self.edges) - 1
        lower, upper = (bounded_shape(raw[..., k], self.shape_bounds) for k in (bins, bins + 1))
        masses = self.lower_mass, self.upper_mass
        return BlendedPareto(raw[..., :bins], np.asarray(self.edges), lower, upper, *masses, self.blend)

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Raw outputs [K + 2]: the logs of bin counts plus 1/2, and `INITIAL_SHAPE` on both sides."""
        shape = inverse_bounded(INITIAL_SHAPE, self.shape_bounds)
        return np.array([*init_logits(y, np.asarray(self.edges)), shape, shape])


def _matched(y: np.ndarray, standard: Distribution) -> tuple[float, float, float]:
    """Location and scale that bring a standard distribution's quantiles nearest to those of `y`, and the squared error
    left."""
    y, levels = checked_outcomes(y), np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    wanted, given = np.quantile(y, levels), np.asarray(standard.icdf(levels), np.float64)
    scale = float(np.cov(given, wanted, bias=True)[0, 1] / np.var(given))
    loc = float(np.mean(wanted) - scale * np.mean(given))
    return loc, scale or float(np.std(y)), float(np.sum((wanted - loc - scale * given) ** 2))
