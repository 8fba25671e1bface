"""Train one run on the devices of several processes or hosts: each computes its share of every batch."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sbp_jax.errors import InputError

PLAYS = "plays"  # axis of the mesh


def connect(where: str) -> None:
    """Connect to the other processes; call this before any other use of JAX.

    Args:
        where: "auto" if the cluster's environment provides the addresses (Slurm, Open MPI, Kubernetes, Cloud TPU), else
            `HOST:PORT,COUNT,NUMBER`: the address of process 0, the number of processes, and the number of this one.

    Raises:
        InputError: `where` has another form, or the processes cannot connect.
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
    """Return whether this is process 0, which writes the files."""
    return jax.process_index() == 0


def wait_for_all(point: str) -> None:
    """Wait until all processes have reached this point."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(point)


def anywhere(flag: bool) -> bool:
    """Return whether the flag is set in any process; all processes must call this at the same point."""
    return flag if jax.process_count() == 1 else bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


def smallest(value: float) -> float:
    """Return the smallest value over all processes, for a common decision; all must call this at the same point."""
    return value if jax.process_count() == 1 else float(np.min(multihost_utils.process_allgather(np.asarray(value))))


def all_devices() -> Mesh:
    """Return the mesh of all devices of all processes, along the plays of a batch."""
    return Mesh(np.asarray(jax.devices()), (PLAYS,))


def everywhere(mesh: Mesh) -> NamedSharding:
    """Return the sharding that replicates an array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def shared(batch: dict[str, jax.Array], mesh: Mesh | None) -> dict[str, jax.Array]:
    """Return a batch with its plays, the first axis of its arrays, sharded over the devices; for use inside `jit`.

    The batch is padded with invalid rows to a multiple of the number of devices. Without a mesh it is unchanged.
    """
    if mesh is None:
        return batch
    fill = -len(batch["valid"]) % mesh.size
    batch = {name: jnp.pad(values, ((0, fill), *((0, 0),) * (values.ndim - 1))) for name, values in batch.items()}
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec(PLAYS)))


def replicated(tree: Any, mesh: Mesh | None) -> Any:
    """Return arrays, equal in all processes, replicated on every device; unchanged without a mesh."""
    if mesh is None:
        return tree
    return jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf), everywhere(mesh)), tree)
