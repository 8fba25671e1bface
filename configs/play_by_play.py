"""Real dropbacks without tracking: the situation of each pass of three seasons, and what it gained.

Command: .venv/bin/python -m experiments.train play_by_play --data.source FILE, FILE being a list of plays: CSV, TSV or
parquet with the columns of the Big Data Bowl's or nflverse's. The base of grids of real plays:
.venv/bin/python -m experiments.ablation NAME --base play_by_play --source FILE.
Time: half a minute on 2 cores.
"""

from sbp_jax.config import Config, DataConfig, TrainingConfig
from sbp_jax.models import NetworkConfig

CONFIG = Config(
    data=DataConfig(tracking=False),
    network=NetworkConfig(encoder="none"),
    training=TrainingConfig(batch_size=512),
)
