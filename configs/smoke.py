"""900 simulated plays and a small network, to check that everything runs; its metrics are meaningless.

Command: sbp demo --smoke, about a minute.
"""

from dataclasses import replace

from .demo import CONFIG as DEMO

CONFIG = replace(
    DEMO,
    data=replace(DEMO.data, plays=900),
    network=replace(DEMO.network, channels=16, layers=3, hidden=(32,)),
    training=replace(DEMO.training, epochs=4, batch_size=64),
)
