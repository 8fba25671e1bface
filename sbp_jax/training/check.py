"""What is wrong with a configuration, alone or with the plays that it meets, before any work is done."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.config import Config
from sbp_jax.data.plays import FEATURES, PLAYER_FEATURES, Plays, Split
from sbp_jax.errors import InputError
from sbp_jax.training.build import features_of, make_head, make_loss
from sbp_jax.training.outcome import GOAL_LINE, Outcome

# Far beyond any network of plays; what is more would exhaust the memory before its shapes could be compared.
LIMITS = {"channels": 2**16, "layers": 32, "kernel_size": 2**10, "widths": 2**20, "entries": 64, "bins": 2**13}
MAX_FRAMES, MAX_STATIC = 2**16, 2**16


def check(config: Config) -> None:
    """Find what is wrong with a configuration's head and objective before any work is done.

    Ranges of single fields are checked when a `Config` is made.

    Raises:
        InputError: a number beyond its limit, or a head that cannot be built; the message names the field.
    """
    check_size(config)
    # "auto" is one of the losses that every head has
    settled = config if config.training.objective != "auto" else with_objective(config, "interval")
    head, loss = make_head(config.head), make_loss(settled)
    outcome = jnp.zeros(()), jnp.zeros((), bool)
    jax.eval_shape(lambda raw: loss(head(raw), *outcome), jnp.zeros(head.num_outputs))


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
        "training.buckets": (max(buckets, default=0), MAX_FRAMES),
        "static features": (num_static, MAX_STATIC),
    }
    for name, (value, limit) in sizes.items():
        if value > limit:
            raise InputError(f"{name}: expected at most {limit}, got {str(value)[:20]}")


def check_features(config: Config, plays: Plays | Split) -> None:
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


def check_finite(plays: Plays | Split, static_names: tuple[str, ...] = ()) -> None:
    """See that all that a network sees of plays is finite; what is in the slots of absent players is not seen.

    Args:
        plays: any.
        static_names: of the static features, for the line.

    Raises:
        InputError: a value that is not; the line names the play and the column.
    """

    def refuse(of: Plays | Split, play: Any, column: str, value: Any) -> None:
        name = f"play {of.play_id[play]} of game {of.game_id[play]}"
        raise InputError(f"{name}: {column} is {value}, expected a finite number")

    for part in plays.chunks():
        bad = np.argwhere(~np.isfinite(part.frames) & part.players[:, :, None])
        for row, player, feature in bad[:1]:
            play = int(np.searchsorted(part.offsets, row, side="right")) - 1
            where = f"frame {row - part.offsets[play]}, player {player}"
            refuse(part, play, f"{part.features[feature]} ({where})", part.frames[row, player, feature])
    for play, column in np.argwhere(~np.isfinite(plays.static))[:1]:
        name = static_names[column] if column < len(static_names) else str(column)
        refuse(plays, play, f"static feature {name}", plays.static[play, column])
    for (play,) in np.argwhere(~np.isfinite(plays.yards))[:1]:
        refuse(plays, play, "the outcome", plays.yards[play])


def with_objective(config: Config, name: str) -> Config:
    """Return the configuration with another objective."""
    return replace(config, training=replace(config.training, objective=name))


def with_known_objective(config: Config, outcome: Outcome, splits: Sequence[Plays | Split]) -> Config:
    """Return the configuration with the objective that "auto" stands for on these plays; else as it is."""
    if config.training.objective != "auto":
        return config
    if not outcome.integer:
        return with_objective(config, "exact")
    known = outcome.in_yards and all(_knows_touchdowns(plays) and not np.any(_unknown(plays)) for plays in splits)
    return with_objective(config, "censored" if known else "interval")


def check_outcomes(config: Config, outcome: Outcome, plays: Plays | Split) -> None:
    """See that the outcomes are such as the objective presumes.

    Raises:
        InputError: the objective "interval" or "censored", and an outcome that is not an integer; "censored" and an
            outcome that is not counted in yards, or a completion with an unknown distance to the goal line.
    """
    name = config.training.objective
    if name in ("interval", "censored") and not plays.is_integer:
        broken = plays.yards[plays.yards != np.round(plays.yards)][0]
        raise InputError(
            f"training.objective: {name} requires integers, and the outcome {outcome.name} has values such as "
            f"{broken:g}; choose exact"
        )
    if name != "censored":
        return
    if not outcome.in_yards:
        raise InputError(
            f"training.objective: censored requires a gain in yards that the goal line stops, not {outcome.name}"
        )
    if not _knows_touchdowns(plays):
        raise InputError("training.objective: censored requires plays with known touchdowns; these have none")
    unknown = _unknown(plays)
    for play in np.flatnonzero(unknown)[:1]:
        raise InputError(
            f"training.objective: censored requires known touchdowns, and of {int(unknown.sum())} completions the "
            f"distance to the goal line is unknown, such as play {plays.play_id[play]} of game {plays.game_id[play]}; "
            f"choose interval"
        )


def _knows_touchdowns(plays: Plays | Split) -> bool:
    return {"touchdown", "result", GOAL_LINE} <= set(plays.info)


def _unknown(plays: Plays | Split) -> np.ndarray:
    """Which plays are completions with an unknown distance to the goal line, bool [N]."""
    return (plays.info["result"] == "C") & ~(plays.info[GOAL_LINE] >= 0)
