"""`sbp train` under its earlier name: python -m experiments.train."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("train")
