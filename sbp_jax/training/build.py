"""From a configuration to the head, the loss and the network of a run."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbp_jax.config import Config, HeadConfig
from sbp_jax.data.batching import PLAYER_FEATURES, PLAYERS, Plays
from sbp_jax.data.slots import MARKERS, OTHERS, PASSER, RECEIVERS
from sbp_jax.distributions.heads import NormalHead, SplicedBinnedParetoHead
from sbp_jax.errors import InputError
from sbp_jax.models import EntityAttention, EntityGroup, EntityLayout, FlatEncoder, Network, Statistic


def make_head(config: HeadConfig) -> Any:
    """The head of a configuration: bins of equal width whose first and last are centred on `low` and `high`.

    Raises:
        InputError: bounds or number of bins out of range; the message names the field.
    """
    if config.bins < 2 or not config.low < config.high:
        raise InputError(
            f"head: expected at least 2 bins and low < high, got {config.bins}, {config.low}, {config.high}"
        )
    width = (config.high - config.low) / (config.bins - 1)
    if config.kind == "gaussian":
        # Raw outputs of order one: a seventh of the bins' range is about the spread of the outcomes.
        return NormalHead(unit=(config.high - config.low) / 7)
    return SplicedBinnedParetoHead(
        edges=tuple(float(e) for e in config.low + width * (np.arange(config.bins + 1) - 0.5)),
        tail_mass=config.tail_mass,
        parameterization=config.parameterization,
        shape_bounds=config.shape_bounds,
        support=config.support,
    )


# The passer sees his receivers, each with the defender matched to him, and all defenders.
PLAYERS_LAYOUT = EntityLayout(
    reference=PASSER,
    groups=(EntityGroup(tuple(RECEIVERS), tuple(MARKERS), width=64), EntityGroup((*MARKERS, *OTHERS), width=32)),
)


def make_network(config: Config, head: Any, num_static: int) -> Network:
    """An initialized network for frames of all players, its statistics still neutral."""
    rngs = nnx.Rngs(config.training.seed)
    if config.network.encoder == "flat":
        encoder = FlatEncoder(PLAYERS, PLAYER_FEATURES)
    else:
        encoder = EntityAttention(PLAYER_FEATURES, PLAYERS_LAYOUT, rngs=rngs)
    return Network(config.network, encoder, head, num_static, rngs=rngs)


def set_statistics(network: Network, plays: Plays, marginal: np.ndarray) -> None:
    """Measure the training plays: scales of frames and static features; and set the marginal's raw outputs."""
    network.encoder.fit(plays.frames, plays.players)
    network.static_scale.fit(plays.static.mean(axis=0), plays.static.std(axis=0))
    network.offset.set_value(jnp.asarray(marginal, jnp.float32))


def constants(network: Network) -> Any:
    """The network's statistics, as NNX state."""
    return nnx.state(network, Statistic)
