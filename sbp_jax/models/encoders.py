"""From the columns of a frame to the TCN's input: scaled as they are, or entities that move in the plane and attend."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float


class Statistic(nnx.Variable):
    """A constant measured on the training set: saved with the parameters, never trained."""


@runtime_checkable
class Encoder(Protocol):
    """Frames of entities -> features of each frame; what is not present is ignored, whatever it holds."""

    num_features: int

    def fit(self, frames: np.ndarray, present: np.ndarray) -> None:
        """Measure the training set: frames [rows, entities, columns], present [rows, entities]."""
        ...

    def __call__(
        self,
        x: Float[Array, "batch frames entities columns"],
        present: Bool[Array, "batch frames entities"],
    ) -> Float[Array, "batch frames features"]: ...


class Standardization(nnx.Module):
    """Columns to zero mean and unit spread, by the training set's statistics (identity until `fit`)."""

    def __init__(self, num_features: int):
        self.mean = Statistic(jnp.zeros((num_features,)))
        self.scale = Statistic(jnp.ones((num_features,)))

    def fit(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        """Set the statistics; a column constant in the training set keeps unit scale, lest it blow up on other data."""
        self.mean.set_value(jnp.asarray(mean, jnp.float32))
        self.scale.set_value(jnp.asarray(np.where(deviation > 1e-6, deviation, 1.0), jnp.float32))

    def __call__(self, x: Float[Array, "*batch features"]) -> Float[Array, "*batch features"]:
        shape = (1,) * (x.ndim - 1) + (x.shape[-1],)
        return (x - self.mean[...].reshape(shape)) / self.scale[...].reshape(shape)


class FlatEncoder(nnx.Module):
    """All columns of all entities side by side, standardized; an absent entity is at its mean."""

    def __init__(self, entities: int, columns: int):
        self.num_features = entities * columns
        self.scale = Standardization(self.num_features)

    def fit(self, frames: np.ndarray, present: np.ndarray) -> None:
        """Mean and deviation of every column over the frames in which its entity is present."""
        there = np.broadcast_to(present[:, :, None], frames.shape)
        count = np.maximum(there.sum(axis=0), 1)
        mean = np.sum(frames, axis=0, where=there, dtype=np.float64) / count
        variance = np.sum((frames - mean.astype(np.float32)) ** 2, axis=0, where=there) / count
        self.scale.fit(mean.reshape(-1), np.sqrt(variance).reshape(-1))

    def __call__(
        self,
        x: Float[Array, "batch frames entities columns"],
        present: Bool[Array, "batch frames entities"],
    ) -> Float[Array, "batch frames features"]:
        """Standardized columns, 0 where the entity is absent."""
        batch, frames, entities, columns = x.shape
        there = jnp.broadcast_to(present[..., None], x.shape)
        scaled = self.scale(jnp.where(there, x, jnp.zeros_like(x)).reshape(batch, frames, entities * columns))
        scaled = scaled.reshape(x.shape)
        return jnp.where(there, scaled, jnp.zeros_like(x)).reshape(batch, frames, entities * columns)


@dataclass(frozen=True)
class EntityGroup:
    """Entities of one role.

    Attributes:
        members: their indices.
        partners: for each, the entity that it is seen relative to, besides the reference; empty: none.
        width: of the token's value.
    """

    members: tuple[int, ...]
    partners: tuple[int, ...] = ()
    width: int = 64


@dataclass(frozen=True)
class EntityLayout:
    """Which entity the others are seen from, and their groups."""

    reference: int
    groups: tuple[EntityGroup, ...]


class GroupAttention(nnx.Module):
    """Tokens of a group pooled by attention: softmax over the members of a learnt score, one pool a head."""

    def __init__(self, in_features: int, hidden: int, width: int, heads: int, dtype: Any = None, *, rngs: nnx.Rngs):
        self.heads = heads
        self.first = nnx.Linear(in_features, hidden, dtype=dtype, rngs=rngs)
        self.second = nnx.Linear(hidden, heads + width, dtype=dtype, rngs=rngs)

    def __call__(
        self, tokens: Float[Array, "batch frames members features"], present: Bool[Array, "batch frames members"]
    ) -> Float[Array, "batch frames pooled"]:
        """Pools of all heads side by side; 0 where no member is present."""
        score, value = jnp.split(self.second(jax.nn.relu(self.first(tokens))), [self.heads], axis=-1)
        there = jnp.broadcast_to(present[..., None], score.shape)
        # Finite stand-in for minus infinity: a frame without any member must not divide zero by zero.
        score = jnp.where(there, score, jnp.full_like(score, -1e9)).astype(tokens.dtype)
        weight = jax.nn.softmax(score, axis=-2).astype(value.dtype)
        weight = jnp.where(there, weight, jnp.zeros_like(weight))
        pooled = jnp.einsum("btmh,btmw->bthw", weight, value)
        return pooled.reshape(*pooled.shape[:2], -1)


class EntityAttention(nnx.Module):
    """Entities that move in the plane, seen from a reference entity and pooled by group.

    The columns of an entity are planar vectors, two by two: position first, heading (a unit vector, or 0 where unknown)
    last; then scalars, 0 where they say nothing. A member's token holds its own vectors and scalars, its place relative
    to the reference, the distance, the bearing from the reference's heading (cosine and sine), and the difference of
    its vectors from its partner's. All members of a group share their weights: what is learnt of one holds for all.

    Args:
        columns: of an entity's vectors, even.
        layout: reference and groups.
        hidden: width of the token perceptrons.
        heads: attention pools a group.
        scalars: columns of an entity behind its vectors.
        dtype: of the perceptrons' products; None for that of the parameters. Places are compared before they
            are rounded.
        rngs: initialization stream.
    """

    def __init__(
        self,
        columns: int,
        layout: EntityLayout,
        hidden: int = 32,
        heads: int = 2,
        scalars: int = 0,
        dtype: Any = None,
        *,
        rngs: nnx.Rngs,
    ):
        self.layout = layout
        self.columns = columns
        self.scale = Statistic(jnp.ones((columns // 2 + scalars,)))
        pools = []
        for group in layout.groups:
            relative = columns + 1 if group.partners else 0
            pools.append(GroupAttention(columns + scalars + 5 + relative, hidden, group.width, heads, dtype, rngs=rngs))
        self.pools = nnx.List(pools)
        self.num_features = columns + scalars + heads * sum(group.width for group in layout.groups)

    def fit(self, frames: np.ndarray, present: np.ndarray) -> None:
        """Root mean square length of each kind of vector: one scale for both axes, so that angles survive.

        Of a scalar it is that of the values other than 0: most entities have none.
        """
        there = np.broadcast_to(present[:, :, None], frames.shape)
        total = np.asarray(np.sum(np.square(frames), axis=(0, 1), where=there, dtype=np.float64))
        said = np.count_nonzero(np.where(present[:, :, None], frames[:, :, self.columns :], 0), axis=(0, 1))
        vectors = total[: self.columns] / max(int(present.sum()), 1)
        scalars = total[self.columns :] / np.maximum(said, 1)
        length = np.sqrt(np.concatenate([vectors.reshape(-1, 2).sum(axis=1), scalars]))
        self.scale.set_value(jnp.asarray(np.where(length > 1e-6, length, 1.0), jnp.float32))

    def __call__(
        self,
        x: Float[Array, "batch frames entities columns"],
        present: Bool[Array, "batch frames entities"],
    ) -> Float[Array, "batch frames features"]:
        """The reference's own columns and the pools of all groups."""
        there = jnp.broadcast_to(present[..., None], x.shape)
        pairs = self.columns // 2
        scale = jnp.concatenate([jnp.repeat(self.scale[:pairs], 2), self.scale[pairs:]])
        z = jnp.where(there, x, jnp.zeros_like(x)) / scale.reshape(1, 1, 1, -1)
        reference = z[:, :, self.layout.reference]
        vectors = z[..., : self.columns]
        parts = [reference]
        for group, pool in zip(self.layout.groups, self.pools, strict=True):
            own = vectors[:, :, list(group.members)]
            place = _place(own, vectors[:, :, None, self.layout.reference])
            tokens = [z[:, :, list(group.members)], place]
            if group.partners:
                both = present[:, :, list(group.partners), None] & present[:, :, list(group.members), None]
                difference = vectors[:, :, list(group.partners)] - own
                tokens += [jnp.where(both, difference, jnp.zeros_like(difference)), both.astype(z.dtype)]
            parts.append(pool(jnp.concatenate(tokens, axis=-1), present[:, :, list(group.members)]))
        return jnp.concatenate([part.astype(parts[-1].dtype) for part in parts], axis=-1)


def _place(own: Array, reference: Array) -> Array:
    """Relative position, distance, and bearing from the reference's heading [..., 5]."""
    offset = own[..., :2] - reference[..., :2]
    heading = jnp.broadcast_to(reference[..., -2:], offset.shape)
    ahead = jnp.sum(offset * heading, axis=-1, keepdims=True)
    aside = heading[..., :1] * offset[..., 1:] - heading[..., 1:] * offset[..., :1]
    # The small term keeps the gradient finite where both stand at one point.
    distance = jnp.sqrt(jnp.sum(offset**2, axis=-1, keepdims=True) + 1e-6)
    return jnp.concatenate([offset, distance, ahead / distance, aside / distance], axis=-1)
