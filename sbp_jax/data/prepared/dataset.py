"""The prepared data set: tracking files read once, split by game, kept as a TFDS array_record data set.

path/
  report.json, report.md       what was read, kept, rejected and repaired, and what the kept plays look like; in the
                               first also splits, source files with checksums, configuration
  passing_plays/1.0.0/         TFDS; `tfds.builder_from_directory` reads it too
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sbp_jax.atomic import building
from sbp_jax.data.extras import feature_names
from sbp_jax.data.plays import FEATURES, INFO_TYPES, PLAYERS, STATIC_FEATURES, Plays, static_names
from sbp_jax.data.prepared import quality
from sbp_jax.data.prepared.cluster import pipeline_options, read_on_cluster, run_named
from sbp_jax.data.prepared.parts import Part, read_in_turn
from sbp_jax.data.prepared.quality import Distributions
from sbp_jax.data.prepared.records import SCALAR_TYPES, games_seasons_lengths, read_records, write_records
from sbp_jax.data.prepared.splits import SPLITS, split_by_season, split_games
from sbp_jax.data.readers.formats import find_tables
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tracking import Sources, open_sources
from sbp_jax.errors import InputError

REPORT, SUMMARY = "report.json", "report.md"
RECIPE = 6  # raise it when the same files give other arrays
_YOUNGER = ("extras", "tracking", "results", "situation", "test_seasons")  # fields that not all data sets had
# the report's own keys -> fields of `ReadReport`
_READING = {
    "plays": "kept",
    "read": "read",
    "rejected": "rejected",
    "examples": "examples",
    "repaired": "repaired",
    "files": "formats",
    "ignored": "ignored",
}


@dataclass(frozen=True)
class PrepareConfig(Rules):
    """How plays are chosen and split.

    Attributes:
        seed: decides which game goes to train, validation and test.
        fractions: shares of the games for train, validation and test, summing to 1.
        test_seasons: seasons whose games are the test, instead of a share of all games.

    Raises:
        InputError: fractions that are negative or do not sum to 1, and as `Rules`.
    """

    seed: int = 0
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    test_seasons: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.fractions) != 3 or min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise InputError(f"fractions: expected three shares of at least 0 that sum to 1, got {self.fractions}")

    def recorded(self) -> dict[str, Any]:
        """Return the fields as a data set's report has them; younger ones only if set, so that older sets are found."""
        default = {name: PrepareConfig.__dataclass_fields__[name].default for name in _YOUNGER}
        return {name: value for name, value in asdict(self).items() if name not in default or value != default[name]}


@dataclass(frozen=True)
class Prepared:
    """A prepared data set.

    Args:
        path: its folder.
        reading: the account of the reading.
        games: the games of each split.
        plays, frames: how many each split has.
        fingerprint: hexadecimal digits that name the source files' content and the configuration.
        features: the names of a player's features.
        static: the names of the static features.
    """

    path: Path
    reading: ReadReport
    games: dict[str, list[int]]
    plays: dict[str, int]
    frames: dict[str, int]
    fingerprint: str
    features: tuple[str, ...] = FEATURES
    static: tuple[str, ...] = STATIC_FEATURES


def prepare(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    config: PrepareConfig | None = None,
    progress: Callable[[int], None] | None = None,
    beam_flags: Sequence[str] | None = None,
) -> Prepared:
    """Read `sources` and write the data set to `out`; nothing is done where the same was prepared there before.

    The same files (by content) and configuration give the same data set. It is built beside `out` and moved there when
    complete, so a build that is killed leaves nothing half done; a different data set at `out` is replaced.

    Args:
        sources: a folder, a file, or several of either, as for `tracking.read_tracking`.
        out: the data set's folder.
        config: choice and split of plays.
        progress: called with the number of plays kept so far; not by a pipeline.
        beam_flags: options of Apache Beam, such as "--runner=FlinkRunner": its pipeline does the work (see `cluster`),
            to the same data set; none of them for its local runner. None does the work here.

    Raises:
        InputError: bad sources (see `read_tracking`); fewer than two games; an `out` that holds something else; with
            `beam_flags`, those that Beam does not take, or a run that fails.
    """
    config, out = config or PrepareConfig(), Path(out)
    options = None if beam_flags is None else pipeline_options(beam_flags)
    files = sorted(table.path for table in find_tables(sources, config.tracking))
    recipe = {"recipe": RECIPE, "config": config.recorded(), "sources": [_describe(path) for path in files]}
    recipe = json.loads(json.dumps(recipe))
    if _is_prepared(out):
        with contextlib.suppress(InputError):  # damaged: made again
            if _report(out)["prepared_from"] == recipe:
                return describe(out)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not a prepared data set; choose another folder")
    with building(out, replace=True) as place:
        report = _build(open_sources(sources, config), place, config, progress, options)
        summary = f"{_reading(report).to_markdown()}\n\n{quality.to_markdown(report['distributions'])}\n"
        (place / SUMMARY).write_text(summary)
        (place / REPORT).write_text(json.dumps({**report, "prepared_from": recipe}, indent=2))
    return describe(out)


def describe(path: str | Path) -> Prepared:
    """Return what is recorded of the data set at `path`; InputError where there is none."""
    path = Path(path)
    if not _is_prepared(path):
        raise InputError(f"{path}: not a prepared data set (no {REPORT}); prepare the tracking files first")
    report = _report(path)
    columns = ("games", "plays", "frames")
    by_split = {column: {split: report["splits"][split][column] for split in SPLITS} for column in columns}
    fingerprint = hashlib.sha256(json.dumps(report["prepared_from"], sort_keys=True).encode()).hexdigest()[:16]
    # before there were extras or further columns, all had the same
    features, static = tuple(report.get("features", FEATURES)), tuple(report.get("static", STATIC_FEATURES))
    return Prepared(path, _reading(report), **by_split, fingerprint=fingerprint, features=features, static=static)


def _report(path: Path) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        report = json.loads((path / REPORT).read_text())
        wanted = {*_READING, "distributions", "splits", "prepared_from"}
        named = all(isinstance(report.get(names, []), list) for names in ("features", "static"))
        if wanted <= set(report) and named and (path / "passing_plays").is_dir():
            return report
    raise InputError(f"{path}: damaged data set; prepare the tracking files again")


def _reading(report: dict[str, Any]) -> ReadReport:
    return ReadReport(**{name: report[key] for key, name in _READING.items()})


def load(path: str | Path, split: str) -> Plays:
    """Return the plays of a split ("train", "validation" or "test") of the data set at `path`, in its fixed order.

    Raises:
        InputError: no data set at `path`, one of another version, or no such split.
    """
    prepared = describe(path)
    if _report(prepared.path)["prepared_from"].get("recipe") != RECIPE:
        raise InputError(f"{path}: prepared by another version of sbp_jax; prepare the tracking files again")
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    frames = np.zeros((prepared.frames[split], PLAYERS, len(prepared.features)), np.float32)
    players = np.zeros((prepared.frames[split], PLAYERS), bool)
    offsets = np.zeros(prepared.plays[split] + 1, np.int64)

    def put(i: int, play: dict[str, Any]) -> None:
        begin, end = offsets[i], offsets[i] + len(play["frames"])
        frames[begin:end], players[begin:end] = play["frames"], play["players"]
        offsets[i + 1] = end

    columns, info = read_columns(prepared, split, put)
    return Plays(frames=frames, offsets=offsets, players=players, info=info, features=prepared.features, **columns)


def whole_records(prepared: Prepared, split: str) -> Iterator[dict[str, Any]]:
    """Yield a split's records in its fixed order; InputError where they are damaged."""
    with damage_named(prepared.path):
        yield from read_records(prepared.path, split) if prepared.plays[split] else ()


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what reading records raises, where they are damaged, into an InputError."""
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
        put: called with each play's position and its record, of which `frames` and `players` are not kept.

    Returns:
        `static` and the columns of `records.SCALAR_TYPES`; the columns of `features.INFO_TYPES`; one entry a play.

    Raises:
        InputError: the records are damaged.
    """
    static = np.zeros((prepared.plays[split], len(prepared.static)), np.float32)
    scalars: dict[str, list[Any]] = {name: [] for name in (*SCALAR_TYPES, *INFO_TYPES)}
    for i, play in enumerate(whole_records(prepared, split)):
        put(i, play)
        static[i] = play["static"]
        for name, values in scalars.items():
            values.append(play[name].decode() if isinstance(play[name], bytes) else play[name])
    columns = {name: np.array(values, {**SCALAR_TYPES, **INFO_TYPES}[name]) for name, values in scalars.items()}
    info = {name: columns.pop(name) for name in INFO_TYPES}
    return {"static": static, **columns}, info


def _build(
    sources: Sources,
    place: Path,
    config: PrepareConfig,
    progress: Callable[[int], None] | None,
    beam_options: Any | None,
) -> dict[str, Any]:
    spool = place / "spool"
    spool.mkdir()
    if beam_options is None:
        parts = read_in_turn(sources, spool, progress)
    else:
        parts = read_on_cluster(sources, spool, beam_options)
    whole = sum(parts, start=Part(sources.report))
    sources.check_kept(whole.report)
    columns = zip(*(games_seasons_lengths(path) for path in whole.chunks), strict=True)
    game, season, length = (np.concatenate(column) for column in columns)
    if config.test_seasons:
        games, seasons = game.tolist(), season.tolist()
        split = split_by_season(games, seasons, config.test_seasons, config.seed, config.fractions)
    else:
        split = split_games(game.tolist(), config.seed, config.fractions)
    with contextlib.nullcontext() if beam_options is None else run_named():
        write_records(whole.chunks, split, place, beam_options)
    shutil.rmtree(spool)
    sizes = {}
    for name, members in split.items():
        inside = np.isin(game, members)
        sizes[name] = {"games": members, "plays": int(inside.sum()), "frames": int(length[inside].sum())}
    names = feature_names(config.extras), static_names(config.situation)
    return report_of(whole.report, whole.distributions, sizes, *names)


def report_of(
    reading: ReadReport,
    seen: Distributions,
    splits: Mapping[str, Any],
    features: tuple[str, ...] = FEATURES,
    static: tuple[str, ...] = STATIC_FEATURES,
) -> dict[str, Any]:
    """A data set's report but for what it was prepared from: account, format, features, distributions, splits."""
    account = {key: getattr(reading, name) for key, name in _READING.items()}
    distributions = seen.as_dict()
    names = ", ".join(distributions["formats"])
    account |= {"format": names, "features": list(features), "static": list(static)}
    return {**account, "distributions": distributions, "splits": dict(splits)}


def _is_prepared(path: Path) -> bool:
    return (path / REPORT).is_file()


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}
