"""The device benchmark: speed and correctness of everything on an accelerator, within minutes, as one command.

Each part runs in its own process, so that a crash, a lack of memory or a time limit ends only that part. Results and
page are rewritten while the parts run, so a killed benchmark keeps what it has measured. Parts: likelihood (bytes moved
against a copy), training (float32 and bfloat16), epochs (50,000 plays x 20), sweep (16 members), live (streaming,
export, load) and tests. The page must be made on an accelerator: numbers of a CPU are meaningless in it. Needs jax,
flax, optax, orbax, chex, jaxtyping, NumPy and SciPy; polars, TFDS, tyro and a network connection are not used.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.benchmarks import device_page
from sbp_jax.atomic import atomic_write
from sbp_jax.cli.terminal import output_folder
from sbp_jax.errors import InputError

NAME = "device"
BUDGET_S = 480.0
# part -> its share of the budget; unused time goes to the later parts
SHARES = {"likelihood": 0.1, "training": 0.2, "epochs": 0.15, "sweep": 0.2, "live": 0.15, "tests": 0.2}
MIN_S = 10.0  # minimum time for a part to start
Record = dict[str, Any]


def command(words: list[str]) -> int:
    """Run the parts and write the page; return 0 if every part is done, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmark device",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", nargs="+", choices=list(SHARES), default=list(SHARES), help="default: all")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to check that everything runs, also on a CPU")
    parser.add_argument(
        "--budget-s", type=float, default=BUDGET_S, help=f"seconds for all parts (default: {BUDGET_S:.0f})"
    )
    folder = Path("experiments/results/device")
    parser.add_argument(
        "--out", type=Path, default=folder, help=f"folder of device.json and device.md (default: {folder})"
    )
    parser.add_argument("--measure", choices=list(SHARES), help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if not options.budget_s > 0:
        parser.error(f"--budget-s: expected a positive number, got {options.budget_s}")
    if options.measure:
        return measure(options.measure, options.out)
    parts = [part for part in SHARES if part in options.parts]
    return run(parts, options.smoke, options.budget_s, output_folder(options.out), [NAME, *words])


def measure(part: str, out: Path) -> int:
    """Run one part in this process, and rewrite results and page after each of its steps."""
    from experiments.benchmarks import device_parts
    from sbp_jax.runs import provenance

    results, started = read(out), time.perf_counter()
    results["machine"] = results["machine"] or provenance.describe()

    def enter(**record: Any) -> None:
        results["parts"][part] |= record | {"seconds": time.perf_counter() - started} | _memory()
        write(out, results)

    enter(status="running")
    try:
        for result in device_parts.PARTS[part](device_parts.SMOKE if results["smoke"] else device_parts.FULL):
            enter(result=result)
    except Exception as error:  # the page reports any error, and the other parts run
        lines = str(error).strip().splitlines()
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        enter(status="failed", reason=f"{kind}{lines[0] if lines else 'no message'}")
        traceback.print_exc()
        return 1
    enter(status="done")
    return 0


def run(parts: list[str], smoke: bool, budget_s: float, out: Path, words: list[str]) -> int:
    """Run the parts in sequence, each until its deadline; return 0 if all are done, else 1.

    Args:
        parts: parts in the order in which they run.
        smoke: use tiny sizes.
        budget_s: seconds for all parts.
        out: folder of `device.json` and `device.md`.
        words: words of the command line, for the page.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error
    started = time.perf_counter()
    results: Record = {"machine": None, "smoke": smoke, "budget_s": budget_s, "words": words}
    results["parts"] = {part: {"status": "not started", "result": {}} for part in parts}
    total, until = sum(SHARES[part] for part in parts), 0.0
    for part in parts:
        until += SHARES[part] / total
        left = started + until * budget_s - time.perf_counter()
        write(out, results)
        if left < MIN_S:
            changes = {"status": "skipped", "reason": f"{max(left, 0):.0f} of {budget_s:.0f} seconds were left for it"}
        else:
            print(f"{part}: at most {left:.0f} seconds ...", file=sys.stderr, flush=True)
            changes = _run_part(part, smoke, out, left)
        results = read(out)
        results["parts"][part] |= changes
        print(f"{part}: {device_page.status(results['parts'][part])}", file=sys.stderr, flush=True)
    results["seconds"] = time.perf_counter() - started
    print(f"{write(out, results)}\nwritten to {out}: device.json, device.md")
    return 0 if all(each["status"] == "done" for each in results["parts"].values()) else 1


def write(out: Path, results: Mapping[str, Any]) -> str:
    """Write the results so far and their page, and return the page."""
    text = device_page.page(results)
    atomic_write(out / f"{NAME}.json", (json.dumps(results, indent=1) + "\n").encode())
    atomic_write(out / f"{NAME}.md", text.encode())
    return text


def read(out: Path) -> Record:
    """Read the results so far."""
    return json.loads((out / f"{NAME}.json").read_bytes())


def _run_part(part: str, smoke: bool, out: Path, limit_s: float) -> Record:
    """Run one part in its own process, which writes its results; return the changes that it could not write."""
    words = [sys.executable, "-m", "experiments.benchmark", NAME, "--measure", part, "--out", str(out.absolute())]
    # memory that a process does not use stays free for its children
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | os.environ
    environment |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} if smoke else {}  # compilation dominates
    started, root = time.perf_counter(), Path(__file__).parents[2]
    # its output goes to stderr, since stdout is for the page; its process group includes all of its children
    process = subprocess.Popen(words, env=environment, cwd=root, stdout=2, process_group=0)
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        changes: Record = {"status": "stopped", "reason": f"its {limit_s:.0f} seconds were over"}
    else:
        ended = read(out)["parts"][part]["status"] in ("done", "failed")
        changes = {} if ended else {"status": "failed", "reason": _exit(process.returncode)}
    finally:
        _end(process)
    return changes | {"seconds": time.perf_counter() - started}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a part's process and all of its children."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()


def _exit(code: int) -> str:
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


def _memory() -> Record:
    """Peak memory of this process on the host and on the first device, None where it has no count (a CPU)."""
    import jax

    statistics: Mapping[str, Any] = jax.local_devices()[0].memory_stats() or {}
    record: Record = {"device_peak_bytes": statistics.get("peak_bytes_in_use"), "host_peak_bytes": None}
    with suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        record["host_peak_bytes"] = peak * (1 if sys.platform == "darwin" else 1024)
    return record
