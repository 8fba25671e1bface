"""Spliced Binned-Pareto conditional distributions in JAX, and the quarterback passing score built on them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sbp_jax.distributions import Affine as Affine
    from sbp_jax.distributions import Binned as Binned
    from sbp_jax.distributions import BlendedPareto as BlendedPareto
    from sbp_jax.distributions import GeneralizedPareto as GeneralizedPareto
    from sbp_jax.distributions import HybridPareto as HybridPareto
    from sbp_jax.distributions import Normal as Normal
    from sbp_jax.distributions import SplicedBinnedPareto as SplicedBinnedPareto
    from sbp_jax.distributions import StudentT as StudentT
    from sbp_jax.distributions import TwoTailedHybridPareto as TwoTailedHybridPareto
    from sbp_jax.errors import InputError as InputError
    from sbp_jax.live import LiveScorer as LiveScorer
    from sbp_jax.runs.run import Run as Run
    from sbp_jax.runs.run import load_run as load_run

# Loaded on first use: the law alone needs jax only, a run needs the rest of the house.
_HOMES = {
    "Affine": "sbp_jax.distributions",
    "Binned": "sbp_jax.distributions",
    "BlendedPareto": "sbp_jax.distributions",
    "GeneralizedPareto": "sbp_jax.distributions",
    "HybridPareto": "sbp_jax.distributions",
    "InputError": "sbp_jax.errors",
    "LiveScorer": "sbp_jax.live",
    "Normal": "sbp_jax.distributions",
    "Run": "sbp_jax.runs.run",
    "SplicedBinnedPareto": "sbp_jax.distributions",
    "StudentT": "sbp_jax.distributions",
    "TwoTailedHybridPareto": "sbp_jax.distributions",
    "load_run": "sbp_jax.runs.run",
}
__all__ = [
    "Affine",
    "Binned",
    "BlendedPareto",
    "GeneralizedPareto",
    "HybridPareto",
    "InputError",
    "LiveScorer",
    "Normal",
    "Run",
    "SplicedBinnedPareto",
    "StudentT",
    "TwoTailedHybridPareto",
    "load_run",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'sbp_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
