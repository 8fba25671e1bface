"""Pieces of the Spliced Binned-Pareto law: where an outcome lies, areas of a tail, and tail masses."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sbp_jax.distributions.base import Constant, is_traced
from sbp_jax.errors import InputError


@dataclass(frozen=True)
class Sides:
    """Where an outcome lies: tail masses, thresholds, membership of the three pieces, excesses (0 outside the tail)."""

    tau_l: Array
    tau_u: Array
    t_l: Array
    t_u: Array
    in_lower: Array
    in_upper: Array
    in_body: Array
    z_l: Array
    z_u: Array

    def within(self, y: Array) -> Array:
        """The outcome y of these sides, moved to the threshold where it lies beyond one."""
        return jnp.where(self.in_lower, self.t_l, jnp.where(self.in_upper, self.t_u, y))


def complement_area(tail, tau, low, high):
    """Integral of (1 - tau S)^2 over the excesses [low, high] of a tail."""
    endless = jnp.isinf(high)
    high = jnp.where(endless, jnp.where(jnp.isinf(low), 0.0, low), high)
    low = jnp.where(jnp.isinf(low), high, low)
    area = high - low - 2 * tau * tail.survival_area(1, low, high) + tau * tau * tail.survival_area(2, low, high)
    return jnp.where(endless, jnp.inf, area)


def term(tau, value):
    """tau times value, and 0 where tau is 0 whatever the value; an infinite value has no gradient."""
    finite = (tau > 0) & jnp.isfinite(value)
    return jnp.where(finite, tau * jnp.where(finite, value, 0.0), jnp.where(tau > 0, value, 0.0))


def checked_mass(mass, side, dtype):
    """A tail mass as a constant (concrete scalar) or leaf (traced, or an array); InputError outside [0, 1/2)."""
    if isinstance(mass, Constant):
        return mass
    if is_traced(mass):
        return jnp.asarray(mass).astype(dtype)
    value = np.asarray(mass)
    if not np.all((value >= 0) & (value < 0.5)):
        raise InputError(f"tail_mass must be at least 0 and below 1/2, got {value.tolist()} for the {side} tail")
    return Constant(value) if value.ndim == 0 else jnp.asarray(mass).astype(dtype)
