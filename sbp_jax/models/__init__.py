"""Flax NNX networks; they know nothing of football."""

from sbp_jax.models.encoders import EntityAttention, EntityGroup, EntityLayout, FlatEncoder, Statistic
from sbp_jax.models.network import Head, Network, NetworkConfig
from sbp_jax.models.tcn import NO_DROPOUT, TCN, CausalConv, Dropout, ResidualBlock, Stream, receptive_field

__all__ = [
    "NO_DROPOUT",
    "TCN",
    "CausalConv",
    "Dropout",
    "EntityAttention",
    "EntityGroup",
    "EntityLayout",
    "FlatEncoder",
    "Head",
    "Network",
    "NetworkConfig",
    "ResidualBlock",
    "Statistic",
    "Stream",
    "receptive_field",
]
