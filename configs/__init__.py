"""Named configurations: each module states its command, time and expected metrics, and holds them in `CONFIG`."""

import difflib
import importlib
import pkgutil

from sbp_jax.config import Config
from sbp_jax.errors import InputError


def names() -> list[str]:
    """Return the names of all configurations."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> Config:
    """Return the configuration of that name.

    Raises:
        InputError: no configuration has that name; the message has the nearest name, or lists all names.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names())}"
        raise InputError(f"unknown configuration {name!r}; {hint}")
    return importlib.import_module(f"{__name__}.{name}").CONFIG


def about(name: str) -> str:
    """Return the first line of a configuration's docstring."""
    module = importlib.import_module(f"{__name__}.{name}")
    return (module.__doc__ or "").splitlines()[0]
