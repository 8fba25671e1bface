"""Run the console command `sbp` as `python -m sbp_jax`, for when `sbp` is not on the path."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main()
