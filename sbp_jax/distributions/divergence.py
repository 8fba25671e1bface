"""Kullback-Leibler divergences in closed form."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sbp_jax.distributions.base import Distribution, broadcast_to
from sbp_jax.distributions.baselines import Normal
from sbp_jax.distributions.binned import Binned
from sbp_jax.distributions.numerics import log1p_shortfall
from sbp_jax.distributions.pytrees import broadcast_batch, is_traced
from sbp_jax.errors import InputError


def kl_divergence(p: Distribution, q: Distribution) -> Float[Array, "..."]:
    """Return the Kullback-Leibler divergence KL(p || q) = E_p[log p(Y) - log q(Y)] in nats, in closed form.

        Normal   (m_p - m_q)^2 / (2 s_q^2) + s_p^2 / (2 s_q^2) - 1 / 2 - log(s_p / s_q)
        Binned   sum over bins of p_k (log p_k - log q_k), for equal edges

    Both are computed as sums of nonnegative terms, so that a small divergence keeps its precision. The spliced, blended
    and Pareto families have no closed form in elementary functions: average `p.log_prob(y) - q.log_prob(y)` over
    samples from p.

    Args:
        p: a `Normal` or `Binned`, batch shape [...].
        q: of the same family, batch shape broadcast against p's; a `Binned` must have the same edges.
    Returns:
        The divergence, [...]: 0 where p = q, inf where p has mass and q has none, NaN where a parameter is NaN.
    Raises:
        InputError: the pair has no closed form, edges differ or are traced, or the batch shapes do not broadcast.
    Example:
        >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
        Array(0.5, dtype=float32)
    """
    for (first, second), function in _CLOSED.items():
        if isinstance(p, first) and isinstance(q, second):
            batch = broadcast_batch(p=p.batch_shape, q=q.batch_shape)
            return function(broadcast_to(p, batch), broadcast_to(q, batch))
    raise InputError(f"kl_divergence: no closed form for {type(p).__name__} and {type(q).__name__}")


@jax.jit
def _normal(p: Normal, q: Normal) -> Array:
    ratio, shift = (p.scale - q.scale) / q.scale, (p.loc - q.loc) / q.scale
    near = jnp.abs(ratio) < 0.5  # elsewhere 1 + ratio loses the digits of the ratio of scales
    far = ratio - jnp.log(p.scale) + jnp.log(q.scale)
    rest = jnp.where(near, log1p_shortfall(jnp.where(near, ratio, 0.0)), far)
    value = 0.5 * (shift * shift + ratio * ratio) + rest
    return p._known(q._known(value))


def _binned(p: Binned, q: Binned) -> Array:
    _check_edges(p, q)
    return _categorical(p, q)


@jax.jit
def _categorical(p: Binned, q: Binned) -> Array:
    """The sum of q_k - p_k - p_k (log q_k - log p_k), each at least 0; p and q each sum to 1."""
    log_p, log_q = jax.nn.log_softmax(p.logits), jax.nn.log_softmax(q.logits)
    some, missing = log_p > -jnp.inf, log_q == -jnp.inf
    both = some & ~missing
    mass, other = jnp.exp(jnp.where(some, log_p, -jnp.inf)), jnp.exp(jnp.where(missing, -jnp.inf, log_q))
    gap = jnp.where(both, log_q, 0.0) - jnp.where(both, log_p, 0.0)
    near = jnp.abs(gap) < 1
    close = mass * log1p_shortfall(jnp.expm1(jnp.where(near, gap, 0.0)))
    value = jnp.where(near, close, other - mass - mass * jnp.where(near, 0.0, gap))
    value = jnp.where(both, value, jnp.where(some & (mass > 0), jnp.inf, other))
    return p._known(q._known(jnp.sum(value, axis=-1)))


def _check_edges(p: Binned, q: Binned) -> None:
    if any(is_traced(dist.edges) for dist in (p, q)):
        raise InputError("kl_divergence: expected edges known at compile time, got traced ones")
    first, second = (np.asarray(dist.edges).astype(dist.dtype) for dist in (p, q))
    if first.shape[-1] != second.shape[-1] or not np.all(first == second):
        raise InputError("kl_divergence: expected two Binned with equal edges, got different edges")


_CLOSED: dict[tuple[type[Distribution], type[Distribution]], Callable[..., Array]] = {
    (Normal, Normal): _normal,
    (Binned, Binned): _binned,
}
