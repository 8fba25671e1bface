"""Real dropbacks without tracking: the situation of each pass, and its gain.

Command: sbp train play_by_play --data.source FILE, where FILE is a list of plays: CSV, TSV or parquet with the columns
of the Big Data Bowl's or nflverse's. Base of ablations on real plays: sbp sweep GRID --base play_by_play --source FILE.
Time: half a minute on 2 cores for three seasons.
"""

from sbp_jax.config import Config, DataConfig, TrainingConfig
from sbp_jax.models import NetworkConfig

CONFIG = Config(
    data=DataConfig(tracking=False),
    network=NetworkConfig(encoder="none"),
    training=TrainingConfig(batch_size=512),
)
