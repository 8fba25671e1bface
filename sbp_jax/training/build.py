"""From a configuration to the head, the loss and the network of a run."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbp_jax.config import Config, DataConfig, HeadConfig, SeriesConfig, TrainingConfig
from sbp_jax.data.batching import (
    FEATURES,
    FRAME_S,
    PLAYER_FEATURES,
    PLAYERS,
    WINDOW_FEATURES,
    Plays,
    in_yards,
)
from sbp_jax.data.extras import feature_names
from sbp_jax.data.slots import MARKERS, OTHERS, PASSER, RECEIVERS
from sbp_jax.distributions import Affine
from sbp_jax.distributions.heads import (
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
from sbp_jax.models import EntityAttention, EntityGroup, EntityLayout, FlatEncoder, Network, Statistic
from sbp_jax.training.step import FrameWeights

# Far beyond any network of plays; what is more would exhaust the memory before its shapes could be compared.
LIMITS = {"channels": 2**16, "layers": 32, "kernel_size": 2**10, "widths": 2**20, "entries": 64, "bins": 2**13}
MOST_FRAMES, MOST_STATIC = 2**16, 2**16


def check_size(config: Config, num_static: int = 0) -> None:
    """See that a configuration's numbers are such that its head and the shapes of its network can be built at all.

    Raises:
        InputError: a number beyond its limit; the message names the field.
    """
    network, buckets = config.network, config.training.buckets
    sizes = {
        "network.channels": (network.channels, LIMITS["channels"]),
        "network.layers": (network.layers, LIMITS["layers"]),
        "network.kernel-size": (network.kernel_size, LIMITS["kernel_size"]),
        "network.hidden, number of layers": (len(network.hidden), LIMITS["entries"]),
        "network.hidden": (max(network.hidden, default=0), LIMITS["widths"]),
        "head.bins": (config.head.bins, LIMITS["bins"]),
        "training.buckets, number of them": (len(buckets), LIMITS["entries"]),
        "training.buckets": (max(buckets, default=0), MOST_FRAMES),
        "static features": (num_static, MOST_STATIC),
    }
    for name, (value, limit) in sizes.items():
        if value > limit:
            raise InputError(f"{name}: expected at most {limit}, got {str(value)[:20]}")


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
    edges = [float(e) for e in config.low + width * (np.arange(config.bins + 1) - 0.5)]
    # Raw outputs of order one: a seventh of the bins' range is about the spread of the outcomes.
    unit = (config.high - config.low) / 7
    above_zero = max(config.shape_bounds[0], 0.0), config.shape_bounds[1]
    match config.kind:
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
        case "blended_pareto":
            lower, upper = (None if mass == 0 else (mass, min(4 * mass, 0.45)) for mass in config.tail_mass)
            return BlendedParetoHead(tuple(edges), lower, upper, above_zero)
        case "sbp":
            return SplicedBinnedParetoHead(
                edges=tuple(edges),
                tail_mass=config.tail_mass,
                parameterization=config.parameterization,
                shape_bounds=config.shape_bounds,
                support=config.support,
            )


def make_loss(config: TrainingConfig) -> Loss:
    """The loss that a configuration trains by, as `objective` has it; InputError as there."""
    return objective(config.objective, 1.0, {"habit": None, "on": True, "off": False}[config.threshold_gradient])


def make_judge(config: TrainingConfig, whole: bool) -> Loss:
    """The loss that validates, whatever the objective: -log of the probability of the outcomes as they were seen.

    Args:
        config: "censored" makes a law of gains that no goal line stops: it is judged as such.
        whole: the outcomes are whole numbers, and their unit intervals count; else it is the density.
    """
    if config.objective == "censored":
        return objective("censored")
    return objective("interval" if whole else "exact")


# The passer sees his receivers, each with the defender matched to him, and all defenders.
PLAYERS_LAYOUT = EntityLayout(
    reference=PASSER,
    groups=(EntityGroup(tuple(RECEIVERS), tuple(MARKERS), width=64), EntityGroup((*MARKERS, *OTHERS), width=32)),
)


def make_network(config: Config, head: Any, num_static: int) -> Network:
    """An initialized network for frames of all players with the data's extras, its statistics still neutral."""
    rngs = nnx.Rngs(config.training.seed)
    features = len(features_of(config.data))
    match config.network.encoder:
        case "none":
            encoder = None
        case "flat":
            encoder = FlatEncoder(PLAYERS if isinstance(config.data, DataConfig) else 1, features)
        case "attention":
            scalars = features - PLAYER_FEATURES
            encoder = EntityAttention(
                PLAYER_FEATURES, PLAYERS_LAYOUT, scalars=scalars, dtype=config.network.dtype, rngs=rngs
            )
    return Network(config.network, encoder, head, num_static, rngs=rngs)


def features_of(data: DataConfig | SeriesConfig) -> tuple[str, ...]:
    """The features that an entity has at a frame: a player, or the one series of a window."""
    return WINDOW_FEATURES if isinstance(data, SeriesConfig) else feature_names(data.extras)


def outcome_of(data: DataConfig | SeriesConfig) -> str:
    """The name of what is predicted."""
    return data.outcome if isinstance(data, DataConfig) else data.value or "value"


def frame_weights(config: TrainingConfig) -> FrameWeights | None:
    """How frames count in the training of a configuration; None where the last one does alone."""
    return FrameWeights(config.frame_half_life_s / FRAME_S) if config.per_frame else None


def shapes_of(config: Config, head: Any, num_static: int) -> Network:
    """The network of `make_network` with the shapes of its arrays in their place: nothing is allocated."""
    return nnx.eval_shape(lambda: make_network(config, head, num_static))


def check_features(config: Config, plays: Plays) -> None:
    """Compare what a configuration's network takes of a player with what plays have.

    Raises:
        InputError: they differ; the line names both sides' extras.
    """
    expected = features_of(config.data)
    if plays.features == expected:
        return
    if not set(FEATURES) <= {*plays.features} & {*expected}:
        takes, have = (", ".join(names) for names in (expected, plays.features))
        raise InputError(f"plays: the network takes the features {takes}, these have {have}")
    takes, have = (", ".join(names[PLAYER_FEATURES:]) or "no extras" for names in (expected, plays.features))
    raise InputError(f"plays: the network takes {takes} beside the eight features, the plays have {have}")


def check_finite(plays: Plays, static_names: tuple[str, ...] = ()) -> None:
    """See that all that a network sees of plays is finite; what is in the slots of absent players is not seen.

    Args:
        plays: any.
        static_names: of the static features, for the line.

    Raises:
        InputError: a value that is not; the line names the play and the column.
    """

    def refuse(play: Any, column: str, value: Any) -> None:
        name = f"play {plays.play_id[play]} of game {plays.game_id[play]}"
        raise InputError(f"{name}: {column} is {value}, expected a finite number")

    bad = np.argwhere(~np.isfinite(plays.frames) & plays.players[:, :, None])
    for row, player, feature in bad[:1]:
        play = int(np.searchsorted(plays.offsets, row, side="right")) - 1
        where = f"frame {row - plays.offsets[play]}, player {player}"
        refuse(play, f"{plays.features[feature]} ({where})", plays.frames[row, player, feature])
    for play, column in np.argwhere(~np.isfinite(plays.static))[:1]:
        name = static_names[column] if column < len(static_names) else str(column)
        refuse(play, f"static feature {name}", plays.static[play, column])
    for (play,) in np.argwhere(~np.isfinite(plays.yards))[:1]:
        refuse(play, "the outcome", plays.yards[play])


def check_outcomes(config: Config, plays: Plays) -> None:
    """See that the outcomes are such as the objective presumes.

    Raises:
        InputError: the objective "interval" or "censored", and an outcome that is not a whole number; "censored" and
            an outcome that is not counted in yards, or a completion of which it is not known how far the goal line was.
    """
    name, outcome = config.training.objective, outcome_of(config.data)
    if name in ("interval", "censored") and not plays.is_whole:
        broken = plays.yards[plays.yards != np.round(plays.yards)][0]
        raise InputError(
            f"training.objective: {name} presumes whole numbers, and the outcome {outcome} has values such as "
            f"{broken:g}; choose exact"
        )
    if name != "censored":
        return
    if not in_yards(outcome):
        raise InputError(
            f"training.objective: censored presumes a gain in yards that the goal line stops, not {outcome}"
        )
    if not {"touchdown", "result", "yards_to_goal"} <= set(plays.info):
        raise InputError("training.objective: censored presumes plays that tell touchdowns; these do not")
    unknown = (plays.info["result"] == "C") & ~(plays.info["yards_to_goal"] >= 0)
    for play in np.flatnonzero(unknown)[:1]:
        raise InputError(
            f"training.objective: censored presumes to know touchdowns, and of {int(unknown.sum())} completions the "
            f"distance to the goal line is not told, such as play {plays.play_id[play]} of game {plays.game_id[play]}; "
            f"choose interval"
        )


def goal_line(outcome: str, plays: Plays) -> np.ndarray:
    """Where the goal line stops an outcome, float32 [N] yards; inf where that is not told or it is no gain in yards.

    Raises:
        InputError: the plays lack the column.
    """
    if not in_yards(outcome):
        return np.full(len(plays), np.inf, np.float32)
    if "yards_to_goal" not in plays.info:
        raise InputError("plays: expected the column yards_to_goal among their info")
    yards = plays.info["yards_to_goal"]
    return np.where(yards >= 0, yards, np.float32(np.inf)).astype(np.float32)


def in_own_units(law: Any, plays: Plays) -> Any:
    """The law of the plays' outcomes, batch shape [N], from one in units of their own location and scale, if any."""
    unit = plays.unit
    return law if unit is None else Affine(law, unit[:, 0], unit[:, 1])


def set_statistics(network: Network, plays: Plays, marginal: np.ndarray) -> None:
    """Measure the training plays: scales of frames and static features; and set the marginal's raw outputs."""
    if network.encoder is not None:
        network.encoder.fit(plays.frames, plays.players)
    network.static_scale.fit(plays.static.mean(axis=0), plays.static.std(axis=0))
    network.offset.set_value(jnp.asarray(marginal, jnp.float32))


def constants(network: Network) -> Any:
    """The network's statistics, as NNX state."""
    return nnx.state(network, Statistic)
