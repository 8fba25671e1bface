"""Reading one source file after another into files of arrays, which `records.PassingPlays` takes up.

Each file is a part that can be read by itself, on any machine: here by one process, in `cluster` by many.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sbp_jax.data.features import plays_from_chunk
from sbp_jax.data.prepared.quality import Distributions
from sbp_jax.data.prepared.records import save_chunk
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.tracking import Sources


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
