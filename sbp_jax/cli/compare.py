"""Compare runs: sbp compare RUN... [--split test] [--out FOLDER].

The command prints the differences of the configurations, the training of the runs, and their metrics on the plays of a
split. It draws losses and PP plots. Runs may be in progress.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sbp_jax.cli.flags import parse
from sbp_jax.cli.terminal import output_folder
from sbp_jax.config import DataConfig
from sbp_jax.data.readers.rules import in_yards
from sbp_jax.errors import InputError

INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Options:
    """Compare the configurations of runs, their training, and their metrics on the plays of a split.

    Attributes:
        runs: folders of runs, or folders that contain them; complete, in progress or damaged.
        split: split of each run's own data set to evaluate on; "none" compares only training.
        out: folder for the table and the figures.
        trust: import your own head, encoder or objective if a run's configuration names one.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")]
    split: Literal["test", "validation", "train", "none"] = "test"
    out: Path = Path("runs/compare")
    trust: bool = False


def command(args: list[str]) -> None:
    """Compare the runs named on the command line."""
    options = parse(Options, args, "sbp compare")
    if not options.runs:
        raise InputError("expected the folders of runs; see --help")
    out = output_folder(options.out)
    from sbp_jax.evaluation.metrics import LEVELS
    from sbp_jax.reporting import compare as reporting
    from sbp_jax.runs.comparison import Training, column, differing, evaluate_all, names_of, progress, read, run_folders
    from sbp_jax.runs.evaluate import Evaluation

    folders = run_folders(options.runs)
    runs: dict[str, Training] = {}
    notes: list[str] = []
    by_name = dict(zip(names_of(folders), folders, strict=True))
    for name, folder in by_name.items():
        try:
            runs[name] = read(folder)
        except InputError as error:
            notes.append(f"{name} is left out: {error}.")
    if not runs:
        raise InputError(f"none of the runs can be read: {notes[0].removesuffix('.')}")
    notes += [note for name, training in runs.items() if (note := progress(name, training)) is not None]
    differ = len({training.saved.fingerprint for training in runs.values()}) > 1
    if differ:
        notes.append("The runs were trained on different plays: their losses and metrics cannot be compared.")
    evaluations: dict[str, Evaluation] = {}
    if options.split != "none":
        evaluations, failures = evaluate_all({name: by_name[name] for name in runs}, options.split, options.trust)
        notes += failures
    metrics = {name: each.metrics.to_dict() for name, each in evaluations.items()}
    columns = {name: column(training, differ) for name, training in runs.items()}
    kinds = [training.saved.config.data for training in runs.values()]
    unit = "yd" if all(isinstance(data, DataConfig) and in_yards(data.outcome) for data in kinds) else ""
    text = reporting.page(differing(runs), columns, metrics, notes, unit)
    out.mkdir(parents=True, exist_ok=True)
    names = ["compare.md"]
    (out / "compare.md").write_text(text, encoding="utf-8")
    for name in ("losses.png", "pp.png"):  # figures of an earlier comparison could be mistaken for new ones
        (out / name).unlink(missing_ok=True)
    histories = {name: training.metrics.to_dicts() for name, training in runs.items() if len(training.metrics)}
    if histories:
        reporting.losses(out / "losses.png", histories)
        names.append("losses.png")
    if curves := {name: each.shares for name, each in evaluations.items()}:
        reporting.pp(out / "pp.png", LEVELS, curves)
        names.append("pp.png")
    print(f"\n{text}\nwritten to {out}: {', '.join(names)}")
