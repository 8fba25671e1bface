"""Marginals of simulated passes against real ones."""
