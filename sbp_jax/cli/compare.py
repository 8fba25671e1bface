"""Runs side by side: python -m experiments.compare RUN... [--split test] [--out FOLDER].

Prints what differs in their configurations, how they trained, and their figures on the plays of a split; draws their
losses and PP plots. Runs may be in progress: what is told of a training comes from config.json and metrics.parquet.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import tyro
from tqdm import tqdm

from sbp_jax.cli.flags import parse
from sbp_jax.config import DataConfig
from sbp_jax.data.plays import Plays
from sbp_jax.data.readers.rules import in_yards
from sbp_jax.errors import InputError
from sbp_jax.reporting import compare as reporting
from sbp_jax.runs.config_file import CONFIG, Saved, read_saved
from sbp_jax.runs.evaluate import LEVELS, Judged, judge
from sbp_jax.runs.run import load_run
from sbp_jax.training.fit import is_done

INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Options:
    """Compare runs: what differs in their configurations, how they trained, figures on the plays of a split.

    Attributes:
        runs: folders of runs, or of folders of runs; done, in progress or damaged.
        split: plays to judge on, of the data set that each was trained on; "none" compares the trainings alone.
        out: folder for the table and the figures.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    split: Literal["test", "validation", "train", "none"] = "test"
    out: Path = Path("runs/compare")


@dataclass(frozen=True)
class Training:
    """What a run's folder says of its training: config.json, and the rows of metrics.parquet, none before an epoch."""

    saved: Saved
    metrics: pl.DataFrame


def found(paths: Sequence[Path]) -> list[Path]:
    """The runs' folders among the paths and right below them, each once.

    Raises:
        InputError: a path that is no folder, or has no run.
    """
    folders: dict[Path, Path] = {}
    for path in paths:
        below = [path] if (path / CONFIG).is_file() else sorted(f.parent for f in path.glob(f"*/{CONFIG}"))
        if not below:
            raise InputError(f"{path}: expected the folder of a run, or a folder of runs")
        for folder in below:
            folders.setdefault(folder.resolve(), folder)
    return list(folders.values())


def names_of(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell the folders apart."""
    parts = [folder.resolve().parts for folder in folders]
    length = next(n for n in range(1, max(map(len, parts)) + 1) if len({part[-n:] for part in parts}) == len(parts))
    return ["/".join(part[-length:]) for part in parts]


def read(folder: Path) -> Training:
    """What a run's folder says; InputError where config.json or metrics.parquet is damaged."""
    saved, file = read_saved(folder), folder / "metrics.parquet"
    if not file.is_file():
        return Training(saved, pl.DataFrame())
    try:
        metrics = pl.read_parquet(file.read_bytes())  # at once: a training puts another file in its place
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{file}: damaged ({type(error).__name__}); the same training command writes it anew"
        ) from error
    missing = [name for name in ("epoch", "step", "training_loss", "validation_loss", "seconds") if name not in metrics]
    if missing:
        raise InputError(f"{file}: expected one row an epoch, there is no column {missing[0]!r}")
    return Training(saved, metrics)


def differing(trainings: Mapping[str, Training]) -> dict[str, list[Any]]:
    """Fields of the configurations that are not the same in all runs, with each run's value."""
    flat: list[dict[str, Any]] = []
    for training in trainings.values():
        parts = dataclasses.asdict(training.saved.config)
        flat.append({f"{section}.{name}": value for section, part in parts.items() for name, value in part.items()})
    return {name: [each[name] for each in flat] for name in flat[0] if len({repr(each[name]) for each in flat}) > 1}


def best_of(metrics: pl.DataFrame) -> int | None:
    """Position of the row with the smallest validation loss; None without validation."""
    losses = metrics["validation_loss"].to_numpy() if len(metrics) else np.array([])
    return int(np.nanargmin(losses)) if np.isfinite(losses).any() else None


def progress(name: str, training: Training) -> str | None:
    """A sentence where a training has epochs left."""
    config, metrics = training.saved.config.training, training.metrics
    best = best_of(metrics)
    record = {"history": [None] * len(metrics), "best_epoch": -1 if best is None else best}
    record["best_loss"] = None if best is None else metrics["validation_loss"][best]
    if is_done(record, config):
        return None
    return f"{name} is not finished: {len(metrics)} of at most {config.epochs} epochs."


def told(training: Training, differ: bool) -> dict[str, Any]:
    """A column of the table of trainings; `differ`: not all were trained on the same plays."""
    saved, metrics = training.saved, training.metrics
    best = best_of(metrics)
    commits = dict.fromkeys(_short(start.get("commit")) for start in saved.starts)
    machines = dict.fromkeys((start.get("machine") or {}).get("device", "") for start in saved.starts)
    pace = metrics["plays_per_s"].median() if "plays_per_s" in metrics else None
    return {
        "data (differ: not comparable)" if differ else "data": saved.fingerprint[:9],
        "commit": " then ".join(filter(None, commits)),
        "started": saved.starts[0].get("date", "") if saved.starts else "",
        "device": " then ".join(filter(None, machines)),
        "epochs": len(metrics),
        "steps": metrics["step"][-1] if len(metrics) else 0,
        "best validation loss, nats": None if best is None else f"{metrics['validation_loss'][best]:.4f}",
        "at epoch": None if best is None else metrics["epoch"][best],
        "seconds": f"{metrics['seconds'].sum():.1f}" if len(metrics) else None,
        "plays/s, median epoch": None if pace is None else f"{pace:,.0f}",
    }


def judge_all(folders: Mapping[str, Path], split: str) -> tuple[dict[str, Judged], list[str]]:
    """Figures of each run on the split's plays, and a sentence for each that could not be judged."""
    judged: dict[str, Judged] = {}
    notes: list[str] = []
    read_once: dict[tuple[Path, str], Plays] = {}
    for name, folder in tqdm(folders.items(), desc="judge", unit="run"):
        try:
            run = load_run(folder)
            key = run.dataset, run.fingerprint
            plays = read_once[key] if key in read_once else read_once.setdefault(key, run.plays(split))
            if not len(plays):
                raise InputError(f"there are no {split} plays in {run.dataset}")
            judged[name] = judge(run, plays)
        except InputError as error:
            notes.append(f"{name} is not judged: {error}.")
    return judged, notes


def command(args: list[str]) -> None:
    """Compare the runs that the command line names."""
    options = parse(Options, args, "python -m experiments.compare")
    if not options.runs:
        raise InputError("expected the folders of runs; --help says more")
    folders = found(options.runs)
    trainings: dict[str, Training] = {}
    notes: list[str] = []
    by_name = dict(zip(names_of(folders), folders, strict=True))
    for name, folder in by_name.items():
        try:
            trainings[name] = read(folder)
        except InputError as error:
            notes.append(f"{name} is left out: {error}.")
    if not trainings:
        raise InputError(f"none of the runs can be read: {notes[0].removesuffix('.')}")
    notes += [note for name, training in trainings.items() if (note := progress(name, training)) is not None]
    differ = len({training.saved.fingerprint for training in trainings.values()}) > 1
    if differ:
        notes.append("The runs were trained on different plays: their losses and figures cannot be compared.")
    judged: dict[str, Judged] = {}
    if options.split != "none":
        judged, failed = judge_all({name: by_name[name] for name in trainings}, options.split)
        notes += failed
    figures = {name: each.metrics.to_dict() for name, each in judged.items()}
    columns = {name: told(training, differ) for name, training in trainings.items()}
    kinds = [training.saved.config.data for training in trainings.values()]
    unit = "yd" if all(isinstance(data, DataConfig) and in_yards(data.outcome) for data in kinds) else ""
    text = reporting.page(differing(trainings), columns, figures, notes, unit)
    options.out.mkdir(parents=True, exist_ok=True)
    written = ["compare.md"]
    (options.out / "compare.md").write_text(text)
    for name in ("losses.png", "pp.png"):  # one of an earlier comparison would pass for this one's
        (options.out / name).unlink(missing_ok=True)
    histories = {name: training.metrics.to_dicts() for name, training in trainings.items() if len(training.metrics)}
    if histories:
        reporting.losses(options.out / "losses.png", histories)
        written.append("losses.png")
    if curves := {name: each.shares for name, each in judged.items() if each.shares is not None}:
        reporting.pp(options.out / "pp.png", LEVELS, curves)
        written.append("pp.png")
    print(f"\n{text}\nwritten to {options.out}: {', '.join(written)}")


def _short(commit: str | None) -> str:
    return "" if commit is None else commit[:9] + commit[40:]
