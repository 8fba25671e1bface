"""Probability distributions, and heads that map raw network outputs to them. Imports jax and numpy only."""

from sbp_jax.distributions.affine import Affine
from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.baselines import Normal
from sbp_jax.distributions.binned import Binned
from sbp_jax.distributions.blended import BlendedPareto
from sbp_jax.distributions.censored import Censored
from sbp_jax.distributions.deterministic import Deterministic
from sbp_jax.distributions.divergence import kl_divergence
from sbp_jax.distributions.heads import NormalHead, SplicedBinnedParetoHead, objective
from sbp_jax.distributions.hybrid import HybridPareto, TwoTailedHybridPareto
from sbp_jax.distributions.mixture import Mixture
from sbp_jax.distributions.pareto import GeneralizedPareto
from sbp_jax.distributions.quantized import Quantized
from sbp_jax.distributions.shifted import Shifted
from sbp_jax.distributions.spliced import SplicedBinnedPareto
from sbp_jax.distributions.student import StudentT

__all__ = [
    "Affine",
    "Binned",
    "BlendedPareto",
    "Censored",
    "Deterministic",
    "Distribution",
    "GeneralizedPareto",
    "HybridPareto",
    "Mixture",
    "Normal",
    "NormalHead",
    "Quantized",
    "Shifted",
    "SplicedBinnedPareto",
    "SplicedBinnedParetoHead",
    "StudentT",
    "TwoTailedHybridPareto",
    "kl_divergence",
    "objective",
]
