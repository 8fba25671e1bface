"""Write an HTML report of a run: sbp report RUN [--out FILE].

The report has leaderboards by season and split, each quarterback's plays, calibration, training, and plays to watch
with their predictive distribution at every tenth of a second.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sbp_jax.cli.flags import parse
from sbp_jax.cli.terminal import output_file
from sbp_jax.data.prepared.splits import Of
from sbp_jax.errors import InputError

MAX_MB = 8.0


@dataclass(frozen=True)
class Options:
    """Write an HTML report of a run or a cross-fitting: leaderboards, calibration, training, plays to watch.

    Attributes:
        run: folder of a run, as printed by sbp train, or of a cross-fitting, as printed by sbp crossfit.
        out: file to write, or an existing folder for report.html; by default RUN/report.html.
        of: which of the run's plays: all, or those of a split; "held-out" is validation and test. By default all plays
            of a cross-fitting, and held-out plays of a run.
        min_plays: leave out quarterbacks with fewer plays.
        watch: number of best and of worst plays to watch per quarterback; by default as many as fit into the file, at
            most ten.
        tables: results of sbp sweep, or other CSV or parquet tables, to show next to training.
        trust: import your own head, encoder or objective if the run's configuration names one.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    out: Path | None = None
    of: Of | None = None
    min_plays: int = 50
    watch: int | None = None
    tables: tuple[Path, ...] = ()
    trust: bool = False


def command(args: list[str]) -> None:
    """Write the report of the run on the command line."""
    options = parse(Options, args, "sbp report")
    if options.min_plays < 1:
        raise InputError(f"--min-plays: expected at least 1, got {options.min_plays}")
    if options.watch is not None and not 0 <= options.watch <= 50:
        raise InputError(f"--watch: expected 0 to 50, got {options.watch}")
    import polars as pl
    from tqdm import tqdm

    from sbp_jax.reporting.report import write_report
    from sbp_jax.runs.report import leaderboards, page_data, plays_to_watch
    from sbp_jax.runs.score import league_of, open_target, score_plays

    target = open_target(options.run, trust=options.trust)
    path = output_file(options.out or options.run / "report.html", "report.html")
    of = options.of or ("all" if target.cross else "held-out")
    with tqdm(total=4, desc="report", unit="part") as bar:
        plays = score_plays(target, of).with_row_index("row")
        league, _ = league_of(target, lambda: plays)
        bar.update()
        counts = plays.group_by("passer_id").len().filter(pl.col("len") >= options.min_plays)
        if counts.is_empty():
            raise InputError(f"--min-plays: no quarterback has {options.min_plays} plays")
        boards = leaderboards(plays, league, counts["passer_id"])
        bar.update()
        shown, watched = plays_to_watch(target, of, plays, counts["passer_id"], options.watch)
        bar.update()
        data = page_data(target, plays, league, boards, shown, watched, options.min_plays, options.tables)
        write_report(path, data)
        bar.update()
    size = path.stat().st_size / 1e6
    print(f"{path}: {size:.1f} MB, {len(plays):,} plays, {len(counts)} quarterbacks, {len(watched)} plays to watch")
    if size > MAX_MB:
        raise InputError(f"{path}: {size:.1f} MB is more than {MAX_MB:g} MB; choose fewer plays with --watch")
