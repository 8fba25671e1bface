"""Simulate full seasons of passing plays with a known distribution, as files: sbp simulate OUT --plays 50000."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sbp_jax.cli.flags import parse
from sbp_jax.cli.terminal import new_folder
from sbp_jax.data.simulator.config import Distribution, LeagueConfig
from sbp_jax.errors import InputError

INTERRUPTED = "interrupted; nothing was written"


@dataclass(frozen=True)
class Options:
    """Simulate seasons of 32 teams, 17 games each, and write their passing plays in the layout of the Big Data Bowl.

    The folder has games, plays, players and one tracking file per week for readers; results/ with scores, team records
    and playoffs; and truth/ with the distribution of every play, skills, strengths and expected margins.

    Attributes:
        out: folder to write; it must not exist or must be empty.
        plays: number of plays, spread evenly over the games of all seasons, at most 66 per game.
        seasons: number of seasons.
        first_season: year of the first season.
        seed: seed of the simulation; the same seed gives the same bytes for any number of processes.
        format: format of the tracking files.
        processes: number of processes that share the weeks, by default one per core; each takes up to 1 GiB of memory.
        overwrite: replace a folder that the simulator wrote earlier.
        league: what decides games, and what changes between seasons.
        distribution: what the outcome of a pass depends on: the frame of the release alone, or the course of the play.
        perturb: seed that multiplies the sizes of the effects of "course" by factors from 0.7 to 1.3.
    """

    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    plays: int = 50_000
    seasons: int = 3
    first_season: int = 2018
    seed: int = 0
    format: Literal["parquet", "csv"] = "parquet"
    processes: int | None = None
    overwrite: bool = False
    league: LeagueConfig = field(default_factory=LeagueConfig)
    distribution: Distribution = "release"
    perturb: int | None = None


def command(args: list[str]) -> None:
    """Simulate seasons with a progress bar, and print a summary."""
    options = parse(Options, args, "sbp simulate")
    import time
    from functools import partial

    from tqdm import tqdm

    from sbp_jax.data.simulator.simulate import SimulationConfig, simulate
    from sbp_jax.runs import provenance
    from sbp_jax.runs.datasets import move

    out = new_folder(options.out, "OUT")
    if not options.overwrite and (out.is_file() or (out.is_dir() and any(out.iterdir()))):
        raise InputError(f"{out}: exists already; name a new folder, or --overwrite a simulated one")
    config = SimulationConfig(
        plays=options.plays,
        seed=options.seed,
        seasons=options.seasons,
        first_season=options.first_season,
        tracking_format=options.format,
        league=options.league,
        distribution=options.distribution,
        perturb=options.perturb,
    )
    processes = provenance.cores() if options.processes is None else options.processes
    start = time.perf_counter()
    with tqdm(total=options.plays, desc="simulate", unit=" plays", delay=1) as bar:
        simulate(out, config, partial(move, bar), processes)
    seconds = time.perf_counter() - start
    files = [path for path in out.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{options.plays:,} plays in {seconds:.0f} s: {len(files)} files, {size:,.0f} MB, written to {out}")
