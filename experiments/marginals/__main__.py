"""python -m experiments.marginals."""

import sys

from experiments.marginals.run import command
from sbp_jax.cli.flags import run

run(command, sys.argv[1:], "interrupted; nothing was written")
