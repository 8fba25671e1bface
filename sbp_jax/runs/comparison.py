"""Compare runs: the differences of their configurations, their training, and their metrics on the same plays.

Runs may be in progress: the state of training comes from config.json and metrics.parquet.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from sbp_jax.data.plays import Sequences
from sbp_jax.errors import InputError
from sbp_jax.runs.config_file import CONFIG, Saved, read_saved
from sbp_jax.runs.evaluate import Evaluation, evaluate
from sbp_jax.runs.run import load_run
from sbp_jax.training.early_stopping import is_done


@dataclass(frozen=True)
class Training:
    """Training of a run, read from config.json and metrics.parquet; without rows before the first epoch."""

    saved: Saved
    metrics: pl.DataFrame


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """Return the folders of the runs among the paths and right below them, each once.

    Raises:
        InputError: a path is not a folder or has no run.
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
    """Return the shortest path suffixes that distinguish the folders."""
    parts = [folder.resolve().parts for folder in folders]
    length = next(n for n in range(1, max(map(len, parts)) + 1) if len({part[-n:] for part in parts}) == len(parts))
    return ["/".join(part[-length:]) for part in parts]


def read(folder: Path) -> Training:
    """Read the training of a run; raise an InputError if config.json or metrics.parquet is damaged."""
    saved, file = read_saved(folder), folder / "metrics.parquet"
    if not file.is_file():
        return Training(saved, pl.DataFrame())
    try:
        metrics = pl.read_parquet(file.read_bytes())  # in one read: a running training replaces the file
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{file}: damaged ({type(error).__name__}); the same training command writes it again"
        ) from error
    missing = [name for name in ("epoch", "step", "training_loss", "validation_loss", "seconds") if name not in metrics]
    if missing:
        raise InputError(f"{file}: expected one row per epoch, there is no column {missing[0]!r}")
    return Training(saved, metrics)


def differing(runs: Mapping[str, Training]) -> dict[str, list[Any]]:
    """Return the fields of the configurations that differ between the runs, with the value of each run."""
    flat: list[dict[str, Any]] = []
    for training in runs.values():
        parts = dataclasses.asdict(training.saved.config)
        flat.append({f"{section}.{name}": value for section, part in parts.items() for name, value in part.items()})
    return {name: [each[name] for each in flat] for name in flat[0] if len({repr(each[name]) for each in flat}) > 1}


def best_of(metrics: pl.DataFrame) -> int | None:
    """Return the position of the row with the smallest validation loss; None without validation."""
    losses = metrics["validation_loss"].to_numpy() if len(metrics) else np.array([])
    return int(np.nanargmin(losses)) if np.isfinite(losses).any() else None


def progress(name: str, training: Training) -> str | None:
    """Return a sentence if training has epochs left, else None."""
    config, metrics = training.saved.config.training, training.metrics
    best = best_of(metrics)
    record = {"history": [None] * len(metrics), "best_epoch": -1 if best is None else best}
    record["best_loss"] = None if best is None else metrics["validation_loss"][best]
    if is_done(record, config):
        return None
    return f"{name} is not finished: {len(metrics)} of at most {config.epochs} epochs."


def column(training: Training, differ: bool) -> dict[str, Any]:
    """Return a column of the table of training; `differ` is whether the runs were trained on different plays."""
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


def evaluate_all(
    folders: Mapping[str, Path], split: str, trust: bool = False
) -> tuple[dict[str, Evaluation], list[str]]:
    """Return the metrics of each run on the plays of a split, and a sentence for each that could not be evaluated.

    For `trust` see `load_run`.
    """
    evaluations: dict[str, Evaluation] = {}
    notes: list[str] = []
    cache: dict[tuple[Path, str], Sequences] = {}
    for name, folder in tqdm(folders.items(), desc="evaluate", unit="run"):
        try:
            run = load_run(folder, trust=trust)
            key = run.dataset, run.fingerprint
            plays = cache[key] if key in cache else cache.setdefault(key, run.plays(split))
            if not len(plays):
                raise InputError(f"there are no {split} plays in {run.dataset}")
            evaluations[name] = evaluate(run, plays)
        except InputError as error:
            notes.append(f"{name} is not evaluated: {error}.")
    return evaluations, notes


def _short(commit: str | None) -> str:
    return "" if commit is None else commit[:9] + commit[40:]
