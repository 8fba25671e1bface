"""The log-likelihood in its obvious forms, to show what each step of the package's own gained."""

import jax
import jax.numpy as jnp

from sbp_jax.distributions import GeneralizedPareto, SplicedBinnedPareto

TAIL_MASS = 0.05


def ours(logits, edges, shape, scale, y):
    """The package's, values and derivatives in closed form."""
    return _law(logits, edges, shape, scale).log_prob(y)


def plain(logits, edges, shape, scale, y):
    """Cumulative sums and gathers, differentiated automatically."""
    p = jax.nn.softmax(logits)
    return _spliced(p, jnp.cumsum(p, -1), jnp.cumsum(p[:, ::-1], -1)[:, ::-1], _gather, edges, shape, scale, y)


def triangle(logits, edges, shape, scale, y):
    """Cumulative sums as a product with a triangle of ones, bins picked by comparison instead of a gather."""
    p = jax.nn.softmax(logits)
    ones = jnp.triu(jnp.ones((p.shape[-1], p.shape[-1]), p.dtype))
    precise = jax.lax.Precision.HIGHEST
    below, above = jnp.matmul(p, ones, precision=precise), jnp.matmul(p, ones.T, precision=precise)
    return _spliced(p, below, above, _compare, edges, shape, scale, y)


VARIANTS = {"plain": plain, "triangle and comparison": triangle, "closed forms": ours}


def _law(logits, edges, shape, scale):
    tail = GeneralizedPareto(shape, scale)
    return SplicedBinnedPareto(logits, edges, tail, tail, (TAIL_MASS, TAIL_MASS))


def _spliced(p, below, above, pick, edges, shape, scale, y):
    """log f for equal shapes and scales on both sides; `below` and `above` are inclusive sums from either end."""
    edges = jnp.asarray(edges, p.dtype)
    width = edges[1:] - edges[:-1]
    k_l = jnp.sum(below < TAIL_MASS, axis=-1)
    t_l = edges[k_l + 1] - width[k_l] * (pick(below, k_l) - TAIL_MASS) / pick(p, k_l)
    k_u = p.shape[-1] - 1 - jnp.sum(above < TAIL_MASS, axis=-1)
    t_u = edges[k_u] + width[k_u] * (pick(above, k_u) - TAIL_MASS) / pick(p, k_u)
    k = jnp.clip(jnp.searchsorted(edges, y, side="right") - 1, 0, p.shape[-1] - 1)
    body = jnp.log(pick(p, k)) - jnp.log(width[k])
    excess = jnp.maximum(jnp.where(y < t_l, t_l - y, y - t_u), 0.0)
    tail = jnp.log(TAIL_MASS) - jnp.log(scale) - (1 + 1 / shape) * jnp.log1p(shape * excess / scale)
    return jnp.where((y < t_l) | (y > t_u), tail, body)


def _gather(values, index):
    return jnp.take_along_axis(values, index[:, None], axis=-1)[:, 0]


def _compare(values, index):
    return jnp.sum(jnp.where(jnp.arange(values.shape[-1])[None, :] == index[:, None], values, 0.0), axis=-1)
