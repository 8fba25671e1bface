"""`sbp serve` under its earlier name: python -m experiments.serve."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("serve")
