"""Figures of merit and calibration of predictive distributions; threshold diagnostics of samples."""

from sbp_jax.evaluation.exceedances import ParetoFit, fit_pareto, shape_interval
from sbp_jax.evaluation.forecast import YARDS, evaluate_continuous, evaluate_counts, integer_forecast
from sbp_jax.evaluation.metrics import IntegerForecast, Metrics, PPError, evaluate, pp_curve, pp_error
from sbp_jax.evaluation.returns import ReturnLevels, return_levels
from sbp_jax.evaluation.tails import FittedTail, Interval, fit_tail, tail_masses, threshold_at
from sbp_jax.evaluation.thresholds import (
    MeanExcess,
    ParameterStability,
    Points,
    exceedance_residuals,
    mean_excess,
    parameter_stability,
    pp_points,
    qq_points,
    quantile_points,
)

__all__ = [
    "YARDS",
    "FittedTail",
    "IntegerForecast",
    "Interval",
    "MeanExcess",
    "Metrics",
    "PPError",
    "ParameterStability",
    "ParetoFit",
    "Points",
    "ReturnLevels",
    "evaluate",
    "evaluate_continuous",
    "evaluate_counts",
    "exceedance_residuals",
    "fit_pareto",
    "fit_tail",
    "integer_forecast",
    "mean_excess",
    "parameter_stability",
    "pp_curve",
    "pp_error",
    "pp_points",
    "qq_points",
    "quantile_points",
    "return_levels",
    "shape_interval",
    "tail_masses",
    "threshold_at",
]
