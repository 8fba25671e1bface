"""Write files and folders atomically: they are complete or absent, even if a writer is killed."""

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

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # Linux: linux/fcntl.h and linux/fs.h
_SYNCHRONIZE, _INVALID_PARAMETER = 0x00100000, 87  # Windows: winnt.h and winerror.h


@contextmanager
def building(folder: Path, replace: bool = False, is_same: Callable[[Path], bool] = Path.is_dir) -> Iterator[Path]:
    """Yield an empty folder next to `folder` to fill, then move it into place; remove it after an error.

    Builders of the same folder do not interfere with each other. Leftovers of killed builders on this machine are
    removed.

    Args:
        folder: where the result goes.
        replace: replace an existing folder, on Linux in one step. Otherwise the first builder to finish wins, and the
            work of the others is discarded.
        is_same: returns whether a folder that another builder put there is equivalent to this builder's result.

    Raises:
        InputError: the folder cannot be written, contains the working directory, or the disk is full.
    """
    folder = replaceable(folder)
    place = _aside(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder.parent)
        place.mkdir()
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield place
        _move(place, folder, replace, is_same)
    except OSError as error:
        touched = None if error.filename is None else Path(os.fsdecode(error.filename))
        if touched is not None and not {place, folder} & {touched, *touched.parents}:
            raise  # the error is about another file, one that was being read
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def replaceable(folder: Path) -> Path:
    """Return a folder as a path that ends with its name.

    Raises:
        InputError: it is the working directory or contains it, which a shell would lose with the folder.
    """
    full = Path(os.path.abspath(folder))
    here = Path.cwd()
    if Path(os.path.realpath(full.parent), full.name) in (here, *here.parents):
        raise InputError(f"{folder}: is the working directory or contains it; name a new folder in it")
    return folder if folder.name not in ("", "..") else full


def discard(folder: Path) -> None:
    """Remove a folder in one step: readers see it complete or not at all, even if this process is killed."""
    aside = _aside(folder)
    try:
        with suppress(FileNotFoundError):  # another process removed it first
            os.replace(folder, aside)
    except OSError as error:
        raise InputError(f"{folder}: damaged, and cannot be removed ({error.strerror})") from error
    shutil.rmtree(aside, ignore_errors=True)


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file in one step: readers see all of it or nothing, even with concurrent writers."""
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
        return  # the old folder is now at `place`, which the caller removes
    aside = _aside(folder)
    if replace and folder.is_dir():
        os.rename(folder, aside)  # Windows refuses while a file in it is open
    try:
        os.rename(place, folder)
    except OSError:
        if aside.is_dir():
            os.rename(aside, folder)
        if replace or not is_same(folder):
            raise
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False if the system, its C library or the file system cannot."""
    try:
        import ctypes

        rename = ctypes.CDLL(None).renameat2
    except (ImportError, AttributeError, OSError, TypeError):
        return False
    return rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0


def _aside(folder: Path) -> Path:
    # the name has the machine and the process number, so that others can check whether the process still runs
    return folder.with_name(f".{folder.name}.building-{gethostname()}-{token_hex(4)}-{os.getpid()}")


def _remove_leftovers(parent: Path) -> None:
    for leftover in parent.glob(f".*.building-{gethostname()}-*"):
        with suppress(ValueError):
            if not _is_running(int(leftover.name.rsplit("-", 1)[-1])):
                shutil.rmtree(leftover, ignore_errors=True)


def _is_running(process: int) -> bool:
    if sys.platform == "win32":
        return _is_running_on_windows(process)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's process, or not a process number
        pass
    return True


def _is_running_on_windows(process: int) -> bool:
    import ctypes  # os.kill would end the process on Windows

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # pyright: ignore[reportAttributeAccessIssue] Windows only
    kernel.OpenProcess.restype = ctypes.c_void_p  # handles have 64 bits
    handle = kernel.OpenProcess(_SYNCHRONIZE, False, process)
    if not handle:
        return ctypes.get_last_error() != _INVALID_PARAMETER  # pyright: ignore[reportAttributeAccessIssue]
    ended = kernel.WaitForSingleObject(ctypes.c_void_p(handle), 0) == 0
    kernel.CloseHandle(ctypes.c_void_p(handle))
    return not ended


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_full(error: BaseException, place: Path, needed: int, note: str = "") -> OSError | None:
    """Return the error to raise instead of one that reports a full disk, an exceeded quota or a file too large.

    Args:
        error: from the system, or from a storage layer whose message has the system's name of the cause.
        place: the file or folder being written.
        needed: its size in bytes.
        note: what is still valid, for the message.

    Returns:
        An OSError with a one-line message for the user, or None if the error has another cause.
    """
    text = str(error)
    for code in _FULL:
        if getattr(error, "errno", None) == code or errno.errorcode[code] in text or os.strerror(code) in text:
            folder = next(parent for parent in (place, *place.parents) if parent.is_dir())
            free = shutil.disk_usage(folder).free
            sizes = f"about {needed / 1e6:.3g} MB are needed, {free / 1e6:.3g} MB are free"
            return OSError(code, f"{os.strerror(code)}; {sizes}{note and '; '}{note}", str(place))
    return None
