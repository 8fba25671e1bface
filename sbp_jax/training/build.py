"""Build the head, the losses and the network of a run from its configuration."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbp_jax.config import Config, DataConfig, HeadConfig, SeriesConfig, TrainingConfig
from sbp_jax.data.extras import feature_names
from sbp_jax.data.player_slots import MARKERS, OTHERS, PASSER, RECEIVERS
from sbp_jax.data.plays import FRAME_S, PLAYER_FEATURES, PLAYERS, WINDOW_FEATURES, Sequences, Split
from sbp_jax.distributions.heads import (
    PARAMETERIZATIONS,
    BinnedHead,
    BlendedParetoHead,
    HybridParetoHead,
    Loss,
    NormalHead,
    SplicedBinnedParetoHead,
    StudentTHead,
    TwoTailedHybridParetoHead,
    objective,
)
from sbp_jax.errors import InputError
from sbp_jax.extensions import is_extension, load_extension
from sbp_jax.models import EntityAttention, EntityGroup, EntityLayout, FlatEncoder, Network, Statistic
from sbp_jax.training.step import FrameWeights


def make_head(config: HeadConfig) -> Any:
    """Return the head of a configuration; its bins have equal width, the first centered at `low`, the last at `high`.

    Raises:
        InputError: the bounds or the number of bins are out of range; the message names the field.
    """
    if config.bins < 2 or not config.low < config.high:
        raise InputError(
            f"head: expected at least 2 bins and low < high, got {config.bins}, {config.low}, {config.high}"
        )
    width = (config.high - config.low) / (config.bins - 1)
    edges = [float(e) for e in config.low + width * (np.arange(config.bins + 1) - 0.5)]
    # a seventh of the bins' range is about the spread of the outcomes, so that raw outputs are of order one
    unit = (config.high - config.low) / 7
    above_zero = max(config.shape_bounds[0], 0.0), config.shape_bounds[1]
    match config.kind:
        case name if is_extension(name):
            return load_extension("head.kind", name)(config)
        case "gaussian":
            return NormalHead(unit=unit)
        case "student_t":
            return StudentTHead(unit=unit)
        case "hybrid_pareto":
            return HybridParetoHead(unit=unit, shape_bounds=above_zero)
        case "two_tailed_hybrid_pareto":
            return TwoTailedHybridParetoHead(unit=unit, shape_bounds=above_zero)
        case "binned":
            if not config.support[0] < edges[1] < edges[-2] < config.support[1]:
                raise InputError(f"head.support: expected more than the bins' range, got {config.support}")
            return BinnedHead((config.support[0], *edges[1:-1], config.support[1]))
        case "blended_pareto" | "blended_pareto_published":
            lower, upper = (None if mass == 0 else (mass, min(4 * mass, 0.45)) for mass in config.tail_mass)
            blend = "published" if config.kind.endswith("_published") else "density"
            return BlendedParetoHead(tuple(edges), lower, upper, above_zero, blend)
        case "sbp":
            return SplicedBinnedParetoHead(
                edges=tuple(edges),
                tail_mass=config.tail_mass,
                parameterization=config.parameterization,
                shape_bounds=config.shape_bounds,
                support=config.support,
            )
    raise AssertionError(config.kind)  # unreachable: `HeadConfig` checks its kind


def make_loss(config: Config) -> Loss:
    """Return the training loss of a configuration; raise InputError as `objective` does."""
    training = config.training
    if is_extension(training.objective):
        return load_extension("training.objective", training.objective)
    gradient = {"auto": None, "on": True, "off": False}[training.threshold_gradient]
    # only "exact" depends on it; every other loss remains a single function, a single branch of a sweep's program
    continuous = training.objective == "exact" and not density_jumps(config.head)
    return objective(training.objective, 1.0, gradient, continuous)


def density_jumps(config: HeadConfig) -> bool:
    """Return whether the density of a head's distributions may jump at a learned threshold."""
    return config.kind == "sbp" and not PARAMETERIZATIONS[config.parameterization].continuous


def make_validation_loss(config: TrainingConfig, integer: bool) -> Loss:
    """Return the validation loss, the negative log-likelihood of the observed outcomes, for any objective.

    Args:
        config: training settings; with the objective "censored", touchdowns are censored in validation too.
        integer: whether the outcomes are integers, scored by the probability of their unit intervals; others are scored
            by the density.
    """
    if config.objective == "censored":
        return objective("censored")
    return objective("interval" if integer else "pointwise")


# the passer attends to his receivers, each paired with the defender matched to him, and to all defenders
PLAYERS_LAYOUT = EntityLayout(
    reference=PASSER,
    groups=(EntityGroup(tuple(RECEIVERS), tuple(MARKERS), width=64), EntityGroup((*MARKERS, *OTHERS), width=32)),
)


def make_network(config: Config, head: Any, num_static: int) -> Network:
    """Return an initialized network for the entities and features of the data; its statistics are neutral."""
    rngs = nnx.Rngs(config.training.seed)
    features = len(features_of(config.data))
    entities = PLAYERS if isinstance(config.data, DataConfig) else 1
    match config.network.encoder:
        case name if is_extension(name):
            encoder = load_extension("network.encoder", name)(entities, features, rngs=rngs)
        case "none":
            encoder = None
        case "flat":
            encoder = FlatEncoder(entities, features)
        case _:
            scalars = features - PLAYER_FEATURES
            encoder = EntityAttention(
                PLAYER_FEATURES, PLAYERS_LAYOUT, scalars=scalars, dtype=config.network.dtype, rngs=rngs
            )
    return Network(config.network, encoder, head, num_static, rngs=rngs)


def features_of(data: DataConfig | SeriesConfig) -> tuple[str, ...]:
    """Return the names of an entity's features at a frame; the entity is a player or the series of a window."""
    return WINDOW_FEATURES if isinstance(data, SeriesConfig) else feature_names(data.extras)


def frame_weights(config: TrainingConfig) -> FrameWeights | None:
    """Return the weights of the frames in training; None if only the last frame counts."""
    return FrameWeights(config.frame_half_life_s / FRAME_S) if config.per_frame else None


def shapes_of(config: Config, head: Any, num_static: int) -> Network:
    """Return the network of `make_network` with shapes in place of arrays, without allocating any."""
    return nnx.eval_shape(lambda: make_network(config, head, num_static))


def set_statistics(network: Network, plays: Sequences | Split, marginal: np.ndarray) -> None:
    """Set the network's scales of frames and static features from the training plays, and its offset to `marginal`.

    Frames are read chunk by chunk; an encoder without `fit_chunks` (see `models.encoders.Encoder`) gets them all at
    once.

    Args:
        network: the network, changed in place.
        plays: training plays.
        marginal: raw outputs of the marginal distribution, [num_outputs].

    Raises:
        InputError: the encoder has no `fit_chunks`, and the plays are not in memory.
    """
    in_memory = plays if isinstance(plays, Sequences) else plays.in_memory
    fit_chunks = getattr(network.encoder, "fit_chunks", None)
    if fit_chunks is not None:
        fit_chunks(lambda: ((part.frames, part.present) for part in plays.chunks()))
    elif network.encoder is not None:
        if in_memory is None:
            name = type(network.encoder).__name__
            raise InputError(
                f"network.encoder: {name} has no fit_chunks to measure plays that are not in memory; choose "
                "training.batch-source memory"
            )
        network.encoder.fit(in_memory.frames, in_memory.present)
    network.static_scale.fit(plays.static.mean(axis=0), plays.static.std(axis=0))
    network.offset.set_value(jnp.asarray(marginal, jnp.float32))


def constants(network: Network) -> Any:
    """Return the network's statistics as NNX state."""
    return nnx.state(network, Statistic)
