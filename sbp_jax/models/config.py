"""Sizes of the network: a plain dataclass, which imports nothing that computes."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from sbp_jax.errors import InputError, positive, share
from sbp_jax.extensions import check_name

EncoderKind = Literal["attention", "flat", "none"]


@dataclass(frozen=True)
class NetworkConfig:
    """Size of the network.

    Attributes:
        encoder: "attention" (entities share weights, see `EntityAttention`), "flat" (all columns side by side) or
            "none": the network sees the static features alone, no frame, and has no TCN. Or a class of your own as
            "package.module:Class", called with (entities, columns, rngs=...) for an `encoders.Encoder`.
        channels: width of the TCN's state.
        layers: residual blocks; with kernel 3 the network sees 1 + 4 (2^layers - 1) frames.
        kernel_size: frames that a convolution combines.
        hidden: widths of the MLP's hidden layers.
        dropout: probability of dropping an activation while training.
        compute: format of the products; "bfloat16" is for accelerators. Parameters, the raw outputs and the law are
            float32 in either case.

    Raises:
        InputError: a number out of range; the line names the field.
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
        if any(width < 1 for width in self.hidden):
            raise InputError(f"network.hidden: expected widths of at least 1, got {self.hidden}")

    @property
    def dtype(self) -> Any:
        """What modules take as their dtype: None where it is that of the parameters."""
        if self.compute == "float32":
            return None
        import jax.numpy as jnp

        return jnp.bfloat16
