"""Flax NNX networks; they know nothing of football."""

from sbp_jax.models.network import Head, Network, NetworkConfig, Standardization, Statistic
from sbp_jax.models.tcn import TCN, CausalConv, ResidualBlock, receptive_field

__all__ = [
    "TCN",
    "CausalConv",
    "Head",
    "Network",
    "NetworkConfig",
    "ResidualBlock",
    "Standardization",
    "Statistic",
    "receptive_field",
]
