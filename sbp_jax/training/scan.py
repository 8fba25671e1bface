"""Run many steps as one compiled scan over plays on the device."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from sbp_jax.data.batches.fields import FRAME_FIELDS
from sbp_jax.training.resident import Resident


def scan_steps(step: Any, state: Any, resident: Resident, plan: dict[str, jax.Array], signs: Any) -> Any:
    """Take the steps of an index plan; skip a step whose bucket does not exist in `resident`.

    Args:
        step: (state, batch) -> (state, metrics).
        state: state before the first step.
        resident: the plays.
        plan: arrays `[steps]` and `[steps, B]` from a `DeviceIndexPlan`.
        signs: factor that reflection applies to each feature of a player; None if no play is reflected.

    Returns:
        The state after the last step, and the metrics of each step, NaN for skipped ones.
    """
    step = jax.jit(step, inline=True)  # traced once: the shapes of its metrics are needed before its first branch
    buckets = range(len(resident.buckets))
    branches = [lambda state, one, b=b: step(state, _gather(resident, b, one, signs)) for b in buckets]
    like = jax.eval_shape(lambda *call: branches[0](*call)[1], state, jax.tree.map(lambda values: values[0], plan))

    def skip(state, one):
        return state, jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), like)

    return lax.scan(lambda state, one: lax.switch(one["bucket"], [*branches, skip], state, one), state, plan)


def mean_over(losses: Any, resident: Resident, plan: dict[str, jax.Array]) -> jax.Array:
    """Return the mean loss of all plays of a split.

    Args:
        losses: batch -> loss of each row.
        resident: the plays.
        plan: index plan that contains each play once.
    """

    return add_losses(losses, jnp.zeros(()), resident, plan) / len(resident)


def add_losses(losses: Any, total: jax.Array, resident: Resident, plan: dict[str, jax.Array]) -> jax.Array:
    """Return `total` plus the losses of the plays of an index plan; for the other arguments see `mean_over`."""

    def add(total: jax.Array, batch: dict[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
        each = losses(batch)
        return total + jnp.sum(jnp.where(batch["valid"], each, jnp.zeros_like(each))), {}

    return scan_steps(add, total, resident, plan, None)[0]


def _gather(resident: Resident, bucket: int, one: dict[str, jax.Array], signs: Any) -> dict[str, jax.Array]:
    """A batch as from `step.arrays`, padded to the bucket; some of its plays may come from shorter buckets."""
    frames = resident.buckets[bucket]["x"].shape[1]
    batch: dict[str, jax.Array] = {}
    for b, columns in enumerate(resident.buckets[: bucket + 1]):
        here = one["home"] == b
        rows = jnp.where(here, one["row"], 0)
        for name, column in columns.items():
            if name == "index":
                continue
            values = jnp.take(column, rows, axis=0, mode="clip")
            if name in FRAME_FIELDS:
                values = jnp.pad(values, ((0, 0), (0, frames - values.shape[1]), *((0, 0),) * (values.ndim - 2)))
            batch[name] = values if name not in batch else jnp.where(_along(here, values), values, batch[name])
    valid = one["valid"]
    for name, values in batch.items():
        batch[name] = jnp.where(_along(valid, values), values, jnp.zeros_like(values))
    if signs is not None:
        batch |= _reflect(batch["x"], batch["present"], one, signs)
    return batch | {"valid": valid}


def _along(rows: jax.Array, values: jax.Array) -> jax.Array:
    """`rows` `[B]` reshaped to broadcast against `values` `[B, ...]`."""
    return rows.reshape(-1, *(1,) * (values.ndim - 1))


def _reflect(x: jax.Array, present: jax.Array, one: dict[str, jax.Array], signs: jax.Array) -> dict[str, jax.Array]:
    identity = jnp.arange(present.shape[-1], dtype=jnp.int32)
    source = jnp.where(one["reflected"][:, None], one["slots"].astype(jnp.int32), identity[None, :])
    factor = jnp.where(one["reflected"][:, None], signs[None, :], jnp.ones_like(signs)[None, :])
    x = x.reshape(*present.shape, -1)
    x = jnp.take_along_axis(x, source[:, None, :, None], axis=2) * factor[:, None, None, :]
    present = jnp.take_along_axis(present, source[:, None, :], axis=2)
    return {"x": x.reshape(*x.shape[:2], -1), "present": present}
