"""Location-scale transform of any distribution: outcomes in one unit, the base distribution in another."""

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.base import Distribution, broadcast_to
from sbp_jax.distributions.cells import Sums
from sbp_jax.distributions.location import LocationScale
from sbp_jax.distributions.pytrees import broadcast_batch, check_positive, compiled, pad_rank, register, set_fields

_MIN_ROUNDINGS = 1e4  # minimum width, in rounding errors of the ends, of an interval computed from its ends


@register
@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Affine(LocationScale):
    """The distribution of Y = loc + scale Z, where Z has distribution `base`. With z = (y - loc) / scale:

        density   f(y) = f_Z(z) / scale        F(y) = F_Z(z)

    The division by scale is the Jacobian, so log-densities at different scales are comparable. An outcome so far from
    loc that z overflows counts as infinite.

    Args:
        base: the distribution of Z, batch shape [...].
        loc: in the unit of the outcome. The batch shape is the broadcast shape of base, loc and scale.
        scale: positive, in units of the outcome per unit of Z. Device arrays are not checked; results are NaN where
            one is not positive.
    Raises:
        InputError: base, loc and scale do not broadcast, or a Python or NumPy scale is not positive.
    """

    base: Distribution
    loc: Float[Array, "..."]
    scale: Float[Array, "..."]

    def __init__(self, base: Distribution, loc: ArrayLike, scale: ArrayLike) -> None:
        check_positive(scale, "scale")
        loc, scale = (jnp.asarray(value, dtype=base.dtype) for value in (loc, scale))
        batch = broadcast_batch(base=base.batch_shape, loc=loc.shape, scale=scale.shape)
        base = broadcast_to(base, batch)
        set_fields(self, base=base, loc=jnp.broadcast_to(loc, batch), scale=jnp.broadcast_to(scale, batch))

    def standardized(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return z = (y - loc) / scale, infinite where it overflows."""
        (y,) = self._outcomes(y)
        return self._ends(y)

    @compiled
    def log_prob(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log f_Z(z) - log scale."""
        (y,) = self._outcomes(y)
        return self._known(self.base.log_prob(self._ends(y)) - jnp.log(pad_rank(self.scale, y.ndim)), y)

    @compiled
    def cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """F_Z(z)."""
        (y,) = self._outcomes(y)
        return self._known(self.base.cdf(self._ends(y)), y)

    @compiled
    def log_cdf(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log F_Z(z)."""
        (y,) = self._outcomes(y)
        return self._known(self.base.log_cdf(self._ends(y)), y)

    @compiled
    def survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return 1 - F_Z(z), accurate in the upper tail."""
        (y,) = self._outcomes(y)
        return self._known(self.base.survival_function(self._ends(y)), y)

    @compiled
    def log_survival_function(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log(1 - F_Z(z))."""
        (y,) = self._outcomes(y)
        return self._known(self.base.log_survival_function(self._ends(y)), y)

    @compiled
    def interval_log_prob(self, low: ArrayLike, high: ArrayLike) -> Float[Array, "..."]:
        """Return log P(low < Y <= high), the base's value for the transformed interval; -inf where low >= high.

        For a narrow interval, such as the cell of a count of millions, the rounding of the transformed ends may cost
        more digits than the midpoint rule: the probability is then the width times the density at the middle, unless
        the base has atoms.
        """
        low, high = self._outcomes(low, high)
        start, end = self._ends(low), self._ends(high)
        if self.base._has_atoms:
            return self._known(self.base.interval_log_prob(start, end), low, high)
        width = (high - low) / pad_rank(self.scale, low.ndim)
        middle = 0.5 * start + 0.5 * end  # that of low and high may not be a float of their size
        rounding = float(jnp.finfo(self.dtype).eps) * jnp.maximum(jnp.abs(middle), 1.0)
        narrow = (width > 0) & (width < _MIN_ROUNDINGS * rounding) & jnp.isfinite(middle)
        points = jnp.stack(jnp.broadcast_arrays(jax.lax.stop_gradient(start), middle, jax.lax.stop_gradient(end)))
        first, log_density, last = self.base.log_prob(jnp.where(narrow[None], points, 0.0))
        # the relative errors of both ways are compared; at an end of the support the change is infinite
        change = jnp.where(jnp.isfinite(first) & jnp.isfinite(last), last - first, jnp.inf)
        narrow = narrow & (change * change * width < 24 * rounding) & (log_density > -jnp.inf)
        wide = self.base.interval_log_prob(jnp.where(narrow, 0.0, start), jnp.where(narrow, 1.0, end))
        dense = log_density + jnp.log(jnp.where(narrow, width, 1.0))
        return self._known(jnp.where(narrow, dense, wide), low, high)

    @compiled
    def mean(self) -> Float[Array, "..."]:
        """Return loc + scale E[Z]."""
        return self._known(self._placed(self.base.mean()))

    @compiled
    def variance(self) -> Float[Array, "..."]:
        """Return scale^2 Var[Z]."""
        return self._known(self._scaled(self._scaled(self.base.variance())))

    @compiled
    def entropy(self) -> Float[Array, "..."]:
        """Return the base's entropy plus log scale; InputError where the base has no closed form."""
        return self._known(self.base.entropy() + jnp.log(self.scale))

    @compiled
    def mode(self) -> Float[Array, "..."]:
        """Return loc + scale times the base's mode; InputError where the base has no closed form."""
        return self._known(self._placed(self.base.mode()))

    def _squared_cdf_area(self, low, high):
        return self._scaled(self.base._squared_cdf_area(self._ends(low), self._ends(high)))

    def _squared_survival_area(self, low, high):
        return self._scaled(self.base._squared_survival_area(self._ends(low), self._ends(high)))

    @compiled
    def cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return P(Z < z)."""
        (y,) = self._outcomes(y)
        return self._known(self.base.cdf_left(self._ends(y)), y)

    @compiled
    def log_cdf_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Z < z)."""
        (y,) = self._outcomes(y)
        return self._known(self.base.log_cdf_left(self._ends(y)), y)

    @compiled
    def log_survival_left(self, y: ArrayLike) -> Float[Array, "..."]:
        """Return log P(Z >= z)."""
        (y,) = self._outcomes(y)
        return self._known(self.base.log_survival_left(self._ends(y)), y)

    def _tail_areas(self, near: Array, far: Array, upper: bool) -> tuple[Array, Array]:
        first, moment = self.base._tail_areas(self._ends(near), self._ends(far), upper)
        return self._scaled(first), self._scaled(self._scaled(moment))

    def _knots(self, ndim: int) -> list[Array]:
        return [self._placed(knot) for knot in self.base._knots(ndim)]

    @property
    def _has_atoms(self) -> bool:
        return self.base._has_atoms

    def _atom_below(self, y: Array) -> Array:
        atom = self.base._atom_below(self._ends(y))
        return jnp.where(jnp.isfinite(atom), self._placed(jnp.where(jnp.isfinite(atom), atom, 0.0)), atom)

    def _cell_areas(self, near: Array, step: Array, length: Array, upper: bool) -> Sums:
        scale = pad_rank(self.scale, near.ndim)
        first, square, moment = self.base._cell_areas(self._ends(near), step / scale, length / scale, upper)
        return self._scaled(first), self._scaled(square), self._scaled(self._scaled(moment))

    def _quantile(self, mass, upper):
        return self._placed(self.base._quantile(mass, upper))

    def _missing(self) -> Bool[Array, "..."]:
        return self.base._missing() | jnp.isnan(self.loc) | ~(self.scale > 0)
