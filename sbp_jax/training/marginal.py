"""The marginal distribution of the outcomes, no network: where every network starts, and a row of every table."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sbp_jax.models.network import Head


@runtime_checkable
class MarginalHead(Head, Protocol):
    """A head that knows a first estimate of its raw outputs."""

    def initial(self, y: np.ndarray, /) -> np.ndarray: ...


def fit_marginal(
    head: MarginalHead,
    outcomes: np.ndarray,
    loss: Callable[[Any, jax.Array], jax.Array],
    max_steps: int = 200,
    prior: float = 1.0,
) -> np.ndarray:
    """Raw outputs whose distribution minimizes the loss of the outcomes.

    L-BFGS from the head's own estimate y0 on  sum_i loss(head(raw), y_i) + prior/2 |raw - y0|^2 : the prior counts as
    little as one outcome, and keeps the bins that no outcome fell into from running off to minus infinity.

    Args:
        head: raw outputs -> distribution.
        outcomes: training outcomes [N].
        loss: (distribution, outcomes) -> loss of each.
        max_steps: iterations at most; it stops earlier where the gradient vanishes.
        prior: weight of the quadratic prior.

    Returns:
        float32 [num_outputs]; the head's own estimate where the fit did not lower the loss to a finite value.
    """
    start = jnp.asarray(head.initial(np.asarray(outcomes)), jnp.float32)
    values, counts = np.unique(np.asarray(outcomes, np.float32), return_counts=True)
    y, weight = jnp.asarray(values), jnp.asarray(counts, jnp.float32)

    def objective(raw: jax.Array) -> jax.Array:
        rows = jnp.broadcast_to(raw[None, :], (len(values), raw.shape[0]))
        return (jnp.sum(weight * loss(head(rows), y)) + 0.5 * prior * jnp.sum((raw - start) ** 2)) / len(outcomes)

    solver = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(objective)

    def improve(carry):
        raw, state, _, step = carry
        value, gradient = value_and_grad(raw, state=state)
        updates, state = solver.update(gradient, state, raw, value=value, grad=gradient, value_fn=objective)
        return optax.apply_updates(raw, updates), state, optax.tree.norm(gradient), step + 1

    def unfinished(carry):
        _, _, norm, step = carry
        return (step < max_steps) & (norm > 1e-5)

    first = (start, solver.init(start), jnp.asarray(jnp.inf, jnp.float32), jnp.zeros((), jnp.int32))
    fitted = jax.jit(lambda carry: jax.lax.while_loop(unfinished, improve, carry))(first)[0]
    better = jnp.isfinite(objective(fitted)) & (objective(fitted) <= objective(start))
    return np.asarray(jnp.where(better, fitted, start))
