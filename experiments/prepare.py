"""`sbp prepare` under its earlier name: python -m experiments.prepare."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("prepare")
