"""The training state and its step, pure functions of arrays: the network is split once, outside of jit."""

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
from sbp_jax.data.plays import Plays
from sbp_jax.distributions import Affine
from sbp_jax.distributions.heads import Head, Loss
from sbp_jax.models import NO_DROPOUT, Dropout, Network
from sbp_jax.training.distributed import everywhere, replicated, shared
from sbp_jax.training.optimizer import Hyperparameters
from sbp_jax.training.resident import Resident
from sbp_jax.training.scan import add_losses, mean_over, scan_steps

MeanLoss = Callable[[Any, dict[str, jax.Array], Dropout], jax.Array]  # (params, batch, dropout) -> nats per play
# "loss", in nats per play, "gradient_norm", and "gradient_leaf", the place among the parameters of the first one whose
# gradient is not finite, -1 without one
Metrics = dict[str, jax.Array]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "average", "optimizer", "step", "key", "loss_sum"],
    meta_fields=[],
)
@dataclass(frozen=True)
class State:
    """All that a step changes, arrays only.

    Attributes:
        params: trained parameters, as NNX state.
        average: their exponential moving average, which is what validates and predicts.
        optimizer: optax state.
        step: steps taken, int32.
        key: key data of dropout's stream, uint32; a step uses the key folded with its number.
        loss_sum: sum of the losses since the epoch began, float32.
    """

    params: Any
    average: Any
    optimizer: Any
    step: jax.Array
    key: jax.Array
    loss_sum: jax.Array

    @classmethod
    def initial(cls, params: Any, seed: int) -> "State":
        """State before the first step; `seed` starts dropout's stream. The parameters are copied: steps donate them."""
        params, average = jax.tree.map(jnp.copy, params), jax.tree.map(jnp.copy, params)
        # what the optimizer keeps does not depend on the values of its hyperparameters
        optimizer = Hyperparameters(1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 2.0).transform().init(params)
        key = jax.random.key_data(jax.random.key(seed))
        return cls(params, average, optimizer, jnp.zeros((), jnp.int32), key, jnp.zeros(()))


@dataclass(frozen=True)
class FrameWeights:
    """How much each frame of a play counts, by its time to the release.

    Attributes:
        half_life: frames before the last one at which a weight is half of the last one's; 0: all frames alike.
    """

    half_life: float = 0.0

    def __call__(self, mask: jax.Array) -> jax.Array:
        """Weights [B, T] of the frames that `mask` [B, T] has, whose sum is 1 in each row that has any; else 0."""
        left = jnp.sum(mask, axis=1, dtype=jnp.int32)[:, None] - 1 - jnp.arange(mask.shape[1], dtype=jnp.int32)[None, :]
        left = jnp.where(mask, left, 0).astype(jnp.result_type(float))
        weight = jnp.where(mask, jnp.exp2(-left / self.half_life) if self.half_life else 1.0, 0.0)
        total = jnp.sum(weight, axis=1, keepdims=True)
        return weight / jnp.where(total > 0, total, 1.0)


class Predictor:
    """The network as a compiled function of its parameters.

    Args:
        network: its statistics are constants of the function; its parameters are only where `params` starts.

    Attributes:
        params: the network's own parameters, as NNX state.
        constants: its statistics, as NNX state.
        num_outputs: raw outputs a row.
        raw: (params, batch, dropout, constants) -> raw outputs [B, num_outputs] at the last frame; pure, not compiled;
            without constants the network's own.
        raw_frames: the same at every frame, [B, T, num_outputs].
    """

    def __init__(self, network: Network):
        graph, self.params, self.constants = nnx.split(network, nnx.Param, ...)
        self.num_outputs = network.head.num_outputs

        def run(method, params, batch, dropout, constants=self.constants):
            # A row that fills a batch up may hold anything: its static features never meet arithmetic.
            static = jnp.where(batch["valid"][:, None], batch["static"], jnp.zeros_like(batch["static"]))
            model = nnx.merge(graph, params, constants)
            return getattr(model, method)(batch["x"], batch["mask"], batch["players"], static, dropout)

        self.raw, self.raw_frames = partial(run, "raw"), partial(run, "raw_frames")
        self._compiled = jax.jit(lambda params, batch: self.raw(params, batch, NO_DROPOUT))
        self._every_frame = jax.jit(lambda params, batch: self.raw_frames(params, batch, NO_DROPOUT))

    def every_frame(self, batch: dict[str, np.ndarray]) -> jax.Array:
        """Raw outputs [B, T, num_outputs] of a batch at every frame, with the network's own parameters."""
        return self._every_frame(self.params, batch)

    def __call__(
        self, params: Any, plays: Plays, batch_size: int, buckets: tuple[int, ...], last: int | None = None
    ) -> jax.Array:
        """Return the raw outputs [N, num_outputs] of all plays, in their order, a batch of frames in memory at a time.

        Args:
            params: of the network.
            plays: any.
            batch_size: plays per batch.
            buckets: frames that batches are padded to; none: the longest of the plays.
            last: frames taken of each play, its last ones; None takes all.
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
    """The function that a step descends: the mean over the plays of a batch.

    Args:
        predictor: the network.
        distribution: raw outputs -> distribution.
        loss: (distribution, outcomes, which of them are censored) -> loss of each.
        frames: with them every frame predicts the outcome, and a play counts by its frames' weighted mean; without, the
            last frame alone.
        constants: the network's statistics, where they are not the predictor's own.
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
    """The outcomes of a batch [B], 0 in rows that fill it up, and which of them are censored."""
    return jnp.where(batch["valid"], batch["yards"], jnp.zeros_like(batch["yards"])), batch["valid"] & batch["censored"]


def in_units(dist: Any, batch: dict[str, jax.Array]) -> Any:
    """The distribution of a batch's outcomes `[B, ...]`, from one in units of each row's own location and scale if it
    has those.

    Its log-density has the Jacobian: rows with different scales are comparable.
    """
    if "unit" not in batch:
        return dist
    shape = (-1,) + (1,) * (len(dist.batch_shape) - 1)
    valid = batch["valid"]  # a row that fills up is in units of its own: a scale of 0 would make NaN of a gradient
    loc = jnp.where(valid, batch["unit"][:, 0], jnp.zeros_like(batch["unit"][:, 0]))
    scale = jnp.where(valid, batch["unit"][:, 1], jnp.ones_like(batch["unit"][:, 1]))
    return Affine(dist, loc.reshape(shape), scale.reshape(shape))


def take_step(
    mean_loss: MeanLoss, settings: Hyperparameters, state: State, batch: dict[str, jax.Array]
) -> tuple[State, Metrics]:
    """One step of AdamW along the gradient of the mean loss; pure."""
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    value, gradient = jax.value_and_grad(mean_loss)(state.params, batch, Dropout(settings.dropout, key))
    updates, optimizer = settings.transform().update(gradient, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    # Polyak and Juditsky 1992; a short memory at first, or the untrained start would linger.
    memory = jnp.minimum(settings.average, (1.0 + state.step) / (10.0 + state.step))
    average = jax.tree.map(lambda old, new: memory * old + (1.0 - memory) * new, state.average, params)
    squares = jnp.stack([jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient)])
    bad = ~jnp.isfinite(squares)
    leaf = jnp.where(jnp.any(bad), jnp.argmax(bad).astype(value.dtype), -jnp.ones_like(value))
    metrics = {"loss": value, "gradient_norm": jnp.sqrt(jnp.sum(squares)), "gradient_leaf": leaf}
    return State(params, average, optimizer, state.step + 1, state.key, state.loss_sum + value), metrics


class Trainer:
    """The compiled functions of a training.

    Args:
        predictor: the network.
        head: raw outputs -> distribution.
        loss: (distribution, outcomes, which of them are censored) -> loss of each row.
        settings: of the optimizer and dropout.
        judge: loss that validates, of the last frame; without, the one that trains.
        frames: as for `training_loss`.
        mesh: devices that share the plays of every batch, all arguments being whole on each (see `distributed`);
            without, one device does all.

    Attributes:
        step: (state, batch) -> (state, metrics); the state is donated.
        scan: (state, resident plays, order, signs) -> (state, metrics of each step), see `scan.scan_steps`; likewise.
        evaluate: (params, resident plays, order) -> mean loss by which training is judged, without dropout.
        value_and_grad: (params, batch, dropout key or None) -> mean loss of the valid rows, and its gradient.
    """

    def __init__(
        self,
        predictor: Predictor,
        head: Head,
        loss: Loss,
        settings: Hyperparameters,
        judge: Loss | None = None,
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
            return (judge or loss)(dist, *outcomes(batch))[:rows]

        def evaluate(params, resident, order):
            return mean_over(partial(losses, params), resident, order)

        step = partial(take_step, mean_loss, settings)
        out = None if mesh is None else everywhere(mesh)
        self.step = jax.jit(step, donate_argnums=0, out_shardings=out)
        self.scan = jax.jit(partial(scan_steps, step), donate_argnums=0, out_shardings=out)
        self.evaluate = jax.jit(evaluate, out_shardings=out)
        self._add = jax.jit(lambda params, *call: add_losses(partial(losses, params), *call), out_shardings=out)
        # by a constant, as `mean_over` does: a division by it is compiled to a product
        self._mean = jax.jit(lambda total, count: total / count, static_argnums=1)
        self.value_and_grad = jax.jit(
            jax.value_and_grad(lambda params, batch, key: mean_loss(params, batch, Dropout(settings.dropout, key)))
        )

    def initial(self, seed: int) -> State:
        """State before the first step; `seed` starts dropout's stream."""
        return self.place(State.initial(self._params, seed))

    def evaluate_windows(self, params: Any, windows: Iterable[tuple[Resident, dict[str, np.ndarray], int]]) -> float:
        """As `evaluate`, of the windows of a `WindowBatchSource` in which each play is once; NaN without plays."""
        total, count = self.place(jnp.zeros(())), 0
        for window, plan, _ in windows:
            total = self._add(params, total, self.place(window), self.place(plan))
            count += int(plan["valid"].sum())
        return float(self._mean(total, count)) if count else math.nan

    def place(self, tree: Any) -> Any:
        """A tree of arrays as the compiled functions take it."""
        return replicated(tree, self.mesh)


def arrays(batch: Batch) -> dict[str, np.ndarray]:
    """What the device needs of a batch."""
    names = (*FRAME_FIELDS, *PLAY_FIELDS, "valid")
    return {name: values for name in names if (values := getattr(batch, name)) is not None}
