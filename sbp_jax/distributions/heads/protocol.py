"""What a head is: the one place where raw network outputs become a distribution."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array

from sbp_jax.distributions.base import Distribution


@runtime_checkable
class Head(Protocol):
    """Map raw outputs [..., num_outputs] to distributions of batch shape [...].

    A head is hashable: what is compiled for one is found again for an equal one.
    """

    @property
    def num_outputs(self) -> int: ...

    def __call__(self, raw: Array, /) -> Distribution: ...

    def initial(self, y: np.ndarray, /) -> np.ndarray:
        """Return raw outputs [num_outputs] that estimate the marginal distribution of outcomes y [N]."""
        ...
