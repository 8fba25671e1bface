"""Temporal convolutional network: residual blocks of dilated causal convolutions.

Bai, Kolter and Koltun 2018 (arXiv 1803.01271). The output at frame t depends only on frames t - R + 1 .. t, where R is
the receptive field.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray


def receptive_field(num_layers: int, kernel_size: int) -> int:
    """Return the number of frames that the last layer sees, 1 + 2 (k - 1) (2^L - 1).

    Each block has two convolutions; the dilations of the blocks are 1, 2, 4, ...
    """
    return 1 + 2 * (kernel_size - 1) * (2**num_layers - 1)


@dataclass(frozen=True)
class Dropout:
    """Drop activations in training, with random streams that are split and folded like keys.

    Attributes:
        rate: probability of dropping an activation, rounded to the nearest 1/256; may be traced.
        key: key of the stream; None drops nothing.
    """

    rate: float | Array
    key: PRNGKeyArray | None

    def fold_in(self, number: int) -> "Dropout":
        """Return the stream with this number."""
        return self if self.key is None else replace(self, key=jax.random.fold_in(self.key, number))

    def split(self) -> tuple["Dropout", "Dropout"]:
        """Return two independent streams."""
        if self.key is None:
            return self, self
        first, second = jax.random.split(self.key)
        return replace(self, key=first), replace(self, key=second)

    def __call__(self, x: Array) -> Array:
        """Return `x` with random entries set to zero, and the others rescaled to preserve the mean."""
        fixed = isinstance(self.rate, float)
        if self.key is None or (fixed and round(256 * self.rate) == 0):
            return x
        dropped = round(256 * self.rate) if fixed else jnp.round(256 * self.rate)
        # one random byte per entry: drawing floats would take longer than the layer itself
        keep = jax.random.bits(self.key, x.shape, jnp.uint8) >= jnp.asarray(dropped).astype(jnp.uint8)
        return jnp.where(keep, x / jnp.asarray(1.0 - dropped / 256).astype(x.dtype), jnp.zeros_like(x))


NO_DROPOUT = Dropout(0.0, None)


@partial(jax.tree_util.register_dataclass, data_fields=["past", "count"], meta_fields=[])
@dataclass(frozen=True)
class Stream:
    """The network's memory of the frames of each row so far.

    Attributes:
        past: inputs of each convolution at previous frames, [batch, reach, features], newest last, 0 before the first
            frame. Only convolutions with kernels longer than 1 have an entry. The arrays shift by one at every frame:
            for the short reach of these networks, that is faster than indexing a ring buffer.
        count: number of frames so far, int32 [batch].
    """

    past: tuple[Array, ...]
    count: Int[Array, " batch"]

    def begin(self, rows: Bool[Array, " batch"]) -> "Stream":
        """Return the stream with the given rows reset to their beginning."""
        past = (jnp.where(rows[:, None, None], jnp.zeros_like(each), each) for each in self.past)
        return Stream(tuple(past), jnp.where(rows, 0, self.count))


class CausalConv(nnx.Module):
    """Dilated causal convolution, y_t = b + sum_j W_j x_{t - (k - 1 - j) d}, with zeros before the first frame.

    Products are computed in `dtype`, by default that of the parameters.

    The convolution is one matrix product over the k concatenated shifted inputs, which becomes a batched product under
    `vmap` over the weights. In a compiled loop, XLA's windowed convolution takes five times as long on a CPU, although
    it is faster outside a loop.
    """

    def __init__(
        self, in_features: int, out_features: int, kernel_size: int, dilation: int, dtype: Any = None, *, rngs: nnx.Rngs
    ):
        self.kernel_size, self.dilation, self.dtype = kernel_size, dilation, dtype
        scale = (2.0 / (kernel_size * in_features)) ** 0.5  # He et al. 2015, for the rectifier that follows
        self.kernel = nnx.Param(scale * jax.random.normal(rngs.params(), (kernel_size, in_features, out_features)))
        self.bias = nnx.Param(jnp.zeros((out_features,)))

    def __call__(self, x: Float[Array, "batch frames features"]) -> Float[Array, "batch frames channels"]:
        frames = x.shape[1]
        padded = jnp.pad(x, ((0, 0), (self.reach, 0), (0, 0)))
        return self._product([padded[:, j * self.dilation :][:, :frames] for j in range(self.kernel_size)])

    def last(
        self, x: Float[Array, "batch frames features"], count: int, stride: int = 1
    ) -> Float[Array, "batch count channels"]:
        """Return the outputs at the last frame and at `count` - 1 frames before it, `stride` apart.

        The frames of `x` are already `dilation` apart, so that the convolution combines neighbors in `x`.
        """
        reach = stride * (count - 1) + self.kernel_size
        x = jnp.pad(x, ((0, 0), (max(reach - x.shape[1], 0), 0), (0, 0)))[:, -reach:]
        end = reach - self.kernel_size + 1
        return self._product([x[:, j : j + end : stride] for j in range(self.kernel_size)])

    @property
    def reach(self) -> int:
        """Number of previous frames that the convolution depends on."""
        return (self.kernel_size - 1) * self.dilation

    def step(
        self,
        x: Float[Array, "batch features"],
        past: Float[Array, "batch reach features"] | None,
        active: Bool[Array, " batch"],
    ) -> tuple[Float[Array, "batch channels"], Float[Array, "batch reach features"] | None]:
        """Return the output at one more frame and the updated past; the past of inactive rows is unchanged.

        Args:
            x: the frame.
            past: the previous frames as in `Stream`; None for a kernel of one frame.
            active: rows that have a frame.
        """
        if past is None:
            return self._product([x[:, None]])[:, 0], None
        all_frames = jnp.concatenate([past, x.astype(past.dtype)[:, None]], axis=1)
        seen = all_frames[:, :: self.dilation].reshape(len(x), 1, -1)
        return self._product([seen])[:, 0], jnp.where(active[:, None, None], all_frames[:, 1:], past)

    def _product(self, shifted: Sequence[Array]) -> Array:
        kernel, bias, x = self.kernel[...], self.bias[...], jnp.concatenate(shifted, axis=-1)
        if self.dtype is not None:
            kernel, bias, x = (a.astype(self.dtype) for a in (kernel, bias, x))
        return x @ kernel.reshape(-1, kernel.shape[-1]) + bias[None, None, :]


class ResidualBlock(nnx.Module):
    """Two causal convolutions with ReLU and dropout, and a linear skip connection."""

    def __init__(
        self, in_features: int, channels: int, kernel_size: int, dilation: int, dtype: Any = None, *, rngs: nnx.Rngs
    ):
        self.first = CausalConv(in_features, channels, kernel_size, dilation, dtype, rngs=rngs)
        self.second = CausalConv(channels, channels, kernel_size, dilation, dtype, rngs=rngs)
        self.around = CausalConv(in_features, channels, 1, 1, dtype, rngs=rngs) if in_features != channels else None

    def __call__(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        dropout: Dropout = NO_DROPOUT,
    ) -> Float[Array, "batch frames channels"]:
        first, second = dropout.split()
        h = first(jax.nn.relu(_select(mask, self.first(x))))
        h = second(jax.nn.relu(self.second(h)))
        return _select(mask, jax.nn.relu(h + (x if self.around is None else self.around(x))))

    def last(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        count: int,
        dropout: Dropout = NO_DROPOUT,
    ) -> tuple[Float[Array, "batch count channels"], Bool[Array, "batch count"]]:
        """Return outputs and mask at the last frame and at up to `count` - 1 frames before it, two dilations apart.

        The frames of `x` are one dilation apart; there is no output before the first of them.
        """
        first, second = dropout.split()
        frames, kernel_size = x.shape[1], self.second.kernel_size
        count = min(count, (frames + 1) // 2)
        inner = min(2 * (count - 1) + kernel_size, frames)
        h = _select(mask[:, -inner:], self.first.last(x, inner))
        h = first(jax.nn.relu(h))
        h = second(jax.nn.relu(self.second.last(h, count, stride=2)))
        x, mask = (a[:, (frames - 1) % 2 :: 2][:, -count:] for a in (x, mask))
        return _select(mask, jax.nn.relu(h + (x if self.around is None else self.around(x)))), mask

    def step(
        self,
        x: Float[Array, "batch features"],
        past: tuple[Array | None, Array | None],
        active: Bool[Array, " batch"],
    ) -> tuple[Float[Array, "batch channels"], tuple[Array | None, Array | None]]:
        """Return the output at one more frame and the updated past of both convolutions; see `CausalConv.step`."""
        h, first = self.first.step(x, past[0], active)
        h, second = self.second.step(jax.nn.relu(h), past[1], active)
        around = x if self.around is None else self.around.step(x, None, active)[0]
        return jax.nn.relu(jax.nn.relu(h) + around), (first, second)


def _select(mask: Array, x: Array) -> Array:
    """Zero the masked frames, so that convolutions see them as frames before the first one."""
    return jnp.where(mask[:, :, None], x, jnp.zeros_like(x))


class TCN(nnx.Module):
    """Stack of residual blocks with dilations 1, 2, 4, ... that maps the frames so far to one state per frame.

    Args:
        in_features: number of columns of a frame.
        channels: width of the state.
        num_layers: number of residual blocks.
        kernel_size: number of frames that each convolution combines.
        dtype: dtype of the products and states; None for that of the parameters.
        rngs: initialization stream.
    """

    def __init__(
        self,
        in_features: int,
        channels: int = 64,
        num_layers: int = 4,
        kernel_size: int = 3,
        dtype: Any = None,
        *,
        rngs: nnx.Rngs,
    ):
        widths = [in_features] + [channels] * num_layers
        self.blocks = nnx.List(
            [ResidualBlock(widths[i], widths[i + 1], kernel_size, 2**i, dtype, rngs=rngs) for i in range(num_layers)]
        )
        self.receptive_field = receptive_field(num_layers, kernel_size)
        self.kernel_size, self.dtype = kernel_size, dtype

    def __call__(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        dropout: Dropout = NO_DROPOUT,
    ) -> Float[Array, "batch frames channels"]:
        """Return the states of all frames, 0 at masked frames, which are treated as absent."""
        x = _select(mask, x if self.dtype is None else x.astype(self.dtype))
        for i, block in enumerate(self.blocks):
            x = block(x, mask, dropout.fold_in(i))
        return x

    def last(
        self,
        x: Float[Array, "batch frames features"],
        mask: Bool[Array, "batch frames"],
        dropout: Dropout = NO_DROPOUT,
    ) -> Float[Array, "batch channels"]:
        """Return the state of the last frame, computing in each layer only the frames that it depends on.

        The outputs of a block are two of its dilations apart, which is the dilation of the next block, so that each
        block computes every second of its input frames. For 29 frames, three blocks of kernel 3 evaluate 60 convolution
        outputs instead of 174. The result equals that of the full network, except that dropout drops other activations,
        with the same rate.
        """
        counts = [1]
        for _ in self.blocks[1:]:
            counts.append(2 * (counts[-1] - 1) + 2 * self.kernel_size - 1)
        x = _select(mask, x)
        for i, (block, count) in enumerate(zip(self.blocks, reversed(counts), strict=True)):
            x, mask = block.last(x, mask, count, dropout.fold_in(i))
        return x[:, -1]

    def start(self, batch: int) -> Stream:
        """Return the initial streams of `batch` rows, without frames."""
        past = []
        for conv in (conv for block in self.blocks for conv in (block.first, block.second) if conv.reach):
            kernel = conv.kernel[...]
            past.append(jnp.zeros((batch, conv.reach, kernel.shape[1]), self.dtype or kernel.dtype))
        return Stream(tuple(past), jnp.zeros((batch,), jnp.int32))

    def step(
        self, x: Float[Array, "batch features"], stream: Stream, active: Bool[Array, " batch"]
    ) -> tuple[Float[Array, "batch channels"], Stream]:
        """Return the states after one more frame, equal to those of the full network, at constant cost per frame.

        Args:
            x: the frame; inactive rows may have any value.
            stream: stream from `start` or the previous step.
            active: rows that have a frame; the states of other rows are meaningless, and their streams are unchanged.

        Returns:
            The states and the updated stream.
        """
        x = jnp.where(active[:, None], x if self.dtype is None else x.astype(self.dtype), 0)
        updated: list[Array] = []
        for block in self.blocks:
            i = len(updated)
            past = (stream.past[i], stream.past[i + 1]) if self.kernel_size > 1 else (None, None)
            x, new = block.step(x, past, active)
            updated += [each for each in new if each is not None]
        return x, Stream(tuple(updated), stream.count + active.astype(jnp.int32))
