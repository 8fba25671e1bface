"""Build the prepared data set: read the source files once, here or in an Apache Beam pipeline, split by game, write.

Reading turns each tracking file into files of arrays for `records.PassingPlays`, independently of the other files, so
it can run on any machine. By default one process reads them in turn. With Apache Beam (Dataflow, Flink, Spark or the
local runner) there are two pipelines: one reads, with one tracking file per element; the other writes the records with
tensorflow-datasets, with one file of arrays per element. The splits are computed between the two, since they depend on
the kept plays. Every worker must reach sources and data set under the same path, and have `sbp_jax[beam]` installed.
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
    NEW_READING,
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
from sbp_jax.data.readers.files import Frame, Place, Source
from sbp_jax.data.readers.formats import find_tables
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.tracking import Sources, open_sources
from sbp_jax.digests import file_digest
from sbp_jax.errors import InputError

_PART, _ERROR = ".part", ".error"


@dataclass
class Part:
    """Result of reading one or several tracking files; parts add up with `+`, in the order of the files.

    Args:
        report: report of the reading.
        distributions: distributions of the kept plays.
        chunks: files of arrays with the kept plays.
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

    The same arguments write the same files, each atomically, so a reading that fails or runs twice can be repeated.

    Args:
        sources: the tracking files and all other tables.
        number: index into `sources.tables`.
        seen: plays of the preceding files, as for `Sources.read`.
        spool: an existing folder.
        progress: called with the number of plays kept so far in this file.
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
    """Yield the parts of all tracking files in order; arguments as for `read_part`, with progress over all files."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for number in range(len(sources.tables)):
        part = read_part(
            sources, number, seen, spool, progress and (lambda count, before=total: progress(before + count))
        )
        total += part.report.kept
        yield part


def prepare(
    sources: Source | Sequence[Source],
    out: str | Path,
    config: PrepareConfig | None = None,
    progress: Callable[[int], None] | None = None,
    beam_flags: Sequence[str] | None = None,
) -> Prepared:
    """Read `sources` and write the data set to `out`; do nothing if the same data set is already there.

    The same files (by content) and configuration give the same data set; one that an earlier version prepared by other
    rules is rebuilt. It is built next to `out` and moved there when complete, so an interrupted build leaves no
    partial files; a different data set at `out` is replaced.

    Args:
        sources: a folder, a file, a frame, or several of them, as for `tracking.read_tracking`.
        out: folder of the data set.
        config: choice and split of plays.
        progress: called with the number of plays kept so far; a pipeline does not call it.
        beam_flags: options of Apache Beam, such as "--runner=FlinkRunner", to run the same preparation in its pipeline;
            an empty sequence uses its local runner. None runs without Beam.

    Raises:
        InputError: the sources are bad (see `read_tracking`); there are fewer than two games; `out` has other content;
            Beam rejects one of `beam_flags`, or its run fails.
    """
    config, out = config or PrepareConfig(), Path(out)
    options = None if beam_flags is None else pipeline_options(beam_flags)
    files = {table.file for table in find_tables(sources, config.tracking)}
    files = sorted(files, key=lambda file: Path(str(file)))
    recipe = {"recipe": RECIPE, "config": config.recorded(), "sources": [_describe(path) for path in files]}
    recipe = json.loads(json.dumps(recipe))
    if is_prepared(out):
        with contextlib.suppress(InputError):  # damaged: build it again
            report = read_report(out)
            # a data set without these keys follows the rules of an earlier version
            if report["prepared_from"] == recipe and NEW_READING.keys() <= report.keys():
                return describe(out)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not a prepared data set; choose another folder")
    with building(out, replace=True) as place:
        report = _build(open_sources(sources, config), place, config, progress, options)
        summary = f"{reading_of(report).to_markdown()}\n\n{quality.to_markdown(report['distributions'])}\n"
        (place / SUMMARY).write_text(summary, encoding="utf-8")
        (place / REPORT).write_text(json.dumps({**report, "prepared_from": recipe}, indent=2), encoding="utf-8")
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
    total = sum(parts, start=Part(sources.report))
    sources.check_kept(total.report)
    columns = zip(*(games_seasons_lengths(path) for path in total.chunks), strict=True)
    game, season, length = (np.concatenate(column) for column in columns)
    if config.test_seasons:
        games, seasons = game.tolist(), season.tolist()
        split = split_by_season(games, seasons, config.test_seasons, config.seed, config.fractions)
    else:
        split = split_games(game.tolist(), config.seed, config.fractions)
    with contextlib.nullcontext() if beam_options is None else run_named():
        write_records(total.chunks, split, place, beam_options)
    shutil.rmtree(spool)
    sizes = {}
    for name, members in split.items():
        inside = np.isin(game, members)
        sizes[name] = {"games": members, "plays": int(inside.sum()), "frames": int(length[inside].sum())}
    names = feature_names(config.extras), static_names(config.situation)
    return report_of(total.report, total.distributions, sizes, *names)


def report_of(
    reading: ReadReport,
    seen: Distributions,
    splits: Mapping[str, Any],
    features: tuple[str, ...] = FEATURES,
    static: tuple[str, ...] = STATIC_FEATURES,
) -> dict[str, Any]:
    """Return a data set's report except its sources: reading, format, features, distributions, splits."""
    account = {key: getattr(reading, name) for key, name in {**READING, **NEW_READING}.items()}
    distributions = seen.as_dict()
    names = ", ".join(distributions["formats"])
    account |= {"format": names, "features": list(features), "static": list(static)}
    return {**account, "distributions": distributions, "splits": dict(splits)}


def _describe(path: Place) -> dict[str, Any]:
    if isinstance(path, Frame):
        return {"name": path.name, "rows": len(path.rows), "sha256": path.digest}
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": file_digest(path)}


def pipeline_options(flags: Sequence[str]) -> Any:
    """Return Beam's options for flags such as "--runner=FlinkRunner".

    Raises:
        InputError: Apache Beam is not installed, or a flag is not one of Beam's or has an invalid value.
    """
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise InputError("Apache Beam is not installed: pip install 'sbp_jax[beam]'") from error
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            options = PipelineOptions(list(flags))
            all_options = options.get_all_options()
            unknown = set(options.get_all_options(retain_unknown_options=True)) - set(all_options)
    except SystemExit as error:
        raise InputError(f"Apache Beam: {messages.getvalue().strip().splitlines()[-1]}") from error
    if unknown:
        raise InputError(f"Apache Beam has no option {', '.join(sorted(unknown))}")
    return options


def read_on_cluster(sources: Sources, spool: Path, options: Any) -> Iterable[Part]:
    """Return the parts of all tracking files in order, as `read_in_turn` does.

    Raises:
        InputError: a file cannot be read (the error of the first such file is raised), or the pipeline failed.
    """
    import apache_beam as beam
    from apache_beam.pvalue import AsDict

    numbers = range(len(sources.tables))
    with run_named(), beam.Pipeline(options=options) as pipeline:
        files = pipeline | "Files" >> beam.Create(list(numbers)) | beam.Reshuffle()
        plays = files | "Plays of each" >> beam.Map(_plays_of, sources, spool)
        _ = files | "Read" >> beam.Map(_read, sources, spool, AsDict(plays))
    for path in sorted(spool.glob(f"*{_ERROR}")):
        raise InputError(path.read_text(encoding="utf-8"))
    return [pickle.loads((spool / f"{number:05d}{_PART}").read_bytes()) for number in numbers]


@contextlib.contextmanager
def run_named() -> Iterator[None]:
    """Convert the errors of a pipeline's run into an InputError."""
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


def _read(number: int, sources: Sources, spool: Path, plays: dict[int, set[tuple[int, int]]]) -> None:
    earlier_plays = set().union(*(plays[before] for before in range(number)))
    try:
        part = read_part(sources, number, earlier_plays, spool)
    except InputError as error:
        atomic_write(spool / f"{number:05d}{_ERROR}", str(error).encode())
        return
    atomic_write(spool / f"{number:05d}{_PART}", pickle.dumps(part))
