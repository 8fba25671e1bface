"""The conditional law as a network: TCN over the frames, an MLP over its last state and the static features, a head."""

import itertools
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from sbp_jax.models.tcn import TCN, dropout


@runtime_checkable
class Head(Protocol):
    """Raw network outputs [..., num_outputs] -> distribution of batch shape [...]."""

    @property
    def num_outputs(self) -> int: ...

    def __call__(self, raw: Array, /) -> Any: ...


class Statistic(nnx.Variable):
    """A constant measured on the training set: saved with the parameters, never trained."""


@dataclass(frozen=True)
class NetworkConfig:
    """Size of the network.

    Attributes:
        channels: width of the TCN's state.
        layers: residual blocks; with kernel 3 the network sees 1 + 4 (2^layers - 1) frames.
        kernel_size: frames that a convolution combines.
        hidden: widths of the MLP's hidden layers.
        dropout: probability of dropping an activation while training.
    """

    channels: int = 64
    layers: int = 4
    kernel_size: int = 3
    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.1


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


class Network(nnx.Module):
    """Frames and static features -> distribution of the outcome.

    The MLP's output is added to `offset`, the raw outputs of the training set's marginal distribution, and the last
    layer starts at zero: before the first step every prediction is the marginal.

    Args:
        config: sizes.
        head: raw outputs -> distribution.
        num_features: columns of a frame.
        num_static: columns of the static features.
        rngs: initialization stream.
    """

    def __init__(self, config: NetworkConfig, head: Head, num_features: int, num_static: int, *, rngs: nnx.Rngs):
        self.head = head
        self.dropout_rate = config.dropout
        self.frames_scale = Standardization(num_features)
        self.static_scale = Standardization(num_static)
        self.tcn = TCN(num_features, config.channels, config.layers, config.kernel_size, config.dropout, rngs=rngs)
        widths = (config.channels + num_static, *config.hidden)
        self.hidden = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in itertools.pairwise(widths)])
        self.last = nnx.Linear(widths[-1], head.num_outputs, kernel_init=nnx.initializers.zeros, rngs=rngs)
        self.offset = Statistic(jnp.zeros((head.num_outputs,)))

    def encode(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        present: Bool[Array, "batch frames entities"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch frames channels"]:
        """States of all frames; the features are equal groups of columns, one an entity, in the order of `present`."""
        batch, frames, features = x.shape
        entities = present.shape[-1]
        # Selected, never multiplied: padding may hold NaN.
        valid = jnp.broadcast_to(
            (present & mask[:, :, None])[..., None], (batch, frames, entities, features // entities)
        ).reshape(x.shape)
        x = self.frames_scale(jnp.where(valid, x, jnp.zeros_like(x)))
        return self.tcn(jnp.where(valid, x, jnp.zeros_like(x)), key)

    def decode(
        self,
        state: Float[Array, "batch channels"],
        static: Float[Array, "batch statics"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch outputs"]:
        """Raw outputs from a state and the static features."""
        h = jnp.concatenate([state, self.static_scale(static)], axis=-1)
        for i, layer in enumerate(self.hidden):
            h = jax.nn.relu(layer(h))
            h = dropout(h, self.dropout_rate, None if key is None else jax.random.fold_in(key, i))
        return self.last(h) + self.offset[...][None, :]

    def raw(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        present: Bool[Array, "batch frames entities"],
        static: Float[Array, "batch statics"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch outputs"]:
        """Raw outputs at the last valid frame of each row (frame 0 of a row without any); `key` switches dropout on."""
        keys = (None, None) if key is None else tuple(jax.random.split(key))
        states = self.encode(x, mask, present, keys[0])
        last = jnp.maximum(jnp.sum(mask, axis=1, dtype=jnp.int32) - 1, 0)
        state = jnp.take_along_axis(states, last[:, None, None], axis=1)[:, 0]
        return self.decode(state, static, keys[1])

    def __call__(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        present: Bool[Array, "batch frames entities"],
        static: Float[Array, "batch statics"],
    ) -> Any:
        """Distribution of batch shape [batch].

        Args:
            x: frames, padded at the end; padding and absent entities may hold anything, NaN too.
            mask: which frames are real; True from the first frame to the last real one.
            present: which entities (players) are there.
            static: static features of the row.
        """
        return self.head(self.raw(x, mask, present, static))
