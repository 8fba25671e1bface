"""Time series: the distribution of a value some steps ahead, given the previous values.

Command: sbp train series --data.path FILE, where FILE has a column of times and one of values; several files are
several series for one network. Counts need --training.objective interval, heads other than SBP need exact.
The unit of the head's fields is the standard deviation of each window.
Time: two minutes on 2 cores for 16,000 observations.
"""

from sbp_jax.config import Config, HeadConfig, SeriesConfig, TrainingConfig
from sbp_jax.models import NetworkConfig

CONFIG = Config(
    data=SeriesConfig(),
    network=NetworkConfig(encoder="flat", layers=5, channels=32, hidden=(64,), dropout=0.1),
    # the support is unbounded: no tail of a series ends
    head=HeadConfig(low=-6.0, high=8.0, bins=141, shape_bounds=(0.0, 0.95), support=(-1e4, 1e4)),
    # with the density alone, the thresholds do not settle at their quantiles
    training=TrainingConfig(objective="composite", batch_size=256, epochs=30, patience=5),
)
