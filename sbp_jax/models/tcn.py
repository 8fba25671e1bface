"""Temporal convolutional network: residual blocks of dilated causal convolutions.

Bai, Kolter and Koltun 2018 (arXiv 1803.01271). The output at frame t depends on frames t - R + 1 .. t only, R being the
receptive field.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, PRNGKeyArray


def receptive_field(num_layers: int, kernel_size: int) -> int:
    """Frames that the last layer sees: 1 + 2 (k - 1) (2^L - 1), two convolutions a block with dilations 1, 2, 4, ..."""
    return 1 + 2 * (kernel_size - 1) * (2**num_layers - 1)


def dropout(x: Array, rate: float, key: PRNGKeyArray | None) -> Array:
    """Zero entries with probability `rate`, to the nearest 1/256, and rescale the rest; the identity without a key."""
    dropped = round(256 * rate)
    if key is None or dropped == 0:
        return x
    # One random byte an entry: drawing whole floats would take longer than the layer that is dropped from.
    keep = jax.random.bits(key, x.shape, jnp.uint8) >= dropped
    return jnp.where(keep, x / (1.0 - dropped / 256), jnp.zeros_like(x))


class CausalConv(nnx.Module):
    """Dilated causal convolution, y_t = b + sum_j W_j x_{t - (k - 1 - j) d}, frames before the first being zero.

    It is one matrix product over the k shifted inputs side by side: a batched product under `vmap` over the weights. In
    a compiled loop XLA's windowed convolution takes five times as long on a CPU, though outside of one it is faster.
    """

    def __init__(self, in_features: int, out_features: int, kernel_size: int, dilation: int, *, rngs: nnx.Rngs):
        self.kernel_size, self.dilation = kernel_size, dilation
        scale = (2.0 / (kernel_size * in_features)) ** 0.5  # He et al. 2015, for the rectifier that follows
        self.kernel = nnx.Param(scale * jax.random.normal(rngs.params(), (kernel_size, in_features, out_features)))
        self.bias = nnx.Param(jnp.zeros((out_features,)))

    def __call__(self, x: Float[Array, "batch frames features"]) -> Float[Array, "batch frames channels"]:
        frames, reach = x.shape[1], (self.kernel_size - 1) * self.dilation
        padded = jnp.pad(x, ((0, 0), (reach, 0), (0, 0)))
        return self._product([padded[:, j * self.dilation :][:, :frames] for j in range(self.kernel_size)])

    def last(
        self, x: Float[Array, "batch frames features"], count: int, stride: int = 1
    ) -> Float[Array, "batch count channels"]:
        """Outputs at the last frame and at `count` - 1 before it, `stride` apart, of frames that are `dilation` apart.

        Frames of `x` stand as close as the convolution looks: it combines neighbours, whatever its dilation.
        """
        reach = stride * (count - 1) + self.kernel_size
        x = jnp.pad(x, ((0, 0), (max(reach - x.shape[1], 0), 0), (0, 0)))[:, -reach:]
        end = reach - self.kernel_size + 1
        return self._product([x[:, j : j + end : stride] for j in range(self.kernel_size)])

    def _product(self, shifted: Sequence[Array]) -> Array:
        kernel = self.kernel[...]
        y = jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])
        return y + self.bias[...][None, None, :]


class ResidualBlock(nnx.Module):
    """Two causal convolutions with rectifier and dropout, and a linear path around them."""

    def __init__(
        self, in_features: int, channels: int, kernel_size: int, dilation: int, dropout_rate: float, *, rngs: nnx.Rngs
    ):
        self.dropout_rate = dropout_rate
        self.first = CausalConv(in_features, channels, kernel_size, dilation, rngs=rngs)
        self.second = CausalConv(channels, channels, kernel_size, dilation, rngs=rngs)
        self.around = CausalConv(in_features, channels, 1, 1, rngs=rngs) if in_features != channels else None

    def __call__(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch frames channels"]:
        keys: Sequence[PRNGKeyArray | None] = (None, None) if key is None else tuple(jax.random.split(key))
        h = dropout(jax.nn.relu(_select(mask, self.first(x))), self.dropout_rate, keys[0])
        h = dropout(jax.nn.relu(self.second(h)), self.dropout_rate, keys[1])
        return _select(mask, jax.nn.relu(h + (x if self.around is None else self.around(x))))

    def last(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        count: int,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "batch count channels"], Bool[Array, "batch count"]]:
        """Outputs and mask at the last frame and at up to `count` - 1 before it, two of the block's dilations apart.

        The frames of `x` are one dilation apart; no output stands before the first of them.
        """
        keys: Sequence[PRNGKeyArray | None] = (None, None) if key is None else tuple(jax.random.split(key))
        frames, kernel_size = x.shape[1], self.second.kernel_size
        count = min(count, (frames + 1) // 2)
        inner = min(2 * (count - 1) + kernel_size, frames)
        h = _select(mask[:, -inner:], self.first.last(x, inner))
        h = dropout(jax.nn.relu(h), self.dropout_rate, keys[0])
        h = dropout(jax.nn.relu(self.second.last(h, count, stride=2)), self.dropout_rate, keys[1])
        x, mask = (a[:, (frames - 1) % 2 :: 2][:, -count:] for a in (x, mask))
        return _select(mask, jax.nn.relu(h + (x if self.around is None else self.around(x)))), mask


def _select(mask: Array, x: Array) -> Array:
    """0 on masked frames: a convolution that reaches them finds what it finds before the first frame."""
    return jnp.where(mask[:, :, None], x, jnp.zeros_like(x))


class TCN(nnx.Module):
    """Stack of residual blocks with dilations 1, 2, 4, ...: one state a frame, a function of it and the frames before.

    Args:
        in_features: columns of a frame.
        channels: width of the state.
        num_layers: residual blocks.
        kernel_size: frames that each convolution combines.
        dropout_rate: probability of dropping an activation while training.
        rngs: initialization stream.
    """

    def __init__(
        self,
        in_features: int,
        channels: int = 64,
        num_layers: int = 4,
        kernel_size: int = 3,
        dropout_rate: float = 0.0,
        *,
        rngs: nnx.Rngs,
    ):
        widths = [in_features] + [channels] * num_layers
        self.blocks = nnx.List(
            [
                ResidualBlock(widths[i], widths[i + 1], kernel_size, 2**i, dropout_rate, rngs=rngs)
                for i in range(num_layers)
            ]
        )
        self.receptive_field = receptive_field(num_layers, kernel_size)
        self.kernel_size = kernel_size

    def __call__(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch frames channels"]:
        """States of all frames, 0 on masked ones, which stand for no frame at all; `key` switches dropout on."""
        x = _select(mask, x)
        for i, block in enumerate(self.blocks):
            x = block(x, mask, None if key is None else jax.random.fold_in(key, i))
        return x

    def last(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch channels"]:
        """State of the last frame, what the whole network says of it, by the frames of each layer that it depends on.

        Those of a block are two dilations apart, the dilation of the next block: each block computes every second of
        the frames that it was given. Of 29 frames, three blocks of kernel 3 evaluate 60 convolution outputs, not 174.
        Dropout drops as many activations in the mean, but others.
        """
        counts = [1]
        for _ in self.blocks[1:]:
            counts.append(2 * (counts[-1] - 1) + 2 * self.kernel_size - 1)
        x = _select(mask, x)
        for i, (block, count) in enumerate(zip(self.blocks, reversed(counts), strict=True)):
            x, mask = block.last(x, mask, count, None if key is None else jax.random.fold_in(key, i))
        return x[:, -1]
