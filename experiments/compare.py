"""`sbp compare` under its earlier name: python -m experiments.compare."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("compare")
