"""Heads, encoders and objectives of one's own: a configuration names them as `package.module:Name`."""

import re
from importlib import import_module
from typing import Any

from sbp_jax.errors import InputError

PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_extension(name: str) -> bool:
    """Return whether a name in a configuration is one of `package.module:Name`."""
    return ":" in name


def check_name(field: str, name: str, known: tuple[str, ...]) -> None:
    """Raise an InputError unless a name is among the known ones or has the form `package.module:Name`.

    Nothing is imported.

    Args:
        field: of the configuration, such as "head.kind".
        name: its value.
        known: names of what this package has.
    """
    if name not in known and not PATTERN.fullmatch(name):
        raise InputError(f"{field}: unknown {name!r}; known: {', '.join(map(repr, known))}, or package.module:Name")


def load_extension(field: str, name: str) -> Any:
    """Import what a configuration names as `package.module:Name`.

    Args:
        field: of the configuration, for the error.
        name: of the object.

    Raises:
        InputError: the module cannot be imported or has no such name.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ImportError as error:
        raise InputError(f"{field}: {name}: cannot import {module}: {error}") from error
    except AttributeError as error:
        raise InputError(f"{field}: {name}: {module} has no {attribute}") from error
