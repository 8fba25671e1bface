"""From the columns of a frame to the TCN's input: scaled as they are, or entities that move in the plane and attend."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float


class Statistic(nnx.Variable):
    """A constant measured on the training set: saved with the parameters, never trained."""


# () -> (frames [rows, entities, columns], present [rows, entities]), chunk by chunk; each call starts from the first
Chunks = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]


@runtime_checkable
class Encoder(Protocol):
    """Frames of entities -> features of each frame; what is not present is ignored, whatever it holds.

    An encoder with a method `fit_chunks(chunks: Chunks)` is measured by it, and can be trained on plays that do not
    fit into memory; the encoders of this module have one, whose result does not depend on the chunks.
    """

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


def _zeroed(chunks: Chunks) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Yield each chunk's frames, 0 where the entity is absent, and where it is present, in the frames' shape."""
    for frames, present in chunks():
        there = np.broadcast_to(present[:, :, None], frames.shape)
        yield np.where(there, frames, np.zeros((), frames.dtype)), there


def _added(total: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    """Return a running sum over the first axis, row after row: the bits of `np.sum(..., axis=0)` over all chunks."""
    rows = values if total is None else np.concatenate([total[None], values])
    return np.add.reduce(rows, axis=0)


class FlatEncoder(nnx.Module):
    """All columns of all entities side by side, standardized; an absent entity is at its mean."""

    def __init__(self, entities: int, columns: int):
        self.num_features = entities * columns
        self.scale = Standardization(self.num_features)

    def fit(self, frames: np.ndarray, present: np.ndarray) -> None:
        """Mean and deviation of every column over the frames in which its entity is present."""
        self.fit_chunks(lambda: [(frames, present)])

    def fit_chunks(self, chunks: Chunks) -> None:
        """Measure as `fit` does, of frames that need not fit into memory, to the same bits; they are read twice."""
        count: Any = 0
        total: Any = None
        for frames, there in _zeroed(chunks):
            count = count + there.sum(axis=0)
            total = _added(total, frames.astype(np.float64))
        count = np.maximum(count, 1)
        mean = total / count
        squares: Any = None
        for frames, there in _zeroed(chunks):
            away = (frames - mean.astype(np.float32)) ** 2
            squares = _added(squares, np.where(there, away, np.float32(0)))
        self.scale.fit(mean.reshape(-1), np.sqrt(squares / count).reshape(-1))

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
        self.fit_chunks(lambda: [(frames, present)])

    def fit_chunks(self, chunks: Chunks) -> None:
        """Measure as `fit` does, of frames that need not fit into memory, to the same bits."""
        total: Any = None
        nonzero: Any = 0
        count = 0
        for frames, there in _zeroed(chunks):
            total = _added(total, np.square(frames).astype(np.float64).reshape(-1, frames.shape[2]))
            nonzero = nonzero + np.count_nonzero(frames[:, :, self.columns :], axis=(0, 1))
            count += int(there[:, :, 0].sum())
        vectors = total[: self.columns] / max(count, 1)
        scalars = total[self.columns :] / np.maximum(nonzero, 1)
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
