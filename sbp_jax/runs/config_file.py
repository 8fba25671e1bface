"""A run's config.json, written and read: of every format so far; and how fast each epoch was.

A configuration read from an older file means what the code of its time did: `ADDED` has that value for each field which
came later, `CHANGED` the fields whose absence no value stands for, `RENAMED` the values that mean something else now.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from sbp_jax.config import Config, DataConfig, SeriesConfig, from_dict
from sbp_jax.errors import InputError
from sbp_jax.training.array_files import DamagedError, read_json
from sbp_jax.training.build import density_jumps

CONFIG = "config.json"  # in a run's folder
_BYTES = 2**20  # of it, at most
FORMAT = 5  # of config.json; files without a number are of format 0. Raise it with every new field or renamed value
# format -> field that came with it -> what code of all formats before did
ADDED: dict[int, dict[str, Any]] = {
    1: {
        "data.outcome": "yards",
        "data.extras": [],
        "network.encoder": "flat",
        "optimizer.average": 0.0,
        "training.mirror": False,
        "training.resident": False,
        "training.threshold_gradient": "habit",
        "training.per_frame": False,
        "training.frame_half_life_s": 0.0,
        "network.compute": "float32",
    },
    2: {
        "data.tracking": True,
        "data.results": ["C", "I", "IN"],
        "data.situation": [],
        "data.test_seasons": [],
    },
    3: {
        "data.folds": 0,
        "data.fold": 0,
        "data.fold_by": "game",
    },
    4: {},
    5: {
        "training.batch_source": "auto",  # it took plays in memory: those that fit still are
    },
}
# format -> field -> value of all formats before -> what it is called since
RENAMED: dict[int, dict[str, dict[str, str]]] = {
    5: {"head.kind": {"blended_pareto": "blended_pareto_published"}},
}
# fields that do not change what is trained: see `identity`
UNNAMED = ("training.batch_source",)
# the same for fields that no value makes what it was
CHANGED: dict[int, dict[str, str]] = {
    1: {"head.support": "the tails made no room for the whole field then, now they do; train it again"},
}
_FIRST_KINDS = {"blended_pareto": "blended_pareto_density", "blended_pareto_published": "blended_pareto"}
EXACT_BY_CELLS = 4  # since this format `exact` averages a density that jumps over cells; before it was `pointwise`


@dataclass(frozen=True)
class Saved:
    """The content of a run's config.json.

    Attributes:
        path: the run's folder.
        config: its configuration.
        dataset: folder of the prepared plays.
        fingerprint: of those plays when the run was trained.
        num_static: static features per play.
        integer: the outcomes are integers.
        training_plays: how many plays it trained on; None where the file does not say.
        starts: one a call that trained, in order: `date`, `command`, `commit`, `machine`, `versions`, and the `step` it
            went on from; older files say less.
    """

    path: Path
    config: Config
    dataset: Path
    fingerprint: str
    num_static: int
    integer: bool
    training_plays: int | None
    starts: tuple[Mapping[str, Any], ...]


def to_json(saved: Saved) -> bytes:
    """Return the content of a run's config.json, in the newest format."""
    content = {
        "format": FORMAT,
        "config": dataclasses.asdict(saved.config),
        "dataset": str(saved.dataset),
        "fingerprint": saved.fingerprint,
        "num_static": saved.num_static,
        "whole": saved.integer,
        "training_plays": saved.training_plays,
        "starts": list(saved.starts),
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def read_starts(path: Path) -> tuple[Mapping[str, Any], ...]:
    """Return the calls that a run's config.json lists, none where there is no such file or it is damaged."""
    try:
        return _starts(json.loads((path / CONFIG).read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _starts(saved: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Calls of a file of any format; before they were listed, a file has the first one's versions at most."""
    if "starts" in saved:
        return tuple(saved["starts"])
    return ({"versions": saved["versions"]},) if "versions" in saved else ()


def read_saved(path: str | Path) -> Saved:
    """Read config.json of a run's folder.

    Raises:
        InputError: the folder is no run, the file is damaged, of a newer format, has a field that this version does not
            know or lacks one that its own version had; the line names file and field.
    """
    path = Path(path)
    file = path / CONFIG
    if not file.is_file():
        raise InputError(f"{path}: expected a run's folder, with config.json and checkpoints; there is no {file.name}")
    try:
        saved = read_json(file, _BYTES)
        number, values = int(saved.get("format", 0)), saved["config"]
        dataset, num_static = Path(saved["dataset"]), int(saved["num_static"])
        plays, fingerprint = saved.get("training_plays"), saved["fingerprint"]
        starts = _starts(saved)
        if num_static < 1 or not isinstance(plays, int | None) or not isinstance(fingerprint, str):
            raise ValueError("a value out of range")
        if not isinstance(saved.get("starts", []), list) or not all(isinstance(start, dict) for start in starts):
            raise ValueError("starts that are no list of objects")
    except DamagedError as error:
        raise InputError(f"{file}: expected the JSON that a training wrote, but {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{file}: expected the JSON that a training wrote, got {error!r}") from error
    if number > FORMAT:
        raise InputError(f"{file}: of format {number}, written by a newer sbp_jax; this one reads up to {FORMAT}")
    try:
        config = from_dict(Config, completed(values, number))
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    integer = bool(saved.get("whole", True))
    return Saved(path, config, dataset, fingerprint, num_static, integer, plays, starts)


def completed(values: Any, number: int) -> dict[str, dict[str, Any]]:
    """A saved configuration with every field of this version's, those that are younger than it as code did before them.

    Args:
        values: sections of fields, as `dataclasses.asdict` of a `Config` of some version.
        number: format of the file that they are from.

    Raises:
        InputError: a section or field that this version does not know, or that is missing and cannot be completed.
    """
    if not isinstance(values, dict) or not all(isinstance(part, dict) for part in values.values()):
        raise InputError("config: expected sections of fields, got a damaged one")
    of_series = "context" in values.get("data", {})  # a window's; plays have none
    sections = {field.name: getattr(Config(), field.name) for field in dataclasses.fields(Config)}
    sections["data"] = SeriesConfig() if of_series else DataConfig()  # the default network is not one of series
    known = {section: [field.name for field in dataclasses.fields(part)] for section, part in sections.items()}
    found = {f"{section}.{name}": value for section, part in values.items() for name, value in part.items()}
    fields = [f"{section}.{name}" for section, names in known.items() for name in names]
    strange = sorted({*(section for section in values if section not in known), *(set(found) - set(fields))})
    if strange:
        raise InputError(
            f"config.{strange[0]}: not known to this version of sbp_jax, which has no such field or names it otherwise"
        )
    added = {field: value for of, part in ADDED.items() if of > number for field, value in part.items()}
    changed = {field: why for of, part in CHANGED.items() if of > number for field, why in part.items()}
    for field in fields:
        if field in found:
            continue
        if field not in added:
            raise InputError(f"config.{field}: missing{': ' + changed[field] if field in changed else ''}")
        found[field] = added[field]
    jumps = found["head.kind"] == "sbp" and found["head.parameterization"] != "continuous"
    if number < EXACT_BY_CELLS and jumps and found["training.objective"] == "exact":
        found["training.objective"] = "pointwise"
    for renamed in (part for of, part in RENAMED.items() if of > number):
        for field, names in renamed.items():
            if isinstance(found[field], str):
                found[field] = names.get(found[field], found[field])
    return {section: {name: found[f"{section}.{name}"] for name in names} for section, names in known.items()}


def identity(config: Config) -> dict[str, Any]:
    """Return the values that name a configuration's folder, in the words of the first version: folders keep names.

    Fields of `UNNAMED` are left out. A loss has the name that it had then: `pointwise` was `exact`, and `exact` of a
    density that jumps has a new one. So has a head: `blended_pareto_published` was `blended_pareto`.
    """
    values = dataclasses.asdict(config)
    for name in UNNAMED:
        section, field = name.split(".")
        del values[section][field]
    training, head = values["training"], values["head"]
    head["kind"] = _FIRST_KINDS.get(head["kind"], head["kind"])
    if training["objective"] == "pointwise":
        training["objective"] = "exact"
    elif training["objective"] == "exact" and density_jumps(config.head):
        training["objective"] = "exact by cells"
    return values


def metrics_of(
    history: Sequence[Mapping[str, int | float]], starts: Sequence[Mapping[str, Any]] = (), plays: int | None = None
) -> pl.DataFrame:
    """One one row per epoch: the columns of the history, and `plays_per_s`, validation and compilation included.

    Args:
        history: rows of a training, `step` and `seconds` among their fields.
        starts: of the calls that trained; an epoch's seconds are those of its last call, from its start's `step` on.
        plays: plays of an epoch; None makes the column null.
    """
    table = pl.DataFrame(list(history), infer_schema_length=None)
    begins = [start["step"] for start in starts if isinstance(start.get("step"), int)]
    speeds: list[float | None] = []
    before = 0
    for row in history:
        step, seconds = int(row["step"]), float(row["seconds"])
        begin = max([before, *(at for at in begins if at < step)])
        share = (step - begin) / (step - before) if step > before else 0.0
        speeds.append(plays * share / seconds if plays is not None and seconds > 0 and share > 0 else None)
        before = step
    return table.with_columns(pl.Series("plays_per_s", speeds, pl.Float64))
