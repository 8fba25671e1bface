"""`sbp simulate` under its earlier name: python -m experiments.simulate."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("simulate")
