"""The training state and step as pure functions of arrays: the NNX network is split once, outside of jit."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.batches.fields import FRAME_FIELDS, PLAY_FIELDS, Batch
from sbp_jax.data.plays import Sequences
from sbp_jax.distributions import Affine
from sbp_jax.distributions.heads import Head, Loss
from sbp_jax.models import NO_DROPOUT, Dropout, Network
from sbp_jax.training.distributed import everywhere, replicated, shared
from sbp_jax.training.optimizer import Hyperparameters
from sbp_jax.training.resident import Resident
from sbp_jax.training.scan import add_losses, mean_over, scan_steps

MeanLoss = Callable[[Any, dict[str, jax.Array], Dropout], jax.Array]  # (params, batch, dropout) -> nats per play
# "loss" (nats per play), "gradient_norm", and "gradient_leaf": index of the first parameter whose gradient is not
# finite, -1 if all are
Metrics = dict[str, jax.Array]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "average", "optimizer", "step", "key", "loss_sum"],
    meta_fields=[],
)
@dataclass(frozen=True)
class State:
    """Everything that a step changes; arrays only.

    Attributes:
        params: trained parameters, as NNX state.
        average: exponential moving average of the parameters, used for validation and prediction.
        optimizer: optax state.
        step: number of steps taken, int32.
        key: key data of the dropout stream, uint32; each step folds its number into the key.
        loss_sum: sum of the losses in the current epoch, float32.
    """

    params: Any
    average: Any
    optimizer: Any
    step: jax.Array
    key: jax.Array
    loss_sum: jax.Array

    @classmethod
    def initial(cls, params: Any, seed: int) -> "State":
        """Return the state before the first step; the parameters are copied, because steps donate them.

        Args:
            params: initial parameters, as NNX state.
            seed: seed of the dropout stream.
        """
        params, average = jax.tree.map(jnp.copy, params), jax.tree.map(jnp.copy, params)
        # the optimizer's initial state does not depend on the values of its hyperparameters
        optimizer = Hyperparameters(1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 2.0).transform().init(params)
        key = jax.random.key_data(jax.random.key(seed))
        return cls(params, average, optimizer, jnp.zeros((), jnp.int32), key, jnp.zeros(()))


@dataclass(frozen=True)
class FrameWeights:
    """Weights of the frames of a play by their time before the release.

    Attributes:
        half_life: number of frames, counted back from the last one, over which the weight halves; 0 weights all frames
            equally.
    """

    half_life: float = 0.0

    def __call__(self, mask: jax.Array) -> jax.Array:
        """Return weights [B, T] of the frames in `mask` [B, T] that sum to 1 in each row, 0 in rows without frames."""
        later = (
            jnp.sum(mask, axis=1, dtype=jnp.int32)[:, None] - 1 - jnp.arange(mask.shape[1], dtype=jnp.int32)[None, :]
        )
        later = jnp.where(mask, later, 0).astype(jnp.result_type(float))
        weight = jnp.where(mask, jnp.exp2(-later / self.half_life) if self.half_life else 1.0, 0.0)
        total = jnp.sum(weight, axis=1, keepdims=True)
        return weight / jnp.where(total > 0, total, 1.0)


class Predictor:
    """The network as a compiled function of its parameters.

    Args:
        network: the network; its statistics are constants of the function, its parameters initialize `params`.

    Attributes:
        params: parameters of the network, as NNX state.
        constants: statistics of the network, as NNX state.
        num_outputs: number of raw outputs per row.
        raw: (params, batch, dropout, constants) -> raw outputs [B, num_outputs] at the last frame; pure, not compiled;
            by default with the network's own constants.
        raw_frames: the same at every frame, [B, T, num_outputs].
    """

    def __init__(self, network: Network):
        graph, self.params, self.constants = nnx.split(network, nnx.Param, ...)
        self.num_outputs = network.head.num_outputs

        def run(method, params, batch, dropout, constants=self.constants):
            # a padding row may have arbitrary values: zero its static features before any arithmetic
            static = jnp.where(batch["valid"][:, None], batch["static"], jnp.zeros_like(batch["static"]))
            model = nnx.merge(graph, params, constants)
            return getattr(model, method)(batch["x"], batch["mask"], batch["present"], static, dropout)

        self.raw, self.raw_frames = partial(run, "raw"), partial(run, "raw_frames")
        self._compiled = jax.jit(lambda params, batch: self.raw(params, batch, NO_DROPOUT))
        self._every_frame = jax.jit(lambda params, batch: self.raw_frames(params, batch, NO_DROPOUT))

    def every_frame(self, batch: dict[str, np.ndarray]) -> jax.Array:
        """Return the raw outputs [B, T, num_outputs] of a batch at every frame, with the network's own parameters."""
        return self._every_frame(self.params, batch)

    def __call__(
        self, params: Any, plays: Sequences, batch_size: int, buckets: tuple[int, ...], last: int | None = None
    ) -> jax.Array:
        """Return the raw outputs [N, num_outputs] of all plays in order, with one batch of frames in memory at a time.

        Args:
            params: parameters of the network.
            plays: the plays.
            batch_size: plays per batch.
            buckets: numbers of frames that batches are padded to; if empty, the length of the longest play.
            last: number of last frames of each play to use; None uses all.
        """
        outputs = np.empty((len(plays), self.num_outputs), np.float32)
        longest = int(plays.lengths.max(initial=1))
        buckets = buckets or (longest if last is None else min(longest, last),)
        for batch in Batches(plays, batch_size, buckets, shuffle=False, last=last):
            outputs[batch.index[batch.valid]] = np.asarray(self._compiled(params, arrays(batch)))[batch.valid]
        return jnp.asarray(outputs)


def training_loss(
    predictor: Predictor,
    dist: Callable[[jax.Array], Any],
    loss: Loss,
    frames: FrameWeights | None,
    constants: Any = None,
) -> MeanLoss:
    """Return the training loss, the mean over the plays of a batch.

    Args:
        predictor: the network.
        dist: raw outputs -> distribution.
        loss: (distribution, outcomes, mask of the censored ones) -> loss of each outcome.
        frames: weights of the frames. Every frame predicts the outcome, and the loss of a play is the weighted mean
            over its frames; None uses the last frame alone.
        constants: the network's statistics; by default those of the predictor.
    """
    constants = predictor.constants if constants is None else constants

    def mean_loss(params: Any, batch: dict[str, jax.Array], dropout: Dropout) -> jax.Array:
        y, censored = outcomes(batch)
        if frames is None:
            losses = loss(in_units(dist(predictor.raw(params, batch, dropout, constants)), batch), y, censored)
        else:
            distribution = in_units(dist(predictor.raw_frames(params, batch, dropout, constants)), batch)
            each = loss(distribution, y[:, None], censored[:, None])
            weights = frames(batch["mask"]).astype(each.dtype)
            losses = jnp.sum(jnp.where(batch["mask"], weights * each, jnp.zeros_like(each)), axis=1)
        total = jnp.sum(jnp.where(batch["valid"], losses, jnp.zeros_like(losses)))
        return total / jnp.maximum(jnp.sum(batch["valid"]), 1).astype(losses.dtype)

    return mean_loss


def outcomes(batch: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Return the outcomes of a batch [B], 0 in padding rows, and the mask of the censored ones [B]."""
    valid, outcome = batch["valid"], batch["outcome"]
    return jnp.where(valid, outcome, jnp.zeros_like(outcome)), valid & batch["censored"]


def in_units(dist: Any, batch: dict[str, jax.Array]) -> Any:
    """Return the distribution of a batch's outcomes `[B, ...]`, rescaled if each row has its own location and scale.

    The log-density includes the Jacobian, so that rows with different scales are comparable.
    """
    if "unit" not in batch:
        return dist
    shape = (-1,) + (1,) * (len(dist.batch_shape) - 1)
    valid = batch["valid"]  # padding rows get scale 1; a scale of 0 would make gradients NaN
    loc = jnp.where(valid, batch["unit"][:, 0], jnp.zeros_like(batch["unit"][:, 0]))
    scale = jnp.where(valid, batch["unit"][:, 1], jnp.ones_like(batch["unit"][:, 1]))
    return Affine(dist, loc.reshape(shape), scale.reshape(shape))


def take_step(
    mean_loss: MeanLoss, settings: Hyperparameters, state: State, batch: dict[str, jax.Array]
) -> tuple[State, Metrics]:
    """Take one step of AdamW on the mean loss; a pure function."""
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    value, gradient = jax.value_and_grad(mean_loss)(state.params, batch, Dropout(settings.dropout, key))
    updates, optimizer = settings.transform().update(gradient, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    # Polyak and Juditsky 1992; a short memory at first, so that the initial parameters do not linger
    memory = jnp.minimum(settings.average, (1.0 + state.step) / (10.0 + state.step))
    average = jax.tree.map(lambda old, new: memory * old + (1.0 - memory) * new, state.average, params)
    squares = jnp.stack([jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient)])
    bad = ~jnp.isfinite(squares)
    leaf = jnp.where(jnp.any(bad), jnp.argmax(bad).astype(value.dtype), -jnp.ones_like(value))
    metrics = {"loss": value, "gradient_norm": jnp.sqrt(jnp.sum(squares)), "gradient_leaf": leaf}
    return State(params, average, optimizer, state.step + 1, state.key, state.loss_sum + value), metrics


class Trainer:
    """The compiled functions of a training run.

    Args:
        predictor: the network.
        head: raw outputs -> distribution.
        loss: (distribution, outcomes, mask of the censored ones) -> loss of each row.
        settings: hyperparameters of the optimizer and dropout.
        validation_loss: loss for validation, at the last frame; by default `loss`.
        frames: see `training_loss`.
        mesh: devices that share the plays of every batch; all arguments are replicated on them (see `distributed`).
            None uses one device.

    Attributes:
        step: (state, batch) -> (state, metrics); the state is donated.
        scan: (state, resident plays, index plan, signs) -> (state, metrics of each step), see `scan.scan_steps`; the
            state is donated.
        evaluate: (params, resident plays, index plan) -> mean validation loss, without dropout.
        value_and_grad: (params, batch, dropout key or None) -> mean loss of the valid rows, and its gradient.
    """

    def __init__(
        self,
        predictor: Predictor,
        head: Head,
        loss: Loss,
        settings: Hyperparameters,
        validation_loss: Loss | None = None,
        frames: FrameWeights | None = None,
        mesh: Mesh | None = None,
    ):
        self._params, self.mesh = predictor.params, mesh
        of_batch = training_loss(predictor, head, loss, frames)

        def mean_loss(params, batch, dropout):
            return of_batch(params, shared(batch, mesh), dropout)

        def losses(params, batch):
            rows, batch = len(batch["valid"]), shared(batch, mesh)
            dist = in_units(head(predictor.raw(params, batch, NO_DROPOUT)), batch)
            return (validation_loss or loss)(dist, *outcomes(batch))[:rows]

        def evaluate(params, resident, plan):
            return mean_over(partial(losses, params), resident, plan)

        step = partial(take_step, mean_loss, settings)
        out = None if mesh is None else everywhere(mesh)
        self.step = jax.jit(step, donate_argnums=0, out_shardings=out)
        self.scan = jax.jit(partial(scan_steps, step), donate_argnums=0, out_shardings=out)
        self.evaluate = jax.jit(evaluate, out_shardings=out)
        self._add = jax.jit(lambda params, *call: add_losses(partial(losses, params), *call), out_shardings=out)
        # a static count, as in `mean_over`: XLA compiles division by a constant to a multiplication
        self._mean = jax.jit(lambda total, count: total / count, static_argnums=1)
        self.value_and_grad = jax.jit(
            jax.value_and_grad(lambda params, batch, key: mean_loss(params, batch, Dropout(settings.dropout, key)))
        )

    def initial(self, seed: int) -> State:
        """Return the state before the first step; `seed` is the seed of the dropout stream."""
        return self.place(State.initial(self._params, seed))

    def evaluate_windows(self, params: Any, windows: Iterable[tuple[Resident, dict[str, np.ndarray], int]]) -> float:
        """Return the loss of `evaluate` over windows of a `WindowBatchSource` that contain each play once.

        Return NaN if there are no plays.
        """
        total, count = self.place(jnp.zeros(())), 0
        for window, plan, _ in windows:
            total = self._add(params, total, self.place(window), self.place(plan))
            count += int(plan["valid"].sum())
        return float(self._mean(total, count)) if count else math.nan

    def place(self, tree: Any) -> Any:
        """Return a tree of arrays placed for the compiled functions."""
        return replicated(tree, self.mesh)


def arrays(batch: Batch) -> dict[str, np.ndarray]:
    """Return the arrays of a batch that the device needs."""
    names = (*FRAME_FIELDS, *PLAY_FIELDS, "valid")
    return {name: values for name in names if (values := getattr(batch, name)) is not None}
