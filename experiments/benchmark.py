"""Benchmarks: python -m experiments.benchmark distribution|batches|training|sweep|live [--seconds 3] [--out FOLDER].

`python -m experiments.benchmark device` runs the benchmark for a borrowed accelerator, which has its own options.

Only the jax family, NumPy and Matplotlib are required. The published implementation is measured as well if the extra
`reference` is installed, reading of records if TFDS and polars are, and streaming if the extra `grain` is.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.benchmarks import batches, device, distribution, live, sweep, training
from sbp_jax.cli.terminal import fail, output_folder
from sbp_jax.errors import InputError
from sbp_jax.runs import provenance

# each has `PARTS` (functions of a number of seconds), `TITLE`, and `report(results, out)`
MODULES = (distribution, batches, training, sweep, live)
BENCHMARKS: dict[str, Any] = {module.__name__.rpartition(".")[2]: module for module in MODULES}

# by default glibc returns large freed arrays to the system and faults them in again at every call; these settings keep
# them, in large pages with 512 times fewer faults
KEEPING = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "67108864",
}


def in_a_process(what: str, part: str, seconds: float, keeping: bool) -> Any:
    """Run one part of a benchmark in a separate process, with the allocator's settings from its start."""
    environment = {name: value for name, value in os.environ.items() if name not in KEEPING}
    environment |= KEEPING if keeping else {}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        words = [what, "--seconds", str(seconds), "--part", part, "--result", str(result)]
        done = subprocess.run([sys.executable, "-m", "experiments.benchmark", *words], env=environment, check=False)
        if done.returncode:
            raise InputError(f"the measurement of {part!r} ended with exit code {done.returncode}")
        return json.loads(result.read_text(encoding="utf-8"))


def page(what: str, results: dict[str, Any], out: Path, words: list[str]) -> list[str]:
    """Return the results as Markdown paragraphs; figures are drawn to `out`."""
    heading = provenance.heading(BENCHMARKS[what].TITLE, "experiments.benchmark", words, results["machine"])
    note = [f"**{results['note']}**"] if results.get("note") else []
    return [heading, *note, *BENCHMARKS[what].report(results, out)]


def command(words: list[str]) -> None:
    """Measure, print the tables and write them; exit with 1 if a part of the device benchmark is not done."""
    if words[:1] == [device.NAME]:
        sys.exit(device.command(words[1:]))
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmark", description=__doc__)
    parser.add_argument("what", choices=[*BENCHMARKS, device.NAME], help="what to measure")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each comparison (default: 3)")
    parser.add_argument("--out", type=Path, help="folder for the results (default: experiments/results/WHAT)")
    parser.add_argument("--note", default="", help="a remark for the report, such as other load on the machine")
    parser.add_argument(
        "--part", choices=[p for each in BENCHMARKS.values() for p in each.PARTS], help=argparse.SUPPRESS
    )
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if not options.seconds > 0:
        parser.error(f"--seconds: expected a positive number, got {options.seconds}")
    if options.part:
        measured = getattr(BENCHMARKS[options.what], options.part)(options.seconds)
        options.result.write_text(json.dumps(measured), encoding="utf-8")
        return
    out = output_folder(options.out or Path("experiments/results") / options.what)
    first, *others = BENCHMARKS[options.what].PARTS
    results: dict[str, Any] = {"machine": provenance.describe(), "note": options.note, first: {}}
    for setting, keeping in (("default", False), ("kept", True)):
        print(f"{first}, allocator {setting} ...", file=sys.stderr)
        results[first][setting] = in_a_process(options.what, first, options.seconds, keeping)
    for part in others:
        print(f"{part} ...", file=sys.stderr)
        results[part] = in_a_process(options.what, part, options.seconds, True)
    text = provenance.write_page(out, options.what, page(options.what, results, out, words), results)
    print(f"{text}\nwritten to {out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


if __name__ == "__main__":
    try:
        command(sys.argv[1:])
    except InputError as error:
        fail(error)
    except OSError as error:
        fail(f"{error.filename or ''}: {error.strerror or error}")
