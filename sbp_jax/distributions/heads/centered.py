"""A head whose zero outputs are a given marginal distribution."""

import dataclasses

import numpy as np
from jaxtyping import Array, Float

from sbp_jax.distributions.base import Distribution, compiled_by
from sbp_jax.distributions.heads.protocol import Head


@dataclasses.dataclass(frozen=True)
class CenteredHead:
    """Adds constant raw outputs to a network's, so that a network that outputs zeros predicts their distribution.

    Args:
        head: maps raw outputs [..., num_outputs] to a distribution.
        offset: raw outputs [num_outputs] of the marginal, such as `head.initial(y)`; kept as a tuple.
    """

    head: Head
    offset: tuple[float, ...]

    @classmethod
    def on(cls, head: Head, y: np.ndarray) -> "CenteredHead":
        """The head centered on its own estimate of the marginal of outcomes `y`; InputError as in `initial`."""
        return cls(head, tuple(head.initial(y).tolist()))

    @property
    def num_outputs(self) -> int:
        """That of the head inside."""
        return self.head.num_outputs

    @compiled_by
    def __call__(self, raw: Float[Array, "*batch outputs"]) -> Distribution:
        """The head's distributions at raw + offset, batch shape [...]."""
        offset = np.asarray(self.offset).astype(raw.dtype).reshape((1,) * (raw.ndim - 1) + (-1,))
        return self.head(raw + offset)

    def initial(self, y: np.ndarray) -> np.ndarray:
        """Raw outputs that estimate the marginal of `y`, seen from the offset."""
        return self.head.initial(y) - np.asarray(self.offset)
