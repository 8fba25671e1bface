"""Train the networks of an estimator: members of an ensemble as one compiled program, with early stopping."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm.auto import tqdm

from sbp_jax.config import TrainingConfig
from sbp_jax.errors import InputError
from sbp_jax.estimator.program import Program, Rows, Values
from sbp_jax.models.config import NetworkConfig
from sbp_jax.models.encoders import FlatEncoder, Statistic
from sbp_jax.models.network import Network
from sbp_jax.models.tcn import NO_DROPOUT, Dropout
from sbp_jax.training.compiled import compiled_before
from sbp_jax.training.early_stopping import Row, is_done, new_record, with_epoch
from sbp_jax.training.optimizer import Hyperparameters

STEPS_PER_CALL = 25
MIN_VALIDATION = 5  # fewer validation rows say nothing: all steps are taken instead
CHUNK = 8192  # rows that are predicted at once
_AVERAGE = 0.99  # decay per step of the average of the parameters
_CLIP = 1.0


class Inputs(NamedTuple):
    """The network's inputs, one row per outcome.

    Attributes:
        frames: [N, T, F], padded at the end; T is 1 and F is 0 without sequences.
        lengths: valid frames of each row, int32 [N].
        static: features that do not vary in time, [N, S].
    """

    frames: Any
    lengths: Any
    static: Any

    def take(self, index: Any) -> "Inputs":
        """Return the rows of an index."""
        return Inputs(*(each[index] for each in self))


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        members: total number of networks over the ensemble.
        batch_size: rows per step.
        steps: maximum number of steps.
        steps_per_round: steps between two validations, a multiple of `STEPS_PER_CALL`; the last round may be shorter.
        patience: rounds without improvement after which a member stops.
        learning_rate, weight_decay, dropout: see `Hyperparameters`.
        warmup: fraction of the steps during which the learning rate rises.
        seed: seed of the initialization, of the order of rows and of dropout.
    """

    members: int
    batch_size: int
    steps: int
    steps_per_round: int
    patience: int
    learning_rate: float
    weight_decay: float
    dropout: float
    warmup: float
    seed: int

    @property
    def rounds(self) -> int:
        """Maximum number of validations."""
        return -(-self.steps // self.steps_per_round)


class Start(NamedTuple):
    """Networks before training.

    Attributes:
        trainable: static part of a step.
        params: parameters of all members, stacked.
        constants: the networks' statistics.
    """

    trainable: "Trainable"
    params: Any
    constants: Any


@dataclass(frozen=True)
class Fitted:
    """Result of a fit.

    Attributes:
        params: parameters of all members, stacked, from each member's best round.
        records: history of each member, see `early_stopping`.
    """

    params: Any
    records: list[dict[str, Any]]


def _network(config: NetworkConfig, sizes: tuple[int, int, int], key: Any) -> Network:
    """A network; `sizes` are the features of a frame (0: no TCN), those that do not vary, and the outputs."""
    features, statics, outputs = sizes
    return Network(config, FlatEncoder(1, features) if features else None, outputs, statics, rngs=nnx.Rngs(key))


@partial(jax.jit, static_argnums=(0, 1))
def _created(config: NetworkConfig, sizes: tuple[int, int, int], seeds: Any, offset: jax.Array) -> tuple[Any, Any]:
    """Parameters of a network for each seed, stacked, and their statistics."""

    def one(seed: jax.Array) -> tuple[Any, Any]:
        network = _network(config, sizes, jax.random.key(seed))
        network.offset.set_value(offset)
        _, params, constants = nnx.split(network, nnx.Param, Statistic)
        return params, constants

    params, constants = jax.vmap(one)(seeds)
    return params, jax.tree.map(lambda each: each[0], constants)


@dataclass(frozen=True)
class Trainable:
    """The static part of a compiled step: the network's graph and the program of its outputs."""

    graph: Any
    program: Program

    def outputs(
        self, params: Any, constants: Any, inputs: Inputs, values: Values, dropout: Dropout = NO_DROPOUT
    ) -> jax.Array:
        """Return `Program.outputs` of a batch, [B, outputs]."""
        network = nnx.merge(self.graph, params, constants)
        frames = inputs.frames
        mask = jnp.arange(frames.shape[1], dtype=jnp.int32)[None, :] < inputs.lengths[:, None]
        raw = network.raw(frames, mask, mask[:, :, None], inputs.static, dropout)
        return self.program.outputs(raw, values)


def untrained(config: NetworkConfig, inputs: Inputs, program: Program) -> tuple[Trainable, Any, Any]:
    """Return the static part of a network, and the shapes of its parameters and of its statistics."""
    sizes = inputs.frames.shape[-1], inputs.static.shape[-1], program.num_outputs
    network = nnx.eval_shape(lambda: _network(config, sizes, 0))
    graph, params, constants = nnx.split(network, nnx.Param, Statistic)
    return Trainable(graph, program), params, constants


class State(NamedTuple):
    """One member in training."""

    params: Any
    average: Any
    optimizer: Any
    step: Any
    key: Any


def _for_members(function: Any, *arrays: Any) -> Any:
    """A function of each member, whose results are stacked: at once, or one by one on CPUs, where that is faster."""
    if jax.default_backend() == "cpu":  # whose products of matrices with a batch axis are slow
        return jax.lax.map(lambda each: function(*each), arrays)
    return jax.vmap(function)(*arrays)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def take_steps(
    trainable: Trainable,
    states: State,
    constants: Any,
    plan: Any,
    count: Any,
    inputs: Inputs,
    rows: Rows,
    values: Values,
    hyper: Any,
) -> tuple[State, jax.Array]:
    """Take the first `count` steps of `plan` [members, steps, batch].

    Returns:
        The states, and the losses [members, steps]; those of the other steps are 0.
    """
    transform = hyper.transform()

    def step(state: State, index: jax.Array) -> tuple[State, jax.Array]:
        batch, outcomes = inputs.take(index), Rows(*(each[index] for each in rows))
        key = jax.random.fold_in(state.key, state.step)

        def loss(params: Any) -> jax.Array:
            outputs = trainable.outputs(params, constants, batch, values, Dropout(hyper.dropout, key))
            each = trainable.program.losses(outputs, outcomes, values)
            used = outcomes.weight > 0
            return jnp.sum(jnp.where(used, each, 0.0) * outcomes.weight) / index.shape[0]

        value, gradient = jax.value_and_grad(loss)(state.params)
        updates, optimizer = transform.update(gradient, state.optimizer, state.params)
        params = jax.tree.map(lambda p, u: p + u.astype(p.dtype), state.params, updates)
        count = state.step.astype(jnp.float32)
        decay = jnp.minimum(_AVERAGE, (1 + count) / (10 + count))
        average = jax.tree.map(lambda a, p: a + (1 - decay).astype(p.dtype) * (p - a), state.average, params)
        return State(params, average, optimizer, state.step + 1, state.key), value

    def member(state: State, part: jax.Array) -> tuple[State, jax.Array]:
        def body(i: jax.Array, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            state, value = step(carry[0], part[i])
            return state, carry[1].at[i].set(value)

        return jax.lax.fori_loop(0, count, body, (state, jnp.zeros(part.shape[0])))

    return _for_members(member, states, plan)


@partial(jax.jit, static_argnums=0)
def validation_losses(
    trainable: Trainable, params: Any, constants: Any, index: Any, inputs: Inputs, rows: Rows, values: Values
) -> jax.Array:
    """Return the weighted mean loss of each member on its rows `index` [members, chunks, size]; -1 is padding."""

    def member(params: Any, index: jax.Array) -> jax.Array:
        def chunk(part: jax.Array) -> tuple[jax.Array, jax.Array]:
            batch, outcomes = inputs.take(part), Rows(*(each[part] for each in rows))
            weight = jnp.where(part >= 0, outcomes.weight, 0.0)
            each = trainable.program.losses(trainable.outputs(params, constants, batch, values), outcomes, values)
            return jnp.sum(jnp.where(weight > 0, each, 0.0) * weight), jnp.sum(weight)

        totals, weights = jax.lax.map(chunk, index)
        return jnp.sum(totals) / jnp.sum(weights)

    return _for_members(member, params, index)


@partial(jax.jit, static_argnums=(0, 5))
def _outputs(
    trainable: Trainable, params: Any, constants: Any, inputs: Inputs, values: Values, ensemble: int
) -> jax.Array:
    def member(params: Any) -> jax.Array:
        return trainable.outputs(params, constants, inputs, values)

    outputs = _for_members(member, params)
    return jnp.moveaxis(jnp.mean(outputs.reshape(ensemble, -1, *outputs.shape[1:]), axis=1), 0, 1)


@compiled_before()
def mean_outputs(
    trainable: Trainable, params: Any, constants: Any, inputs: Inputs, values: Values, ensemble: int
) -> np.ndarray:
    """Return the outputs of a distribution for any number of rows, [N, ensemble, outputs], computed in chunks.

    `Program.outputs` are averaged over the networks of each member of the ensemble. Bin probabilities are thus averaged
    geometrically, up to a constant, and tail parameters through their raw outputs.
    """
    count, parts = len(inputs.static), []
    for first in range(0, max(count, 1), CHUNK):
        part = inputs.take(slice(first, first + CHUNK))
        rows = len(part.static)
        # at least 256: one program for all small calls, and a row's prediction does not depend on the others
        missing = min(CHUNK, max(256, 1 << max(rows - 1, 0).bit_length())) - rows
        padded = Inputs(*(np.pad(each, ((0, missing), *((0, 0),) * (each.ndim - 1))) for each in part))
        longer = _padded_size(part.frames.shape[1]) - part.frames.shape[1]
        padded = padded._replace(frames=np.pad(padded.frames, ((0, 0), (0, longer), (0, 0))))
        parts.append(np.asarray(_outputs(trainable, params, constants, padded, values, ensemble))[:rows])
    return np.concatenate(parts)


def initial(config: NetworkConfig, inputs: Inputs, program: Program, marginal: np.ndarray, settings: Settings) -> Start:
    """Return all members before training, each with its own seed; their prediction is the marginal distribution.

    Args:
        config: architecture of a network.
        inputs: any number of rows, whose sizes are those of the network.
        program: from raw outputs to losses.
        marginal: raw outputs of the marginal distribution, [num_outputs].
        settings: number of members and seed.
    """
    sizes = inputs.frames.shape[-1], inputs.static.shape[-1], program.num_outputs
    seeds = settings.seed + np.arange(settings.members, dtype=np.uint32)
    params, constants = _created(config, sizes, seeds, jnp.asarray(marginal, jnp.float32))
    return Start(untrained(config, inputs, program)[0], params, constants)


@compiled_before()
def fit(
    first: Start,
    inputs: Inputs,
    rows: Rows,
    values: Values,
    training: list[np.ndarray],
    validation: list[np.ndarray] | None,
    settings: Settings,
    progress: bool = False,
) -> Fitted:
    """Train all members until each has stopped improving.

    Args:
        first: the networks before training.
        inputs, rows: training and validation rows together.
        values: unit, bins and atoms.
        training: indices of the training rows of each member.
        validation: indices of the validation rows of each member; None: no early stopping.
        settings: how to train.
        progress: show a progress bar.

    Raises:
        InputError: the loss is not finite.
    """
    (trainable, params, constants), total = first, settings.steps
    hyper = Hyperparameters(
        learning_rate=jnp.float32(settings.learning_rate),
        weight_decay=jnp.float32(settings.weight_decay),
        clip=jnp.float32(_CLIP),
        average=jnp.float32(_AVERAGE),
        dropout=jnp.float32(settings.dropout),
        warmup=jnp.float32(max(1, round(settings.warmup * total))),
        total=jnp.float32(total + 1),
    )
    size = _padded_size(len(inputs.static))
    inputs, rows = (_on_device(each, size) for each in (inputs, rows))
    states = _states(params, hyper, np.uint32(settings.seed))
    plans = [_Order(index, settings.batch_size, settings.seed, i) for i, index in enumerate(training)]
    held_out = None if validation is None else jnp.asarray(_chunks(validation))
    # copies, as `take_steps` donates the states
    records, best = [new_record() for _ in plans], jax.tree.map(jnp.copy, states.average)
    rule = TrainingConfig(epochs=settings.rounds, patience=settings.patience)
    with tqdm(total=settings.rounds, desc="fit", unit="round", disable=not progress) as bar:
        for number in range(settings.rounds):
            sums, start = jnp.zeros(len(plans)), number * settings.steps_per_round
            step = min(start + settings.steps_per_round, total)
            for done in range(start, step, STEPS_PER_CALL):
                count = min(STEPS_PER_CALL, step - done)
                plan = jnp.asarray(np.stack([each.next(count) for each in plans]))
                states, losses = take_steps(
                    trainable, states, constants, plan, np.int32(count), inputs, rows, values, hyper
                )
                sums = sums + jnp.sum(losses, axis=1)  # on the device: nothing waits for it
            means = np.asarray(sums) / (step - start)
            measured = np.full(len(plans), np.nan)
            if held_out is not None:
                measured = validation_losses(trainable, states.average, constants, held_out, inputs, rows, values)
            better = np.zeros(len(plans), bool)
            for i, (record, loss) in enumerate(zip(records, np.asarray(measured), strict=True)):
                if is_done(record, rule):
                    continue
                if not np.isfinite(means[i]) or (held_out is not None and not np.isfinite(loss)):
                    raise InputError(f"training diverged after {step} steps; a lower learning_rate may help")
                row: Row = {"round": number + 1, "step": step, "training_loss": float(means[i])}
                records[i], better[i] = with_epoch(record, row | {"validation_loss": float(loss)})
            best = _select(jnp.asarray(better), states.average, best)
            bar.update()
            shown = {"training": f"{np.mean(means):.3f}"}
            bar.set_postfix(
                shown | ({} if held_out is None else {"validation": f"{np.mean(np.asarray(measured)):.3f}"})
            )
            if all(is_done(record, rule) for record in records):
                break
    return Fitted(best, records)


class _Order:
    """Endless batches of a member's training rows: each epoch visits every row once, in a new order."""

    def __init__(self, index: np.ndarray, batch_size: int, seed: int, member: int):
        self._index, self._size = index, batch_size
        self._random = np.random.default_rng((seed, member))
        self._left = np.empty(0, index.dtype)

    def next(self, steps: int) -> np.ndarray:
        """Return the next batches, int32 [STEPS_PER_CALL, batch]; those after `steps` are not used."""
        needed = steps * self._size
        while len(self._left) < needed:
            self._left = np.concatenate([self._left, self._random.permutation(self._index)])
        batches, self._left = self._left[:needed], self._left[needed:]
        plan = batches.reshape(steps, self._size).astype(np.int32)
        return np.pad(plan, ((0, STEPS_PER_CALL - steps), (0, 0)))


@jax.jit
def _states(params: Any, hyper: Any, seed: Any) -> State:
    count = len(jax.tree.leaves(params)[0])
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(jnp.arange(count, dtype=jnp.uint32))
    optimizer = jax.vmap(hyper.transform().init)(params)
    copy = jax.tree.map(jnp.copy, params)
    return State(jax.tree.map(jnp.copy, params), copy, optimizer, jnp.zeros(count, jnp.int32), keys)


@jax.jit
def _select(mask: jax.Array, a: Any, b: Any) -> Any:
    return jax.tree.map(lambda x, y: jnp.where(mask.reshape(-1, *(1,) * (x.ndim - 1)), x, y), a, b)


def _padded_size(count: int) -> int:
    """The smallest power of two, or three quarters of one, that is at least `count`: few sizes, few programs."""
    power = 1 << (count - 1).bit_length()
    return 3 * power // 4 if count <= 3 * power // 4 else power


def _on_device(rows: Any, size: int) -> Any:
    return type(rows)(
        *(jnp.asarray(np.pad(each, ((0, size - len(each)), *((0, 0),) * (each.ndim - 1)))) for each in rows)
    )


def _chunks(indices: list[np.ndarray]) -> np.ndarray:
    """An index of each member as chunks [members, chunks, size], padded with -1."""
    longest = max(map(len, indices))
    size = min(4096, _padded_size(longest))
    count = -(-longest // size)
    padded = [np.pad(index, (0, count * size - len(index)), constant_values=-1) for index in indices]
    return np.stack(padded).reshape(len(indices), count, size).astype(np.int32)
