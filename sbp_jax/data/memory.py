"""Memory of this machine, and arrays in files that nobody else sees; needs NumPy alone."""

import errno
import math
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

# of the available memory that plays may have: as they are read, padded, and on a CPU on the device they lie there
# three times, and programs and states need room too
MEMORY_SHARE = 0.25
_CGROUP, _CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# controllers of a control group -> where it lies, its limit, what it uses, and the prefix of its statistics
_GROUPS = {
    "": ("", "memory.max", "memory.current", ""),  # version 2
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
}


def available_bytes() -> int | None:
    """Return the bytes that this process can still allocate without swapping; None where the system does not say.

    On Linux that is `MemAvailable` of /proc/meminfo, or what a container's limit leaves if that is less; elsewhere the
    machine's physical memory.
    """
    if sys.platform == "linux":
        known = [each for each in (_meminfo(), _container()) if each is not None]
        return min(known, default=None)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def fits(needed: int, available: int | float | None = None) -> bool:
    """Return whether plays of `needed` bytes may lie in memory: at most `MEMORY_SHARE` of what is available.

    Args:
        needed: bytes of the frames and masks, once.
        available: bytes; None asks `available_bytes`. Where nothing is known, everything fits.
    """
    available = available_bytes() if available is None else available
    return available is None or needed <= MEMORY_SHARE * available


def frame_bytes(entities: int, features: int) -> int:
    """Return the bytes of a frame: float32 features of all entities, and which of them are there."""
    return entities * (4 * features + 1)


def scratch(shape: tuple[int, ...], dtype: type[np.generic], folder: Path) -> np.ndarray:
    """Return an array of zeros in a temporary file: the system may write its pages to the disk and drop them.

    The file has no name and goes with the array.

    Args:
        shape, dtype: of the array.
        folder: where the file lies; where that cannot be written to, the system's temporary folder has it.

    Raises:
        OSError: the disk is full.
    """
    if 0 in shape:  # nothing to map
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(dir=folder if os.access(folder, os.W_OK) else None) as file:
        reserve(file.fileno(), math.prod(shape) * np.dtype(dtype).itemsize)
        return np.asarray(np.memmap(file, dtype, "w+", shape=shape))


def reserve(file: int, size: int) -> None:
    """Take the room of an open file on the disk: where there is none, an error here, not a bus error while writing.

    Args:
        file: its descriptor.
        size: bytes.

    Raises:
        OSError: the disk is full.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # file systems that cannot reserve
            raise


def _meminfo() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return None


def _container() -> int | None:
    """Bytes that the limits of this process's control groups leave, of either version; None without a limit."""
    try:
        lines = _CGROUP.read_text().splitlines()
    except OSError:
        return None
    left = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in _GROUPS:
            continue
        place, limit, current, prefix = _GROUPS[controllers]
        root = _CGROUPS / place
        group = root / path.strip("/")
        for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(root))):
            try:
                allowed = int((folder / limit).read_text())
                left.append(allowed - int((folder / current).read_text()) + _cached(folder, prefix))
            except (OSError, ValueError):  # no such group in this container; "max" is no number
                continue
    return max(min(left), 0) if left else None


def _cached(folder: Path, prefix: str) -> int:
    """Bytes of a control group's file cache, which the system gives back when memory is short."""
    names = f"{prefix}active_file", f"{prefix}inactive_file"
    pairs = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return sum(int(value) for name, value in pairs if name in names)
