"""`sbp replay` under its earlier name: python -m experiments.replay."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("replay")
