"""The head of the Spliced Binned-Pareto distribution."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sbp_jax.distributions.binned import Binned
from sbp_jax.distributions.heads.base import (
    checked_bounds,
    checked_edges,
    checked_outcomes,
    checked_outputs,
    init_logits,
)
from sbp_jax.distributions.heads.tails import PARAMETERIZATIONS, TailInputs
from sbp_jax.distributions.pytrees import compiled_by
from sbp_jax.distributions.spliced import SplicedBinnedPareto
from sbp_jax.errors import InputError


@dataclasses.dataclass(frozen=True, init=False)
class SplicedBinnedParetoHead:
    """Map raw outputs [..., K + 4] to a `SplicedBinnedPareto`: K logits, then raw (shape, scale) of each tail.

    The lower tail comes before the upper.

    Args:
        edges: [K + 1], increasing, in the unit of the outcome; stored as a tuple, so that the head is hashable.
        tail_mass: (tau_l, tau_u), each in [0, 1/2).
        parameterization: a name in `PARAMETERIZATIONS`.
        shape_bounds: (low, high) of the shape, for the parameterizations that bound it.
        support: (low, high), the interval that every distribution's support must cover, or None. A tail with xi < 0
            ends at -beta / xi beyond its threshold. So that no outcome inside the interval has probability zero, its
            scale is increased by -xi times the distance from the threshold to the end of the interval (`continuous`
            instead keeps the shape above the value whose tail ends there). Tails with xi >= 0 are unchanged, so the
            derivative of the scale in the raw shape jumps at xi = 0. With `endpoint`, both tails end exactly there.
    Raises:
        InputError: unknown parameterization, bounds not increasing or not above -1 (where a density is unbounded),
            invalid edges or tail masses, a support that does not contain the edges, or `endpoint` without a support
            wider than the edges.
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
        bounds, grid = checked_bounds(shape_bounds), checked_edges(edges)
        if support is not None and not support[0] <= grid[0] < grid[-1] <= support[1]:
            raise InputError(f"support must contain the edges from {grid[0]} to {grid[-1]}, got {support}")
        if PARAMETERIZATIONS[parameterization].needs_end and not (
            support is not None and support[0] < grid[0] and grid[-1] < support[1] and np.all(np.isfinite(support))
        ):
            raise InputError(
                f"support must be finite and reach beyond the edges from {grid[0]} to {grid[-1]} for the "
                f"parameterization {parameterization!r}, got {support}"
            )
        object.__setattr__(self, "support", support)
        object.__setattr__(self, "edges", grid)
        object.__setattr__(self, "tail_mass", tuple(float(m) for m in tail_mass))
        object.__setattr__(self, "parameterization", parameterization)
        object.__setattr__(self, "shape_bounds", bounds)
        jax.eval_shape(self, jnp.zeros(self.num_outputs))  # run the distribution's own checks of edges and tail masses

    @property
    def bins(self) -> int:
        """Number of bins K."""
        return len(self.edges) - 1

    @property
    def num_outputs(self) -> int:
        """Number of raw outputs, K + 4."""
        return self.bins + 4

    @compiled_by
    def __call__(self, raw: Float[Array, "*batch outputs"]) -> SplicedBinnedPareto:
        """Return the distributions of raw outputs [..., K + 4], batch shape [...]; InputError for another last axis."""
        raw = checked_outputs(raw, self.num_outputs)
        body = Binned(raw[..., : self.bins], np.asarray(self.edges))
        tail = PARAMETERIZATIONS[self.parameterization].tail
        lower, upper = (tail(self._tail_inputs(raw, body, side)) for side in (False, True))
        return SplicedBinnedPareto(body.logits, body.edges, lower, upper, self.tail_mass)

    def _tail_inputs(self, raw: Array, body: Binned, upper: bool) -> TailInputs:
        return tail_inputs(raw, body, self.tail_mass, self.shape_bounds, self.support, upper)

    def init_from_data(self, y: np.ndarray) -> np.ndarray:
        """Return raw outputs [K + 4] that estimate the marginal of outcomes `y`, to initialize a network's bias.

        Each logit is the log of the bin's count plus 1/2; outcomes outside the edges count in the end bins. Shapes are
        initialized to `INITIAL_SHAPE`, and scales to match the mean excess over the threshold (the mean bin width where
        there are no exceedances). If only the shape or only the scale is free, it matches the mean excess. The result
        is finite for any finite outcomes.

        Raises:
            InputError: no outcomes, or an outcome that is not finite.
        """
        y = checked_outcomes(y)
        edges = np.asarray(self.edges)
        bins, width = len(edges) - 1, float(np.mean(np.diff(edges)))
        raw = np.concatenate([init_logits(y, edges), np.zeros(4)])
        start = jnp.asarray(raw)
        dist = self(start)
        low, high = (float(t) for t in dist.thresholds())
        for upper, excess in enumerate((low - y[y < low], y[y > high] - high)):
            mean_excess = float(np.mean(excess)) if excess.size else width
            # a tiny excess is rounding error in the threshold, not the scale of a tail
            mean_excess = max(mean_excess, 1e-3 * width)
            inputs = self._tail_inputs(start, dist.body, bool(upper))
            first = bins + 2 * upper
            raw[first : first + 2] = PARAMETERIZATIONS[self.parameterization].init(mean_excess, inputs)
        return raw


def tail_inputs(
    raw: Float[Array, "*batch outputs"],
    body: Binned,
    tail_mass: tuple[float | Float[Array, ""], float | Float[Array, ""]],
    shape_bounds: tuple[float, float],
    support: tuple[float, float] | None,
    upper: bool,
) -> TailInputs:
    """Return one tail's part of raw outputs [..., K + 4], with the other inputs of its parameterization."""
    first = body.logits.shape[-1] + 2 * upper
    end = None if support is None else support[upper]
    return TailInputs(raw[..., first], raw[..., first + 1], shape_bounds, body, tail_mass[upper], upper, end)
