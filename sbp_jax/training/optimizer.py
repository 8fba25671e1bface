"""AdamW with gradient clipping, warm-up and cosine decay, as a function of hyperparameters that may be traced."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from sbp_jax.config import Config

Scalar = float | jax.Array


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["learning_rate", "weight_decay", "clip", "average", "dropout", "warmup", "total"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Hyperparameters:
    """The numbers of a configuration that a step uses; a sweep varies them without recompiling.

    Attributes:
        learning_rate: peak learning rate.
        weight_decay: decay of the kernels; biases do not decay.
        clip: maximum global norm of the gradient.
        average: decay per step of the exponential moving average of the parameters.
        dropout: probability of dropping an activation.
        warmup: number of steps over which the learning rate rises from zero, at least 1.
        total: number of steps after which the learning rate is zero again, more than `warmup`.
    """

    learning_rate: Scalar
    weight_decay: Scalar
    clip: Scalar
    average: Scalar
    dropout: Scalar
    warmup: Scalar
    total: Scalar

    @classmethod
    def of(cls, config: Config, total_steps: int) -> "Hyperparameters":
        """Return the hyperparameters of a configuration that trains for `total_steps`."""
        settings = config.optimizer
        warmup = max(1, round(settings.warmup * total_steps))
        return cls(
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            clip=settings.clip,
            average=settings.average,
            dropout=config.network.dropout,
            warmup=float(warmup),
            total=float(max(total_steps, warmup + 1)),
        )

    def rate(self, step: ArrayLike) -> jax.Array:
        """Return the learning rate at a step: linear from zero to its peak, then half a cosine down to zero."""
        step = jnp.asarray(step, jnp.result_type(float))
        warmup = step / self.warmup
        decay = jnp.minimum((step - self.warmup) / (self.total - self.warmup), 1.0)
        factor = jnp.where(step < self.warmup, warmup, 0.5 * (1.0 + jnp.cos(jnp.pi * decay)))
        return self.learning_rate * factor

    def transform(self) -> optax.GradientTransformation:
        """Return AdamW (Loshchilov and Hutter 2019) preceded by clipping of the global norm."""
        return optax.chain(
            optax.clip_by_global_norm(self.clip),
            optax.adamw(
                self.rate,
                weight_decay=self.weight_decay,
                mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
            ),
        )
