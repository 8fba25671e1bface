"""Spliced Binned-Pareto conditional distributions in JAX, and the quarterback passing score built on them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the names of `_MODULES` once more: type checkers read no dictionary
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

__version__ = "0.1.0"  # pyproject.toml reads it here

# module -> public names; a module is imported when one of its names is first used
_MODULES = {
    "sbp_jax.distributions": (
        "Affine",
        "Binned",
        "BlendedPareto",
        "GeneralizedPareto",
        "HybridPareto",
        "Normal",
        "SplicedBinnedPareto",
        "StudentT",
        "TwoTailedHybridPareto",
    ),
    "sbp_jax.errors": ("InputError",),
    "sbp_jax.live": ("LiveScorer",),
    "sbp_jax.runs.run": ("Run", "load_run"),
}
__all__ = [name for names in _MODULES.values() for name in names]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'sbp_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
