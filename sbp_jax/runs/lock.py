"""One process per folder: a lock that dies with its holder."""

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
_START = 1 if sys.platform == "win32" else 0  # of the holder's name: Windows lets nobody else read the locked byte


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, made when missing, until the block ends or the process does, whatever ends it.

    The operating system keeps the lock, on NFS the server; the file that it is on stays, and its presence says
    nothing. Where a file system has no locks, a line on standard error says so, and the folder is not held.

    Raises:
        InputError: another process holds it; the line names the folder, that process and its machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    # a soft lock, filelock's substitute, would outlive a holder that is killed
    lock = FileLock(path, blocking=False, fallback_to_soft=False, preserve_lock_file=True, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{folder}: in use by {_holder(path)}; two runs must not write one folder") from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        print(f"warning: {folder}: this file system has no locks; see that no other run writes it", file=sys.stderr)
    try:
        _name_holder(path)
        yield
    finally:
        lock.release()


def _name_holder(path: Path) -> None:
    with path.open("r+b", buffering=0) as file:
        file.truncate(_START)
        file.seek(_START)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())


def _holder(path: Path) -> str:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(_START)
            content = file.read(200) or b""
    except OSError:
        content = b""
    return content.decode(errors="replace").strip("\0 \n") or "another process"
