"""Metrics and calibration of predictive distributions; threshold diagnostics of samples; statistics over seeds."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sbp_jax.evaluation.exceedances import ParetoFit as ParetoFit
    from sbp_jax.evaluation.exceedances import fit_pareto as fit_pareto
    from sbp_jax.evaluation.exceedances import shape_interval as shape_interval
    from sbp_jax.evaluation.metrics import Metrics as Metrics
    from sbp_jax.evaluation.metrics import OutcomeScores as OutcomeScores
    from sbp_jax.evaluation.metrics import PPError as PPError
    from sbp_jax.evaluation.metrics import pp_curve as pp_curve
    from sbp_jax.evaluation.metrics import pp_error as pp_error
    from sbp_jax.evaluation.predictions import evaluate as evaluate
    from sbp_jax.evaluation.predictions import score_outcomes as score_outcomes
    from sbp_jax.evaluation.returns import ReturnLevels as ReturnLevels
    from sbp_jax.evaluation.returns import return_levels as return_levels
    from sbp_jax.evaluation.statistics import MeanInterval as MeanInterval
    from sbp_jax.evaluation.statistics import gap_closed as gap_closed
    from sbp_jax.evaluation.statistics import mean_interval as mean_interval
    from sbp_jax.evaluation.statistics import paired_difference as paired_difference
    from sbp_jax.evaluation.tails import FittedTail as FittedTail
    from sbp_jax.evaluation.tails import Interval as Interval
    from sbp_jax.evaluation.tails import fit_tail as fit_tail
    from sbp_jax.evaluation.tails import tail_masses as tail_masses
    from sbp_jax.evaluation.tails import threshold_at as threshold_at
    from sbp_jax.evaluation.thresholds import MeanExcess as MeanExcess
    from sbp_jax.evaluation.thresholds import ParameterStability as ParameterStability
    from sbp_jax.evaluation.thresholds import Points as Points
    from sbp_jax.evaluation.thresholds import exceedance_residuals as exceedance_residuals
    from sbp_jax.evaluation.thresholds import mean_excess as mean_excess
    from sbp_jax.evaluation.thresholds import parameter_stability as parameter_stability
    from sbp_jax.evaluation.thresholds import pp_points as pp_points
    from sbp_jax.evaluation.thresholds import qq_points as qq_points
    from sbp_jax.evaluation.thresholds import quantile_points as quantile_points

# Loaded on first use: code that works on plain numbers, such as reports, does not load jax.
_HOMES = {
    "exceedances": ("ParetoFit", "fit_pareto", "shape_interval"),
    "metrics": ("Metrics", "OutcomeScores", "PPError", "pp_curve", "pp_error"),
    "predictions": ("evaluate", "score_outcomes"),
    "returns": ("ReturnLevels", "return_levels"),
    "statistics": ("MeanInterval", "gap_closed", "mean_interval", "paired_difference"),
    "tails": ("FittedTail", "Interval", "fit_tail", "tail_masses", "threshold_at"),
    "thresholds": (
        "MeanExcess",
        "ParameterStability",
        "Points",
        "exceedance_residuals",
        "mean_excess",
        "parameter_stability",
        "pp_points",
        "qq_points",
        "quantile_points",
    ),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_MODULES)
