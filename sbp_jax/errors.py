"""The exception for user errors, which the command line prints as one line, and the checks that raise it."""

from importlib.util import find_spec

# extras in pyproject.toml that parts of the library and the command line need -> packages that they import
EXTRAS = {"check": ("mpmath",), "report": ("matplotlib", "plotly", "rich", "tensorboardX")}


class InputError(ValueError):
    """Invalid user input; the one-line message names the file, column or argument and what was expected."""


def needs(extra: str) -> None:
    """Raise an InputError unless every package of an extra is installed; the message has the command to install it.

    Args:
        extra: one of `EXTRAS`.
    """
    for package in EXTRAS[extra]:
        if find_spec(package) is None:
            raise InputError(f"{package} is not installed: pip install 'sbp_jax[{extra}]'")


def positive(name: str, value: float | int) -> None:
    """Raise an InputError unless a field's value is positive.

    Args:
        name: section and field, such as "network.kernel_size"; the message spells it as the command line does.
        value: the field's value.
    """
    if not value > 0:
        raise InputError(f"{flag(name)}: expected a positive number, got {value}")


def share(name: str, value: float | int) -> None:
    """Raise an InputError unless a field's value is from 0 to 0.99; for the arguments see `positive`."""
    if not 0 <= value < 0.995:
        raise InputError(f"{flag(name)}: expected a share from 0 to 0.99, got {value}")


def seed(name: str, value: int) -> None:
    """Raise an InputError unless a field's value is a valid seed; for the arguments see `positive`."""
    if not 0 <= value < 2**32:
        raise InputError(f"{flag(name)}: expected an integer from 0 to 2^32 - 1, got {value}")


def flag(name: str) -> str:
    """Return a field's name as the command line spells it: "network.kernel-size"."""
    return name.replace("_", "-")
