"""Check a configuration, by itself and against the plays, before any work is done."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.config import Config
from sbp_jax.data.plays import FEATURES, PLAYER_FEATURES, Sequences, Split
from sbp_jax.errors import InputError
from sbp_jax.training.build import features_of, make_head, make_loss
from sbp_jax.training.outcome import GOAL_LINE, MAX_INTEGER, Outcome

# far beyond any network for plays; larger values would exhaust the memory before shapes could be compared
LIMITS = {"channels": 2**16, "layers": 32, "kernel_size": 2**10, "widths": 2**20, "entries": 64, "bins": 2**13}
MAX_FRAMES, MAX_STATIC = 2**16, 2**16


def check(config: Config) -> None:
    """Check the head and the objective of a configuration before any work is done.

    `Config` itself checks the ranges of single fields.

    Raises:
        InputError: a number is above its limit, or the head cannot be built; the message names the field.
    """
    check_size(config)
    # "auto" resolves to one of the losses that every head supports
    resolved = config if config.training.objective != "auto" else with_objective(config, "interval")
    head, loss = make_head(config.head), make_loss(resolved)
    outcome = jnp.zeros(()), jnp.zeros((), bool)
    jax.eval_shape(lambda raw: loss(head(raw), *outcome), jnp.zeros(head.num_outputs))


def check_size(config: Config, num_static: int = 0) -> None:
    """Check that the sizes in a configuration are small enough to build its head and the shapes of its network.

    Raises:
        InputError: a number is above its limit; the message names the field.
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


def check_features(config: Config, plays: Sequences | Split) -> None:
    """Check that the plays have the features that a configuration's network takes.

    Raises:
        InputError: they differ; the message names the extras of both.
    """
    expected = features_of(config.data)
    if plays.features == expected:
        return
    if not set(FEATURES) <= {*plays.features} & {*expected}:
        inputs, columns = (", ".join(names) for names in (expected, plays.features))
        raise InputError(f"plays: the network takes the features {inputs}, these have {columns}")
    inputs, columns = (", ".join(names[PLAYER_FEATURES:]) or "no extras" for names in (expected, plays.features))
    raise InputError(f"plays: the network takes {inputs} in addition to the eight features, the plays have {columns}")


def check_finite(plays: Sequences | Split, static_names: tuple[str, ...] = ()) -> None:
    """Check that all values of the plays that a network sees are finite; it ignores the slots of absent players.

    Args:
        plays: plays in memory or a split.
        static_names: names of the static features, for the message.

    Raises:
        InputError: a value is not finite; the message names the play and the column.
    """

    def refuse(part: Sequences | Split, play: Any, column: str, value: Any) -> None:
        name = f"play {part.play_id[play]} of game {part.game_id[play]}"
        raise InputError(f"{name}: {column} is {value}, expected a finite number")

    for part in plays.chunks():
        bad = np.argwhere(~np.isfinite(part.frames) & part.present[:, :, None])
        for row, player, feature in bad[:1]:
            play = int(np.searchsorted(part.offsets, row, side="right")) - 1
            where = f"frame {row - part.offsets[play]}, player {player}"
            refuse(part, play, f"{part.features[feature]} ({where})", part.frames[row, player, feature])
    for play, column in np.argwhere(~np.isfinite(plays.static))[:1]:
        name = static_names[column] if column < len(static_names) else str(column)
        refuse(plays, play, f"static feature {name}", plays.static[play, column])
    for (play,) in np.argwhere(~np.isfinite(plays.outcome))[:1]:
        refuse(plays, play, "the outcome", plays.outcome[play])


def with_objective(config: Config, name: str) -> Config:
    """Return the configuration with another objective."""
    return replace(config, training=replace(config.training, objective=name))


def with_known_objective(config: Config, outcome: Outcome, splits: Sequence[Sequences | Split]) -> Config:
    """Return the configuration with "auto" replaced by the objective for these plays; others are unchanged."""
    if config.training.objective != "auto":
        return config
    if not outcome.integer:
        return with_objective(config, "exact")
    is_bounded = outcome.in_yards and all(_knows_touchdowns(plays) and not np.any(_unknown(plays)) for plays in splits)
    return with_objective(config, "censored" if is_bounded else "interval")


def check_outcomes(config: Config, outcome: Outcome, plays: Sequences | Split) -> None:
    """Check that the outcomes meet the requirements of the objective.

    Raises:
        InputError: the objective is "interval" or "censored" and an outcome is not an integer, or it is "censored" and
            the outcome is not in yards or a completion has an unknown distance to the goal line.
    """
    name = config.training.objective
    if name in ("interval", "censored") and plays.is_integer and not distinguishes_integers(plays):
        largest = float(np.max(np.abs(plays.centered)))
        raise InputError(
            f"training.objective: {name} requires integers that lie less than {MAX_INTEGER} from the median of their "
            f"window, and the outcome {outcome.name} has one that lies {largest:.0f} from it; choose exact"
        )
    if name in ("interval", "censored") and not plays.is_integer:
        example = plays.outcome[plays.outcome != np.round(plays.outcome)][0]
        raise InputError(
            f"training.objective: {name} requires integers, and the outcome {outcome.name} has values such as "
            f"{example:g}; choose exact"
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
            f"training.objective: censored requires known touchdowns, and {int(unknown.sum())} completions have an "
            f"unknown distance to the goal line, such as play {plays.play_id[play]} of game {plays.game_id[play]}; "
            f"choose interval"
        )


def check_precision(outcome: Outcome, splits: Sequence[Sequences | Split]) -> None:
    """Check that float32, in which a network predicts outcomes, distinguishes the outcomes of all splits.

    Windows pass: their outcomes are relative to the window's location, which is subtracted in float64.

    Raises:
        InputError: the rounding of a typical outcome exceeds a hundredth of the mean deviation from the median, or the
            outcomes are integers that float32 does not distinguish from their neighbors.
    """
    values = np.concatenate([np.zeros(0), *(plays.outcome for plays in splits if plays.unit is None)])
    if not len(values):
        return
    middle, largest = float(np.median(values)), float(np.max(np.abs(values)))
    deviation = float(np.mean(np.abs(values - middle)))
    if outcome.integer and largest >= MAX_INTEGER:
        raise InputError(
            f"data.outcome: {outcome.name} has integers up to {largest:.0f}; a network predicts integers below "
            f"{MAX_INTEGER}: subtract a constant from the column, or divide it"
        )
    if deviation > 0 and abs(middle) * 2.0**-24 > 1e-2 * deviation and largest >= 1:
        raise InputError(
            f"data.outcome: {outcome.name} has values around {middle:.10g} that differ by {deviation:.3g} on average, "
            f"more digits than a network predicts (7): subtract a constant from the column"
        )


def distinguishes_integers(plays: Sequences | Split) -> bool:
    """Return whether outcomes are integers, and float32 represents the ends of their cells relative to the location."""
    return plays.is_integer and (plays.unit is None or bool(np.all(np.abs(plays.centered) < MAX_INTEGER)))


def _knows_touchdowns(plays: Sequences | Split) -> bool:
    return {"touchdown", "result", GOAL_LINE} <= set(plays.info)


def _unknown(plays: Sequences | Split) -> np.ndarray:
    """Completions with an unknown distance to the goal line, bool [N]."""
    return (plays.info["result"] == "C") & ~(plays.info[GOAL_LINE] >= 0)
