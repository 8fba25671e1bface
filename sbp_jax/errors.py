"""The one exception for a user's mistake; the command line prints it as one line and exits with code 2."""


class InputError(ValueError):
    """Bad input from the user; one line that names the file, the column or the argument and what was expected."""
