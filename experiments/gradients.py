"""`sbp gradients` under its earlier name: python -m experiments.gradients."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("gradients")
