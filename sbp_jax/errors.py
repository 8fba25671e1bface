"""The one exception for a user's mistake, which the command line prints as one line, and the checks that many share."""

from importlib.util import find_spec

# extras of pyproject.toml that parts of the library and of the command line need -> what they import of them
EXTRAS = {"check": ("mpmath",), "report": ("matplotlib", "plotly", "rich", "tensorboardX")}


class InputError(ValueError):
    """Bad input from the user; one line that names the file, the column or the argument and what was expected."""


def needs(extra: str) -> None:
    """Raise an InputError unless every package of an extra is installed; its line says how to install them.

    Args:
        extra: one of `EXTRAS`.
    """
    for package in EXTRAS[extra]:
        if find_spec(package) is None:
            raise InputError(f"{package} is not installed: pip install 'sbp_jax[{extra}]'")


def positive(name: str, value: float | int) -> None:
    """Raise an InputError unless a field's value is positive.

    Args:
        name: section and field, such as "network.kernel_size"; the line has it as the command line does.
        value: of the field.
    """
    if not value > 0:
        raise InputError(f"{flag(name)}: expected a positive number, got {value}")


def share(name: str, value: float | int) -> None:
    """Raise an InputError unless a field's value is from 0 to 0.99; arguments as for `positive`."""
    if not 0 <= value < 0.995:
        raise InputError(f"{flag(name)}: expected a share from 0 to 0.99, got {value}")


def seed(name: str, value: int) -> None:
    """Raise an InputError unless a field's value is the seed of a random stream; arguments as for `positive`."""
    if not 0 <= value < 2**32:
        raise InputError(f"{flag(name)}: expected an integer from 0 to 2^32 - 1, got {value}")


def flag(name: str) -> str:
    """A field's name as the command line has it: "network.kernel-size"."""
    return name.replace("_", "-")
