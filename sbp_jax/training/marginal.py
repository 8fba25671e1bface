"""The marginal distribution of the outcomes: the initial prediction of every network, and a baseline in every table."""

from collections.abc import Callable
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize

from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.heads import Head
from sbp_jax.models.network import Network

MAX_VALUES = 8192  # maximum number of distinct outcomes in the fit of a marginal distribution


def fit_marginal(
    head: Head,
    outcomes: np.ndarray,
    loss: Callable[..., jax.Array],
    censored: np.ndarray | None = None,
    steps: int = 200,
    prior: float = 1.0,
) -> np.ndarray:
    """Return the raw outputs whose distribution minimizes the loss of the outcomes.

    The objective is  sum_i loss(head(raw), y_i) + prior/2 |raw - raw0|^2,  where raw0 is the head's own estimate. By
    default the prior weighs as much as one outcome; it keeps the raw outputs of empty bins finite. Adam runs first,
    because some losses jump where a threshold passes an outcome, and a jump stops a line search. L-BFGS then refines
    the result.

    Args:
        head: raw outputs -> distribution; hashable, like `loss`.
        outcomes: training outcomes [N].
        loss: (distribution, outcomes, mask of the censored ones) -> loss of each outcome.
        censored: bool [N], True where the outcome is censored; None if none is.
        steps: maximum number of iterations of each method.
        prior: weight of the quadratic prior.

    Returns:
        float32 [num_outputs], the best iterate, which is never worse than the head's own estimate.
    """
    start = np.asarray(head.init_from_data(np.asarray(outcomes)), np.float32)
    values, is_censored, counts = condensed(*distinct(outcomes, censored))
    more = (0, _rows_for(len(values)) - len(values))
    values, is_censored = (jnp.pad(a, more, mode="edge") for a in (values, is_censored))
    shares = counts / len(outcomes)
    weight = jnp.pad(jnp.asarray(shares, jnp.float32), more)
    fixed = (jnp.asarray(start), values, is_censored, weight, prior / len(outcomes))
    best, least = start, np.inf

    def evaluate(raw: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best, least
        raw = raw.astype(np.float32)
        gradient, losses = _gradient(raw, *fixed, head=head, loss=loss)
        # summed in float64, because the last improvements are below the float32 resolution of the sum
        value = np.dot(shares, np.asarray(losses, np.float64)[: len(shares)])
        value += 0.5 * prior / len(outcomes) * np.sum(np.square(raw - start, dtype=np.float64))
        if value < least:
            best, least = raw, value
        return value, np.asarray(gradient, np.float64)

    adam, raw = _adam(steps), start
    state = adam.init(jnp.asarray(raw))
    for _ in range(steps):
        change, state = adam.update(evaluate(raw)[1].astype(np.float32), state)
        raw = raw + np.asarray(change)
    evaluate(raw)
    scale = 0.01  # the first step of the line search has length 1, which at this scale does not cross a jump

    def scaled(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = evaluate(scale * x)
        return value, scale * gradient

    options = {"maxiter": steps, "ftol": 0.0, "gtol": 1e-9}  # valleys are flat: a small gain is not convergence
    scipy.optimize.minimize(scaled, best / scale, jac=True, method="L-BFGS-B", options=options)
    return best


def marginal_distribution(network: Network, count: int) -> Distribution:
    """Return the latent distribution that a network starts from, the same for every play; batch shape [count]."""
    raw = network.offset[...]
    return network.head(jnp.broadcast_to(raw[None], (count, *raw.shape)))


def losses_of(dist: Distribution, values: jax.Array, censored: jax.Array, loss: Callable[..., jax.Array]) -> np.ndarray:
    """Return the loss of each outcome [n] under a distribution of batch shape [1]."""
    count = len(values)
    rows = (0, max(256, _rows_for(count)) - count)  # gains in yards have one shape in every split, compiled once
    return np.asarray(_losses(dist, *(jnp.pad(a, rows, mode="edge") for a in (values, censored)), loss=loss))[:count]


@partial(jax.jit, static_argnames="loss")
def _losses(dist, y, censored, *, loss):
    return loss(dist, y, censored)


@cache
def _adam(steps: int) -> optax.GradientTransformation:
    """Adam with a compiled update, cached by the number of steps."""
    adam = optax.adam(optax.cosine_decay_schedule(0.05, steps))
    return adam._replace(update=jax.jit(adam.update))


def distinct(outcomes: np.ndarray, censored: np.ndarray | None = None) -> tuple[jax.Array, jax.Array, np.ndarray]:
    """Return the distinct outcomes [n], the mask of the censored ones [n], and their counts [n]."""
    flags = np.zeros(len(outcomes), bool) if censored is None else censored
    pairs, counts = np.unique(np.stack([flags, outcomes], axis=1).astype(np.float32), axis=0, return_counts=True)
    return jnp.asarray(pairs[:, 1]), jnp.asarray(pairs[:, 0] > 0), counts


def condensed(values: jax.Array, censored: jax.Array, counts: np.ndarray) -> tuple[jax.Array, jax.Array, np.ndarray]:
    """Reduce distinct outcomes to at most `MAX_VALUES`, because continuous outcomes may all be distinct.

    Censored outcomes are never merged with others. Of each of the two kinds, the outermost values, a quarter of the
    maximum on each side, are unchanged. Between them, the middle value of each run of neighbors replaces the run.
    """
    if len(values) <= MAX_VALUES:
        return values, censored, counts
    flags = np.asarray(censored)
    members = [np.flatnonzero(flags == flag) for flag in (False, True) if np.any(flags == flag)]
    parts = [_runs(len(each), MAX_VALUES // len(members)) for each in members]
    middle = np.concatenate([each[(begin + end - 1) // 2] for each, (begin, end) in zip(members, parts, strict=True)])
    sums = [np.add.reduceat(counts[each], begin) for each, (begin, _) in zip(members, parts, strict=True)]
    return values[middle], censored[middle], np.concatenate(sums)


def _runs(count: int, maximum: int) -> tuple[np.ndarray, np.ndarray]:
    """Begins and ends of at most `maximum` runs of `count` sorted values, of length 1 at both ends."""
    if count <= maximum:
        return np.arange(count), np.arange(1, count + 1)
    edge = maximum // 4
    inner = np.round(np.linspace(edge, count - edge, maximum - 2 * edge + 1)).astype(int)
    starts = np.concatenate([np.arange(edge), inner[:-1], np.arange(count - edge, count)])
    return starts, np.append(starts[1:], count)


def _rows_for(count: int) -> int:
    """Padded number of rows, a power of two, so that few shapes are compiled."""
    return max(64, 1 << (count - 1).bit_length())


@partial(jax.jit, static_argnames=("head", "loss"))
def _gradient(raw, start, y, censored, weight, prior, *, head, loss):
    """Gradient of the objective of `fit_marginal` for weighted outcomes, and the loss of each outcome.

    The optimizers call it from the host: inside compiled optimizers it would be compiled four times.
    """

    def value(raw: jax.Array) -> tuple[jax.Array, jax.Array]:
        losses = loss(head(raw[None]), y, censored)  # one distribution for all outcomes
        return jnp.sum(weight * losses) + 0.5 * prior * jnp.sum((raw - start) ** 2), losses

    return jax.grad(value, has_aux=True)(raw)
