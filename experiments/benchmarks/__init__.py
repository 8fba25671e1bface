"""What `experiments.benchmark` measures; imports the jax family, NumPy and Matplotlib only."""
