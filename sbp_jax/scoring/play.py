"""The play score: the PIT of the outcome under the distribution of a league-average quarterback, as a normal score.

The PIT u of an outcome at an atom is the midpoint of the interval from P(Y < y) to P(Y <= y), so that it averages 1/2
under the distribution itself. The play score is its normal score, z = Phi^-1(u).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jaxtyping import Array, Float

from sbp_jax.distributions.base import Distribution

MIN_SCORE, SCORE_RANGE = 50.0, 49.0  # scale of the passing score
_MIN_PROBABILITY = float(np.finfo(np.float32).tiny)


def mid_pit(dist: Distribution, y: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Return the mid-PIT (P(Y < y) + P(Y <= y)) / 2 of outcomes, in [0, 1]."""
    low, high = dist.pit_bounds(y)
    return (low + high) / 2


@jax.jit
def normal_score(dist: Distribution, y: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Return the normal score Phi^-1(mid-PIT), from the nearer tail.

    It is finite and exact where the PIT itself rounds to 0 or 1.

    Args:
        dist: distribution of the outcome as observed, batch shape [*batch].
        y: outcomes.
    """
    log_half = jnp.log(jnp.asarray(0.5, y.dtype))
    lower = jnp.logaddexp(dist.log_cdf_left(y), dist.log_cdf(y)) + log_half
    upper = jnp.logaddexp(dist.log_survival_function(y), dist.log_survival_left(y)) + log_half
    # Replace a probability of zero by the smallest normal number: a score of 13, beyond any play.
    return jnp.where(
        lower < upper,
        ndtri(jnp.maximum(jnp.exp(lower), _MIN_PROBABILITY)),
        -ndtri(jnp.maximum(jnp.exp(upper), _MIN_PROBABILITY)),
    )
