"""Estimators of conditional distributions from arrays, data frames and time series."""

from sbp_jax.estimator.forecast import Forecast
from sbp_jax.estimator.forecaster import SBPForecaster
from sbp_jax.estimator.regressor import SBPRegressor
from sbp_jax.estimator.saving import load
from sbp_jax.estimator.target import Target

__all__ = ["Forecast", "SBPForecaster", "SBPRegressor", "Target", "load"]
