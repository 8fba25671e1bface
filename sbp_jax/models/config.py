"""Configuration of the network: a plain dataclass that imports no numerical library."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from sbp_jax.errors import InputError, positive, share
from sbp_jax.extensions import check_name

EncoderKind = Literal["attention", "flat", "none"]


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of the network.

    Attributes:
        encoder: "attention" (entities share weights, see `EntityAttention`), "flat" (concatenates all columns), "none"
            (the network sees only the static features, no frames, and has no TCN), or your own class as
            "package.module:Class", called as Class(entities, columns, rngs=...) to create an `encoders.Encoder`.
        channels: width of the TCN's state.
        layers: number of residual blocks; with kernel size 3 the receptive field is 1 + 4 (2^layers - 1) frames.
        kernel_size: number of frames in a convolution's kernel.
        hidden: widths of the MLP's hidden layers.
        dropout: probability of dropping an activation in training.
        compute: floating-point format of matrix products; "bfloat16" is for accelerators. Parameters, raw outputs and
            the distribution are always float32.

    Raises:
        InputError: a number is out of range; the message names the field.
    """

    encoder: EncoderKind | str = "attention"
    channels: int = 64
    layers: int = 3
    kernel_size: int = 3
    hidden: tuple[int, ...] = (256, 128)
    dropout: float = 0.3
    compute: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        check_name("network.encoder", self.encoder, get_args(EncoderKind))
        for name in ("channels", "layers", "kernel_size"):
            positive(f"network.{name}", getattr(self, name))
        share("network.dropout", self.dropout)
        if min(self.hidden, default=1) < 1:
            raise InputError(f"network.hidden: expected widths of at least 1, got {self.hidden}")

    @property
    def dtype(self) -> Any:
        """The `dtype` argument of the modules; None stands for the dtype of the parameters."""
        if self.compute == "float32":
            return None
        import jax.numpy as jnp

        return jnp.bfloat16
