"""Available memory of this machine, and arrays in private temporary files; needs NumPy alone."""

import errno
import math
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

# fraction of the available memory that plays may use: they are stored three times (as read, padded, and, on a CPU, on
# the device), and programs and states need memory too
MEMORY_SHARE = 0.25
_CGROUP, _CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# controllers of a control group -> its folder, limit, usage, and the prefix of its statistics
_GROUPS = {
    "": ("", "memory.max", "memory.current", ""),  # version 2
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
}


def available_bytes() -> int | None:
    """Return the bytes that this process can still allocate without swapping; None if the system does not report them.

    On Linux this is `MemAvailable` of /proc/meminfo, or the remainder of a container's limit if that is smaller; on
    other systems it is the machine's physical memory.
    """
    if sys.platform == "linux":
        limits = [each for each in (_meminfo(), _container()) if each is not None]
        return min(limits, default=None)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def fits(needed: int, available: int | float | None = None) -> bool:
    """Return whether plays of `needed` bytes may be stored in memory: at most `MEMORY_SHARE` of the available bytes.

    Args:
        needed: bytes of one copy of the frames and masks.
        available: bytes; None calls `available_bytes`. If the number is unknown, everything fits.
    """
    available = available_bytes() if available is None else available
    return available is None or needed <= MEMORY_SHARE * available


def frame_bytes(entities: int, features: int) -> int:
    """Return the bytes of a frame: float32 features of all entities, and the mask of those present."""
    return entities * (4 * features + 1)


def scratch(shape: tuple[int, ...], dtype: type[np.generic], folder: Path) -> np.ndarray:
    """Return an array of zeros in a temporary file, so that the system can write its pages to disk and evict them.

    The file has no name and disappears with the array.

    Args:
        shape: shape of the array.
        dtype: type of the array.
        folder: folder of the file; if it is not writable, the system's temporary folder.

    Raises:
        OSError: the disk is full.
    """
    if 0 in shape:  # nothing to map
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(dir=folder if os.access(folder, os.W_OK) else None) as file:
        reserve(file.fileno(), math.prod(shape) * np.dtype(dtype).itemsize)
        return np.asarray(np.memmap(file, dtype, "w+", shape=shape))


def reserve(file: int, size: int) -> None:
    """Allocate the disk space of an open file, so that a full disk raises an error here, not a bus error in a write.

    Args:
        file: file descriptor.
        size: bytes.

    Raises:
        OSError: the disk is full.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # file systems that cannot preallocate
            raise


def _meminfo() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return None


def _container() -> int | None:
    """Bytes left under the limits of this process's control groups, of either version; None without a limit."""
    try:
        lines = _CGROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    free = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in _GROUPS:
            continue
        place, limit, current, prefix = _GROUPS[controllers]
        root = _CGROUPS / place
        group = root / path.strip("/")
        for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(root))):
            try:
                maximum = int((folder / limit).read_text(encoding="utf-8"))
                free.append(maximum - int((folder / current).read_text(encoding="utf-8")) + _cached(folder, prefix))
            except (OSError, ValueError):  # no such group in this container; "max" is not a number
                continue
    return max(min(free), 0) if free else None


def _cached(folder: Path, prefix: str) -> int:
    """Bytes of a control group's file cache, which the system frees when memory is short."""
    names = f"{prefix}active_file", f"{prefix}inactive_file"
    pairs = (line.split() for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines())
    return sum(int(value) for name, value in pairs if name in names)
