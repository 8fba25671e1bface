"""`sbp export` under its earlier name: python -m experiments.export."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("export")
