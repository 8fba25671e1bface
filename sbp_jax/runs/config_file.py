"""Write and read a run's config.json, in every format so far, and compute the speed of each epoch.

A configuration from an older file means what the code did then: `ADDED` has that value for each field added since,
`CHANGED` the fields whose old behavior no value reproduces, `RENAMED` the values with another meaning now.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from sbp_jax.config import Config, DataConfig, SeriesConfig, from_dict
from sbp_jax.data.readers.rules import FORMER_MALFORMED
from sbp_jax.errors import InputError
from sbp_jax.training.array_files import DamagedError, read_json
from sbp_jax.training.build import density_jumps

CONFIG = "config.json"  # in a run's folder
_BYTES = 2**20  # maximum size of the file
# format of config.json; files without a number have format 0. Increment it with every new field or renamed value
FORMAT = 6
# format -> field added by it -> value that reproduces the code of all earlier formats
ADDED: dict[int, dict[str, Any]] = {
    1: {
        "data.outcome": "yards",
        "data.extras": [],
        "network.encoder": "flat",
        "optimizer.average": 0.0,
        "training.mirror": False,
        "training.resident": False,
        "training.threshold_gradient": "auto",
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
        "training.batch_source": "auto",  # plays were always in memory; those that fit still are
    },
    6: {},
}
# format -> field -> value in all earlier formats -> its name since
RENAMED: dict[int, dict[str, dict[str, str]]] = {
    5: {"head.kind": {"blended_pareto": "blended_pareto_published"}},
    6: {"training.threshold_gradient": {"habit": "auto"}, "data.malformed": FORMER_MALFORMED},
}
# fields that do not affect the trained parameters: see `identity`
UNNAMED = ("training.batch_source",)
# format -> field added by it whose earlier behavior no value reproduces -> reason
CHANGED: dict[int, dict[str, str]] = {
    1: {"head.support": "the tails did not cover the complete field then, now they do; train it again"},
}
_FIRST_KINDS = {"blended_pareto": "blended_pareto_density", "blended_pareto_published": "blended_pareto"}
EXACT_BY_CELLS = 4  # since this format "exact" averages a density with jumps over cells; before it meant "pointwise"


@dataclass(frozen=True)
class Saved:
    """The content of a run's config.json.

    Attributes:
        path: the run's folder.
        config: its configuration.
        dataset: folder of the prepared plays.
        fingerprint: fingerprint of these plays when the run was trained.
        num_static: number of static features per play.
        integer: whether the outcomes are integers.
        training_plays: number of training plays; None if the file does not have it.
        starts: one entry per call that trained, in order: `date`, `command`, `commit`, `machine`, `versions`, and the
            `step` it started from; older files have fewer fields.
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
    """Return the calls listed in a run's config.json; empty if the file is missing or damaged."""
    try:
        return _starts(json.loads((path / CONFIG).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _starts(content: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The calls in a file of any format; formats without a list have at most the versions of the first call."""
    if "starts" in content:
        return tuple(content["starts"])
    return ({"versions": content["versions"]},) if "versions" in content else ()


def read_saved(path: str | Path) -> Saved:
    """Read config.json of a run's folder.

    Raises:
        InputError: the folder is not a run, the file is damaged or has a newer format, a field is unknown, or a field
            of its format is missing; the message names the file and the field.
    """
    path = Path(path)
    file = path / CONFIG
    if not file.is_file():
        raise InputError(f"{path}: expected a run's folder, with config.json and checkpoints; there is no {file.name}")
    try:
        content = read_json(file, _BYTES)
        number, values = int(content.get("format", 0)), content["config"]
        dataset, num_static = Path(content["dataset"]), int(content["num_static"])
        plays, fingerprint = content.get("training_plays"), content["fingerprint"]
        starts = _starts(content)
        if num_static < 1 or not isinstance(plays, int | None) or not isinstance(fingerprint, str):
            raise ValueError("a value out of range")
        if not isinstance(content.get("starts", []), list) or not all(isinstance(start, dict) for start in starts):
            raise ValueError("starts is not a list of objects")
    except DamagedError as error:
        raise InputError(f"{file}: expected the JSON of a training run, but {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{file}: expected the JSON of a training run, got {error!r}") from error
    if number > FORMAT:
        raise InputError(f"{file}: format {number}, written by a newer sbp_jax; this version reads up to {FORMAT}")
    try:
        config = from_dict(Config, completed(values, number))
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    integer = bool(content.get("whole", True))
    return Saved(path, config, dataset, fingerprint, num_static, integer, plays, starts)


def completed(values: Any, number: int) -> dict[str, dict[str, Any]]:
    """Return a saved configuration with all fields of this version; newer fields get the value of the earlier code.

    Args:
        values: sections of fields, from `dataclasses.asdict` of a `Config` of some version.
        number: format of the file that they are from.

    Raises:
        InputError: a section or field is unknown to this version, or is missing and cannot be completed.
    """
    if not isinstance(values, dict) or not all(isinstance(part, dict) for part in values.values()):
        raise InputError("config: expected sections of fields, got a damaged one")
    of_series = "context" in values.get("data", {})  # a field of windows; plays do not have it
    sections = {field.name: getattr(Config(), field.name) for field in dataclasses.fields(Config)}
    sections["data"] = SeriesConfig() if of_series else DataConfig()  # Config() rejects series with its default network
    field_names = {section: [field.name for field in dataclasses.fields(part)] for section, part in sections.items()}
    flat = {f"{section}.{name}": value for section, part in values.items() for name, value in part.items()}
    fields = [f"{section}.{name}" for section, names in field_names.items() for name in names]
    unknown = sorted({*(section for section in values if section not in field_names), *(set(flat) - set(fields))})
    if unknown:
        raise InputError(
            f"config.{unknown[0]}: unknown to this version of sbp_jax, which does not have the field or has renamed it"
        )
    added = {field: value for since, part in ADDED.items() if since > number for field, value in part.items()}
    reasons = {field: reason for since, part in CHANGED.items() if since > number for field, reason in part.items()}
    for field in fields:
        if field in flat:
            continue
        if field not in added:
            raise InputError(f"config.{field}: missing{': ' + reasons[field] if field in reasons else ''}")
        flat[field] = added[field]
    jumps = flat["head.kind"] == "sbp" and flat["head.parameterization"] != "continuous"
    if number < EXACT_BY_CELLS and jumps and flat["training.objective"] == "exact":
        flat["training.objective"] = "pointwise"
    for renames in (part for since, part in RENAMED.items() if since > number):
        for field, names in renames.items():
            if isinstance(flat.get(field), str):  # series have no field of plays
                flat[field] = names.get(flat[field], flat[field])
    return {section: {name: flat[f"{section}.{name}"] for name in names} for section, names in field_names.items()}


def identity(config: Config) -> dict[str, Any]:
    """Return the values that name a configuration's folder, as the first version wrote them, so that names are stable.

    Fields in `UNNAMED` are left out. Losses have their original names: `pointwise` was `exact`, and `exact` for a
    density with jumps has a new name. Heads too: `blended_pareto_published` was `blended_pareto`.
    """
    values = dataclasses.asdict(config)
    for name in UNNAMED:
        section, field = name.split(".")
        del values[section][field]
    training, head, data = values["training"], values["head"], values["data"]
    if training["threshold_gradient"] == "auto":
        training["threshold_gradient"] = "habit"
    if "malformed" in data:
        data["malformed"] = {new: old for old, new in FORMER_MALFORMED.items()}[data["malformed"]]
    head["kind"] = _FIRST_KINDS.get(head["kind"], head["kind"])
    if training["objective"] == "pointwise":
        training["objective"] = "exact"
    elif training["objective"] == "exact" and density_jumps(config.head):
        training["objective"] = "exact by cells"
    return values


def metrics_of(
    history: Sequence[Mapping[str, int | float]], starts: Sequence[Mapping[str, Any]] = (), plays: int | None = None
) -> pl.DataFrame:
    """Return one row per epoch: the columns of the history, and `plays_per_s`, including validation and compilation.

    Args:
        history: rows of a training run, with `step` and `seconds` among their fields.
        starts: starts of the calls that trained; the seconds of an epoch are those of its last call, from the `step` of
            that call's start.
        plays: number of plays per epoch; None makes the column null.
    """
    table = pl.DataFrame(list(history), infer_schema_length=None)
    begins = [start["step"] for start in starts if isinstance(start.get("step"), int)]
    speeds: list[float | None] = []
    previous = 0
    for row in history:
        step, seconds = int(row["step"]), float(row["seconds"])
        begin = max([previous, *(at for at in begins if at < step)])
        fraction = (step - begin) / (step - previous) if step > previous else 0.0
        speeds.append(plays * fraction / seconds if plays is not None and seconds > 0 and fraction > 0 else None)
        previous = step
    return table.with_columns(pl.Series("plays_per_s", speeds, pl.Float64))
