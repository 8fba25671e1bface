"""The properties, each with the correct result and the known defect of the published implementation."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from sbp_jax.evaluation.conformance import measures
from sbp_jax.evaluation.conformance.case import Case, pareto_log_density
from sbp_jax.evaluation.conformance.implementation import Implementation
from sbp_jax.evaluation.conformance.measures import Finding


@dataclass(frozen=True)
class Property:
    """A property: name, correct result, measurement, and the published implementation's defect, if one is known."""

    name: str
    right: str
    finding: Callable[[Implementation], Finding]
    defect: str = ""


def measure(prop: Property, side: Implementation) -> Finding:
    """Return the finding; an exception raised by the implementation is a finding too."""
    try:
        return prop.finding(side)
    except Exception as error:  # an implementation may fail in any way; the table reports how
        return Finding(f"raises {type(error).__name__}", False)


def compare(ours: Implementation, other: Implementation | None) -> list[dict[str, Any]]:
    """Measure every property on two implementations; the findings `reference` are None without `other`."""
    return [
        {
            "name": each.name,
            "right": each.right,
            "defect": each.defect,
            "ours": asdict(measure(each, ours)),
            "reference": None if other is None else asdict(measure(each, other)),
        }
        for each in PROPERTIES
    ]


def _properties() -> tuple[Property, ...]:
    mean, variance = Case.uneven().moments()
    near = pareto_log_density(np.array(measures.NEAR_ZERO), measures.SCALE, measures.EXCESS)
    tail = f"z = {measures.EXCESS:g}, β = {measures.SCALE:g}"
    far = Case.uneven().log_survival(Case.uneven().thresholds[1] + np.array([1e1, 1e3, 1e5]))
    mass = "the body is a bin's probability, not a density"
    return (
        *(
            Property(f"total mass of the density, bins {w:g} wide", "1", partial(measures.total_mass, w), mass)
            for w in measures.WIDTHS
        ),
        Property(
            "`log_prob` is the log of the density (bins 1 wide)",
            "off by 0",
            measures.log_density,
            "by default it is the training surrogate, binned and tail terms added",
        ),
        Property(
            "mean gradient of the training log-likelihood in the logits at the truth, largest",
            "0",
            measures.truth_is_stationary,
            "the surrogate that trains is stationary elsewhere",
        ),
        Property("cdf(icdf(q)) − q, largest", "0", partial(measures.round_trip, Case.uneven())),
        Property("the same, one bin with all the mass", "0", partial(measures.round_trip, Case.peaked())),
        Property("cdf never decreases: largest fall", "0", measures.monotone),
        Property("unsorted inputs return in their order: largest difference", "0", measures.order),
        Property(
            f"density over the cdf's slope in the body, bins {measures.listed(measures.WIDTHS)} wide",
            "1, 1, 1, 1",
            measures.slope,
            mass,
        ),
        Property(
            "d cdf/dy by automatic differentiation against the density",
            "off by 0",
            measures.cdf_gradient,
            "the tail that is not selected raises a negative number to a power",
        ),
        Property(
            "log P(Y > y) at 10, 10³, 10⁵ beyond the upper threshold",
            measures.listed(far),
            measures.far_tail,
            "no survival function: 1 − cdf loses the tail",
        ),
        *(
            Property(
                f"shape ξ = {xi:g} ({tail}): log-density; its derivative in ξ",
                f"{value:.5g}; {derivative:.5g}",
                partial(measures.shape_near_zero, xi),
                "1e-6 is added to the ξ that divides, not to the other",
            )
            for xi, value, derivative in zip(measures.NEAR_ZERO, *near, strict=True)
        ),
        Property(
            f"shape exactly 0 ({tail}): accepted; 0.9-quantile; log-density; derivative in ξ",
            f"accepted; {-measures.SCALE * np.log(0.1):.5g}; {-np.log(measures.SCALE) - 4:.5g}; 4",
            measures.shape_zero,
            "the quantile divides 0 by 0, and the derivative is lost in the separate branch",
        ),
        Property(
            "shape −0.2: accepted; log_prob beyond the support; gradient in shapes and scales, outcomes in the body",
            "accepted; -inf; no NaN",
            measures.shape_negative,
            "no end of the support; logarithms of negative numbers in branches that are not selected",
        ),
        Property("`log_prob` of a NaN outcome", "nan", measures.missing, "a missing outcome gets a perfect score"),
        Property(
            "mean",
            f"{mean:.6g}",
            partial(measures.moment, 0),
            "averages over the bins instead of adding, ignores the tails",
        ),
        Property("variance", f"{variance:.6g}", partial(measures.moment, 1), "not there"),
        Property(
            "`log_prob` of batch [] at [], [4] at [7, 1], [4, 1] at [4, 1], [4, 1] at [3]",
            "[], [7, 4], [4, 1], [4, 3]",
            measures.broadcasting,
            "outcomes must have the batch's shape; no scalar batch, none of [4, 1]",
        ),
        Property(
            "sample((2, 3)) of a batch [4]: shape, numbers that differ",
            "[2, 3, 4], 24 differ",
            measures.distinct,
            "draws along the first axis only, repeated along the others",
        ),
        Property(
            f"{measures.DRAWS} draws against the cdf: Kolmogorov-Smirnov distance × √n",
            "below 1.95 (p > 0.001)",
            measures.kolmogorov_smirnov,
        ),
        Property(
            "Binned baseline from raw outputs: log-density",
            "off by 0",
            measures.binned_baseline,
            "`BinnedUniformsOutput` cannot be constructed: it passes itself on as an argument",
        ),
        Property(
            "Gaussian baseline: log-density, derivatives in location and scale",
            "-2.737, 0.75, 0.625",
            measures.gaussian_baseline,
        ),
    )


PROPERTIES = _properties()
