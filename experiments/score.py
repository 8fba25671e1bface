"""`sbp score` under its earlier name: python -m experiments.score."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("score")
