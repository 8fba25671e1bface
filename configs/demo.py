"""The base: 8,000 simulated plays, one-yard bins, interval objective.

Command: scripts/demo, or python -m experiments.train demo for the SBP network alone.
"""

from sbp_jax.config import Config

CONFIG = Config()
