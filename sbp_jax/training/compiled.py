"""Compiled programs on disk, so that a process does not compile again what another one has compiled."""

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

_MAX_BYTES = 512 * 2**20  # of the user's cache: JAX then drops the programs that were unused for longest
_MIN_SECONDS = 0.3  # of a compilation that is worth a file
_LOCK = threading.RLock()  # two threads that find no cache would each restore the other's folder, for good


@contextmanager
def compiled_once() -> Iterator[None]:
    """Compile only once the programs that training runs on different data share: cache them in a temporary folder."""
    with TemporaryDirectory(prefix="compiled-") as folder, _configured({"jax_compilation_cache_dir": folder}):
        yield


@contextmanager
def compiled_before() -> Iterator[None]:
    """Use the programs that earlier processes of this user compiled, unless JAX has a cache already.

    They are in the user's cache folder, at most half a gigabyte. `JAX_COMPILATION_CACHE_DIR` names another folder, and
    `JAX_ENABLE_COMPILATION_CACHE=false` turns caching off.
    """
    with ExitStack() as stack:
        with _LOCK:
            named, enabled = (
                getattr(jax.config, f"jax_{name}") for name in ("compilation_cache_dir", "enable_compilation_cache")
            )
            folder = None if named or not enabled else _writable_folder()
            if folder is not None:
                values = {"jax_compilation_cache_dir": str(folder), "jax_compilation_cache_max_size": _MAX_BYTES}
                stack.enter_context(_configured(values))
        yield


def cache_folder() -> Path:
    """Return the user's folder for caches, as the operating system's conventions name it."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _writable_folder() -> Path | None:
    """The folder of programs; None if the user has no home, or one that cannot be written: compile every time."""
    try:
        folder = cache_folder() / "sbp_jax" / "programs"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # a RuntimeError without a home
        return None
    return folder if os.access(folder, os.W_OK) else None


@contextmanager
def _configured(values: Mapping[str, Any]) -> Iterator[None]:
    values = {**values, "jax_persistent_cache_min_compile_time_secs": _MIN_SECONDS}
    with _LOCK:
        previous = {name: getattr(jax.config, name) for name in values}
        try:
            _update(values)
        except BaseException:
            _update(previous)
            raise
    try:
        yield
    finally:
        with _LOCK:
            _update(previous)


def _update(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # otherwise JAX keeps using the previous folder
