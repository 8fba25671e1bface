"""The same preparation as an Apache Beam pipeline, for Dataflow, Flink, Spark or Beam's own local runner.

Reading is one pipeline, a tracking file a piece of work; writing the records, the way of tensorflow-datasets, another,
a file of arrays a piece of work. Between them lie the splits, which depend on what was kept. Sources and data set must
be in storage that every worker reaches under the same path, and `sbp_jax[beam]` must be installed there.
"""

import contextlib
import io
import pickle
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sbp_jax.atomic import write_whole
from sbp_jax.data.prepared.parts import Part, read_part
from sbp_jax.data.readers.tracking import Sources
from sbp_jax.errors import InputError

_PART, _ERROR = ".part", ".error"


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
        write_whole(spool / f"{number:05d}{_ERROR}", str(error).encode())
        return number, set()


def _read(number: int, sources: Sources, spool: Path, met: dict[int, set[tuple[int, int]]]) -> None:
    seen = set().union(*(met[before] for before in range(number)))
    try:
        part = read_part(sources, number, seen, spool)
    except InputError as error:
        write_whole(spool / f"{number:05d}{_ERROR}", str(error).encode())
        return
    write_whole(spool / f"{number:05d}{_PART}", pickle.dumps(part))
