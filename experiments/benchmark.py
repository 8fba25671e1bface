"""Benchmarks: python -m experiments.benchmark law [--seconds 3] [--out FOLDER].

Runs where only the jax family, NumPy and Matplotlib are installed; the published implementation is measured beside
ours where the extra `peers` is.
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
from experiments.benchmarks import law
from sbp_jax.errors import InputError
from sbp_jax.reporting import benchmark as tables

# glibc hands large freed arrays back to the system and faults them in again at every call, unless told to keep them;
# in large pages there are 512 times fewer faults
KEEPING = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "67108864",
}
PARTS = ("peer", "steps", "growth", "bandwidth")


def measure(part: str, seconds: float) -> Any:
    """One part of the benchmark, in this process."""
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
        words = ["law", "--seconds", str(seconds), "--part", part, "--result", str(result)]
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


def command(words: list[str]) -> None:
    """Measure, print the tables and write them."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmark", description=__doc__)
    parser.add_argument("what", choices=["law"], help="what to measure")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each comparison (default: 3)")
    parser.add_argument("--out", type=Path, default=Path("experiments/results/law"), help="folder for the results")
    parser.add_argument("--note", default="", help="a remark for the report, on what else ran on the machine say")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if not options.seconds > 0:
        parser.error(f"--seconds: expected a positive number, got {options.seconds}")
    if options.part:
        options.result.write_text(json.dumps(measure(options.part, options.seconds)))
        return
    results: dict[str, Any] = {"machine": machine.describe(), "note": options.note, "peer": {}}
    for setting, keeping in (("default", False), ("kept", True)):
        print(f"against the published implementation, allocator {setting} ...", file=sys.stderr)
        results["peer"][setting] = in_a_process("peer", options.seconds, keeping)
    for part in PARTS[1:]:
        print(f"{part} ...", file=sys.stderr)
        results[part] = in_a_process(part, options.seconds, True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "law.json").write_text(json.dumps(results, indent=1) + "\n")
    text = report(results, options.out, words)
    (options.out / "law.md").write_text(text)
    print(text)
    print(f"written to {options.out}: law.md, law.json, growth.png")


if __name__ == "__main__":
    try:
        command(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
