"""A complete split on the device: padded arrays copied once, so that no step waits for the host."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.batches.fields import PLAY_FIELDS, play_field
from sbp_jax.errors import InputError


@partial(jax.tree_util.register_dataclass, data_fields=["buckets"], meta_fields=[])
@dataclass(frozen=True)
class Resident:
    """A split on the device: a pytree to pass to compiled functions as an argument, never a constant in them.

    Attributes:
        buckets: buckets by increasing length, without empty ones. Each has the fields of a batch (`x`, `mask`,
            `present`, `static`, `outcome`, `censored`, and `unit` if the plays have one) for its n plays in the order
            of the split, and `index`, int32 `[n]`, their positions in the split. Padding and empty slots are 0.0.
    """

    buckets: tuple[dict[str, Any], ...]  # jax.Array, or np.ndarray before the copy to the device

    def __len__(self) -> int:
        """Number of plays."""
        return sum(len(bucket["outcome"]) for bucket in self.buckets)

    @property
    def nbytes(self) -> int:
        """Number of bytes of the arrays on the device."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self))


def device_bytes(arrays: Arrays) -> int:
    """Return the number of bytes that `to_device` will allocate, without touching the device."""
    frames = sum(x.shape[0] * x.shape[1] for x in arrays.x)
    index = 4 * len(arrays)
    return arrays.nbytes + frames + index + sum(column.nbytes for column in _columns(arrays).values())


def to_device(arrays: Arrays, limit_bytes: int | None = None, device: Any = None) -> Resident:
    """Copy a split to the device, each bucket as one array; `Arrays.of(plays)` makes the arrays of plays in memory.

    Mapped arrays go from the file to the device without padding or copies on the host. Later changes of the host's
    arrays do not affect the device, even on a CPU. The function returns when the copy is complete.

    Args:
        arrays: the split, in memory or mapped.
        limit_bytes: maximum number of bytes; None uses the free memory that the device reports, without a check if it
            reports none (a CPU).
        device: target device or sharding, as for `jax.device_put`; by default JAX's default device.

    Returns:
        The split on the device.

    Raises:
        InputError: there are no plays, or they need more bytes than the limit; the message has both numbers.
    """
    if len(arrays) == 0:
        raise InputError("plays: expected at least one play, got none")
    num_bytes, limit = device_bytes(arrays), free_bytes(device) if limit_bytes is None else limit_bytes
    if limit is not None and num_bytes > limit:
        raise InputError(
            f"plays: {len(arrays)} plays need {num_bytes / 2**30:.2f} GiB on the device, more than the limit of "
            f"{limit / 2**30:.2f} GiB; keep fewer last frames, use more buckets, or take batches from the host"
        )
    on_cpu = is_cpu(device)

    def put(array: np.ndarray) -> jax.Array:
        # the CPU backend aliases the host's memory, even that of a mapped file, regardless of `may_alias`
        return jax.device_put(np.array(array) if on_cpu else array, device)

    buckets, columns = [], _columns(arrays)
    for b, frames in enumerate(arrays.buckets):
        members = np.flatnonzero(arrays.bucket == b)
        if len(members):
            mask = np.arange(frames) < arrays.lengths[members, None]
            bucket = {"x": arrays.x[b], "mask": mask, "present": arrays.present[b], "index": members.astype(np.int32)}
            bucket |= {name: column[members] for name, column in columns.items()}
            buckets.append({name: put(values) for name, values in bucket.items()})
    return jax.block_until_ready(Resident(tuple(buckets)))


def _columns(arrays: Arrays) -> dict[str, np.ndarray]:
    """The fields of a batch that have one value per play, not per frame."""
    columns = {name: play_field(arrays, name) for name in PLAY_FIELDS}
    return {
        name: values.astype(PLAY_FIELDS[name], copy=False) for name, values in columns.items() if values is not None
    }


def _devices(device: Any) -> list[Any]:
    if device is None:
        return list(jnp.zeros(()).devices())  # the default device, however it was set
    return list(device.device_set) if isinstance(device, jax.sharding.Sharding) else [device]


def is_cpu(device: Any = None) -> bool:
    """Return whether a device or sharding, as for `to_device`, is a CPU, whose memory is the host's."""
    return any(one.platform == "cpu" for one in _devices(device))


def free_bytes(device: Any = None) -> int | None:
    """Return the free bytes of a device or sharding, as for `to_device`; None if unknown.

    With several devices, return the minimum over those of this process.
    """
    devices = [one for one in _devices(device) if one.process_index == jax.process_index()]
    statistics = [one.memory_stats() or {} for one in devices]
    free = [s["bytes_limit"] - s.get("bytes_in_use", 0) for s in statistics if "bytes_limit" in s]
    return min(free, default=None)
