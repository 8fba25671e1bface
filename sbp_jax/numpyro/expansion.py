"""A larger batch shape without copies of the parameters, as in `numpyro.plate` and `expand`."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sbp_jax.distributions import Distribution


@dataclasses.dataclass(frozen=True)
class Expansion:
    """The batch axes along which one distribution describes independent outcomes.

    The axes are counted from the right, so that an axis that `scan` or `vmap` adds in front of the parameters comes
    first in the batch shape too. NumPyro corrects the shape of its own expanded distributions only after a scan.

    Attributes:
        rank: number of batch axes of the distribution when it was expanded.
        sizes: length of each axis of the expanded batch along which the distribution is repeated; 1 elsewhere.
    """

    rank: int = 0
    sizes: tuple[int, ...] = ()

    def batch_shape(self, dist: Distribution) -> tuple[int, ...]:
        """Return the batch shape of the expanded distribution."""
        batch, sizes = self._axes(dist)
        return np.broadcast_shapes(batch, sizes)

    def align(self, dist: Distribution) -> Distribution:
        """Return the distribution with axes of length 1, so that its batch broadcasts against the expanded one."""
        batch, own = self._axes(dist)[0], len(dist.batch_shape)
        return dist if batch == dist.batch_shape else jax.tree.map(lambda x: x.reshape(*batch, *x.shape[own:]), dist)

    def expand(self, dist: Distribution, batch: tuple[int, ...]) -> tuple[Distribution, "Expansion"]:
        """Return the distribution and its expansion to a larger batch shape.

        Raises:
            ValueError: the current batch shape does not broadcast to `batch`; type and message are NumPyro's.
        """
        current = self.batch_shape(dist)
        try:
            fits = np.broadcast_shapes(current, batch) == batch
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"Cannot broadcast distribution of shape {current} to shape {batch}")
        dist = dist if len(dist.batch_shape) == self.rank else self.align(dist)
        own = dist.batch_shape
        padded = (0,) * (len(batch) - len(own)) + own
        return dist, Expansion(
            len(own), tuple(1 if old == new else new for old, new in zip(padded, batch, strict=True))
        )

    def sample(self, dist: Distribution, key: Array, sample_shape: tuple[int, ...]) -> Array:
        """Return independent draws, shape sample_shape + the expanded batch shape."""
        aligned, batch = self.align(dist), self.batch_shape(dist)
        axes = [axis for axis, (own, full) in enumerate(zip(aligned.batch_shape, batch, strict=True)) if own != full]
        start, count = len(sample_shape), len(axes)
        draws = aligned.sample(key, (*sample_shape, *(batch[axis] for axis in axes)))
        draws = jnp.squeeze(draws, [start + count + axis for axis in axes])
        return jnp.moveaxis(draws, range(start, start + count), [start + axis for axis in axes])

    def _axes(self, dist: Distribution) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The distribution's batch shape with axes of length 1 where it is repeated, and the sizes that apply to it."""
        batch, gap = dist.batch_shape, len(self.sizes) - self.rank
        added = len(batch) - self.rank
        if added < 0:  # `vmap` maps over leading axes
            return (1,) * gap + batch, self.sizes[:gap] + self.sizes[gap - added :]
        return (*batch[:added], *(1,) * gap, *batch[added:]), self.sizes
