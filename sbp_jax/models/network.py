"""Network for the conditional distribution: a TCN over frames, an MLP over its state and static features, a head."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from sbp_jax.distributions.heads import Head
from sbp_jax.errors import InputError
from sbp_jax.models.config import NetworkConfig
from sbp_jax.models.encoders import Encoder, Standardization, Statistic
from sbp_jax.models.tcn import NO_DROPOUT, TCN, Dropout, Stream


class Network(nnx.Module):
    """Map frames and static features to the distribution of the outcome.

    The MLP's output is added to `offset`, the raw outputs of the training set's marginal distribution. The last layer
    is initialized to zero, so that before the first step every prediction is the marginal distribution.

    Args:
        config: architecture.
        encoder: columns of a frame -> input of the TCN; None ignores the frames.
        head: raw outputs -> distribution; or their number, if only raw outputs are asked for.
        num_static: number of static features.
        rngs: random streams for initialization.
    """

    def __init__(
        self, config: NetworkConfig, encoder: Encoder | None, head: Head | int, num_static: int, *, rngs: nnx.Rngs
    ):
        outputs = head if isinstance(head, int) else head.num_outputs
        self.head: Any = None if isinstance(head, int) else head
        self.encoder = encoder
        self.static_scale = Standardization(num_static)
        sizes = config.channels, config.layers, config.kernel_size, config.dtype
        self.tcn = None if encoder is None else TCN(encoder.num_features, *sizes, rngs=rngs)
        states = 0 if encoder is None else config.channels + encoder.num_features
        widths = (states + num_static, *config.hidden)
        self.hidden = nnx.List([nnx.Linear(a, b, dtype=config.dtype, rngs=rngs) for a, b in itertools.pairwise(widths)])
        self.last = nnx.Linear(widths[-1], outputs, kernel_init=nnx.initializers.zeros, rngs=rngs)
        self.offset = Statistic(jnp.zeros((outputs,)))

    @property
    def receptive_field(self) -> int:
        """Number of frames, up to the current one, that a prediction depends on; 1 without frames."""
        return 1 if self.tcn is None else self.tcn.receptive_field

    def encode(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        present: Bool[Array, "batch frames entities"],
        dropout: Dropout = NO_DROPOUT,
    ) -> Float[Array, "batch frames states"]:
        """Return the state at every frame: the TCN's state after the frame, concatenated with the encoded frame.

        The features of `x` are equal groups of columns, one group per entity, in the order of `present`.
        """
        if self.encoder is None or self.tcn is None:
            return jnp.zeros((*x.shape[:2], 0), x.dtype)
        encoded = self._encoded(self.encoder, x, mask, present)
        state = self.tcn(encoded, mask, dropout)
        return jnp.concatenate([state, encoded.astype(state.dtype)], axis=-1)

    def encode_last(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        present: Bool[Array, "batch frames entities"],
        dropout: Dropout = NO_DROPOUT,
    ) -> Float[Array, "batch states"]:
        """Return the state of `encode` at each row's last valid frame, computed from its receptive field only."""
        if self.encoder is None or self.tcn is None:
            return jnp.zeros((len(x), 0), x.dtype)
        window = min(x.shape[1], self.tcn.receptive_field)
        frame = jnp.sum(mask, axis=1, dtype=jnp.int32)[:, None] - window + jnp.arange(window, dtype=jnp.int32)[None, :]
        index = jnp.maximum(frame, 0)
        mask = (frame >= 0) & jnp.take_along_axis(mask, index, axis=1)
        x, present = (jnp.take_along_axis(a, index[:, :, None], axis=1) for a in (x, present))
        encoded = self._encoded(self.encoder, x, mask, present)
        state = self.tcn.last(encoded, mask, dropout)
        return jnp.concatenate([state, encoded[:, -1].astype(state.dtype)], axis=-1)

    def _encoded(self, encoder: Encoder, x: Array, mask: Array, present: Array) -> Array:
        batch, frames, features = x.shape
        entities = present.shape[-1]
        return encoder(x.reshape(batch, frames, entities, features // entities), present & mask[:, :, None])

    def decode(
        self,
        state: Float[Array, "*batch states"],
        static: Float[Array, "*batch statics"],
        dropout: Dropout = NO_DROPOUT,
    ) -> Float[Array, "*batch outputs"]:
        """Return the raw outputs for a state and the static features."""
        h = jnp.concatenate([state, self.static_scale(static).astype(state.dtype)], axis=-1)
        for i, layer in enumerate(self.hidden):
            h = dropout.fold_in(i)(jax.nn.relu(layer(h)))
        offset = self.offset[...]
        return self.last(h.astype(offset.dtype)) + offset.reshape((1,) * (h.ndim - 1) + (-1,))

    def raw(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        present: Bool[Array, "batch frames entities"],
        static: Float[Array, "batch statics"],
        dropout: Dropout = NO_DROPOUT,
    ) -> Float[Array, "batch outputs"]:
        """Return the raw outputs at the last valid frame of each row."""
        first, second = dropout.split()
        return self.decode(self.encode_last(x, mask, present, first), static, second)

    def raw_frames(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        present: Bool[Array, "batch frames entities"],
        static: Float[Array, "batch statics"],
        dropout: Dropout = NO_DROPOUT,
    ) -> Float[Array, "batch frames outputs"]:
        """Return the raw outputs at every frame, from the frames so far; meaningless at masked frames."""
        first, second = dropout.split()
        state = self.encode(x, mask, present, first)
        static = jnp.broadcast_to(static[:, None, :], (*state.shape[:2], static.shape[-1]))
        return self.decode(state, static, second)

    def start(self, batch: int) -> Stream:
        """Return the streams of `batch` rows before their first frame, for `step`."""
        return Stream((), jnp.zeros((batch,), jnp.int32)) if self.tcn is None else self.tcn.start(batch)

    def step(
        self,
        x: Float[Array, "batch features"],
        present: Bool[Array, "batch entities"],
        static: Float[Array, "batch statics"],
        stream: Stream,
        active: Bool[Array, " batch"],
    ) -> tuple[Float[Array, "batch outputs"], Stream]:
        """Return the raw outputs after one more frame, equal to those of `raw_frames`; for arguments see `TCN.step`."""
        static = jnp.where(active[:, None], static, jnp.zeros_like(static))
        if self.encoder is None or self.tcn is None:
            return self.decode(jnp.zeros((len(x), 0), x.dtype), static), Stream(
                (), stream.count + active.astype(jnp.int32)
            )
        encoded = self._encoded(self.encoder, x[:, None], active[:, None], present[:, None])[:, 0]
        state, stream = self.tcn.step(encoded, stream, active)
        return self.decode(jnp.concatenate([state, encoded.astype(state.dtype)], axis=-1), static), stream

    def __call__(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        present: Bool[Array, "batch frames entities"],
        static: Float[Array, "batch statics"],
    ) -> Any:
        """Return the distribution, batch shape [batch].

        Args:
            x: frames, padded at the end; padding and absent entities may have any value, including NaN.
            mask: valid frames: True from the first frame to the last valid one.
            present: entities (players) that are present.
            static: static features of each row.

        Raises:
            InputError: the network was made without a head.
        """
        if self.head is None:
            raise InputError("this network has no head: call raw, which returns its raw outputs")
        return self.head(self.raw(x, mask, present, static))
