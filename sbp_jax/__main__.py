"""`python -m sbp_jax`: the console command `sbp` where it is not on the path."""

from sbp_jax.cli import main

if __name__ == "__main__":
    main()
