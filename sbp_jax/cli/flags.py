"""Command lines: a named configuration with fields changed by flags; a user's mistake is one line and exit code 2."""

import contextlib
import dataclasses
import difflib
import io
import itertools
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from sbp_jax import configs
from sbp_jax.config import Config
from sbp_jax.errors import InputError

T = TypeVar("T")


def parse(kind: Any, args: Sequence[str], program: str, default: T | None = None) -> T:
    """Fill a dataclass from flags.

    Args:
        kind: the dataclass; its docstring is the help text.
        args: command-line words.
        program: name for the help text.
        default: values of the fields that no flag names.

    Raises:
        InputError: an unknown flag, or a value of the wrong type; one line.
    """
    if any(word in ("-h", "--help") for word in args):
        tyro.cli(kind, prog=program, default=default, args=["--help"])
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            value, unknown = tyro.cli(kind, prog=program, default=default, args=args, return_unknown_args=True)
    except SystemExit as error:
        raise InputError(_first_paragraph(complaint.getvalue())) from error
    for word, following in itertools.pairwise([*args, "--"]):
        if following.startswith("--") and _is_empty(value, word):
            raise InputError(f"{word}: expected a value")
    if unknown:
        raise InputError(f"unknown argument {unknown[0]!r}{_nearest(unknown[0], value)}")
    return value


def parse_config(args: Sequence[str], program: str) -> tuple[str, Config]:
    """The first word names a configuration, flags change its fields: `demo --optimizer.learning-rate 3e-4`."""
    if not args or args[0].startswith("-"):
        if args and args[0] in ("-h", "--help"):
            print(f"usage: {program} CONFIG [--field value ...]\nconfigurations: {', '.join(configs.names())}\n")
            parse(Config, ["--help"], f"{program} CONFIG", configs.get("demo"))
        raise InputError(f"expected a configuration first; known: {', '.join(configs.names())}")
    # the kind of data is the named configuration's
    kind = tyro.conf.AvoidSubcommands[Config]
    return args[0], parse(kind, args[1:], f"{program} {args[0]}", configs.get(args[0]))


def option(args: Sequence[str], flag: str) -> tuple[str | None, list[str]]:
    """The value of a flag that is no field, None where it is not given, and the other words; InputError without one."""
    words = list(args)
    if flag not in words:
        return None, words
    at = words.index(flag)
    if at + 1 == len(words) or words[at + 1].startswith("--"):
        raise InputError(f"{flag}: expected a value")
    return words[at + 1], words[:at] + words[at + 2 :]


def run(command: Callable[[list[str]], None], words: list[str], interrupted: str | None = None) -> None:
    """Run a command; a mistake of the user ends it with one line and exit code 2.

    Args:
        command: what to run.
        words: of the command line, after the command's name.
        interrupted: the line that tells what an interrupt from the keyboard leaves behind.
    """
    try:
        command(words)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(interrupted or "interrupted; the same command goes on from the newest checkpoint", file=sys.stderr)
        sys.exit(130)
    except RuntimeError as error:
        from sbp_jax.training import DivergedError

        if not isinstance(error, DivergedError):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _is_empty(value: Any, word: str) -> bool:
    if not word.startswith("--") or "=" in word:
        return False
    for name in word.removeprefix("--").replace("-", "_").split("."):
        value = getattr(value, name, None)
    return value == ()


def _first_paragraph(text: str) -> str:
    # tyro draws a box, or rules where the terminal has no such letters: the first paragraph says what is wrong.
    if text.lstrip().startswith("╭"):
        inside = [line.strip("│ \t") for line in text.splitlines() if not line.startswith(("╭", "╰"))]
        said = itertools.takewhile(lambda line: not re.fullmatch("─{10,}", line), inside)
        return " ".join(" ".join(said).split())
    parts = re.split(r"\n[ \t]*[─-]{10,}[ \t]*\n", text)
    return " ".join((parts[1] if len(parts) > 1 else text).split())


def _nearest(word: str, value: Any) -> str:
    known = [f"--{name}" for name in _flags(value)]
    found = difflib.get_close_matches(word.split("=")[0], known, n=1)
    return f"; did you mean {found[0]}?" if found else "; --help lists the known ones"


def _flags(value: Any, prefix: str = "") -> list[str]:
    names = []
    for field in dataclasses.fields(value):
        name = prefix + field.name.replace("_", "-")
        inner = getattr(value, field.name)
        names += _flags(inner, name + ".") if dataclasses.is_dataclass(inner) else [name]
    return names
