"""Building the prepared data set: source files read once, here or by an Apache Beam pipeline, split by game, written.

Reading turns each tracking file into files of arrays, which `records.PassingPlays` takes up: a part that can be read by
itself, on any machine. Here one process reads them in turn. The same preparation is an Apache Beam pipeline for
Dataflow, Flink, Spark or Beam's own local runner: reading is one pipeline, a tracking file a piece of work; writing the
records, the way of tensorflow-datasets, another, a file of arrays a piece of work. Between them lie the splits, which
depend on what was kept. Sources and data set must be in storage that every worker reaches under the same path, and
`sbp_jax[beam]` must be installed there.
"""

import contextlib
import io
import json
import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sbp_jax.atomic import atomic_write, building
from sbp_jax.data.extras import feature_names
from sbp_jax.data.features import plays_from_chunk
from sbp_jax.data.plays import FEATURES, STATIC_FEATURES, static_names
from sbp_jax.data.prepared import quality
from sbp_jax.data.prepared.config import PrepareConfig
from sbp_jax.data.prepared.dataset import (
    READING,
    RECIPE,
    REPORT,
    SUMMARY,
    Prepared,
    describe,
    is_prepared,
    read_report,
    reading_of,
)
from sbp_jax.data.prepared.quality import Distributions
from sbp_jax.data.prepared.records import games_seasons_lengths, save_chunk, write_records
from sbp_jax.data.prepared.splits import split_by_season, split_games
from sbp_jax.data.readers.formats import find_tables
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.tracking import Sources, open_sources
from sbp_jax.digests import file_digest
from sbp_jax.errors import InputError

_PART, _ERROR = ".part", ".error"


@dataclass
class Part:
    """What one tracking file, or several of them, came to; parts add up with `+`, in the order of the files.

    Args:
        report: the account of the reading.
        distributions: what the kept plays look like.
        chunks: the files of arrays that hold them.
    """

    report: ReadReport = field(default_factory=ReadReport)
    distributions: Distributions = field(default_factory=Distributions)
    chunks: list[Path] = field(default_factory=list)

    def __add__(self, other: "Part") -> "Part":
        return Part(self.report + other.report, self.distributions + other.distributions, [*self.chunks, *other.chunks])


def read_part(
    sources: Sources,
    number: int,
    seen: set[tuple[int, int]],
    spool: Path,
    progress: Callable[[int], None] | None = None,
) -> Part:
    """Read tracking file `number` of `sources` into chunks in the folder `spool`.

    The same arguments write the same files, each in one step: where a reading fails or runs twice, it may be repeated.

    Args:
        sources: the tracking files and the lists beside them.
        number: index into `sources.tables`.
        seen: plays met in the files before it, as for `Sources.read`.
        spool: an existing folder.
        progress: called with the number of this file's plays kept so far.
    """
    part = Part()
    for chunk in sources.read(number, seen):
        part.report = part.report + chunk.report
        if len(chunk.plays):
            part.distributions.add(chunk)
            stem = spool / f"{number:05d}-{len(part.chunks):05d}"
            part.chunks.append(save_chunk(plays_from_chunk(chunk), stem))
        if progress:
            progress(part.report.kept)
    return part


def read_in_turn(sources: Sources, spool: Path, progress: Callable[[int], None] | None = None) -> Iterable[Part]:
    """Yield the parts of all tracking files, one after the other; arguments as `read_part`, of all files together."""
    seen: set[tuple[int, int]] = set()
    kept = 0
    for number in range(len(sources.tables)):
        part = read_part(sources, number, seen, spool, progress and (lambda own, before=kept: progress(before + own)))
        kept += part.report.kept
        yield part


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
        beam_flags: options of Apache Beam, such as "--runner=FlinkRunner": its pipeline does the work,
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
    if is_prepared(out):
        with contextlib.suppress(InputError):  # damaged: made again
            if read_report(out)["prepared_from"] == recipe:
                return describe(out)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not a prepared data set; choose another folder")
    with building(out, replace=True) as place:
        report = _build(open_sources(sources, config), place, config, progress, options)
        summary = f"{reading_of(report).to_markdown()}\n\n{quality.to_markdown(report['distributions'])}\n"
        (place / SUMMARY).write_text(summary)
        (place / REPORT).write_text(json.dumps({**report, "prepared_from": recipe}, indent=2))
    return describe(out)


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
    account = {key: getattr(reading, name) for key, name in READING.items()}
    distributions = seen.as_dict()
    names = ", ".join(distributions["formats"])
    account |= {"format": names, "features": list(features), "static": list(static)}
    return {**account, "distributions": distributions, "splits": dict(splits)}


def _describe(path: Path) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": file_digest(path)}


def pipeline_options(flags: Sequence[str]) -> Any:
    """Return Beam's options for flags such as "--runner=FlinkRunner".

    Raises:
        InputError: Apache Beam is not installed, a flag is none of Beam's or has no such value.
    """
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise InputError("Apache Beam is not installed: pip install 'sbp_jax[beam]'") from error
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            options = PipelineOptions(list(flags))
            known = options.get_all_options()
            unknown = set(options.get_all_options(retain_unknown_options=True)) - set(known)
    except SystemExit as error:
        raise InputError(f"Apache Beam: {complaint.getvalue().strip().splitlines()[-1]}") from error
    if unknown:
        raise InputError(f"Apache Beam has no option {', '.join(sorted(unknown))}")
    return options


def read_on_cluster(sources: Sources, spool: Path, options: Any) -> Iterable[Part]:
    """Return the parts of all tracking files in their order, as `parts.read_in_turn` does.

    Raises:
        InputError: what reading a file raises, of the first file in order; the pipeline failed.
    """
    import apache_beam as beam
    from apache_beam.pvalue import AsDict

    numbers = range(len(sources.tables))
    with run_named(), beam.Pipeline(options=options) as pipeline:
        files = pipeline | "Files" >> beam.Create(list(numbers)) | beam.Reshuffle()
        met = files | "Plays of each" >> beam.Map(_plays_of, sources, spool)
        _ = files | "Read" >> beam.Map(_read, sources, spool, AsDict(met))
    for path in sorted(spool.glob(f"*{_ERROR}")):
        raise InputError(path.read_text())
    return [pickle.loads((spool / f"{number:05d}{_PART}").read_bytes()) for number in numbers]


@contextlib.contextmanager
def run_named() -> Iterator[None]:
    """Turn what a pipeline's run raises into an InputError."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise InputError(f"Apache Beam's run failed: {lines[0]}") from error


def _plays_of(number: int, sources: Sources, spool: Path) -> tuple[int, set[tuple[int, int]]]:
    try:
        return number, sources.ids(number)
    except InputError as error:
        atomic_write(spool / f"{number:05d}{_ERROR}", str(error).encode())
        return number, set()


def _read(number: int, sources: Sources, spool: Path, met: dict[int, set[tuple[int, int]]]) -> None:
    seen = set().union(*(met[before] for before in range(number)))
    try:
        part = read_part(sources, number, seen, spool)
    except InputError as error:
        atomic_write(spool / f"{number:05d}{_ERROR}", str(error).encode())
        return
    atomic_write(spool / f"{number:05d}{_PART}", pickle.dumps(part))
