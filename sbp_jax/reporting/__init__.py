"""Figures and tables from results; computes nothing and never imports jax."""
