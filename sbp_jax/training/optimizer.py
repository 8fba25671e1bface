"""AdamW behind a clipped norm, with a warm-up and a cosine decay, as a function of values that may be traced."""

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
    """What a step takes of a configuration: numbers, which a sweep varies without compiling anew.

    Attributes:
        learning_rate: at its peak.
        weight_decay: of the kernels; biases do not decay.
        clip: largest global norm of the gradient.
        average: memory of the parameters' exponential moving average, a share a step.
        dropout: probability of dropping an activation.
        warmup: steps over which the learning rate rises from zero, at least 1.
        total: steps after which it is zero again, more than `warmup`.
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
        """Those of a configuration whose training takes `total_steps`."""
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
        """Learning rate of step number `step`: linear from zero to its peak, then half a cosine down to zero."""
        step = jnp.asarray(step, jnp.result_type(float))
        rising = step / self.warmup
        falling = jnp.minimum((step - self.warmup) / (self.total - self.warmup), 1.0)
        share = jnp.where(step < self.warmup, rising, 0.5 * (1.0 + jnp.cos(jnp.pi * falling)))
        return self.learning_rate * share

    def transform(self) -> optax.GradientTransformation:
        """AdamW (Loshchilov and Hutter 2019) behind a clipped global norm."""
        return optax.chain(
            optax.clip_by_global_norm(self.clip),
            optax.adamw(
                self.rate,
                weight_decay=self.weight_decay,
                mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
            ),
        )
