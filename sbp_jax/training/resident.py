"""A whole split on the device: padded arrays put there once, so that no step waits for the host."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.batches.fields import PLAY_FIELDS
from sbp_jax.errors import InputError


@partial(jax.tree_util.register_dataclass, data_fields=["buckets"], meta_fields=[])
@dataclass(frozen=True)
class Resident:
    """A split on the device: a pytree, to be an argument of compiled functions, never a constant in them.

    Attributes:
        buckets: by increasing length; those without plays are left out. Each has the `fields` of a batch (`x`, `mask`,
            `players`, `static`, `yards`, `censored`, and `unit` where the plays have one) for its n plays, in the order
            of their split, and `index`, int32 `[n]`, their positions in the split; padding and empty slots hold 0.0.
    """

    buckets: tuple[dict[str, Any], ...]  # jax.Array, or NumPy's before it is handed to the device

    def __len__(self) -> int:
        """Number of plays."""
        return sum(len(bucket["yards"]) for bucket in self.buckets)

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays take on the device."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self))


def device_bytes(arrays: Arrays) -> int:
    """Return the bytes that `to_device` will take, without touching the device."""
    frames = sum(x.shape[0] * x.shape[1] for x in arrays.x)
    index = 4 * len(arrays)
    return arrays.nbytes + frames + index + sum(column.nbytes for column in _columns(arrays).values())


def to_device(arrays: Arrays, limit_bytes: int | None = None, device: Any = None) -> Resident:
    """Put a split on the device, each bucket as one array; `Arrays.of(plays)` gives arrays of plays in memory.

    Mapped arrays go from the file to the device, nothing is padded or copied on the host before. What is on the device
    does not follow later changes of the host's arrays, on a CPU neither. Returns when all has arrived.

    Args:
        arrays: the split, in memory or mapped.
        limit_bytes: most bytes to take; None takes what the device says is free, and does not check where it does not
            say (a CPU).
        device: where to, a device or a sharding as for `jax.device_put`; JAX's default device without.

    Raises:
        InputError: no plays, or more bytes than the limit; the line says both.
    """
    if len(arrays) == 0:
        raise InputError("plays: expected at least one play, got none")
    needed, limit = device_bytes(arrays), free_bytes(device) if limit_bytes is None else limit_bytes
    if limit is not None and needed > limit:
        raise InputError(
            f"plays: {len(arrays)} plays need {needed / 2**30:.2f} GiB on the device, more than the limit of "
            f"{limit / 2**30:.2f} GiB; keep fewer last frames, use more buckets, or take batches from the host"
        )
    on_cpu = is_cpu(device)

    def put(array: np.ndarray) -> jax.Array:
        # a CPU shares the memory that it is given, a mapped file's even, whatever `may_alias` says
        return jax.device_put(np.array(array) if on_cpu else array, device)

    buckets, columns = [], _columns(arrays)
    for b, frames in enumerate(arrays.buckets):
        members = np.flatnonzero(arrays.bucket == b)
        if len(members):
            mask = np.arange(frames) < arrays.lengths[members, None]
            held = {"x": arrays.x[b], "mask": mask, "players": arrays.players[b], "index": members.astype(np.int32)}
            held |= {name: column[members] for name, column in columns.items()}
            buckets.append({name: put(values) for name, values in held.items()})
    return jax.block_until_ready(Resident(tuple(buckets)))


def _columns(arrays: Arrays) -> dict[str, np.ndarray]:
    """What the plays have beside frames, as a batch has it."""
    columns = {name: getattr(arrays, name) for name in PLAY_FIELDS}
    return {
        name: values.astype(PLAY_FIELDS[name], copy=False) for name, values in columns.items() if values is not None
    }


def _devices(device: Any) -> list[Any]:
    if device is None:
        return list(jnp.zeros(()).devices())  # the default device, whichever way it was chosen
    return list(device.device_set) if isinstance(device, jax.sharding.Sharding) else [device]


def is_cpu(device: Any = None) -> bool:
    """Return whether a device, as for `to_device`, is a CPU, whose memory is the host's."""
    return any(one.platform == "cpu" for one in _devices(device))


def free_bytes(device: Any = None) -> int | None:
    """Return what is left on a device, as for `to_device`: of several the least of this process's; None: unknown."""
    own = [one for one in _devices(device) if one.process_index == jax.process_index()]
    statistics = [one.memory_stats() or {} for one in own]
    free = [s["bytes_limit"] - s.get("bytes_in_use", 0) for s in statistics if "bytes_limit" in s]
    return min(free, default=None)
