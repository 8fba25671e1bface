"""Benchmarks of `experiments.benchmark`; only the jax family, NumPy and Matplotlib are imported."""
