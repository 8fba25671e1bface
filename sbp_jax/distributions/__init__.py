"""The law: distributions, and the maps from raw network outputs to them. Imports jax and numpy only."""

from sbp_jax.distributions.affine import Affine
from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.baselines import Normal
from sbp_jax.distributions.binned import Binned
from sbp_jax.distributions.blended import BlendedPareto
from sbp_jax.distributions.heads import NormalHead, SplicedBinnedParetoHead, objective
from sbp_jax.distributions.hybrid import HybridPareto, TwoTailedHybridPareto
from sbp_jax.distributions.pareto import GeneralizedPareto
from sbp_jax.distributions.spliced import SplicedBinnedPareto
from sbp_jax.distributions.student import StudentT

__all__ = [
    "Affine",
    "Binned",
    "BlendedPareto",
    "Distribution",
    "GeneralizedPareto",
    "HybridPareto",
    "Normal",
    "NormalHead",
    "SplicedBinnedPareto",
    "SplicedBinnedParetoHead",
    "StudentT",
    "TwoTailedHybridPareto",
    "objective",
]
