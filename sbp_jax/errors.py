"""The one exception for a user's mistake, which the command line prints as one line, and the checks that many share."""


class InputError(ValueError):
    """Bad input from the user; one line that names the file, the column or the argument and what was expected."""


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
        raise InputError(f"{flag(name)}: expected a whole number from 0 to 2^32 - 1, got {value}")


def flag(name: str) -> str:
    """A field's name as the command line has it: "network.kernel-size"."""
    return name.replace("_", "-")
