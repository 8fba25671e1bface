"""Benchmarks: python -m experiments.benchmark law|batches [--seconds 3] [--out FOLDER].

Runs where only the jax family, NumPy and Matplotlib are installed; the published implementation is measured beside
ours where the extra `peers` is, reading of records where TFDS and polars are, streaming where the extra `grain` is.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments import machine
from experiments.benchmarks import batches, law
from sbp_jax.errors import InputError
from sbp_jax.reporting import batches as batch_tables
from sbp_jax.reporting import benchmark as tables

# glibc hands large freed arrays back to the system and faults them in again at every call, unless told to keep them;
# in large pages there are 512 times fewer faults
KEEPING = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "67108864",
}
PARTS = ("peer", "steps", "growth", "bandwidth")  # of the law


def measure(part: str, seconds: float) -> Any:
    """One part of a benchmark, in this process."""
    if part in batches.PARTS:
        return getattr(batches, part)(seconds)
    if part == "peer":
        return law.against_peer(seconds)
    if part == "steps":
        return [row for rows in (16384, 131072) for row in law.steps(seconds, rows)]
    return law.growth(seconds) if part == "growth" else law.bandwidth(seconds)


def in_a_process(part: str, seconds: float, keeping: bool) -> Any:
    """One part in a process of its own, with the allocator's settings from its start."""
    environment = {name: value for name, value in os.environ.items() if name not in KEEPING}
    environment |= KEEPING if keeping else {}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        words = [
            "batches" if part in batches.PARTS else "law",
            "--seconds",
            str(seconds),
            "--part",
            part,
            "--result",
            str(result),
        ]
        done = subprocess.run([sys.executable, "-m", "experiments.benchmark", *words], env=environment, check=False)
        if done.returncode:
            raise InputError(f"the measurement of {part!r} ended with exit code {done.returncode}")
        return json.loads(result.read_text())


def report(results: dict[str, Any], out: Path, words: list[str]) -> str:
    """The results as Markdown; the figure is drawn beside it."""
    tables.growth_figure(out / "growth.png", results["growth"], law.BINS)
    gpu = results["bandwidth"]
    parts = [
        "# Speed and memory of the law",
        f"`python -m experiments.benchmark {shlex.join(words)}`\n\n{machine.sentence(results['machine'])}",
        *([f"**{results['note']}**"] if results.get("note") else []),
        "## Against the published implementation\n\n100 bins, float32, both sides in turn in one process, medians. "
        '"Kept": glibc is told to keep freed memory, in large pages. A ratio is of the '
        "two figures of its line; at 131,072 rows the published implementation's better figure is the one to beat.",
        tables.peer_table(results["peer"]),
        "## What each step gained\n\nThe same log-likelihood as plain JAX code, differentiated automatically; with its "
        "cumulative sums as matrix products and bins picked by comparison; and in this package's closed forms. Memory: "
        "what the compiled function needs beyond inputs and outputs, in arrays of the logits' size.",
        tables.steps_table(results["steps"]),
        "## Growth with rows and bins\n\nBeside a copy of the logits (`x + 1`), measured in turn: it reads and writes "
        "what a gradient must.",
        tables.growth_table(results["growth"]),
        "![time against rows and bins](growth.png)",
        "## Bytes moved on a GPU",
        "Not measured: JAX found no GPU on this machine. The same command measures it where there is one."
        if gpu is None
        else tables.bandwidth_table(gpu),
    ]
    return "\n\n".join(parts) + "\n"


def batches_report(results: dict[str, Any], words: list[str]) -> str:
    """The results of the batches' benchmark as Markdown."""
    parts = [
        "# Speed and waste of batches",
        f"`python -m experiments.benchmark {shlex.join(words)}`\n\n{machine.sentence(results['machine'])}",
        *([f"**{results['note']}**"] if results.get("note") else []),
        f"Synthetic plays of 15 to 60 frames (mean {batches.lengths(batches.PLAYS).mean():.0f}) by 176 float32, in "
        f"batches of {batches.BATCH_SIZE}.",
        f"## Plays a second\n\n{batches.PLAYS:,} plays in the page cache, one core, medians of whole epochs in "
        f"turn; {batches.TARGET_PLAYS_PER_S:,} are wanted. Processor time is what counts where other work shares the "
        "core. Mirrored: half of the plays are reflected. Kept: glibc is told to keep freed memory, in large pages. "
        "The copy is of the mapped arrays in their own order, a batch at a time to new memory.",
        batch_tables.speed_table(results["speed"]),
        "## Until plays are there",
        batch_tables.start_table(results["start"]),
        f"## Padding\n\nShare of an epoch's frames, batches of {batches.BATCH_SIZE}, that which fills up the last one "
        "included.",
        batch_tables.waste_table(results["waste"]),
        "## From records",
        "Not measured: TFDS or polars is not installed."
        if results["records"] is None
        else f"{batches.RECORDS:,} plays, all cores.\n\n{batch_tables.records_table(results['records'])}",
    ]
    return "\n\n".join(parts) + "\n"


def command(words: list[str]) -> None:
    """Measure, print the tables and write them."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmark", description=__doc__)
    parser.add_argument("what", choices=["law", "batches"], help="what to measure")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each comparison (default: 3)")
    parser.add_argument("--out", type=Path, help="folder for the results (default: experiments/results/WHAT)")
    parser.add_argument("--note", default="", help="a remark for the report, on what else ran on the machine say")
    parser.add_argument("--part", choices=(*PARTS, *batches.PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if not options.seconds > 0:
        parser.error(f"--seconds: expected a positive number, got {options.seconds}")
    if options.part:
        options.result.write_text(json.dumps(measure(options.part, options.seconds)))
        return
    out = options.out or Path("experiments/results") / options.what
    first, *others = PARTS if options.what == "law" else batches.PARTS
    results: dict[str, Any] = {"machine": machine.describe(), "note": options.note, first: {}}
    for setting, keeping in (("default", False), ("kept", True)):
        print(f"{first}, allocator {setting} ...", file=sys.stderr)
        results[first][setting] = in_a_process(first, options.seconds, keeping)
    for part in others:
        print(f"{part} ...", file=sys.stderr)
        results[part] = in_a_process(part, options.seconds, True)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{options.what}.json").write_text(json.dumps(results, indent=1) + "\n")
    text = report(results, out, words) if options.what == "law" else batches_report(results, words)
    (out / f"{options.what}.md").write_text(text)
    print(text)
    print(f"written to {out}: {options.what}.md, {options.what}.json{', growth.png' * (options.what == 'law')}")


if __name__ == "__main__":
    try:
        command(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
