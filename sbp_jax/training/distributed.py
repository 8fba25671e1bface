"""One training over the devices of several processes or hosts: each computes its share of every batch's plays."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sbp_jax.errors import InputError

PLAYS = "plays"  # axis of the mesh


def connect(where: str) -> None:
    """Join the other processes; to be called before JAX does anything else.

    Args:
        where: "auto" where a cluster's environment tells (Slurm, Open MPI, Kubernetes, Cloud TPU), else
            `HOST:PORT,COUNT,NUMBER`: the address of process 0, how many there are, and which one this is.

    Raises:
        InputError: another form, or the processes do not find each other.
    """
    try:
        if where == "auto":
            jax.distributed.initialize()
            return
        address, count, number = where.split(",")
        if not 0 <= int(number) < int(count):
            raise ValueError(f"process {number} of {count}")
    except ValueError as error:
        raise InputError(f"--distributed: expected auto or HOST:PORT,COUNT,NUMBER, got {where!r} ({error})") from error
    try:
        jax.distributed.initialize(address, int(count), int(number))
    except RuntimeError as error:
        raise InputError(f"--distributed: no connection with {address}: {str(error).splitlines()[0]}") from error


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def wait_for_all(point: str) -> None:
    """Return when all processes have come to this point."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(point)


def anywhere(flag: bool) -> bool:
    """Whether the flag is up in any of the processes, which all ask at the same point."""
    return flag if jax.process_count() == 1 else bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


def smallest(value: float) -> float:
    """Return the smallest of the processes' values, all of which ask at the same point: they decide alike by it."""
    return value if jax.process_count() == 1 else float(np.min(multihost_utils.process_allgather(np.asarray(value))))


def all_devices() -> Mesh:
    """All devices of all processes along the plays of a batch."""
    return Mesh(np.asarray(jax.devices()), (PLAYS,))


def everywhere(mesh: Mesh) -> NamedSharding:
    """The whole of an array on each device."""
    return NamedSharding(mesh, PartitionSpec())


def shared(batch: dict[str, jax.Array], mesh: Mesh | None) -> dict[str, jax.Array]:
    """A batch whose plays, the first axis of its arrays, are computed each on one of the devices, under `jit`.

    It is filled up with rows that are not valid until all devices have as many.
    """
    if mesh is None:
        return batch
    fill = -len(batch["valid"]) % mesh.size
    batch = {name: jnp.pad(values, ((0, fill), *((0, 0),) * (values.ndim - 1))) for name, values in batch.items()}
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec(PLAYS)))


def replicated(tree: Any, mesh: Mesh | None) -> Any:
    """Arrays that all processes have alike, whole on each device; as they are without a mesh."""
    if mesh is None:
        return tree
    return jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf), everywhere(mesh)), tree)
