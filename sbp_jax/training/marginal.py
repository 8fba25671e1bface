"""The marginal distribution of the outcomes, no network: where every network starts, and a row of every table."""

import functools
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sbp_jax.models.network import Head

MOST_VALUES = 8192  # different outcomes that a marginal law is fitted to


@runtime_checkable
class MarginalHead(Head, Protocol):
    """A head that knows a first estimate of its raw outputs."""

    def initial(self, y: np.ndarray, /) -> np.ndarray: ...


def fit_marginal(
    head: MarginalHead,
    outcomes: np.ndarray,
    loss: Callable[..., jax.Array],
    cut: np.ndarray | None = None,
    steps: int = 200,
    prior: float = 1.0,
) -> np.ndarray:
    """Raw outputs whose distribution minimizes the loss of the outcomes.

    The objective is  sum_i loss(head(raw), y_i) + prior/2 |raw - y0|^2,  y0 being the head's own estimate: the prior
    counts as little as one outcome, and keeps the bins that no outcome fell into from running off to minus infinity.
    Adam goes first: some losses jump where a threshold passes an outcome, which stops a line search. L-BFGS polishes.

    Args:
        head: raw outputs -> distribution; hashable, as is `loss`.
        outcomes: training outcomes [N].
        loss: (distribution, outcomes, which of them were cut) -> loss of each.
        cut: bool [N], which outcomes a loss that knows of it should take for cut; None of them.
        steps: iterations of either method.
        prior: weight of the quadratic prior.

    Returns:
        float32 [num_outputs], the best iterate; never worse than the head's own estimate.
    """
    start = jnp.asarray(head.initial(np.asarray(outcomes)), jnp.float32)
    values, counted, counts = condensed(*distinct(outcomes, cut))
    weight = jnp.asarray(counts / len(outcomes), jnp.float32)
    return np.asarray(_minimize(start, values, counted, weight, prior / len(outcomes), head, loss, steps))


def distinct(outcomes: np.ndarray, cut: np.ndarray | None = None) -> tuple[jax.Array, jax.Array, np.ndarray]:
    """The different outcomes [n], which of them are cut [n], and how often each is there [n]."""
    flags = np.zeros(len(outcomes), bool) if cut is None else cut
    pairs, counts = np.unique(np.stack([flags, outcomes], axis=1).astype(np.float32), axis=0, return_counts=True)
    return jnp.asarray(pairs[:, 1]), jnp.asarray(pairs[:, 0] > 0), counts


def condensed(values: jax.Array, cut: jax.Array, counts: np.ndarray) -> tuple[jax.Array, jax.Array, np.ndarray]:
    """The same [m] with at most `MOST_VALUES`: outcomes that are no whole numbers are as many as the plays.

    The outermost quarter on either side stays as it is, a run of neighbours between them becomes the one in its middle.
    """
    count = len(values)
    if count <= MOST_VALUES:
        return values, cut, counts
    edge = MOST_VALUES // 4
    inner = np.round(np.linspace(edge, count - edge, MOST_VALUES - 2 * edge + 1)).astype(int)
    starts = np.concatenate([np.arange(edge), inner[:-1], np.arange(count - edge, count)])
    ends = np.append(starts[1:], count)
    middle = (starts + ends - 1) // 2
    return values[middle], cut[middle], np.add.reduceat(counts, starts)


@functools.partial(jax.jit, static_argnames=("head", "loss", "steps"))
def _minimize(start, y, cut, weight, prior, head, loss, steps):
    """The best iterate for the weighted outcomes; compiled once for a head, a loss and a number of values."""

    def objective(raw: jax.Array) -> jax.Array:
        losses = loss(head(raw[None]), y, cut)  # one law for all outcomes
        return jnp.sum(weight * losses) + 0.5 * prior * jnp.sum((raw - start) ** 2)

    def descend(solver: optax.GradientTransformationExtraArgs, raw: jax.Array) -> jax.Array:
        def improve(carry, _):
            raw, state, best, best_value = carry
            value, gradient = jax.value_and_grad(objective)(raw)
            best, best_value = (jnp.where(value < best_value, a, b) for a, b in ((raw, best), (value, best_value)))
            updates, state = solver.update(gradient, state, raw, value=value, grad=gradient, value_fn=objective)
            return (raw + jnp.asarray(updates), state, best, best_value), None

        first = (raw, solver.init(raw), raw, jnp.asarray(jnp.inf, raw.dtype))
        # one more than the steps, so that the last iterate is judged too
        (_, _, best, _), _ = jax.lax.scan(improve, first, length=steps + 1)
        return best

    adam = optax.with_extra_args_support(optax.adam(optax.cosine_decay_schedule(0.05, steps)))
    return descend(optax.lbfgs(), descend(adam, start))
