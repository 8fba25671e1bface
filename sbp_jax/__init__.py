"""Spliced Binned-Pareto conditional distributions in JAX, and the quarterback passing score built on them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # repeats the names below, because type checkers cannot read a dictionary
    from sbp_jax import nfl as nfl
    from sbp_jax.config import Config as Config
    from sbp_jax.config import DataConfig as DataConfig
    from sbp_jax.config import HeadConfig as HeadConfig
    from sbp_jax.config import OptimizerConfig as OptimizerConfig
    from sbp_jax.config import SeriesConfig as SeriesConfig
    from sbp_jax.config import TrainingConfig as TrainingConfig
    from sbp_jax.distributions import Affine as Affine
    from sbp_jax.distributions import Binned as Binned
    from sbp_jax.distributions import BlendedPareto as BlendedPareto
    from sbp_jax.distributions import Censored as Censored
    from sbp_jax.distributions import Deterministic as Deterministic
    from sbp_jax.distributions import GeneralizedPareto as GeneralizedPareto
    from sbp_jax.distributions import HybridPareto as HybridPareto
    from sbp_jax.distributions import Mixture as Mixture
    from sbp_jax.distributions import Normal as Normal
    from sbp_jax.distributions import Quantized as Quantized
    from sbp_jax.distributions import Shifted as Shifted
    from sbp_jax.distributions import SplicedBinnedPareto as SplicedBinnedPareto
    from sbp_jax.distributions import StudentT as StudentT
    from sbp_jax.distributions import TwoTailedHybridPareto as TwoTailedHybridPareto
    from sbp_jax.distributions import kl_divergence as kl_divergence
    from sbp_jax.errors import InputError as InputError
    from sbp_jax.estimator import SBPForecaster as SBPForecaster
    from sbp_jax.estimator import SBPRegressor as SBPRegressor
    from sbp_jax.estimator import load as load
    from sbp_jax.live import LiveScorer as LiveScorer
    from sbp_jax.models.config import NetworkConfig as NetworkConfig
    from sbp_jax.runs.evaluate import Evaluation as Evaluation
    from sbp_jax.runs.evaluate import evaluate as evaluate
    from sbp_jax.runs.members import train_many as train_many
    from sbp_jax.runs.run import Run as Run
    from sbp_jax.runs.run import load_run as load_run
    from sbp_jax.runs.score import Scores as Scores
    from sbp_jax.runs.score import score as score
    from sbp_jax.runs.train import train as train

__version__ = "0.1.0"  # pyproject.toml reads the version from here

# module -> public names; a module is imported on first use of one of its names
_MODULES = {
    "sbp_jax.distributions": (
        "Affine",
        "Binned",
        "BlendedPareto",
        "Censored",
        "Deterministic",
        "GeneralizedPareto",
        "HybridPareto",
        "Mixture",
        "Normal",
        "Quantized",
        "Shifted",
        "SplicedBinnedPareto",
        "StudentT",
        "TwoTailedHybridPareto",
        "kl_divergence",
    ),
    "sbp_jax.errors": ("InputError",),
    "sbp_jax.estimator": ("SBPForecaster", "SBPRegressor", "load"),
    "sbp_jax.live": ("LiveScorer",),
    "sbp_jax.config": (
        "Config",
        "DataConfig",
        "HeadConfig",
        "OptimizerConfig",
        "SeriesConfig",
        "TrainingConfig",
    ),
    "sbp_jax.models.config": ("NetworkConfig",),
    "sbp_jax.runs.evaluate": ("Evaluation", "evaluate"),
    "sbp_jax.runs.members": ("train_many",),
    "sbp_jax.runs.run": ("Run", "load_run"),
    "sbp_jax.runs.score": ("Scores", "score"),
    "sbp_jax.runs.train": ("train",),
}
_SUBMODULES = ("nfl",)  # public by themselves, imported on first use
__all__ = [*(name for names in _MODULES.values() for name in names), *_SUBMODULES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"sbp_jax.{name}")
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'sbp_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
