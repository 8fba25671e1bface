"""The play score: where the outcome lies in the distribution that a league-average quarterback would face.

PIT u = F(y), for integer outcomes the mid-PIT u = P(Y < y) + P(Y = y) / 2, so that it averages 1/2 under the true law;
the play score is the normal score z = Phi^-1(u).
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp, ndtri
from jaxtyping import Array, Bool, Float

LOWEST, RANGE = 50.0, 49.0  # of the passing score
_SMALLEST = float(np.finfo(np.float32).tiny)


def pit_bounds(
    distribution: Any, y: Float[Array, "*batch"], width: float = 1.0, cut: Bool[Array, "*batch"] | bool = False
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """(F(y - w/2), F(y + w/2)) of outcomes on a lattice of width w: under the true law the PIT is uniform between them.

    Width 0 stands for outcomes that are no whole numbers: both are F(y). An outcome that was `cut` has all that lies
    beyond it: the upper one is 1.
    """
    half = jnp.asarray(width / 2, y.dtype)
    at = distribution.cdf(y + half)
    return distribution.cdf(y - half), jnp.where(cut, jnp.ones_like(at), at)


def mid_pit(
    distribution: Any, y: Float[Array, "*batch"], width: float = 1.0, cut: Bool[Array, "*batch"] | bool = False
) -> Float[Array, "*batch"]:
    """Mid-PIT of outcomes on a lattice, the middle of `pit_bounds`, in [0, 1]."""
    low, high = pit_bounds(distribution, y, width, cut)
    return (low + high) / 2


@partial(jax.jit, static_argnames="width")
def normal_score(
    distribution: Any, y: Float[Array, "*batch"], width: float = 1.0, cut: Bool[Array, "*batch"] | bool = False
) -> Float[Array, "*batch"]:
    """Normal score Phi^-1(mid-PIT), from the nearer tail: finite and exact where the PIT itself rounds to 0 or 1.

    Args:
        distribution: batch shape [*batch].
        y: outcomes on a lattice.
        width: of the lattice, 1 for yards; 0 where outcomes are no whole numbers.
        cut: outcomes that have all that lies beyond them, as in `mid_pit`.
    """
    half = jnp.asarray(width, y.dtype) / 2
    low, high = y - half, y + half
    log_half = jnp.log(jnp.asarray(0.5, y.dtype))
    below, at = distribution.log_cdf(low), distribution.log_cdf(high)
    from_it, above = distribution.log_survival_function(low), distribution.log_survival_function(high)
    at, above = jnp.where(cut, jnp.zeros_like(at), at), jnp.where(cut, jnp.full_like(above, -jnp.inf), above)
    lower = logsumexp(jnp.stack([below, at]), axis=0) + log_half
    upper = logsumexp(jnp.stack([from_it, above]), axis=0) + log_half
    # The smallest normal number stands for a probability of zero: a score of 13, beyond any play.
    return jnp.where(
        lower < upper,
        ndtri(jnp.maximum(jnp.exp(lower), _SMALLEST)),
        -ndtri(jnp.maximum(jnp.exp(upper), _SMALLEST)),
    )
