"""Spliced Binned-Pareto heads as one function of the values in which they differ, so that they share one program."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sbp_jax.distributions.binned import Binned
from sbp_jax.distributions.heads.base import checked_outputs
from sbp_jax.distributions.heads.spliced import SplicedBinnedParetoHead, tail_inputs
from sbp_jax.distributions.heads.tails import PARAMETERIZATIONS
from sbp_jax.distributions.pareto import GeneralizedPareto
from sbp_jax.distributions.spliced import SplicedBinnedPareto
from sbp_jax.errors import InputError


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["edges", "allowed", "tail_mass", "parameterization"],
    meta_fields=[],
)
@dataclasses.dataclass(frozen=True)
class SplicedValues:
    """The values in which the heads of a family differ; arrays, so that they can be stacked.

    Attributes:
        edges: [K + 1], where K is the family's largest number of bins; padding edges may lie anywhere above the
            head's own.
        allowed: bool [K], False for the bins beyond the head's own.
        tail_mass: [2], lower and upper.
        parameterization: int32, index into the family's names.
    """

    edges: Any
    allowed: Any
    tail_mass: Any
    parameterization: Any


class SplicedFamily:
    """Heads with separate edges, tail masses and parameterizations; bins of zero probability pad the smaller heads.

    Args:
        heads: one or more heads with the same shape bounds and support.

    Attributes:
        bins: the largest number of bins K.
        names: the parameterizations of the heads.

    Raises:
        InputError: shape bounds or supports differ.
    """

    def __init__(self, heads: Sequence[SplicedBinnedParetoHead]):
        for name in ("shape_bounds", "support"):
            distinct = {getattr(head, name) for head in heads}
            if len(distinct) > 1:
                raise InputError(f"{name}: expected the same in all heads of a family, got {sorted(distinct, key=str)}")
        self.bins = max(head.bins for head in heads)
        self.names = tuple(name for name in PARAMETERIZATIONS if name in {head.parameterization for head in heads})
        self._shape_bounds, self._support = heads[0].shape_bounds, heads[0].support

    @property
    def num_outputs(self) -> int:
        """Number of raw outputs, K + 4."""
        return self.bins + 4

    def values(self, head: SplicedBinnedParetoHead) -> SplicedValues:
        """Return the values for which `self(raw, values)` equals that head."""
        edges = np.asarray(head.edges)
        beyond = edges[-1] + (edges[-1] - edges[-2]) * np.arange(1, self.bins - head.bins + 1)
        return SplicedValues(
            edges=np.concatenate([edges, beyond]),
            allowed=np.arange(self.bins) < head.bins,
            tail_mass=np.asarray(head.tail_mass),
            parameterization=np.asarray(self.names.index(head.parameterization), np.int32),
        )

    def widen(self, raw: Array | np.ndarray, head: SplicedBinnedParetoHead) -> Array:
        """Return a head's outputs or weights [..., head.num_outputs] in the family's layout [..., num_outputs]."""
        raw = jnp.asarray(raw)
        filling = jnp.zeros((*raw.shape[:-1], self.bins - head.bins), raw.dtype)
        return jnp.concatenate([raw[..., : head.bins], filling, raw[..., head.bins :]], axis=-1)

    def narrow(self, raw: Array, head: SplicedBinnedParetoHead) -> Array:
        """Return the head's outputs from the family's layout, the inverse of `widen`."""
        return jnp.concatenate([raw[..., : head.bins], raw[..., self.bins :]], axis=-1)

    def __call__(self, raw: Float[Array, "*batch outputs"], values: SplicedValues) -> SplicedBinnedPareto:
        """Return the distributions of raw outputs in the family's layout, batch shape [...]."""
        raw = checked_outputs(raw, self.num_outputs)
        allowed = jnp.asarray(values.allowed).reshape((1,) * (raw.ndim - 1) + (-1,))
        edges = jnp.asarray(values.edges).astype(raw.dtype)
        body = Binned(jnp.where(allowed, raw[..., : self.bins], -jnp.inf), edges)
        masses = jnp.asarray(values.tail_mass).astype(raw.dtype)
        tail_mass = (masses[0], masses[1])

        def tails(name: str, raw: Array) -> tuple[GeneralizedPareto, GeneralizedPareto]:
            sides = (
                tail_inputs(raw, body, tail_mass, self._shape_bounds, self._support, upper) for upper in (False, True)
            )
            lower, upper = (PARAMETERIZATIONS[name].tail(side) for side in sides)
            return lower, upper

        chosen = jnp.asarray(values.parameterization)
        lower, upper = jax.lax.switch(chosen, [partial(tails, name) for name in self.names], raw)
        return SplicedBinnedPareto(body.logits, edges, lower, upper, tail_mass)
