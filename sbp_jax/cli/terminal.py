"""The outputs of a command, checked before it starts: the terminal, and the folder or file of `--out`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from sbp_jax.atomic import replaceable
from sbp_jax.errors import InputError


@contextmanager
def terminal() -> Iterator[None]:
    """Make standard output and error accept any text, and end quietly if their reader is gone.

    A character outside the terminal's encoding is replaced, in progress bars too. A closed stream is
    replaced by one that discards everything.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 open until the process ends
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _discard()
    except SystemExit:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            _discard()
        raise


def fail(error: object, code: int = 2) -> NoReturn:
    """Print an error as one line and exit with a code."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(code)


def output_folder(folder: Path, name: str = "--out") -> Path:
    """Return a folder to write, with `~` expanded; it may exist.

    Raises:
        InputError: it is a file, is below one, or cannot be written.
    """
    return _writable(_expanded(folder, name), name)


def new_folder(folder: Path, name: str = "--out") -> Path:
    """Return a folder that a complete result will replace, with `~` expanded.

    Raises:
        InputError: as in `output_folder`, or it is the working directory or contains it.
    """
    folder = _expanded(folder, name)
    try:
        folder = replaceable(folder)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    _writable(folder, name)
    if folder.is_dir() and not os.access(folder.parent, os.W_OK | os.X_OK):
        raise InputError(f"{name}: {folder.parent} cannot be written (permission denied); name another folder")
    return folder


def output_file(file: Path, default: str, name: str = "--out") -> Path:
    """Return a file to write, with `~` expanded; in an existing folder it is called `default`.

    Raises:
        InputError: it is below a file, or cannot be written.
    """
    file = _expanded(file, name)
    if file.is_dir():
        file = file / default
    if file.is_dir():
        raise InputError(f"{name}: {file} is a folder; name a file")
    _writable(file.parent, name)
    if file.exists() and not os.access(file, os.W_OK):
        raise InputError(f"{name}: {file} cannot be written (permission denied); name another file")
    return file


def _expanded(path: Path, name: str) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise InputError(f"{name}: {path}: there is no such home folder; name the folder itself") from None


def _writable(folder: Path, name: str) -> Path:
    try:
        with suppress(FileNotFoundError, NotADirectoryError):  # the nearest existing parent is checked below
            folder.lstat()
    except OSError as error:  # a name too long, or a folder that may not be searched
        raise InputError(f"{name}: {folder} cannot be written ({error.strerror}); name another folder") from None
    nearest = next(each for each in (folder, *folder.absolute().parents) if os.path.lexists(each))
    if not nearest.is_dir():
        what = "a broken link" if nearest.is_symlink() and not nearest.exists() else "a file"
        raise InputError(f"{name}: {nearest} is {what}, not a folder; name a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{name}: {nearest} cannot be written (permission denied); name another folder")
    return folder


def _discard() -> None:
    """Discard buffered output and everything written later."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError):  # a closed stream
            try:
                stream.flush()
            except OSError:  # the reader is gone, or the disk is full
                os.dup2(null, stream.fileno())
