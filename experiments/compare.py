"""Runs side by side: python -m experiments.compare RUN... [--split test] [--out FOLDER].

Prints what differs in their configurations, how they trained, and their figures on the plays of a split; draws their
losses and PP plots.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

from experiments.cli import main, parse
from sbp_jax.errors import InputError
from sbp_jax.evaluation import IntegerForecast, evaluate, evaluate_continuous, integer_forecast, pp_curve
from sbp_jax.evaluation.metrics import BASE_LEVELS, LOWER_LEVELS, UPPER_LEVELS
from sbp_jax.reporting import compare as reporting
from sbp_jax.run import Run, load_run


@dataclass(frozen=True)
class Options:
    """Compare runs: configurations, losses and figures on the same plays.

    Attributes:
        runs: folders of runs, or of folders of runs.
        split: plays to judge on; "none" compares the trainings alone.
        out: folder for the table and the figures.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    split: Literal["test", "validation", "train", "none"] = "test"
    out: Path = Path("runs/compare")


def found(paths: tuple[Path, ...]) -> list[Path]:
    """The runs' folders among the paths and right below them, each once.

    Raises:
        InputError: a path that is no folder, or has no run.
    """
    folders: list[Path] = []
    for path in paths:
        below = [path] if (path / "config.json").is_file() else sorted(f.parent for f in path.glob("*/config.json"))
        if not below:
            raise InputError(f"{path}: expected the folder of a run, or one of such folders")
        folders += [folder for folder in below if folder.resolve() not in [each.resolve() for each in folders]]
    return folders


def names_of(folders: list[Path]) -> list[str]:
    """The shortest ends of the paths that tell the folders apart."""
    for length in range(1, max(len(folder.resolve().parts) for folder in folders) + 1):
        names = ["/".join(folder.resolve().parts[-length:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def differing(runs: dict[str, Run]) -> dict[str, list[Any]]:
    """Fields of the configurations that are not the same in all runs, with each run's value."""
    flat: list[dict[str, Any]] = []
    for run in runs.values():
        parts = dataclasses.asdict(run.config)
        flat.append({f"{section}.{name}": value for section, part in parts.items() for name, value in part.items()})
    return {name: [each[name] for each in flat] for name in flat[0] if len({repr(each[name]) for each in flat}) > 1}


def training(run: Run) -> dict[str, Any]:
    """How a run was trained: epochs, steps, its best validation loss and the epoch of it, seconds, commit, data."""
    history = run.history
    losses = history["validation_loss"].to_numpy() if len(history) else np.array([np.nan])
    best = int(np.nanargmin(losses)) if np.isfinite(losses).any() else None
    starts = json.loads((run.path / "config.json").read_text()).get("starts") or [{}]
    commit = starts[-1].get("commit") or ""
    return {
        "epochs": len(history),
        "steps": run.step,
        "best validation loss": None if best is None else float(losses[best]),
        "at epoch": None if best is None else best + 1,
        "seconds": float(history["seconds"].sum()) if len(history) else 0.0,
        "commit": commit[:9] + commit[40:],
        "data": run.fingerprint[:9],
    }


def command(args: list[str]) -> None:
    """Compare the runs that the command line names."""
    options = parse(Options, args, "python -m experiments.compare")
    if not options.runs:
        raise InputError("expected folders of runs; --help says more")
    folders = found(options.runs)
    runs: dict[str, Run] = {}
    notes: list[str] = []
    for name, folder in zip(names_of(folders), folders, strict=True):
        try:
            runs[name] = load_run(folder)
        except InputError as error:
            notes.append(f"Left out: {error}.")
    if not runs:
        raise InputError(notes[0])
    if len({run.fingerprint for run in runs.values()}) > 1:
        notes.append("The runs were trained on different plays: their losses cannot be compared.")
    figures, curves = {}, {}
    levels = np.concatenate([LOWER_LEVELS, BASE_LEVELS, UPPER_LEVELS])
    for name, run in tqdm(runs.items(), desc="judge", unit="run", disable=options.split == "none"):
        if options.split == "none":
            continue
        try:
            plays = run.plays(options.split)
        except InputError as error:
            notes.append(f"Not judged: {error}.")
            continue
        if not len(plays):
            notes.append(f"Not judged: {name}: there are no {options.split} plays.")
        elif run.whole:
            forecast: IntegerForecast = integer_forecast(run.predict(plays), plays.yards)
            figures[name] = evaluate(forecast, plays.yards).to_dict()
            curves[name] = pp_curve(forecast, levels)
        else:
            figures[name] = evaluate_continuous(run.predict(plays), plays.yards).to_dict()
    text = reporting.page(differing(runs), {name: training(run) for name, run in runs.items()}, figures, notes)
    histories = {name: list(run.history.iter_rows(named=True)) for name, run in runs.items()}
    reporting.losses(options.out / "losses.png", histories)
    if curves:
        reporting.pp(options.out / "pp.png", levels, curves)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "compare.md").write_text(text)
    print(f"\n{text}\nwritten to {options.out}: compare.md, losses.png{', pp.png' if curves else ''}")


if __name__ == "__main__":
    main(command, "interrupted")
