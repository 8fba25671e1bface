"""Many training runs as one compiled program: configurations that differ in values, mapped over by one function."""

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
# What a step takes as values, by field of the configuration; members of one sweep are alike in all the others.
VALUES = (
    *("head.low", "head.high", "head.bins", "head.tail_mass", "head.parameterization"),
    *("network.dropout", "training.objective", "training.threshold_gradient"),
    *("training.seed", "training.epochs", "training.patience"),
    *("optimizer.learning_rate", "optimizer.weight_decay", "optimizer.warmup", "optimizer.clip", "optimizer.average"),
)


def program(config: Config) -> Config:
    """The configuration with its values taken out: equal for two that can be members of one sweep.

    Only a Spliced Binned-Pareto head is a function of values; of another kind all fields are left in.
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
    """The values of one member, or of many, stacked.

    Attributes:
        settings: of the optimizer and dropout.
        distribution: of its head in the family; None where all heads are one.
        objective, validation: int32, positions among the sweep's losses that train and that validate.
        constants: the statistics of its network, as NNX state.
    """

    settings: Hyperparameters
    dist: SplicedValues | None
    objective: jax.Array
    validation: jax.Array
    constants: Any


class Sweep:
    """The compiled functions of training runs that differ in values.

    On a CPU members are taken one after another in a compiled loop: matrix products of several members at once are no
    faster there. On an accelerator they are vectorized, `vmap_size` at a time, as batched products.

    Args:
        configs: of the members; `program` of all is the same.
        network: the network of a member with most outputs; what is like it in all is its graph.
        integer: the outcomes are integers.
        together: members vectorized; None takes one on a CPU, else all of a device.
        devices: over which members are spread; without, one alone, JAX's default.

    Raises:
        InputError: no configuration, or two that do not fit into one program; the line names the field.
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
        """Number of devices that members are spread over."""
        return 1 if self._mesh is None else self._mesh.size

    def member(self, index: int, network: Network, total_steps: int) -> tuple[Member, State]:
        """Values and initial state of a member, whose own network has its statistics."""
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
        """A tree of a member's parameters, in whatever it is kept, with the outputs of the widest head."""
        return self._resized(index, tree, narrow=False)

    def narrow(self, index: int, tree: Any) -> Any:
        """What the member would have by itself."""
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
        """(states, members, orders, resident, signs) -> (states, metrics `[members, steps]`); states are donated.

        All but the plays are stacked along the members, whose number is a multiple of that of the devices. A member
        whose steps are all in a bucket that there is not stands still.
        """

        def one(state: State, member: Member, order: Any, resident: Resident, signs: Any) -> tuple[State, Metrics]:
            def dist(raw: jax.Array) -> Any:
                return self._dist(raw, member)

            def loss(*outcomes: Any) -> jax.Array:
                return jax.lax.switch(member.objective, self._losses, *outcomes)

            mean_loss = training_loss(self._predictor, dist, loss, self._frames, member.constants)
            return scan_steps(partial(take_step, mean_loss, member.settings), state, resident, order, signs)

        return self._over_members(one, mapped=3, shared=2, donate=0)

    @cached_property
    def evaluate(self) -> Callable[..., jax.Array]:
        """(parameters, members, order, resident) -> mean validation loss `[members]` of the plays."""

        def one(params: Any, member: Member, order: Any, resident: Resident) -> jax.Array:
            def losses(batch):
                dist = self._dist(self._predictor.raw(params, batch, NO_DROPOUT, member.constants), member)
                dist = in_units(dist, batch)
                return jax.lax.switch(member.validation, self._validations, dist, *outcomes(batch))

            return mean_over(losses, resident, order)

        return self._over_members(one, mapped=2, shared=2)

    def _dist(self, raw: jax.Array, member: Member) -> Any:
        if self._family is None or member.dist is None:
            return self._heads[0](raw)
        return self._family(raw, member.dist)

    def _over_members(self, one: Callable[..., Any], mapped: int, shared: int, donate: int | None = None) -> Any:
        """`one` of the first `mapped` arguments member by member, on the devices that there are."""
        size = None if self.vmap_size == 1 else self.vmap_size

        def all_members(*arguments: Any) -> Any:
            each, rest = arguments[:mapped], arguments[mapped:]
            return jax.lax.map(lambda values: one(*values, *rest), each, batch_size=size)

        if self._mesh is not None:
            specs = (*(MEMBERS,) * mapped, *(PartitionSpec(),) * shared)
            # what a loop carries starts the same on all devices and differs after its first turn
            all_members = jax.shard_map(
                all_members, mesh=self._mesh, in_specs=specs, out_specs=MEMBERS, check_vma=False
            )
        return jax.jit(all_members, donate_argnums=() if donate is None else donate)

    def place(self, tree: Any, members: bool) -> Any:
        """Put a tree where the functions expect it: along the devices with the members, or on each."""
        if self._mesh is None:
            return jax.tree.map(jnp.asarray, tree)
        return jax.device_put(tree, NamedSharding(self._mesh, MEMBERS if members else PartitionSpec()))


OUTPUTS = ("last.kernel.value", "last.bias.value", "offset.value")  # a column for each output of the head


def _numbered(losses: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """The different ones, and which of them each is."""
    different = list(dict.fromkeys(losses))
    return different, [different.index(loss) for loss in losses]


def check_members(configs: Sequence[Config]) -> None:
    """See that configurations fit into one program.

    Raises:
        InputError: there is none, or two differ in a field that is no value; the line names it.
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
                        f"{section}.{field}: the members of a sweep differ in values alone, got {getattr(one, field)} "
                        f"and {getattr(two, field)}"
                    )


def stack(trees: Sequence[Any]) -> Any:
    """Trees of arrays as one, each leaf with the members along its first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def pick(tree: Any, member: int) -> Any:
    """One of the trees that were stacked."""
    return jax.tree.map(lambda leaf: leaf[member], tree)
