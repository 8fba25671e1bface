"""The blend of two distributions over a zone: weights and components, as functions of the position t in [0, 1].

All functions use the outward direction and the tail probability T beyond a point, so that the lower side is the mirror
image of the upper side.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from sbp_jax.distributions.numerics import expm1_ratio, log1p_ratio
from sbp_jax.distributions.pytrees import Constant, is_traced
from sbp_jax.errors import InputError


def weight(t: Float[Array, "..."], s: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the cdf of Beta(5, 5) at t in [0, 1], s = 1 - t: a sum of positive terms, accurate where t or s is small.

    t^5 (126 s^4 + 84 t s^3 + 36 t^2 s^2 + 9 t^3 s + t^4) is the Bernstein form of the polynomial of degree 9. The
    complement 1 - w(t, s) is w(s, t).
    """
    t2, s2 = t * t, s * s
    return t2 * t2 * t * (126 * s2 * s2 + 84 * t * s2 * s + 36 * t2 * s2 + 9 * t2 * t * s + t2 * t2)


def weight_slope(t: Float[Array, "..."], s: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the Beta(5, 5) density 630 t^4 s^4: it and its first three derivatives vanish at both ends."""
    return 630 * (t * s) ** 2 * (t * s) ** 2


def weight_gain(t: Float[Array, "..."], s: Float[Array, "..."], step: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return w(t + step) - w(t) for step >= 0: five Gauss-Legendre nodes are exact for degree 8."""
    nodes, weights = (v.astype(t.dtype) for v in unit_rule(5))
    terms = (c * weight_slope(t + step * x, s - step * x) for x, c in zip(nodes, weights, strict=True))
    return step * functools.reduce(jnp.add, terms)


@dataclasses.dataclass(frozen=True)
class Blend:
    """Components of the blend at a position in the zone."""

    t: Float[Array, "..."]  # from 0 at the inner end to 1 at the outer end
    s: Float[Array, "..."]  # 1 - t
    body: Float[Array, "..."]  # -log(1 - T) of the body
    pareto: Float[Array, "..."]  # -log(1 - T) of the generalized Pareto distribution
    survival: Float[Array, "..."]  # T of the generalized Pareto distribution
    rate: Float[Array, "..."]  # slope in t of -log T of the generalized Pareto distribution

    @property
    def hazard(self) -> Float[Array, "..."]:
        """H = -log(1 - T) = (1 - w) h_b + w h_G of the blend."""
        return weight(self.s, self.t) * self.body + weight(self.t, self.s) * self.pareto

    @property
    def tail(self) -> Float[Array, "..."]:
        """T of the blend."""
        return -jnp.expm1(-self.hazard)

    def density(self, body_density: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return -dT/dt of the blend, given that of the body; negative where the blend is not monotone.

        (1 - T) ((1 - w) f_b / (1 - T_b) + w g / (1 - T_G) + w' (h_b - h_G))
        """
        w, rest = weight(self.t, self.s), weight(self.s, self.t)
        parts = rest * body_density * jnp.exp(self.body) + w * self.survival * self.rate * jnp.exp(self.pareto)
        return jnp.exp(-self.hazard) * (parts + weight_slope(self.t, self.s) * (self.body - self.pareto))


def pareto(
    numbers: tuple[float, float, float], t: Float[Array, "..."], s: Float[Array, "..."], xi: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Return T of the generalized Pareto distribution through both ends, and the slope of -log T in t.

    t is the position and s = 1 - t. `numbers` holds the outer and inner tail probabilities and rise =
    log(inner / outer); xi has the rank of t. T falls as inner exp(-rise r), r = log1p(t expm1(k)) / k with k = xi rise,
    whatever the zone's position and width. Seen from the outer end, k changes sign: use the nearer end to keep all
    digits.
    """
    outer, inner, rise = numbers
    near, k = t <= s, xi * rise
    place, k = jnp.where(near, t, s), jnp.where(near, k, -k)
    slope = expm1_ratio(k, jnp.ones_like(k))
    u = slope * place
    survival = jnp.where(near, inner, outer) * jnp.exp(jnp.where(near, -rise, rise) * log1p_ratio(k, u))
    return survival, rise * slope / (1 + k * u)


def mixed(
    numbers: tuple[float, float, float],
    t: Float[Array, "..."],
    s: Float[Array, "..."],
    xi: Float[Array, "..."],
    body_tail: Float[Array, "..."],
) -> Blend:
    """Return the blend at t, s = 1 - t, where the body's tail probability is `body_tail`; see `pareto`."""
    survival, rate = pareto(numbers, t, s, xi)
    return Blend(t, s, -jnp.log1p(-body_tail), -jnp.log1p(-survival), survival, rate)


@functools.cache
def unit_rule(count):
    """Return Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return 0.5 * (1 + nodes), 0.5 * weights


def checked_masses(masses: ArrayLike | Sequence[float] | Constant, side: str, dtype: jnp.dtype) -> Constant:
    """Return (outer, inner) as a constant; InputError unless 0 < outer < inner < 1/2 in the distribution's dtype."""
    message = f"{side}_mass must be a pair of numbers (outer, inner) with 0 < outer < inner < 1/2"
    if isinstance(masses, Constant):
        pair = masses
    elif any(is_traced(m) for m in jax.tree.leaves(masses)):
        raise InputError(f"{message}, got traced values")
    else:
        pair = Constant(masses)
    if pair.shape != (2,):
        raise InputError(f"{message}, got {np.asarray(pair).tolist()}")
    outer, inner = np.asarray(pair).astype(dtype)
    if not (0 < outer < inner < 0.5):
        raise InputError(f"{message}, got {np.asarray(pair).tolist()}")
    return pair


@functools.cache
def running_rule(count):
    """Return the matrix [count, count] that maps values at the nodes of `unit_rule` to integrals from each node to 1.

    Exact for polynomials of degree count - 1, through their Legendre coefficients: with P_m on [-1, 1], the integral of
    P_m from x to 1 is (P_{m-1}(x) - P_{m+1}(x)) / (2 m + 1), and 1 - x for m = 0.
    """
    x, weights = np.polynomial.legendre.leggauss(count)
    p = np.polynomial.legendre.legvander(x, count)
    degrees = np.arange(1, count)
    integrals = np.column_stack([1 - x, (p[:, :-2] - p[:, 2:]) / (2 * degrees + 1)])
    coefficients = (2 * np.arange(count)[:, None] + 1) / 2 * weights * p[:, :count].T
    return 0.5 * integrals @ coefficients
