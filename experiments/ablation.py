"""`sbp sweep` under its earlier name: python -m experiments.ablation."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("sweep")
