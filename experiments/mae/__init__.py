"""Errors of the predictive median, on simulated and on real passes."""
