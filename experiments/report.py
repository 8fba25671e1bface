"""`sbp report` under its earlier name: python -m experiments.report."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("report")
