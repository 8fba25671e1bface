"""Metrics by the number of training plays and of parameters."""
