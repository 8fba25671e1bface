"""The device benchmark: speed and correctness of everything on an accelerator, within minutes, as one command.

Each part runs in a process of its own, so that a crash, a lack of memory or a time limit ends that part alone. Results
and page are rewritten while the parts run: a benchmark that is killed keeps what it has measured. Parts: likelihood
(bytes moved against a copy), training (float32 and bfloat16), epochs (50,000 plays x 20), sweep (16 members), live
(streaming, export, load) and tests. The page is to be made on an accelerator: numbers of a CPU are of no use in it.
Needs jax, flax, optax, orbax, chex, jaxtyping, NumPy and SciPy; polars, TFDS, tyro and a network are not used.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.benchmarks import device_page
from sbp_jax.atomic import write_whole
from sbp_jax.errors import InputError

NAME = "device"
BUDGET_S = 480.0
# part -> its share of the budget; what a part leaves goes to those after it
SHARES = {"likelihood": 0.1, "training": 0.2, "epochs": 0.15, "sweep": 0.2, "live": 0.15, "tests": 0.2}
MIN_S = 10.0  # a part does not start with less
Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """A call of the benchmark.

    Attributes:
        parts: in the order in which they run.
        smoke: tiny sizes.
        budget_s: seconds for all parts.
        out: folder of `device.json` and `device.md`.
        words: the command line's, for the page.
    """

    parts: tuple[str, ...]
    smoke: bool
    budget_s: float
    out: Path
    words: tuple[str, ...]


def command(words: list[str]) -> int:
    """Run the parts and write the page; return 0 if every part is done, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmark device",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", nargs="+", choices=list(SHARES), default=list(SHARES), help="default: all")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that everything runs, on a CPU too")
    parser.add_argument("--budget-s", type=float, default=BUDGET_S, help=f"for all parts (default: {BUDGET_S:.0f})")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("experiments/results/device"),
        help="folder for device.json and device.md (default: experiments/results/device)",
    )
    parser.add_argument("--measure", choices=list(SHARES), help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if not options.budget_s > 0:
        parser.error(f"--budget-s: expected a positive number, got {options.budget_s}")
    if options.measure:
        return measure(options.measure, options.smoke, options.result)
    parts = tuple(part for part in SHARES if part in options.parts)
    return run(Settings(parts, options.smoke, options.budget_s, options.out, (NAME, *words)))


def measure(part: str, smoke: bool, path: Path) -> int:
    """Run one part in this process; its record is written to a file after every step of it."""
    from experiments.benchmarks import device_parts, device_sizes
    from sbp_jax.runs import provenance

    record: Record = {"machine": provenance.describe(), "result": {}}
    _write(path, record)
    try:
        for result in device_parts.PARTS[part](device_sizes.SMOKE if smoke else device_sizes.FULL):
            record |= {"result": result} | _memory()
            _write(path, record)
    except Exception as error:  # whatever it is, the page names it and the other parts run
        lines = str(error).strip().splitlines()
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        record |= {"error": f"{kind}{lines[0] if lines else 'no message'}"} | _memory()
        _write(path, record)
        traceback.print_exc()
        return 1
    return 0


def run(settings: Settings) -> int:
    """Run the parts one after another, each until its deadline; return 0 if all are done, else 1."""
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{settings.out}: cannot be written ({error.strerror or error})") from error
    started = time.perf_counter()
    results: Record = {"machine": None, "smoke": settings.smoke, "budget_s": settings.budget_s}
    results["parts"] = {part: {"status": "not started"} for part in settings.parts}
    total, until = sum(SHARES[part] for part in settings.parts), 0.0
    for part in settings.parts:
        until += SHARES[part] / total
        left = started + until * settings.budget_s - time.perf_counter()
        if left < MIN_S:
            reason = f"{max(left, 0):.0f} of {settings.budget_s:.0f} seconds were left for it"
            results["parts"][part] = {"status": "skipped", "reason": reason}
            write(settings, results)
            continue
        print(f"{part}: at most {left:.0f} seconds ...", file=sys.stderr, flush=True)
        _run_part(settings, results, part, left)
        done = results["parts"][part]
        print(f"{part}: {device_page.status(done)}", file=sys.stderr, flush=True)
    results["seconds"] = time.perf_counter() - started
    print(f"{write(settings, results)}\nwritten to {settings.out}: device.json, device.md")
    return 0 if all(each["status"] == "done" for each in results["parts"].values()) else 1


def write(settings: Settings, results: Mapping[str, Any]) -> str:
    """Write the results so far and their page, and return the page."""
    text = device_page.page(results, settings.words)
    write_whole(settings.out / f"{NAME}.json", (json.dumps(results, indent=1) + "\n").encode())
    write_whole(settings.out / f"{NAME}.md", text.encode())
    return text


def _run_part(settings: Settings, results: Record, part: str, limit_s: float) -> None:
    """One part in a process of its own; its record in `results` follows what the process has written."""
    words = [sys.executable, "-m", "experiments.benchmark", NAME, "--measure", part]
    words += ["--smoke"] if settings.smoke else []
    # what a process does not use stays free for those that it starts
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | os.environ
    environment |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} if settings.smoke else {}  # compiling is all of the time
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "result.json"
        process = subprocess.Popen(
            [*words, "--result", str(path)],
            env=environment,
            cwd=Path(__file__).parents[2],
            stdout=2,  # progress: what is printed is the page
            process_group=0,  # ends with all that it has started
        )
        seen, stopped = 0.0, False
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(min(1.0, max(0.01, started + limit_s - time.perf_counter())))
                record, ended = _read(path), process.poll() is not None
                stopped = not ended and time.perf_counter() - started >= limit_s
                changed = path.stat().st_mtime if path.is_file() else 0.0
                if changed > seen and not ended:
                    seen = changed
                    _enter(results, part, record, "running", time.perf_counter() - started)
                    write(settings, results)
                if ended or stopped:
                    break
        finally:
            _end(process)
        record = _read(path)
    if stopped:
        status, record["error"] = "stopped", f"its {limit_s:.0f} seconds were over"
    elif process.returncode == 0:
        status = "done"
    else:
        status = "failed"
        record.setdefault("error", _exit(process.returncode))
    _enter(results, part, record, status, time.perf_counter() - started)
    write(settings, results)


def _enter(results: Record, part: str, record: Record, status: str, seconds: float) -> None:
    entry: Record = {"status": status, "seconds": seconds, "result": record.get("result", {})}
    entry |= {name: record[name] for name in ("device_peak_bytes", "host_peak_bytes") if name in record}
    results["parts"][part] = entry | ({"reason": record["error"]} if "error" in record else {})
    results["machine"] = results["machine"] or record.get("machine")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a part's process and all that it has started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()


def _exit(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit code {code}"
    with suppress(ValueError):
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process was ended by signal {-code}"


def _read(path: Path) -> Record:
    return json.loads(path.read_bytes()) if path.is_file() else {}


def _write(path: Path, record: Record) -> None:
    write_whole(path, json.dumps(record).encode())


def _memory() -> Record:
    """Peak memory of this process on the first device, None where it keeps no count (a CPU), and on the host."""
    import jax

    statistics: Mapping[str, Any] = jax.local_devices()[0].memory_stats() or {}
    record: Record = {"device_peak_bytes": statistics.get("peak_bytes_in_use"), "host_peak_bytes": None}
    with suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        record["host_peak_bytes"] = peak * (1 if sys.platform == "darwin" else 1024)
    return record
