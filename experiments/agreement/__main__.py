"""python -m experiments.agreement."""

import sys

from experiments.agreement.run import command
from sbp_jax.cli.flags import run

run(command, sys.argv[1:])
