"""Regression on tables: SBPRegressor and its baselines on data sets with heavy or odd outcomes."""
