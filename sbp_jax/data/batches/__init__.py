"""Masked, bucketed batches of plays."""
