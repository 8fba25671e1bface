"""Files and folders that are there whole or not at all, whoever is killed while writing them."""

import errno
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from socket import gethostname

from sbp_jax.errors import InputError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux, linux/fcntl.h and linux/fs.h
_SYNCHRONIZE, _INVALID_PARAMETER = 0x00100000, 87  # of Windows, winnt.h and winerror.h


@contextmanager
def building(folder: Path, replace: bool = False, is_same: Callable[[Path], bool] = Path.is_dir) -> Iterator[Path]:
    """Give an empty folder beside `folder` to fill, and move it there in the end; after an error it is removed.

    Builders of the same folder do not disturb each other. Remains of builders of this machine that were killed are
    removed.

    Args:
        folder: where the result goes.
        replace: what is there is replaced, on Linux in one step; else the first builder to be done is taken, and the
            others' work is dropped.
        is_same: tells whether what another builder put there is what this one would have.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    place = _aside(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_remains(folder.parent)
        place.mkdir()
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield place
        _move(place, folder, replace, is_same)
    except OSError as error:
        touched = None if error.filename is None else Path(os.fsdecode(error.filename))
        if touched is not None and not {place, folder} & {touched, *touched.parents}:
            raise  # of another file, one that is read
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def discard(folder: Path) -> None:
    """Remove a folder in one step, for readers and for a kill: it is whole or gone."""
    aside = _aside(folder)
    try:
        with suppress(FileNotFoundError):  # another process was quicker
            os.replace(folder, aside)
    except OSError as error:
        raise InputError(f"{folder}: damaged, and cannot be removed ({error.strerror})") from error
    shutil.rmtree(aside, ignore_errors=True)


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file in one step: readers see all of it or nothing, whoever else writes the same."""
    unfinished = path.with_name(f".{path.name}-{token_hex(4)}-{os.getpid()}-{threading.get_ident()}")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder}: cannot be written ({error.strerror or error})")


def _move(place: Path, folder: Path, replace: bool, is_same: Callable[[Path], bool]) -> None:
    if replace and folder.is_dir() and _exchange(place, folder):
        return  # the old one is aside now, and goes
    aside = _aside(folder)
    if replace and folder.is_dir():
        os.rename(folder, aside)  # refused by Windows while a file in it is open
    try:
        os.rename(place, folder)
    except OSError:
        if aside.is_dir():
            os.rename(aside, folder)
        if replace or not is_same(folder):
            raise
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where the system, its C library or the file system cannot."""
    try:
        import ctypes

        rename = ctypes.CDLL(None).renameat2
    except (ImportError, AttributeError, OSError, TypeError):
        return False
    return rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0


def _aside(folder: Path) -> Path:
    # the process is known by its machine and number, so that others can tell whether it still runs
    return folder.with_name(f".{folder.name}.building-{gethostname()}-{token_hex(4)}-{os.getpid()}")


def _remove_remains(parent: Path) -> None:
    for remains in parent.glob(f".*.building-{gethostname()}-*"):
        with suppress(ValueError):
            if not _is_running(int(remains.name.rsplit("-", 1)[-1])):
                shutil.rmtree(remains, ignore_errors=True)


def _is_running(process: int) -> bool:
    if sys.platform == "win32":
        return _is_running_on_windows(process)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; no process number at all
        pass
    return True


def _is_running_on_windows(process: int) -> bool:
    import ctypes  # os.kill would end the process there

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # pyright: ignore[reportAttributeAccessIssue] Windows only
    kernel.OpenProcess.restype = ctypes.c_void_p  # a handle has 64 bits
    handle = kernel.OpenProcess(_SYNCHRONIZE, False, process)
    if not handle:
        return ctypes.get_last_error() != _INVALID_PARAMETER  # pyright: ignore[reportAttributeAccessIssue]
    ended = kernel.WaitForSingleObject(ctypes.c_void_p(handle), 0) == 0
    kernel.CloseHandle(ctypes.c_void_p(handle))
    return not ended


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_full(error: BaseException, place: Path, needed: int, kept: str = "") -> OSError | None:
    """What to raise in place of an error that says that a disk is full, a quota used up or a file too large.

    Args:
        error: of the system, or of a storage layer whose text has the system's name of the cause.
        place: file or folder that was written.
        needed: its bytes.
        kept: what can be relied on now.

    Returns:
        an OSError with a line for the user; None where the error is about something else.
    """
    text = str(error)
    for code in _FULL:
        if getattr(error, "errno", None) == code or errno.errorcode[code] in text or os.strerror(code) in text:
            folder = next(parent for parent in (place, *place.parents) if parent.is_dir())
            free = shutil.disk_usage(folder).free
            room = f"about {needed / 1e6:.3g} MB are needed, {free / 1e6:.3g} MB are free"
            return OSError(code, f"{os.strerror(code)}; {room}{kept and '; '}{kept}", str(place))
    return None
