"""Measured capabilities of each approach."""
