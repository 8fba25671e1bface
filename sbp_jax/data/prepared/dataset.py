"""The prepared data set: tracking files read once, split by game, stored as a TFDS array_record data set.

path/
  report.json, report.md       counts of plays read, kept, rejected and repaired, and distributions of the kept plays;
                               report.json also has splits, source files with checksums, configuration
  passing_plays/1.0.0/         TFDS; `tfds.builder_from_directory` can read it too
"""

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sbp_jax.atomic import atomic_write
from sbp_jax.data.memory import fits, frame_bytes, scratch
from sbp_jax.data.plays import COLUMN_TYPES, FEATURES, INFO_TYPES, PLAYERS, STATIC_FEATURES, Plays, Sequences
from sbp_jax.data.prepared.records import RecordSource, read_records
from sbp_jax.data.prepared.splits import SPLITS, Fold
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.digests import json_digest
from sbp_jax.errors import InputError

REPORT, SUMMARY = "report.json", "report.md"
RECIPE = 6  # increment if earlier runs cannot be resumed with the arrays of the same files
_TOGETHER = 256  # records read at a time
# keys of the report -> fields of `ReadReport`
READING = {
    "plays": "kept",
    "read": "read",
    "rejected": "rejected",
    "examples": "examples",
    "repaired": "repaired",
    "files": "formats",
    "ignored": "ignored",
}
# the same for keys that are missing in reports of earlier versions, which read files by other rules
NEW_READING = {"identified": "identified", "unknown": "unknown", "reasons_unknown": "reasons_unknown"}


@dataclass(frozen=True)
class Prepared:
    """A prepared data set.

    path: folder of the data set.
    reading: report of the reading.
    games: games of each split.
    plays, frames: number of plays and of frames in each split.
    fingerprint: hexadecimal digits that identify the content of the source files and the configuration.
    features: names of a player's features.
    static: names of the static features.
    """

    path: Path
    reading: ReadReport
    games: dict[str, list[int]]
    plays: dict[str, int]
    frames: dict[str, int]
    fingerprint: str
    features: tuple[str, ...] = FEATURES
    static: tuple[str, ...] = STATIC_FEATURES


def describe(path: str | Path) -> Prepared:
    """Return the recorded description of the data set at `path`; InputError if there is none."""
    path = Path(path)
    if not is_prepared(path):
        raise InputError(f"{path}: not a prepared data set (no {REPORT}); prepare the tracking files first")
    report = read_report(path)
    columns = ("games", "plays", "frames")
    by_split = {column: {split: report["splits"][split][column] for split in SPLITS} for column in columns}
    fingerprint = json_digest(report["prepared_from"])[:16]
    # data sets from before extras and additional columns have the default ones
    features, static = tuple(report.get("features", FEATURES)), tuple(report.get("static", STATIC_FEATURES))
    return Prepared(path, reading_of(report), **by_split, fingerprint=fingerprint, features=features, static=static)


def read_report(path: Path) -> dict[str, Any]:
    """Return the report of the data set at `path`; InputError if it is damaged."""
    with contextlib.suppress(ValueError):
        report = json.loads((path / REPORT).read_text(encoding="utf-8"))
        keys = {*READING, "distributions", "splits", "prepared_from"}
        has_names = all(isinstance(report.get(names, []), list) for names in ("features", "static"))
        if keys <= set(report) and has_names and (path / "passing_plays").is_dir():
            return report
    raise InputError(f"{path}: damaged data set; prepare the tracking files again")


def reading_of(report: dict[str, Any]) -> ReadReport:
    """Return the `ReadReport` in a data set's report."""
    fields = {**READING, **{key: name for key, name in NEW_READING.items() if key in report}}
    return ReadReport(**{name: report[key] for key, name in fields.items()})


def load(path: str | Path, split: str, mapped: bool | None = None) -> Plays:
    """Return the plays of a split ("train", "validation" or "test") of the data set at `path`, in its fixed order.

    Args:
        path: the prepared data set.
        split: name of the split.
        mapped: whether to keep the frames in a temporary file, mapped into memory, whose pages the system can evict;
            None does so if they do not fit into memory, see `sbp_jax.data.memory.fits`.

    Raises:
        InputError: there is no data set at `path`, it has another version, or there is no such split.
    """
    prepared = describe(path)
    if read_report(prepared.path)["prepared_from"].get("recipe") != RECIPE:
        raise InputError(f"{path}: prepared by another version of sbp_jax; prepare the tracking files again")
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    count, features = prepared.frames[split], len(prepared.features)
    mapped = not fits(count * frame_bytes(PLAYERS, features)) if mapped is None else mapped
    zeros = partial(scratch, folder=prepared.path) if mapped else np.zeros
    frames, present = zeros((count, PLAYERS, features), np.float32), zeros((count, PLAYERS), np.bool_)
    offsets = np.zeros(prepared.plays[split] + 1, np.int64)

    def put(i: int, play: dict[str, Any]) -> None:
        begin, end = offsets[i], offsets[i] + len(play["frames"])
        frames[begin:end], present[begin:end] = play["frames"], play["present"]
        offsets[i + 1] = end

    columns, info = read_columns(prepared, split, put)
    return Plays(frames=frames, offsets=offsets, present=present, info=info, features=prepared.features, **columns)


def full_records(prepared: Prepared, split: str) -> Iterator[dict[str, Any]]:
    """Yield a split's records in its fixed order; InputError if they are damaged."""
    with damage_named(prepared.path):
        yield from read_records(prepared.path, split) if prepared.plays[split] else ()


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Convert the errors that damaged records cause into an InputError."""
    try:
        yield
    except (RuntimeError, OSError, ValueError, IndexError) as error:
        kind = type(error).__name__
        raise InputError(f"{path}: damaged data set ({kind}); remove it and prepare it again") from error


def read_columns(
    prepared: Prepared, split: str, put: Callable[[int, dict[str, Any]], None]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Read a split once, one play in memory at a time.

    Args:
        prepared: the data set.
        split: one of `SPLITS`.
        put: called with each play's position and record; its `frames` and `present` are not stored here.

    Returns:
        `static` and the columns of `plays.COLUMN_TYPES`; the columns of `plays.INFO_TYPES`; one entry per play.

    Raises:
        InputError: the records are damaged.
    """
    static = np.zeros((prepared.plays[split], len(prepared.static)), np.float32)
    scalars: dict[str, list[Any]] = {name: [] for name in (*COLUMN_TYPES, *INFO_TYPES)}
    for i, play in enumerate(full_records(prepared, split)):
        put(i, play)
        static[i] = play["static"]
        for name, values in scalars.items():
            values.append(play[name].decode() if isinstance(play[name], bytes) else play[name])
    columns = {name: np.array(values, {**COLUMN_TYPES, **INFO_TYPES}[name]) for name, values in scalars.items()}
    info = {name: columns.pop(name) for name in INFO_TYPES}
    return {"static": static, **columns}, info


def is_prepared(path: Path) -> bool:
    """Return whether a data set was prepared at `path`."""
    return (path / REPORT).is_file()


def read_lengths(prepared: Prepared, split: str) -> np.ndarray:
    """Return the number of frames of each play, int64 `[N]`, in the split's fixed order.

    The numbers are cached as `lengths-SPLIT-FINGERPRINT.npy` in the data set's folder, and computed again if that file
    is missing or contradicts the data set's report. If the folder is not writable, nothing is cached.

    Raises:
        InputError: the records are damaged.
    """
    path = prepared.path / f"lengths-{split}-{prepared.fingerprint}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):
        lengths = np.load(path)
        if lengths.shape == (prepared.plays[split],) and int(lengths.sum()) == prepared.frames[split]:
            return lengths
    lengths = np.zeros(prepared.plays[split], np.int64)
    source = None
    with damage_named(prepared.path):
        for indices in np.split(np.arange(len(lengths)), range(_TOGETHER, len(lengths), _TOGETHER)):
            if len(indices):  # a split without plays has no records
                source = source or RecordSource(prepared.path, split, ("present",))
                lengths[indices] = [len(record["present"]) for record in source.read(indices.tolist())]
    content = io.BytesIO()
    np.save(content, lengths)
    with contextlib.suppress(OSError):
        atomic_write(path, content.getvalue())
    return lengths


def load_every(path: str | Path) -> Plays:
    """Return the plays of all splits of the data set at `path`; InputError as for `load`."""
    return Plays.concatenate([load(path, split) for split in SPLITS if describe(path).plays[split]])


def fold_of(plays: Sequences, fold: Fold, split: str) -> Sequences:
    """Return the plays of one split of a fold of `plays`; InputError as for `Fold.games`, or for an unknown split."""
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    games = fold.games(plays.game_id.tolist(), plays.info["season"].tolist())
    return plays.select(np.isin(plays.game_id, games[split]))


def load_fold(path: str | Path, fold: Fold, split: str) -> Sequences:
    """Return the plays of one split of a fold of the data set at `path`; errors as for `load_every` and `fold_of`."""
    return fold_of(load_every(path), fold, split)
