"""Flax NNX networks, independent of football; imported on first use, because configurations do not need them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sbp_jax.models.config import NetworkConfig as NetworkConfig
    from sbp_jax.models.encoders import EntityAttention as EntityAttention
    from sbp_jax.models.encoders import EntityGroup as EntityGroup
    from sbp_jax.models.encoders import EntityLayout as EntityLayout
    from sbp_jax.models.encoders import FlatEncoder as FlatEncoder
    from sbp_jax.models.encoders import Statistic as Statistic
    from sbp_jax.models.network import Network as Network
    from sbp_jax.models.tcn import NO_DROPOUT as NO_DROPOUT
    from sbp_jax.models.tcn import TCN as TCN
    from sbp_jax.models.tcn import CausalConv as CausalConv
    from sbp_jax.models.tcn import Dropout as Dropout
    from sbp_jax.models.tcn import ResidualBlock as ResidualBlock
    from sbp_jax.models.tcn import Stream as Stream
    from sbp_jax.models.tcn import receptive_field as receptive_field

_MODULES = {
    "config": ("NetworkConfig",),
    "encoders": ("EntityAttention", "EntityGroup", "EntityLayout", "FlatEncoder", "Statistic"),
    "network": ("Network",),
    "tcn": ("NO_DROPOUT", "TCN", "CausalConv", "Dropout", "ResidualBlock", "Stream", "receptive_field"),
}
__all__ = [name for names in _MODULES.values() for name in names]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
