"""`sbp crossfit` under its earlier name: python -m experiments.crossfit."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("crossfit")
