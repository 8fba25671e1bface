"""Named configurations: each module says its command, time and expected figures, and holds them in `CONFIG`."""

import importlib
import pkgutil

from sbp_jax.config import Config
from sbp_jax.errors import InputError


def names() -> list[str]:
    """The configurations that there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> Config:
    """The configuration of that name.

    Raises:
        InputError: there is none; the message lists those that there are.
    """
    if name not in names():
        raise InputError(f"unknown configuration {name!r}; known: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}").CONFIG
