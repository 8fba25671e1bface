"""Ablations: python -m experiments.ablation NAME [--seeds 5] [--arms A B] [--base CONFIG] [--out FOLDER].

Trains every arm of a grid with several seeds, as one program where the arms differ in values alone, judges all on the
test plays, and writes a parquet of all members, a table with intervals, figures and what they show. Interrupted, the
same command goes on with what is missing.
"""

import dataclasses
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from sbp_jax.cli import grid
from sbp_jax.cli.flags import parse
from sbp_jax.cli.grid import Arm, Grid
from sbp_jax.config import Config, DataConfig
from sbp_jax.data.plays import Plays
from sbp_jax.errors import InputError
from sbp_jax.evaluation import evaluate
from sbp_jax.reporting import ablation as reporting
from sbp_jax.runs import provenance
from sbp_jax.runs.cluster import train_on_ray
from sbp_jax.runs.datasets import Dataset, PlayDataset, open_dataset
from sbp_jax.runs.evaluate import judge_law, oracle_forecast
from sbp_jax.runs.members import RESULT, is_done, leave_result, train_members
from sbp_jax.runs.run import Run, load_run
from sbp_jax.runs.setup import marginal_law
from sbp_jax.runs.signals import listening
from sbp_jax.runs.train import run_folder
from sbp_jax.training.build import goal_line, outcome_of
from sbp_jax.training.check import check
from sbp_jax.training.stop import Stop

INTERRUPTED = "interrupted; the same command goes on with what is missing"


@dataclass(frozen=True)
class Options:
    """Train every arm of a grid with several seeds and compare them on the test plays.

    Attributes:
        seeds: trainings an arm; their spread makes the intervals.
        arms: names of arms to train, all without; the reference is always one of them.
        plays: simulated plays, instead of the base configuration's number.
        epochs: instead of the base configuration's.
        base: named configuration that the arms change, instead of the grid's own; "play_by_play" needs `source`.
        source: files or folders of plays to train on, instead of the base configuration's.
        out: folder of the results; without, runs/ablation/NAME, where the runs are.
        ray: spread the trainings over the Ray cluster at this address ("auto", host:port; "local" starts one).
        ray_cpus: processors of a task there.
    """

    seeds: int = 5
    arms: tuple[str, ...] = ()
    plays: int | None = None
    epochs: int | None = None
    base: str | None = None
    source: tuple[str, ...] = ()
    out: Path | None = None
    ray: str = ""
    ray_cpus: float = 1.0


@dataclass(frozen=True)
class Trial:
    """An arm with a seed."""

    arm: Arm
    seed: int
    config: Config


def trials(chosen: Grid, options: Options) -> list[Trial]:
    """All trainings of a grid.

    Raises:
        InputError: an arm that there is not, a number out of range, a field of an arm out of range.
    """
    if options.seeds < 1:
        raise InputError(f"--seeds: expected at least 1, got {options.seeds}")
    known = [arm.name for arm in chosen.arms]
    for name in options.arms:
        if name not in known:
            raise InputError(f"--arms: {chosen.name} has no arm {name!r}; known: {', '.join(known)}")
    found = []
    for arm in chosen.arms:
        if options.arms and arm.name not in (*options.arms, chosen.reference):
            continue
        config = arm.config
        if options.source:
            if not isinstance(config.data, DataConfig):
                raise InputError("--source: plays, and the base configuration is of time series")
            config = replace(config, data=replace(config.data, source=options.source))
        if isinstance(config.data, DataConfig) and not (config.data.tracking or config.data.source):
            raise InputError(f"{chosen.name}: expected lists of plays; say where they are with --source FILE")
        if options.plays is not None:
            if not isinstance(config.data, DataConfig) or config.data.source:
                raise InputError("--plays: a number of simulated plays, and these are read from files")
            config = replace(config, data=replace(config.data, plays=options.plays))
        if options.epochs is not None:
            config = replace(config, training=replace(config.training, epochs=options.epochs))
        try:
            check(config)
        except InputError as error:
            raise InputError(f"{chosen.name}, arm {arm.name!r}: {error}") from error
        for seed in range(options.seeds):
            seeded = replace(config, training=replace(config.training, seed=config.training.seed + seed))
            found.append(Trial(arm, seed, seeded))
    return found


def figures_of(folder: Path, dataset: Dataset) -> dict[str, Any]:
    """Figures of a run on the test plays."""
    run, plays = load_run(folder), dataset.split("test")
    law, metrics = run.predict(plays), run.metrics
    best = metrics["validation_loss"].arg_min() if len(metrics) else None
    return {
        **_figures(law, run, plays),
        "epochs": len(metrics),
        "best_epoch": None if best is None else best + 1,
        "seconds": float(metrics["seconds"].sum()),
    }


def baselines(folder: Path, dataset: Dataset) -> dict[str, dict[str, float]]:
    """Figures of the marginal distribution that a run began with, and of the true law where it is known."""
    run, plays = load_run(folder), dataset.split("test")
    found = {"marginal": _figures(marginal_law(run.model, plays), run, plays)}
    if isinstance(dataset, PlayDataset) and dataset.simulated is not None:
        figures = evaluate(oracle_forecast(dataset.truth(), plays), plays.yards)
        found["oracle"] = figures.flat() | {"nll_goal": figures.nll}  # it knows of the goal line
    return found


def _figures(law: Any, run: Run, plays: Plays) -> dict[str, float]:
    """Figures of a law as the run's is judged, and its NLL where what it has beyond the goal line is a touchdown."""
    goal = goal_line(outcome_of(run.config.data), plays)
    figures, cut = (judge_law(law, plays, run.whole, limit).metrics for limit in (run.limit(plays), goal))
    return figures.flat() | {"nll_goal": cut.nll}


def ablate(
    chosen: Grid, options: Options, root: Path, stop: Stop | None = None
) -> tuple[pl.DataFrame, dict[str, dict[str, float]], Dataset]:
    """Train and judge what is missing; one row a trial, the baselines' figures, and the data."""
    every = trials(chosen, options)
    data = {trial.config.data for trial in every}
    if len(data) > 1:
        raise InputError(f"{chosen.name}: expected the same data in all arms, or their losses cannot be compared")
    dataset = open_dataset(every[0].config.data)
    folders = {trial.config: run_folder(root, trial.config, dataset.fingerprint) for trial in every}

    configs = [trial.config for trial in every]
    there = sum(is_done(root, config, dataset) for config in configs)
    print(f"{chosen.title}: {len(configs)} trainings, {there} of them there already")
    on_done = partial(leave_result, figures_of, dataset)
    if options.ray and there < len(configs):
        train_on_ray(configs, dataset, root, on_done, options.ray, options.ray_cpus)
    else:
        train_members(configs, dataset, root, on_done, stop)
    rows = []
    for trial in every:
        result = json.loads((folders[trial.config] / RESULT).read_text())
        rows.append({"arm": trial.arm.name, "x": trial.arm.x, "seed": trial.seed, "diverged": None, **result})
    table = pl.DataFrame(rows, infer_schema_length=None)
    ended = [trial for trial, row in zip(every, rows, strict=True) if row["diverged"] is None]
    if not ended:
        raise InputError(f"{chosen.name}: no training came to an end: {table['diverged'][0]}")
    of_reference = next((trial for trial in ended if trial.arm.name == chosen.reference), ended[0])
    return table, baselines(folders[of_reference.config], dataset), dataset


def command(args: list[str]) -> None:
    """Run the ablation that the command line names."""
    if not args or args[0].startswith("-"):
        if args and args[0] in ("-h", "--help"):
            print(f"usage: python -m experiments.ablation NAME [--field value ...]\ngrids: {', '.join(grid.names())}\n")
            parse(Options, ["--help"], "python -m experiments.ablation NAME")
        raise InputError(f"expected a grid first; known: {', '.join(grid.names())}")
    grid.read(args[0])  # a wrong name is told before wrong options
    options = parse(Options, args[1:], f"python -m experiments.ablation {args[0]}")
    chosen = grid.read(args[0], options.base)
    root = Path("runs/ablation") / chosen.name
    with listening() as stop:
        table, references, dataset = ablate(chosen, options, root, stop)
    out = options.out or root
    out.mkdir(parents=True, exist_ok=True)
    table.write_parquet(out / f"{chosen.name}.parquet")
    context = reporting.Context(chosen.title, chosen.about, chosen.reference, chosen.axis, chosen.logarithmic)
    reporting.drawing(out / f"{chosen.name}.png", table, references, context)
    heading = provenance.heading(chosen.title, "experiments.ablation", args, provenance.describe())
    plays = len(dataset.split("train")), len(dataset.split("test"))
    text = "\n\n".join([heading, *reporting.report(table, references, context, plays)]) + "\n"
    (out / f"{chosen.name}.md").write_text(text)
    summary = {"grid": dataclasses.asdict(context), "baselines": references, "fingerprint": dataset.fingerprint}
    (out / f"{chosen.name}.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(f"\n{text}\nwritten to {out}: {', '.join(sorted(p.name for p in out.glob(chosen.name + '.*')))}")
