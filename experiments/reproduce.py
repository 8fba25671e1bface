"""Reproduce published tables: python -m experiments.reproduce TABLE [--seeds 3] [--quick] [--out FOLDER].

Trains and evaluates what is missing, and writes a Markdown table with intervals over the seeds, a parquet file of all
rows and a figure. After an interruption the same command resumes. TABLE is one of the tables or "all".
"""

import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from experiments import detectors, growth, mae, pp, twitter
from experiments.capabilities import run as capabilities
from experiments.shared.study import Options
from experiments.winning import run as winning
from experiments.winning.page import Recovery, Reliabilities, Winning
from sbp_jax.atomic import atomic_write
from sbp_jax.cli.flags import parse, run
from sbp_jax.errors import InputError
from sbp_jax.reporting import comparison
from sbp_jax.runs import provenance
from sbp_jax.runs.signals import listening
from sbp_jax.training.compiled import compiled_once
from sbp_jax.training.stop import StopRequest

# the studies, each with its `TITLE` and `make`: (options, folder of all runs, stop) -> parts of its page
TABLES: dict[str, Any] = {"mae": mae, "pp": pp, "scale": growth, "twitter": twitter, "detectors": detectors}
TABLES |= {"capabilities": capabilities, "winning": winning}
# how a part of a page is shown: `report` (its paragraphs), `drawing` and `headline` (what docs/results.md repeats)
SHOWN: dict[type, Any] = {
    comparison.Comparison: comparison,
    growth.Growth: growth,
    capabilities.Capabilities: capabilities,
    **{kind: kind for kind in (Winning, Recovery, Reliabilities)},
}


def write(name: str, options: Options, words: list[str], stop: StopRequest | None = None) -> Path:
    """Make a table, write it, and return the path of its page."""
    started = time.perf_counter()
    root = Path("runs/reproduce-quick" if options.quick else "runs/reproduce")
    sections = TABLES[name].make(replace(options, seeds=1) if options.quick else options, root, stop)
    out = (options.out or root) / name
    out.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, each in enumerate(sections, start=1):
        stem = name if len(sections) == 1 else f"{name}-{number}"
        each.rows.write_parquet(out / f"{stem}.parquet")
        SHOWN[type(each)].drawing(each, out / f"{stem}.png")
        parts += [f"## {each.title}", *SHOWN[type(each)].report(each), f"![{each.title}]({stem}.png)"]
    measured = provenance.describe()
    summary = {
        "title": TABLES[name].TITLE,
        "command": provenance.command_line("experiments.reproduce", words),
        "date": measured["date"],
        "parts": [asdict(SHOWN[type(each)].headline(each)) for each in sections],
    }
    atomic_write(out / f"{name}.json", (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode())
    heading = provenance.heading(TABLES[name].TITLE, "experiments.reproduce", words, measured)
    trained = sum(float(each.rows["seconds"].sum()) for each in sections if "seconds" in each.rows)
    minutes = (time.perf_counter() - started) / 60
    took = f"This call took {minutes:.1f} minutes."
    if trained:
        took = (
            f"The training runs took {trained / 60:.1f} minutes in total, including compilation; this call, which "
            f"trained the missing ones, took {minutes:.1f}."
        )
    page = out / f"{name}.md"
    page.write_text("\n\n".join([heading, *parts, took]) + "\n", encoding="utf-8")
    return page


def command(args: list[str]) -> None:
    """Make the tables that the command line names."""
    known = [*TABLES, "all"]
    if not args or args[0].startswith("-"):
        if args and args[0] in ("-h", "--help"):
            about = f"Reproduce a published table.\n\nTABLE is one of {', '.join(known)}."
            parse(Options, ["--help"], "python -m experiments.reproduce TABLE", about=about)
        raise InputError(f"expected a table first; known: {', '.join(known)}")
    if args[0] not in known:
        raise InputError(f"unknown table {args[0]!r}; known: {', '.join(known)}")
    options = parse(Options, args[1:], f"python -m experiments.reproduce {args[0]}", folder="out")
    if options.seeds < 1:
        raise InputError(f"--seeds: expected at least 1, got {options.seeds}")
    failed = []
    with listening() as stop, compiled_once():
        for name in TABLES if args[0] == "all" else args[:1]:
            try:
                page = write(name, options, [name, *args[1:]], stop)
            except InputError as error:
                if args[0] != "all":
                    raise
                failed.append(f"{name}: {error}")
                continue
            print(f"{page.read_text(encoding='utf-8')}\nwritten to {page.parent}")
    if failed:
        raise InputError(f"not made: {'; '.join(failed)}")


if __name__ == "__main__":
    run(command, sys.argv[1:], "interrupted; the same command resumes")
