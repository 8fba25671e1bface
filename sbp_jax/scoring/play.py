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
from jaxtyping import Array, Float

_SMALLEST = float(np.finfo(np.float32).tiny)


def mid_pit(distribution: Any, y: Float[Array, "*batch"], width: float = 1.0) -> Float[Array, "*batch"]:
    """Mid-PIT (F(y - w/2) + F(y + w/2)) / 2 of outcomes on a lattice of the given width, in [0, 1].

    Width 0 stands for outcomes that are no whole numbers: the PIT F(y) itself.
    """
    half = jnp.asarray(width / 2, y.dtype)
    return (distribution.cdf(y - half) + distribution.cdf(y + half)) / 2


@partial(jax.jit, static_argnames="width")
def normal_score(distribution: Any, y: Float[Array, "*batch"], width: float = 1.0) -> Float[Array, "*batch"]:
    """Normal score Phi^-1(mid-PIT), from the nearer tail: finite and exact where the PIT itself rounds to 0 or 1.

    Args:
        distribution: batch shape [*batch].
        y: outcomes on a lattice.
        width: of the lattice, 1 for yards; 0 where outcomes are no whole numbers.
    """
    half = jnp.asarray(width, y.dtype) / 2
    low, high = y - half, y + half
    log_half = jnp.log(jnp.asarray(0.5, y.dtype))
    lower = logsumexp(jnp.stack([distribution.log_cdf(low), distribution.log_cdf(high)]), axis=0) + log_half
    upper = logsumexp(
        jnp.stack([distribution.log_survival_function(low), distribution.log_survival_function(high)]), axis=0
    )
    upper = upper + log_half
    # The smallest normal number stands for a probability of zero: a score of 13, beyond any play.
    return jnp.where(
        lower < upper,
        ndtri(jnp.maximum(jnp.exp(lower), _SMALLEST)),
        -ndtri(jnp.maximum(jnp.exp(upper), _SMALLEST)),
    )
