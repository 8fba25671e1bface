"""One process a folder: a lock that dies with its holder."""

import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sbp_jax.errors import InputError

NAME = "lock"
_UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, made when missing, until the block ends or the process does, whatever ends it.

    The kernel keeps the lock, on NFS the server; the file that it is on stays, and says nothing by being there. Where
    a file system has no locks, a line on standard error says so, and the folder is not held.

    Raises:
        InputError: another process holds it; the line names the folder, that process and its machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # not truncated before it is held: it names the holder
    file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(file, 200, 0).decode(errors="replace").strip() or "another process"
            raise InputError(f"{folder}: in use by {holder}; two runs must not write one folder") from error
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            print(f"warning: {folder}: this file system has no locks; see that no other run writes it", file=sys.stderr)
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(file)
