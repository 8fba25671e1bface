"""Fit a head's raw outputs to samples by maximum likelihood, without a network."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from sbp_jax.distributions.heads import Head, objective


def losses(head: Head, raw: jax.Array, y: jax.Array) -> jax.Array:
    """Return the mean negative log-density of each sample, [S]."""
    return jnp.mean(objective("exact")(head(raw[:, None]), y), axis=1)


@partial(jax.jit, static_argnames=("head", "steps", "learning_rate"))
def descend(
    head: Head, start: jax.Array, y: jax.Array, steps: int, learning_rate: float
) -> tuple[jax.Array, jax.Array]:
    """Fit a head's raw outputs to S samples by Adam on the exact likelihood.

    A step that would make an outcome impossible is halved until all are possible: an impossible outcome has no
    gradient that leads back.

    Args:
        head: raw outputs -> distributions.
        start: initial raw outputs, [S, outputs].
        y: outcomes, [S, n].
        steps: number of Adam steps.
        learning_rate: learning rate of the first step; it decays to zero on a cosine schedule.

    Returns:
        The gradient of the loss at `start`, and the iterate with the smallest loss for each sample, both
        [S, outputs].
    """
    rule = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    def total(raw: jax.Array) -> tuple[jax.Array, jax.Array]:
        each = losses(head, raw, y)
        return jnp.sum(each), each

    def step(carry: Any, _: None) -> tuple[Any, jax.Array]:
        raw, move, step_size, state, best, least = carry
        proposal = raw + step_size[:, None] * move
        slope, each = jax.grad(total, has_aux=True)(proposal)
        possible = jnp.isfinite(each)

        def accept(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(possible[:, None], new, old) if new.ndim == 2 else new

        update = rule.update(slope, state)
        raw, move, state = jax.tree.map(accept, (proposal, *update), (raw, move, state))
        step_size = jnp.where(possible, jnp.minimum(2 * step_size, 1.0), step_size / 2)
        better = each < least
        best, least = jnp.where(better[:, None], raw, best), jnp.where(better, each, least)
        return (raw, move, step_size, state, best, least), slope

    ones = jnp.ones(len(y), y.dtype)
    first = start, jnp.zeros_like(start), ones, rule.init(start), start, jnp.inf * ones
    (*_, best, _), slopes = jax.lax.scan(step, first, None, steps)
    return slopes[0], best
