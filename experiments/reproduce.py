"""Published tables, made anew: python -m experiments.reproduce TABLE [--seeds 5] [--quick] [--out FOLDER].

Trains what is missing, judges it, and writes a Markdown table with intervals over the seeds, a parquet of all rows and
a figure. Interrupted, the same command goes on with what is missing. TABLE is one of the tables or "all".
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiments import machine
from experiments.cli import main, parse
from experiments.signals import listening
from experiments.tables import pp
from sbp_jax.errors import InputError
from sbp_jax.reporting.comparison import Comparison, drawing, report
from sbp_jax.training.stop import Stop

# name -> (number of seeds, quick, folder of the runs, stop) -> what it says
TABLES: dict[str, Callable[[int, bool, Path, Stop | None], Comparison]] = {"pp": pp.make}


@dataclass(frozen=True)
class Options:
    """How a table is made.

    Attributes:
        seeds: of the data, where they are drawn, and of the trainings.
        quick: two epochs of two seeds: to see that it works, not what comes out.
        out: folder of the results; without, runs/reproduce/TABLE, where the runs are.
    """

    seeds: int = 5
    quick: bool = False
    out: Path | None = None


def write(name: str, options: Options, words: list[str], stop: Stop | None = None) -> Path:
    """Make a table and write it; returns its page."""
    started = time.perf_counter()
    root = Path("runs/reproduce") / (f"{name}-quick" if options.quick else name)
    found = TABLES[name](min(options.seeds, 2) if options.quick else options.seeds, options.quick, root, stop)
    out = (options.out or root) / name if options.out else root
    out.mkdir(parents=True, exist_ok=True)
    found.rows.write_parquet(out / f"{name}.parquet")
    drawing(out / f"{name}.png", found)
    heading = machine.heading(found.title, "experiments.reproduce", words, machine.describe())
    took = f"Run time of this call: {(time.perf_counter() - started) / 60:.1f} minutes."
    page = out / f"{name}.md"
    page.write_text("\n\n".join([heading, *report(found), took]) + "\n")
    return page


def command(args: list[str]) -> None:
    """Make the tables that the command line names."""
    known = [*TABLES, "all"]
    if not args or args[0].startswith("-"):
        if args and args[0] in ("-h", "--help"):
            print(f"usage: python -m experiments.reproduce TABLE [--field value ...]\ntables: {', '.join(known)}\n")
            parse(Options, ["--help"], "python -m experiments.reproduce TABLE")
        raise InputError(f"expected a table first; known: {', '.join(known)}")
    if args[0] not in known:
        raise InputError(f"unknown table {args[0]!r}; known: {', '.join(known)}")
    options = parse(Options, args[1:], f"python -m experiments.reproduce {args[0]}")
    if options.seeds < 1:
        raise InputError(f"--seeds: expected at least 1, got {options.seeds}")
    with listening() as stop:
        for name in TABLES if args[0] == "all" else args[:1]:
            page = write(name, options, [name, *args[1:]], stop)
            print(f"{page.read_text()}\nwritten to {page.parent}")


if __name__ == "__main__":
    main(command, "interrupted; the same command goes on with what is missing")
