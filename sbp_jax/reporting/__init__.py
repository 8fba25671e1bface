"""Figures and tables from results; it computes nothing and never imports jax."""
