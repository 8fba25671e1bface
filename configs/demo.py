"""8,000 simulated plays, one-yard bins, interval objective.

Command: sbp demo; sbp train demo trains the SBP network alone.
Time: about 2 minutes on 2 cores.
Expected on the test plays: SBP NLL 2.65, CRPS 4.3, two thirds of the CRPS gap between marginal and oracle closed, PP
error (full) 0.01; Gaussian network NLL 3.5, CRPS 4.5.
"""

from sbp_jax.config import Config

CONFIG = Config()
