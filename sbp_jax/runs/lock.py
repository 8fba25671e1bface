"""A lock that gives one process exclusive use of a folder and ends with that process."""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sbp_jax.errors import InputError

NAME = "lock"
_UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
_START = 1 if sys.platform == "win32" else 0  # offset of the owner's name: on Windows the locked byte is unreadable


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock a folder, created if missing, until the block or the process ends for any reason.

    The operating system (on NFS, the server) owns the lock; the lock file remains, and its presence means nothing. On a
    file system without locks, a warning is printed to standard error and the folder is not locked.

    Raises:
        InputError: another process has the lock; the message names the folder, that process and its machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    # filelock's fallback, a soft lock, would outlive a killed process
    lock = FileLock(path, blocking=False, fallback_to_soft=False, preserve_lock_file=True, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{folder}: in use by {_owner(path)}; two runs must not write to one folder") from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        print(
            f"warning: {folder}: this file system has no locks; make sure that no other run writes to it",
            file=sys.stderr,
        )
    try:
        _write_owner(path)
        yield
    finally:
        lock.release()


def _write_owner(path: Path) -> None:
    with path.open("r+b", buffering=0) as file:
        file.truncate(_START)
        file.seek(_START)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())


def _owner(path: Path) -> str:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(_START)
            content = file.read(200) or b""
    except OSError:
        content = b""
    return content.decode(errors="replace").strip("\0 \n") or "another process"
