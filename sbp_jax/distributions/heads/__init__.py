"""Heads map raw network outputs to distributions; outputs are constrained here only, by a named parameterization."""

from sbp_jax.distributions.heads.base import CenteredHead, Head
from sbp_jax.distributions.heads.baselines import (
    BinnedHead,
    BlendedParetoHead,
    HybridParetoHead,
    NormalHead,
    StudentTHead,
    TwoTailedHybridParetoHead,
)
from sbp_jax.distributions.heads.family import SplicedFamily, SplicedValues
from sbp_jax.distributions.heads.objectives import OBJECTIVES, Loss, objective
from sbp_jax.distributions.heads.spliced import SplicedBinnedParetoHead
from sbp_jax.distributions.heads.tails import MIN_SCALE, PARAMETERIZATIONS, Parameterization, TailInputs

__all__ = [
    "MIN_SCALE",
    "OBJECTIVES",
    "PARAMETERIZATIONS",
    "BinnedHead",
    "BlendedParetoHead",
    "CenteredHead",
    "Head",
    "HybridParetoHead",
    "Loss",
    "NormalHead",
    "Parameterization",
    "SplicedBinnedParetoHead",
    "SplicedFamily",
    "SplicedValues",
    "StudentTHead",
    "TailInputs",
    "TwoTailedHybridParetoHead",
    "objective",
]
