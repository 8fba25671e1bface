"""Base class of location-scale families: batch shape, standardized outcomes, and invalid parameters."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.numerics import standardize
from sbp_jax.distributions.pytrees import pad_rank


class LocationScale(Distribution):
    """Distributions with a fixed standard form of (y - loc) / scale; `loc` and `scale` have the batch shape.

    Results are NaN where the scale is not positive. An outcome so far from loc that its standardized value overflows
    counts as infinite.

    Gradients may overflow to NaN for scales above 1e30, and scores for outcomes above 1e37, in float32.
    """

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.loc.shape

    @property
    def dtype(self) -> jnp.dtype:
        return self.loc.dtype

    def _missing(self) -> Bool[Array, "..."]:
        return super()._missing() | ~(self.scale > 0)

    def _standardize(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Bool[Array, "..."]]:
        """(y - loc) / scale, set to 0 where it counts as infinite, and the mask of finite values."""
        return standardize(y, pad_rank(self.loc, y.ndim), pad_rank(self.scale, y.ndim))

    def _above(self, y: Float[Array, "..."]) -> Bool[Array, "..."]:
        return y > pad_rank(self.loc, y.ndim)

    def _ends(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        """(y - loc) / scale, infinite where it counts as infinite."""
        z, finite = self._standardize(y)
        return jnp.where(finite, z, jnp.where(self._above(y), jnp.inf, -jnp.inf))

    def _placed(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """loc + scale z; without gradient where z, or the result, is infinite."""
        loc, scale = pad_rank(self.loc, z.ndim), pad_rank(self.scale, z.ndim)
        result = loc + scale * z
        finite = jnp.isfinite(result)
        inner = loc + jnp.where(finite, scale, 1.0) * jnp.where(finite, z, 0.0)
        return jnp.where(finite, inner, jax.lax.stop_gradient(result))

    def _scaled(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """scale times a value >= 0 of the standard form; without gradient where that is infinite."""
        finite = jnp.isfinite(value)
        return jnp.where(
            finite, pad_rank(self.scale, value.ndim) * jnp.where(finite, value, 0.0), jax.lax.stop_gradient(value)
        )
