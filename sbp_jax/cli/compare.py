"""Compare runs side by side: sbp compare RUN... [--split test] [--out FOLDER].

Prints what differs in their configurations, how they trained, and their metrics on the plays of a split; draws their
losses and PP plots. Runs may be in progress.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sbp_jax.cli.flags import parse
from sbp_jax.config import DataConfig
from sbp_jax.data.readers.rules import in_yards
from sbp_jax.errors import InputError

INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Options:
    """Compare runs: what differs in their configurations, how they trained, metrics on the plays of a split.

    Attributes:
        runs: folders of runs, or of folders of runs; complete, in progress or damaged.
        split: plays to evaluate on, of the data set that each was trained on; "none" compares the training alone.
        out: folder for the table and the figures.
        trust: import the head, encoder or objective of your own that the run's configuration names.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")]
    split: Literal["test", "validation", "train", "none"] = "test"
    out: Path = Path("runs/compare")
    trust: bool = False


def command(args: list[str]) -> None:
    """Compare the runs that the command line names."""
    options = parse(Options, args, "sbp compare")
    if not options.runs:
        raise InputError("expected the folders of runs; see --help")
    from sbp_jax.evaluation.metrics import LEVELS
    from sbp_jax.reporting import compare as reporting
    from sbp_jax.runs.comparison import Training, column, differing, evaluate_all, names_of, progress, read, run_folders
    from sbp_jax.runs.evaluate import Evaluation

    folders = run_folders(options.runs)
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
        notes.append("The runs were trained on different plays: their losses and metrics cannot be compared.")
    judged: dict[str, Evaluation] = {}
    if options.split != "none":
        judged, failed = evaluate_all({name: by_name[name] for name in trainings}, options.split, options.trust)
        notes += failed
    figures = {name: each.metrics.to_dict() for name, each in judged.items()}
    columns = {name: column(training, differ) for name, training in trainings.items()}
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
    if curves := {name: each.shares for name, each in judged.items()}:
        reporting.pp(options.out / "pp.png", LEVELS, curves)
        written.append("pp.png")
    print(f"\n{text}\nwritten to {options.out}: {', '.join(written)}")
