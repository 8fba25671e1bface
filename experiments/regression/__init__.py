"""Regression on tables: SBPRegressor and its baselines on data sets with heavy tails, atoms, counts or bounds."""
