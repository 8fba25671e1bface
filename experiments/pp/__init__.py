"""Probability-probability errors on the public demo's series."""
