"""Grids of configurations as data: TOML files in `configs/ablations`, or your own.

A grid has a `title`, `about` (what varies), a `base` configuration, the name of its `reference` arm, and `arms`. Each
arm has a `name` and its changes to the base, by section and field as on the command line (`head.bins = 10`). A numeric
`x` places an arm on the axis of the figures, which `axis` names and `logarithmic` scales. With `tracking = true` the
arms differ in their use of frames, and the base must have tracked plays.
"""

import dataclasses
import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbp_jax import configs
from sbp_jax.config import Config, DataConfig, from_dict
from sbp_jax.errors import InputError

FOLDER = Path(configs.__file__).parent / "ablations"
KEYS = {"title", "about", "base", "reference", "axis", "logarithmic", "tracking", "arms"}
SECTIONS = [field.name for field in dataclasses.fields(Config)]


@dataclass(frozen=True)
class Arm:
    """One configuration of a grid, trained with several seeds.

    Attributes:
        name: name in tables and figures.
        config: the base with the arm's changes.
        x: position on the grid's axis.
    """

    name: str
    config: Config
    x: float | None = None


@dataclass(frozen=True)
class Grid:
    """Arms to compare.

    Attributes:
        name: name of the file, with the name of the base if that is not the grid's own.
        title, about: text for the report.
        reference: name of the arm that the others are compared with.
        arms: arms in the order of the file.
        axis: label of `Arm.x`; empty if the arms are categories.
        logarithmic: whether the axis is logarithmic.
    """

    name: str
    title: str
    about: str
    reference: str
    arms: tuple[Arm, ...]
    axis: str = ""
    logarithmic: bool = False


def names() -> list[str]:
    """Return the names of all grids."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def title(name: str) -> str:
    """Return the title of a grid in `names()`."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["title"]


def read(name: str, base: str | None = None) -> Grid:
    """Read the grid of a name, or of the TOML file at a path.

    Args:
        name: name of a grid, or a path that ends in .toml.
        base: base configuration that replaces the grid's own.

    Raises:
        InputError: the grid does not exist or is invalid, or it needs tracking and the base has none; the message names
            the file and the key.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names())}, or a path that ends in .toml"
        raise InputError(f"{name}: no such grid; {hint}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected TOML: {error}") from error
    unknown = sorted(set(content) - KEYS)
    if unknown:
        raise InputError(f"{path}: unknown key {unknown[0]!r}; known: {', '.join(sorted(KEYS))}")
    for key, kind in (("title", str), ("about", str), ("base", str), ("reference", str), ("arms", list)):
        if not isinstance(content.get(key), kind):
            raise InputError(f"{path}: {key}: expected a {kind.__name__}, got {content.get(key)!r}")
    origin = base or content["base"]
    start = configs.get(origin)
    axis, logarithmic = content.get("axis", ""), content.get("logarithmic", False)
    tracking = content.get("tracking", False)
    if not isinstance(axis, str) or not isinstance(logarithmic, bool) or not isinstance(tracking, bool):
        raise InputError(f"{path}: expected a text as axis and true or false as logarithmic and tracking")
    if tracking and not (isinstance(start.data, DataConfig) and start.data.tracking):
        raise InputError(f"{path}: its arms differ in their use of frames, and {origin} has no tracking")
    arms = tuple(_arm(entry, start, f"{path}: arms[{i}]") for i, entry in enumerate(content["arms"]))
    arm_names = [arm.name for arm in arms]
    if len(set(arm_names)) < len(arm_names):
        raise InputError(f"{path}: arms: expected different names, got {arm_names}")
    if content["reference"] not in arm_names:
        raise InputError(f"{path}: reference: expected one of {arm_names}, got {content['reference']!r}")
    stem, title = path.stem, content["title"]
    if base is not None:
        stem, title = f"{stem}-{base}", f"{title}: {base}"
    return Grid(stem, title, content["about"], content["reference"], arms, axis, logarithmic)


def change(config: Config, changes: dict[str, Any], where: str) -> Config:
    """Return the configuration with changed fields, given by section.

    Raises:
        InputError: a section or field is unknown, or a value has another type; the message begins with `where`.
    """
    values = dataclasses.asdict(config)
    for section, fields in changes.items():
        if section not in values or not isinstance(fields, dict):
            raise InputError(f"{where}: expected sections of {', '.join(SECTIONS)}, got {section} = {fields!r}")
        unknown = sorted(set(fields) - set(values[section]))
        if unknown:
            choices = ", ".join(values[section])
            raise InputError(f"{where}: {section} has no field {unknown[0]!r}; known: {choices}")
        values[section] |= fields
    return from_dict(Config, _as_json(values), where)


def _arm(entry: Any, base: Config, where: str) -> Arm:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise InputError(f"{where}: expected a table with a name, got {entry!r}")
    changes = {key: value for key, value in entry.items() if key not in ("name", "x")}
    x = entry.get("x")
    if x is not None and (isinstance(x, bool) or not isinstance(x, int | float)):
        raise InputError(f"{where}: x: expected a number, got {x!r}")
    return Arm(entry["name"], change(base, changes, where), None if x is None else float(x))


def _as_json(value: Any) -> Any:
    """The value with tuples as lists, like a configuration read from JSON."""
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    return [_as_json(each) for each in value] if isinstance(value, list | tuple) else value
