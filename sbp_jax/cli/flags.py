"""Parse command lines: options fill a dataclass, and a user error is printed as one line with exit code 2."""

import contextlib
import dataclasses
import difflib
import io
import itertools
import os
import re
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from sbp_jax import configs
from sbp_jax.cli.terminal import fail, output_folder, terminal
from sbp_jax.data.readers.rules import FORMER_MALFORMED
from sbp_jax.errors import InputError

T = TypeVar("T")
# option -> value of earlier versions -> its name since
FORMER_VALUES = {
    "training.threshold-gradient": {"habit": "auto"},
    "data.malformed": FORMER_MALFORMED,
    "malformed": FORMER_MALFORMED,
}
# marks a nested dataclass whose options have no prefix: --data.source, not --config.data.source
FLAT: Any = tyro.conf.arg(name="")


def parse(
    kind: Callable[..., T],
    args: Sequence[str],
    program: str,
    default: T | None = None,
    about: str | None = None,
    folder: str | None = None,
) -> T:
    """Fill a dataclass from command-line options, or print the help text and exit for `-h` or `--help`.

    A boolean option takes the forms `--flag`, `--no-flag`, `--flag True` and `--flag=False`.

    Args:
        kind: the dataclass; its docstring is the help text, and its `Attributes` describe the options.
        args: command-line words.
        program: name of the program in the help text.
        default: default values of the fields.
        about: help text instead of the docstring's summary.
        folder: field with a folder to write, or None, which is checked by `terminal.output_folder`.

    Returns:
        The dataclass with the values of the options.

    Raises:
        InputError: an option is unknown, a value has the wrong type, or the folder cannot be written; the message has
            one line.
    """
    # the default determines the kind of data: a union of dataclasses does not become subcommands
    options: dict[str, Any] = {"prog": program, "default": default, "description": about}
    shape: Any = tyro.conf.AvoidSubcommands[kind]
    if any(word in ("-h", "--help") for word in args):
        with _help_rules():
            tyro.cli(shape, args=["--help"], **options)
    leaves = list(_leaves(kind, default))
    words = _with_present_values(_plain_booleans(args, leaves))
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            value, unknown = tyro.cli(shape, args=words, return_unknown_args=True, **options)
    except SystemExit as error:
        raise InputError(_first_paragraph(errors.getvalue())) from error
    values = {leaf.name: leaf.value for leaf in _leaves(kind, value)}
    for word, following in itertools.pairwise([*words, "--"]):
        if following.startswith("--") and values.get(_name(word)) == ():
            raise InputError(f"{word}: expected a value")
    if unknown:
        raise InputError(f"unknown argument {unknown[0]!r}{_nearest(unknown[0], leaves)}")
    value = value if all(word.isascii() for word in words) else _readable(value)
    if folder and getattr(value, folder) is not None:
        path = output_folder(getattr(value, folder), f"--{folder}")
        value = dataclasses.replace(typing.cast(Any, value), **{folder: path})
    return value


def parse_named(kind: Callable[..., T], args: Sequence[str], program: str) -> tuple[str, T]:
    """Fill a dataclass whose field `config` is a named configuration: `demo --optimizer.learning-rate 3e-4`.

    Args:
        kind: a dataclass with a field `config: Annotated[Config, FLAT]` and defaults for the others.
        args: command-line words; the first one names the configuration, and options change its fields.
        program: name of the program in the help text.

    Returns:
        The name of the configuration, and the dataclass.

    Raises:
        InputError: see `parse`; or no known configuration is named.
    """
    if not args or args[0].startswith("-"):
        if any(word in ("-h", "--help") for word in args):
            parse(kind, ["--help"], f"{program} CONFIG", kind(config=configs.get("demo")), _configurations(kind))
        raise InputError(f"expected a configuration first; known: {', '.join(configs.names())}")
    default = kind(config=configs.get(args[0]))
    return args[0], parse(kind, args[1:], f"{program} {args[0]}", default)


def run(command: Callable[[list[str]], None], words: list[str], interrupted: str | None = None) -> None:
    """Run a command; a user error ends it with one line and exit code 2.

    Args:
        command: function to run.
        words: words of the command line after the command's name.
        interrupted: message after a keyboard interrupt.
    """
    with terminal():
        try:
            command(words)
            sys.stdout.flush()
        except InputError as error:
            fail(error)
        except BrokenPipeError:  # the reader of the output has stopped reading, like `head`
            raise
        except OSError as error:
            is_path = isinstance(error.filename, str | bytes | os.PathLike)  # else None, or the number of an open file
            prefix = f"{os.fsdecode(error.filename)}: " if is_path else ""
            fail(f"{prefix}{error.strerror or error}")
        except KeyboardInterrupt:
            print(interrupted or "interrupted; the same command resumes from the newest checkpoint", file=sys.stderr)
            sys.exit(130)
        except RuntimeError as error:
            from sbp_jax.training import DivergedError

            if not isinstance(error, DivergedError):
                raise
            fail(error, 1)


def _help_rules() -> ConstructorRegistry:
    """The rules of tyro for dataclasses, except for the text of an option.

    It is one paragraph, states that an option without a default is required, also if it is a tuple, and does not show
    an empty default, such as ().
    """
    registry, busy = ConstructorRegistry(), False

    @registry.struct_rule
    def rule(info: StructTypeInfo) -> StructConstructorSpec | None:
        nonlocal busy
        if busy or not dataclasses.is_dataclass(info.type):
            return None
        busy = True  # the next rule is tyro's own
        try:
            spec = ConstructorRegistry.get_struct_spec(info)
        finally:
            busy = False
        if not isinstance(spec, StructConstructorSpec):
            return None
        return dataclasses.replace(spec, fields=tuple(map(_described, spec.fields)))

    return registry


def _described(field: StructFieldSpec) -> StructFieldSpec:
    text = field.helptext() if callable(field.helptext) else field.helptext
    field = dataclasses.replace(field, helptext=" ".join(text.split()) if text else text)
    if field.default is tyro.MISSING or field.default is tyro.MISSING_NONPROP:
        hint = "(required)"
    elif field.default in ((), "", None):
        hint = ""
    else:
        return field
    kind: Any = typing.Annotated[field.type, tyro.conf.arg(help_behavior_hint=hint)]
    return dataclasses.replace(field, type=kind)


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """An option: its name without dashes, whether it is boolean or positional, and its default value."""

    name: str
    boolean: bool
    positional: bool
    value: Any


def _leaves(kind: Any, value: Any, prefix: str = "") -> Iterator[_Leaf]:
    """Yield the options of a dataclass, including those of nested dataclasses."""
    if not dataclasses.is_dataclass(kind):
        return
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint, marks = hints[field.name], ()
        if typing.get_origin(hint) is typing.Annotated:
            hint, *marks = typing.get_args(hint)
        inner = getattr(value, field.name) if value is not None else _default(field)
        name = prefix + field.name.replace("_", "-")
        if dataclasses.is_dataclass(inner):
            flat = any(mark is FLAT for mark in marks)
            yield from _leaves(type(inner), inner, prefix if flat else f"{name}.")
        else:
            yield _Leaf(name, hint is bool, tyro.conf.Positional in marks, inner)


def _default(field: Any) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _with_present_values(words: Sequence[str]) -> list[str]:
    """The words with the values of earlier versions by their present names."""
    present: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            value = FORMER_VALUES.get(_name(name), {}).get(value, value)
            present.append(f"{name}={value}")
        else:
            previous = _name(present[-1]) if present and present[-1].startswith("--") else ""
            present.append(FORMER_VALUES.get(previous, {}).get(word, word))
    return present


def _plain_booleans(args: Sequence[str], leaves: Sequence[_Leaf]) -> list[str]:
    """The words with every boolean option in one of the two forms that tyro reads, `--a.flag` and `--a.no-flag`."""
    booleans = {leaf.name for leaf in leaves if leaf.boolean}
    positional = any(leaf.positional for leaf in leaves)
    words: list[str] = []
    waiting = list(args)
    while waiting:
        word = waiting.pop(0)
        name, _, text = word.partition("=")
        name = _name(name)
        if name.startswith("no-") and name.removeprefix("no-") in booleans and word.startswith("--"):
            words.append(_switch(name.removeprefix("no-"), False))
            continue
        if not word.startswith("--") or name not in booleans:
            words.append(word)
            continue
        following = waiting[0] if waiting else "--"
        if "=" in word:
            state = _truth(text)
        elif following.startswith("-"):
            state, text = True, ""
        else:
            state, text = _truth(following), following
            if state is not None:
                waiting.pop(0)
            elif positional:  # the next word is a positional argument
                state = True
        if state is None:
            raise InputError(f"--{name}: expected True or False, got {text!r}")
        words.append(_switch(name, state))
    return words


def _readable(value: Any) -> Any:
    """Options with text decoded as UTF-8, whatever the locale is; the name of an existing file is unchanged."""
    if isinstance(value, str):
        return value if os.path.exists(value) else os.fsencode(value).decode("utf-8", "surrogateescape")
    if isinstance(value, tuple):
        return tuple(_readable(each) for each in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: _readable(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **changes)
    return value


def _truth(word: str) -> bool | None:
    return {"true": True, "false": False}.get(word.lower())


def _switch(name: str, on: bool) -> str:
    section, dot, last = name.rpartition(".")
    return f"--{section}{dot}{'' if on else 'no-'}{last}"


def _name(word: str) -> str:
    """The name of an option as in `_Leaf`."""
    return word.removeprefix("--").replace("_", "-")


def _configurations(kind: Any) -> str:
    width = max(map(len, configs.names()))
    lines = [f"  {name:<{width}}  {configs.about(name)}" for name in configs.names()]
    summary = (kind.__doc__ or "").split("\n\n")[0]
    return "\n".join(
        [
            summary,
            "",
            "CONFIG is the name of a configuration:",
            *lines,
            "",
            "Options change its fields. Below are the options for plays; see sbp train series --help for time series.",
        ]
    )


def _first_paragraph(text: str) -> str:
    # tyro draws a box, or rules if the terminal cannot show it; the first paragraph has the error
    if text.lstrip().startswith("╭"):
        inside = [line.strip("│ \t") for line in text.splitlines() if not line.startswith(("╭", "╰"))]
        message = itertools.takewhile(lambda line: not re.fullmatch("─{10,}", line), inside)
        return " ".join(" ".join(message).split())
    parts = re.split(r"\n[ \t]*[─-]{10,}[ \t]*\n", text)
    return " ".join((parts[1] if len(parts) > 1 else text).split())


def _nearest(word: str, leaves: Sequence[_Leaf]) -> str:
    positional = {f"--{leaf.name}": leaf.positional for leaf in leaves}
    near = difflib.get_close_matches(word.split("=")[0], positional, n=1)
    if near and positional[near[0]]:
        return f"; write the {near[0].removeprefix('--')} alone, without an option before"
    return f"; did you mean {near[0]}?" if near else "; --help lists the known options"
