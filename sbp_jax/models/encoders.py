"""Encoders from the columns of a frame to the input of the TCN: standardized columns, or attention over entities."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float


class Statistic(nnx.Variable):
    """A constant computed from the training set, saved with the parameters but not trained."""


# () -> (frames [rows, entities, columns], present [rows, entities]) by chunks; each call starts at the first chunk
Chunks = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]


@runtime_checkable
class Encoder(Protocol):
    """Map frames of entities to features of each frame, ignoring the values of absent entities.

    An encoder with a method `fit_chunks(chunks: Chunks)` is fitted by it instead of `fit`, and can be trained on plays
    that do not fit into memory. The encoders of this module have this method; its result does not depend on the chunks.
    """

    num_features: int

    def fit(self, frames: np.ndarray, present: np.ndarray) -> None:
        """Set the statistics from the training set: frames [rows, entities, columns], present [rows, entities]."""
        ...

    def __call__(
        self,
        x: Float[Array, "batch frames entities columns"],
        present: Bool[Array, "batch frames entities"],
    ) -> Float[Array, "batch frames features"]: ...


class Standardization(nnx.Module):
    """Standardize columns by the mean and standard deviation of the training set (the identity until `fit`)."""

    def __init__(self, num_features: int):
        self.mean = Statistic(jnp.zeros((num_features,)))
        self.scale = Statistic(jnp.ones((num_features,)))

    def fit(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        """Set the statistics; a column that is constant in the training set gets unit scale, to stay bounded."""
        self.mean.set_value(jnp.asarray(mean, jnp.float32))
        self.scale.set_value(jnp.asarray(np.where(deviation > 1e-6, deviation, 1.0), jnp.float32))

    def __call__(self, x: Float[Array, "*batch features"]) -> Float[Array, "*batch features"]:
        shape = (1,) * (x.ndim - 1) + (x.shape[-1],)
        return (x - self.mean[...].reshape(shape)) / self.scale[...].reshape(shape)


def _zeroed(chunks: Chunks) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Yield the frames of each chunk, 0 where the entity is absent, and the mask of present entities in their shape."""
    for frames, present in chunks():
        mask = np.broadcast_to(present[:, :, None], frames.shape)
        yield np.where(mask, frames, np.zeros((), frames.dtype)), mask


def _added(total: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    """Running sum over the first axis, row by row: bitwise equal to `np.sum(..., axis=0)` over all chunks."""
    rows = values if total is None else np.concatenate([total[None], values])
    return np.add.reduce(rows, axis=0)


class FlatEncoder(nnx.Module):
    """Concatenate the standardized columns of all entities; an absent entity has the mean, 0."""

    def __init__(self, entities: int, columns: int):
        self.num_features = entities * columns
        self.scale = Standardization(self.num_features)

    def fit(self, frames: np.ndarray, present: np.ndarray) -> None:
        """Set the mean and standard deviation of every column over the frames in which its entity is present."""
        self.fit_chunks(lambda: [(frames, present)])

    def fit_chunks(self, chunks: Chunks) -> None:
        """Fit as `fit` does, bitwise equally, to frames that need not fit into memory; they are read twice."""
        count: Any = 0
        total: Any = None
        for frames, mask in _zeroed(chunks):
            count = count + mask.sum(axis=0)
            total = _added(total, frames.astype(np.float64))
        count = np.maximum(count, 1)
        mean = total / count
        squares: Any = None
        for frames, mask in _zeroed(chunks):
            squared = (frames - mean.astype(np.float32)) ** 2
            squares = _added(squares, np.where(mask, squared, np.float32(0)))
        self.scale.fit(mean.reshape(-1), np.sqrt(squares / count).reshape(-1))

    def __call__(
        self,
        x: Float[Array, "batch frames entities columns"],
        present: Bool[Array, "batch frames entities"],
    ) -> Float[Array, "batch frames features"]:
        """Return the standardized columns, 0 where the entity is absent."""
        batch, frames, entities, columns = x.shape
        mask = jnp.broadcast_to(present[..., None], x.shape)
        scaled = self.scale(jnp.where(mask, x, jnp.zeros_like(x)).reshape(batch, frames, entities * columns))
        scaled = scaled.reshape(x.shape)
        return jnp.where(mask, scaled, jnp.zeros_like(x)).reshape(batch, frames, entities * columns)


@dataclass(frozen=True)
class EntityGroup:
    """Entities with one role.

    Attributes:
        members: indices of the entities.
        partners: for each member, the entity whose relative vectors it also has, in addition to the reference; empty
            for no partners.
        width: width of a token's value.
    """

    members: tuple[int, ...]
    partners: tuple[int, ...] = ()
    width: int = 64


@dataclass(frozen=True)
class EntityLayout:
    """The reference entity and the groups of the entities that it attends to."""

    reference: int
    groups: tuple[EntityGroup, ...]


class GroupAttention(nnx.Module):
    """Pool the tokens of a group by attention: a softmax of learned scores over the members, one pool per head."""

    def __init__(self, in_features: int, hidden: int, width: int, heads: int, dtype: Any = None, *, rngs: nnx.Rngs):
        self.heads = heads
        self.first = nnx.Linear(in_features, hidden, dtype=dtype, rngs=rngs)
        self.second = nnx.Linear(hidden, heads + width, dtype=dtype, rngs=rngs)

    def __call__(
        self, tokens: Float[Array, "batch frames members features"], present: Bool[Array, "batch frames members"]
    ) -> Float[Array, "batch frames pooled"]:
        """Return the concatenated pools of all heads; 0 if no member is present."""
        score, value = jnp.split(self.second(jax.nn.relu(self.first(tokens))), [self.heads], axis=-1)
        mask = jnp.broadcast_to(present[..., None], score.shape)
        # finite instead of minus infinity, so that a frame without members does not divide zero by zero
        score = jnp.where(mask, score, jnp.full_like(score, -1e9)).astype(tokens.dtype)
        weight = jax.nn.softmax(score, axis=-2).astype(value.dtype)
        weight = jnp.where(mask, weight, jnp.zeros_like(weight))
        pooled = jnp.einsum("btmh,btmw->bthw", weight, value)
        return pooled.reshape(*pooled.shape[:2], -1)


class EntityAttention(nnx.Module):
    """Encode entities that move in the plane relative to a reference entity, and pool them by group.

    The columns of an entity are planar vectors, two columns each, followed by scalars. The first vector is the
    position, the last one the heading (a unit vector, or 0 if unknown); a scalar is 0 if unknown. The token of a member
    has its own vectors and scalars, its position relative to the reference, the distance, the bearing from the
    reference's heading (cosine and sine), and the differences between its partner's vectors and its own. All members of
    a group share their weights.

    Args:
        columns: number of columns of an entity's vectors, even.
        layout: reference and groups.
        hidden: width of the hidden layer of the token MLPs.
        heads: number of attention pools per group.
        scalars: number of scalar columns, which follow the vectors.
        dtype: dtype of the MLPs' products; None for that of the parameters. Relative positions are computed before
            rounding.
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
        """Set the scales: the root mean square length of each kind of vector, equal for both axes to preserve angles.

        The scale of a scalar is the root mean square of its values other than 0, because most entities have none.
        """
        self.fit_chunks(lambda: [(frames, present)])

    def fit_chunks(self, chunks: Chunks) -> None:
        """Fit as `fit` does, bitwise equally, to frames that need not fit into memory."""
        total: Any = None
        nonzero: Any = 0
        count = 0
        for frames, mask in _zeroed(chunks):
            total = _added(total, np.square(frames).astype(np.float64).reshape(-1, frames.shape[2]))
            nonzero = nonzero + np.count_nonzero(frames[:, :, self.columns :], axis=(0, 1))
            count += int(mask[:, :, 0].sum())
        vectors = total[: self.columns] / max(count, 1)
        scalars = total[self.columns :] / np.maximum(nonzero, 1)
        length = np.sqrt(np.concatenate([vectors.reshape(-1, 2).sum(axis=1), scalars]))
        self.scale.set_value(jnp.asarray(np.where(length > 1e-6, length, 1.0), jnp.float32))

    def __call__(
        self,
        x: Float[Array, "batch frames entities columns"],
        present: Bool[Array, "batch frames entities"],
    ) -> Float[Array, "batch frames features"]:
        """Return the reference's own columns and the pools of all groups."""
        mask = jnp.broadcast_to(present[..., None], x.shape)
        pairs = self.columns // 2
        scale = jnp.concatenate([jnp.repeat(self.scale[:pairs], 2), self.scale[pairs:]])
        z = jnp.where(mask, x, jnp.zeros_like(x)) / scale.reshape(1, 1, 1, -1)
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
    # the small term keeps the gradient finite if both are at the same point
    distance = jnp.sqrt(jnp.sum(offset**2, axis=-1, keepdims=True) + 1e-6)
    return jnp.concatenate([offset, distance, ahead / distance, aside / distance], axis=-1)
