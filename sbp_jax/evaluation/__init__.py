"""Figures of merit and calibration of predictive distributions."""

from sbp_jax.evaluation.forecast import YARDS, integer_forecast
from sbp_jax.evaluation.metrics import IntegerForecast, Metrics, PPError, evaluate, pp_curve, pp_error

__all__ = ["YARDS", "IntegerForecast", "Metrics", "PPError", "evaluate", "integer_forecast", "pp_curve", "pp_error"]
