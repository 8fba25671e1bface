"""Estimators: arrays and data frames in, conditional distributions out."""

from sbp_jax.estimator.regressor import SBPRegressor
from sbp_jax.estimator.saving import load
from sbp_jax.estimator.target import Target

__all__ = ["SBPRegressor", "Target", "load"]
