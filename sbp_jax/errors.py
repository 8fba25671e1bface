"""The one exception for a user's mistake; the command line prints it as one line and exits with code 2."""


class InputError(ValueError):
    """Bad input from the user; its message is one line that names the file, column or argument and what was expected."""
