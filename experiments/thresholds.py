"""`sbp thresholds` under its earlier name: python -m experiments.thresholds."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("thresholds")
