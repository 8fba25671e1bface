"""Many training runs as one compiled program that maps over configurations that differ only in values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sbp_jax.config import Config
from sbp_jax.distributions.heads import SplicedBinnedParetoHead, SplicedFamily, SplicedValues
from sbp_jax.errors import InputError
from sbp_jax.models import NO_DROPOUT, Network
from sbp_jax.training.build import constants, frame_weights, make_head, make_loss, make_validation_loss
from sbp_jax.training.optimizer import Hyperparameters
from sbp_jax.training.resident import Resident
from sbp_jax.training.scan import mean_over, scan_steps
from sbp_jax.training.step import Metrics, Predictor, State, in_units, outcomes, take_step, training_loss

MEMBERS = PartitionSpec("members")
# fields of the configuration that a step takes as values; members of one sweep agree in all others
VALUES = (
    *("head.low", "head.high", "head.bins", "head.tail_mass", "head.parameterization"),
    *("network.dropout", "training.objective", "training.threshold_gradient"),
    *("training.seed", "training.epochs", "training.patience"),
    *("optimizer.learning_rate", "optimizer.weight_decay", "optimizer.warmup", "optimizer.clip", "optimizer.average"),
)


def program(config: Config) -> Config:
    """Return the configuration with its values reset to defaults: equal for members of one sweep.

    Only a Spliced Binned-Pareto head is a function of values; the fields of other heads are unchanged.
    """
    for name in VALUES:
        section, field = name.split(".")
        part = getattr(config, section)
        if section != "head" or config.head.kind == "sbp":
            part = replace(part, **{field: getattr(type(part)(), field)})
        config = replace(config, **{section: part})
    return config


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["settings", "dist", "objective", "validation", "constants"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Member:
    """The values of one member, or of many members stacked.

    Attributes:
        settings: hyperparameters of the optimizer and dropout.
        dist: values of its head within the family; None if all members have the same head.
        objective, validation: int32, indices of its training and validation losses among those of the sweep.
        constants: statistics of its network, as NNX state.
    """

    settings: Hyperparameters
    dist: SplicedValues | None
    objective: jax.Array
    validation: jax.Array
    constants: Any


class Sweep:
    """The compiled functions of training runs that differ only in values.

    On a CPU, members run one after another in a compiled loop, because batched matrix products are no faster there. On
    an accelerator they are vectorized, `vmap_size` at a time.

    Args:
        configs: configurations of the members, equal under `program`.
        network: network of a member with the most outputs; all members share its graph.
        integer: whether the outcomes are integers.
        vmap_size: number of members vectorized at a time; by default one on a CPU, else all members of a device.
        devices: devices that share the members; by default JAX's default device alone.

    Raises:
        InputError: there is no configuration, or two do not fit into one program; the message names the field.
    """

    def __init__(
        self,
        configs: Sequence[Config],
        network: Network,
        integer: bool = True,
        vmap_size: int | None = None,
        devices: Sequence[Any] | None = None,
    ):
        check_members(configs)
        self.configs = tuple(configs)
        self._heads = [make_head(config.head) for config in configs]
        spliced = [head for head in self._heads if isinstance(head, SplicedBinnedParetoHead)]
        self._family = SplicedFamily(spliced) if spliced else None
        self._losses, self._loss_of = _numbered([make_loss(config) for config in configs])
        self._validations, self._validation_of = _numbered(
            [make_validation_loss(config.training, integer) for config in configs]
        )
        self._predictor, self._frames = Predictor(network), frame_weights(configs[0].training)
        self._mesh = Mesh(np.asarray(devices), ("members",)) if devices is not None and len(devices) > 1 else None
        platform = jax.devices()[0].platform if not devices else devices[0].platform
        self.vmap_size = (1 if platform == "cpu" else len(configs)) if vmap_size is None else vmap_size

    @property
    def devices(self) -> int:
        """Number of devices that share the members."""
        return 1 if self._mesh is None else self._mesh.size

    def member(self, index: int, network: Network, total_steps: int) -> tuple[Member, State]:
        """Return the values and the initial state of a member.

        Args:
            index: number of the member.
            network: its own network, with its statistics.
            total_steps: number of steps of its training.
        """
        config, head = self.configs[index], self._heads[index]
        member = Member(
            settings=jax.tree.map(jnp.asarray, Hyperparameters.of(config, total_steps)),
            dist=None if self._family is None else jax.tree.map(jnp.asarray, self._family.values(head)),
            objective=jnp.asarray(self._loss_of[index], jnp.int32),
            validation=jnp.asarray(self._validation_of[index], jnp.int32),
            constants=constants(network),
        )
        member = self.widen(index, member)
        return member, State.initial(self.widen(index, nnx.state(network, nnx.Param)), config.training.seed)

    def widen(self, index: int, tree: Any) -> Any:
        """Return a tree with a member's parameters, such as an optimizer state, padded to the widest head's outputs."""
        return self._resized(index, tree, narrow=False)

    def narrow(self, index: int, tree: Any) -> Any:
        """Return a tree cut to the outputs of the member's own head; the inverse of `widen`."""
        return self._resized(index, tree, narrow=True)

    def _resized(self, index: int, tree: Any, narrow: bool) -> Any:
        family, head = self._family, self._heads[index]
        if family is None:
            return tree
        resize = family.narrow if narrow else family.widen

        def leaf(path: Any, value: jax.Array) -> jax.Array:
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            return resize(value, head) if name.endswith(OUTPUTS) else value

        return jax.tree_util.tree_map_with_path(leaf, tree)

    @cached_property
    def scan(self) -> Callable[..., tuple[State, Metrics]]:
        """(states, members, index plans, resident, signs) -> (states, metrics `[members, steps]`); donates the states.

        All arguments but the plays are stacked along the members, whose number is a multiple of the number of devices.
        A member whose steps all have a bucket that does not exist is unchanged.
        """

        def one(state: State, member: Member, plan: Any, resident: Resident, signs: Any) -> tuple[State, Metrics]:
            def dist(raw: jax.Array) -> Any:
                return self._dist(raw, member)

            def loss(*outcomes: Any) -> jax.Array:
                return jax.lax.switch(member.objective, self._losses, *outcomes)

            mean_loss = training_loss(self._predictor, dist, loss, self._frames, member.constants)
            return scan_steps(partial(take_step, mean_loss, member.settings), state, resident, plan, signs)

        return self._over_members(one, mapped=3, shared=2, donate=0)

    @cached_property
    def evaluate(self) -> Callable[..., jax.Array]:
        """(parameters, members, index plan, resident) -> mean validation loss `[members]` of the plays."""

        def one(params: Any, member: Member, plan: Any, resident: Resident) -> jax.Array:
            def losses(batch):
                dist = self._dist(self._predictor.raw(params, batch, NO_DROPOUT, member.constants), member)
                dist = in_units(dist, batch)
                return jax.lax.switch(member.validation, self._validations, dist, *outcomes(batch))

            return mean_over(losses, resident, plan)

        return self._over_members(one, mapped=2, shared=2)

    def _dist(self, raw: jax.Array, member: Member) -> Any:
        if self._family is None or member.dist is None:
            return self._heads[0](raw)
        return self._family(raw, member.dist)

    def _over_members(self, one: Callable[..., Any], mapped: int, shared: int, donate: int | None = None) -> Any:
        """Map `one` over the members in its first `mapped` arguments, on all devices."""
        size = None if self.vmap_size == 1 else self.vmap_size

        def all_members(*arguments: Any) -> Any:
            each, rest = arguments[:mapped], arguments[mapped:]
            return jax.lax.map(lambda values: one(*values, *rest), each, batch_size=size)

        if self._mesh is not None:
            specs = (*(MEMBERS,) * mapped, *(PartitionSpec(),) * shared)
            # a loop carry is equal on all devices at first and differs after one iteration
            all_members = jax.shard_map(
                all_members, mesh=self._mesh, in_specs=specs, out_specs=MEMBERS, check_vma=False
            )
        return jax.jit(all_members, donate_argnums=() if donate is None else donate)

    def place(self, tree: Any, members: bool) -> Any:
        """Return a tree placed for the compiled functions: sharded along the members, or replicated."""
        if self._mesh is None:
            return jax.tree.map(jnp.asarray, tree)
        return jax.device_put(tree, NamedSharding(self._mesh, MEMBERS if members else PartitionSpec()))


OUTPUTS = ("last.kernel.value", "last.bias.value", "offset.value")  # arrays with a column for each output of the head


def _numbered(losses: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """The distinct losses, and the index of each loss among them."""
    distinct = list(dict.fromkeys(losses))
    return distinct, [distinct.index(loss) for loss in losses]


def check_members(configs: Sequence[Config]) -> None:
    """Check that the configurations fit into one program.

    Raises:
        InputError: there is no configuration, or two differ in a field that is not a value; the message names it.
    """
    if not configs:
        raise InputError("members: expected at least one configuration, got none")
    first = program(configs[0])
    for config in configs[1:]:
        other = program(config)
        for section in ("data", "network", "head", "optimizer", "training"):
            one, two = getattr(first, section), getattr(other, section)
            for field in one.__dataclass_fields__:
                if getattr(one, field) != getattr(two, field):
                    raise InputError(
                        f"{section}.{field}: the members of a sweep may differ only in values, got "
                        f"{getattr(one, field)} and {getattr(two, field)}"
                    )


def stack(trees: Sequence[Any]) -> Any:
    """Return trees of arrays stacked as one, with the members along the first axis of each leaf."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def pick(tree: Any, member: int) -> Any:
    """Return the tree of one member from stacked trees."""
    return jax.tree.map(lambda leaf: leaf[member], tree)
