"""python -m experiments.parity."""

import sys

from experiments.parity.run import command
from sbp_jax.cli.flags import run

run(command, sys.argv[1:])
