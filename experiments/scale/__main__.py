"""python -m experiments.scale."""

import sys

from experiments.scale.run import command
from sbp_jax.cli.flags import run

run(command, sys.argv[1:])
