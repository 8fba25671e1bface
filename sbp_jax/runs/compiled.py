"""Programs that several trainings share are compiled once."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache


@contextmanager
def compiled_once() -> Iterator[None]:
    """Programs that trainings on other data share are compiled once: JAX's cache, in a folder of this call's own."""
    with TemporaryDirectory(prefix="compiled-") as folder:
        values = {"jax_compilation_cache_dir": folder, "jax_persistent_cache_min_compile_time_secs": 0.3}
        before = {name: getattr(jax.config, name) for name in values}
        try:
            _configure(values)
            yield
        finally:
            _configure(before)


def _configure(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # else it stays with the folder that it was first used with
