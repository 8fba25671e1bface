"""User-defined heads, encoders and objectives: a configuration names them as `package.module:Name`."""

import re
from importlib import import_module
from typing import Any

from sbp_jax.errors import InputError

PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_extension(name: str) -> bool:
    """Return whether a name in a configuration has the form `package.module:Name`."""
    return ":" in name


def check_name(field: str, name: str, known: tuple[str, ...]) -> None:
    """Raise an InputError unless a name is known or has the form `package.module:Name`.

    This check imports nothing.

    Args:
        field: configuration field, such as "head.kind".
        name: its value.
        known: names that this package provides.
    """
    if name not in known and not PATTERN.fullmatch(name):
        raise InputError(f"{field}: unknown {name!r}; known: {', '.join(map(repr, known))}, or package.module:Name")


def load_extension(field: str, name: str) -> Any:
    """Import the object that a configuration names as `package.module:Name`.

    Args:
        field: configuration field, for the error message.
        name: the object's name.

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
