"""`sbp demo` under its earlier name: python -m experiments.demo."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main("demo")
