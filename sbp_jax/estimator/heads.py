"""Heads by name for an outcome: the spliced head takes its bins as arguments; the others are in units of the scale."""

from typing import Any

import numpy as np

from sbp_jax.distributions.heads import (
    BinnedHead,
    BlendedParetoHead,
    Head,
    HybridParetoHead,
    NormalHead,
    StudentTHead,
    TwoTailedHybridParetoHead,
)
from sbp_jax.errors import InputError
from sbp_jax.estimator.program import HeadBuilder, SplicedBuilder
from sbp_jax.estimator.target import Target

BINNED = ("sbp", "binned", "blended_pareto")  # families whose support can end at a bound
FAMILIES = ("sbp", "normal", "student_t", "hybrid_pareto", "two_tailed_hybrid_pareto", "binned", "blended_pareto")


def make_builder(
    head: str | Head, target: Target, parameterization: str, shape_bounds: tuple[float, float]
) -> SplicedBuilder | HeadBuilder:
    """Return the builder of a family or head for outcomes in units of the scale.

    Args:
        head: one of `FAMILIES`, or a head.
        target: the outcome.
        parameterization, shape_bounds: of the tails of "sbp"; the other Pareto families use only the bounds.

    Raises:
        InputError: unknown family. The other arguments are those that `check_arguments` accepts.
    """
    if not isinstance(head, str):
        return HeadBuilder(head)
    low, high = (float(bound) for bound in shape_bounds)
    edges: Any = tuple(target.standardized(np.asarray(target.edges)).tolist())
    above_zero = max(low, 0.0), high
    match head:
        case "sbp":
            return SplicedBuilder(target.bins, parameterization, (low, high))
        case "normal":
            return HeadBuilder(NormalHead())
        case "student_t":
            return HeadBuilder(StudentTHead())
        case "hybrid_pareto":
            return HeadBuilder(HybridParetoHead(shape_bounds=above_zero))
        case "two_tailed_hybrid_pareto":
            return HeadBuilder(TwoTailedHybridParetoHead(shape_bounds=above_zero))
        case "binned":
            return HeadBuilder(BinnedHead(edges))
        case "blended_pareto":
            lower, upper = (
                None if mass == 0 else (mass, min(4 * mass, max(0.45, 0.5 * mass + 0.25))) for mass in target.tail_mass
            )
            return HeadBuilder(BlendedParetoHead(edges, lower, upper, above_zero))
    raise InputError(f"head: expected one of {', '.join(FAMILIES)} or a head, got {head!r}")
