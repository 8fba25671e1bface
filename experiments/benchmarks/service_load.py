"""Load test of the service: python -m experiments.benchmarks.service_load RUN [--seconds 120] [--plays 200] [--hz 10].

Real test plays of the run, many at once over WebSockets; then beside clients that do harm; then with a restart of the
service in the middle. Every answer is compared with what a scorer alone says. Server and clients share the machine.
"""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from experiments.benchmarks.service_clients import NUMBERS
from experiments.benchmarks.service_page import page
from sbp_jax.cli.flags import parse, run
from sbp_jax.errors import InputError
from sbp_jax.live import LiveScorer
from sbp_jax.runs import provenance
from sbp_jax.runs.run import load_run

TOLERANCE = 1e-4  # relative above 1
DIFFERENT = 200  # plays that the clients replay
DECIMALS = 4  # of a frame's numbers, as a tracking system sends them
EACH = 4  # plays of a connection at once
START_S = 180.0  # for the service to load its run


@dataclass(frozen=True)
class Options:
    """Measure the service of a run under load, and write a page and a JSON file.

    Attributes:
        run: folder of the run; its test plays are replayed.
        seconds: of the first part; the second lasts half as long, the third that and what a restart takes.
        plays: at once.
        hz: frames a second of each.
        processes: of the clients.
        out: folder of what is written.
        note: a remark for the page, on what else ran on the machine say.
    """

    run: Annotated[Path, tyro.conf.Positional]
    seconds: float = 120.0
    plays: int = 200
    hz: float = 10.0
    processes: int = 2
    out: Path = Path("experiments/results/service")
    note: str = ""


class Server:
    """The service in a process of its own."""

    def __init__(self, run: Path, folder: Path, plays: int, port: int = 0) -> None:
        self.port = port or _free_port()
        self.log = folder / f"server-{time.time():.3f}.log"
        words = [str(run), "--port", str(self.port), "--plays", str(plays)]
        with self.log.open("w") as log:
            command = [sys.executable, "-m", "experiments.serve", *words]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        began = time.monotonic()
        while not self.health():
            if self.process.poll() is not None or time.monotonic() > began + START_S:
                self.process.kill()
                raise InputError(f"the service did not start: {self.log.read_text()[-400:].strip()}")
            time.sleep(0.1)
        self.start_s = time.monotonic() - began

    def health(self) -> dict[str, Any] | None:
        """What it says of itself; None while nobody answers."""
        try:
            return json.loads(self.get("/health"))
        except OSError:
            return None

    def get(self, path: str) -> str:
        """A page of it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def memory_mib(self) -> float:
        """Resident memory."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise InputError("the service has ended")

    def cpu_s(self) -> float:
        """Processor time that it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def files(self) -> int:
        """Open files and sockets."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self) -> tuple[int, float]:
        """End it by SIGTERM: exit code, and seconds until it ended."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60), time.monotonic() - began


def expected_of(path: Path, count: int) -> list[dict[str, Any]]:
    """Test plays of a run as clients send them, with what a scorer that has one play says of each frame."""
    run = load_run(path)
    plays, scorer = run.plays("test"), LiveScorer.from_run(run)
    names, outcomes = list(scorer.spec["static"]), []
    for play in np.random.default_rng(0).permutation(len(plays))[:count]:
        frames = plays.unfolded(play).astype(np.float64).round(DECIMALS)
        static = {
            name: float(value)
            for name, value in zip(names, plays.static[play], strict=True)
            if not name.endswith("_missing")
            and not (f"{name}_missing" in names and plays.static[play, names.index(f"{name}_missing")])
        }
        scorer.reset(static)
        said = [scorer.push(frame) for frame in frames]
        score = scorer.finish(float(plays.yards[play]))
        shown = [[None if np.isnan(row[0]) else row for row in frame.tolist()] for frame in frames]
        outcomes.append(
            {
                "static": static,
                "frames": [json.dumps(frame) for frame in shown],
                "yards": float(plays.yards[play]),
                "summaries": [{name: getattr(each, name) for name in NUMBERS} for each in said],
                "score": {name: getattr(score, name) for name in ("yards", "median", "pit", "score", "passing_score")},
            }
        )
    return outcomes


def part(options: Options, server: Server, plays: list[dict[str, Any]], folder: Path, seconds: float, what: str) -> Any:
    """One part of the test: the good clients, and beside them "hostile" ones or a "restart" of the service."""
    connections = -(-options.plays // EACH)
    until = time.time() + seconds
    shared = {
        "url": f"ws://127.0.0.1:{server.port}/v1/live",
        "http": f"http://127.0.0.1:{server.port}",
        "plays": plays,
        "hz": options.hz,
        "until": until,
        "each": EACH,
        "tolerance": TOLERANCE,
    }
    clients, results = [], []
    bounds = np.linspace(0, connections, options.processes + 1).astype(int).tolist()
    tasks = [("good", {"first": a, "connections": b - a}) for a, b in itertools.pairwise(bounds)]
    for number, (kind, own) in enumerate(tasks + ([("hostile", {})] if what == "hostile" else [])):
        task, result = folder / f"{what}-{number}.json", folder / f"{what}-{number}-result.json"
        task.write_text(json.dumps(shared | own))
        words = [sys.executable, "-m", "experiments.benchmarks.service_clients", kind, str(task), str(result)]
        clients.append(subprocess.Popen(words))
        results.append((kind, result))
    memory: list[tuple[float, float]] = []
    began, restart = time.time(), None
    files, cpu_s = 0, server.cpu_s()
    while any(client.poll() is None for client in clients):
        if time.time() > until + 60:
            for client in clients:
                client.kill()
            raise InputError("clients did not end")
        if what == "restart" and not restart and time.time() > began + options.seconds / 4:
            asked = time.time()
            code, ended_s = server.stop()
            again = Server(options.run, folder, _rows(options), server.port)
            server.process, server.log = again.process, again.log
            restart = {"exit_code": code, "ended_s": ended_s, "away_s": time.time() - asked}
        memory.append((time.time() - began, server.memory_mib()))
        files = max(files, server.files())
        time.sleep(1.0)
    if any(client.returncode for client in clients):
        raise InputError(f"clients ended with exit codes {[client.returncode for client in clients]}")
    said = [(kind, json.loads(result.read_text())) for kind, result in results]
    good = [each for kind, each in said if kind == "good"]
    time.sleep(1.0)
    return {
        "seconds": seconds,
        "count": dict(sum((Counter(each["count"]) for each in good), Counter())),
        "latency_ms": _quantiles(np.concatenate([each["latencies"] for each in good]) * 1000),
        "outages_s": [outage for each in good for outage in each["outages"]],
        "wrong": [line for each in good for line in each["wrong"]],
        "hostile": next((each["count"] for kind, each in said if kind == "hostile"), None),
        "restart": restart,
        "memory_mib": memory,
        "cores": None if restart else (server.cpu_s() - cpu_s) / (time.time() - began),
        "files": [files, server.files()],
        "open_after": (server.health() or {}).get("open_plays"),
    }


def measure(options: Options, folder: Path) -> dict[str, Any]:
    """All three parts, and how the service ended."""
    plays = expected_of(options.run, DIFFERENT)
    server = Server(options.run, folder, _rows(options))
    parts: dict[str, Any] = {}
    try:
        # after a restart there must be time left: to load a run beside clients takes longer than alone
        half = options.seconds / 2
        for what, seconds in (("steady", 2 * half), ("hostile", half), ("restart", half + 2.5 * server.start_s)):
            print(f"{what}: {seconds:.0f} s ...", file=sys.stderr)
            parts[what] = part(options, server, plays, folder, seconds, what)
            parts[what]["metrics"] = _counters(server.get("/metrics"))
        code, ended_s = server.stop()
    finally:
        server.process.kill()
    logs = [path.read_text() for path in sorted(folder.glob("server-*.log"))]
    parts["end"] = {"exit_code": code, "ended_s": ended_s, "tracebacks": sum(log.count("Traceback") for log in logs)}
    parts["log"] = "\n".join(log[-2000:] for log in logs)
    return parts


def command(words: list[str]) -> None:
    """Measure, print the page and write it."""
    options = parse(Options, words, "python -m experiments.benchmarks.service_load")
    for name, most in (("seconds", 86400), ("plays", 4000), ("hz", 1000), ("processes", 64)):
        if not 0 < getattr(options, name) <= most:
            raise InputError(f"{name}: expected a positive number up to {most}, got {getattr(options, name)}")
    with tempfile.TemporaryDirectory() as folder:
        parts = measure(options, Path(folder))
    packages = {name: version(name) for name in ("fastapi", "uvicorn", "websockets")}
    asked = {
        "run": str(options.run),
        "plays": options.plays,
        "hz": options.hz,
        "processes": options.processes,
        "each": EACH,
        "different": DIFFERENT,
        "tolerance": TOLERANCE,
        "note": options.note,
    }
    results = {"machine": provenance.describe(), "asked": asked, "packages": packages, "parts": parts}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "service.json").write_text(json.dumps(results, indent=1) + "\n")
    text = page(results, words)
    (options.out / "service.md").write_text(text)
    print(f"{text}\nwritten to {options.out}")


def _rows(options: Options) -> int:
    """Rows of the service: room for the good clients and for those who do harm."""
    return options.plays + 56


def _free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return each.getsockname()[1]


def _quantiles(values: np.ndarray) -> dict[str, float]:
    found = np.quantile(values, [0.5, 0.95, 0.99, 1.0]).tolist() if len(values) else [float("nan")] * 4
    return dict(zip(("p50", "p95", "p99", "max"), found, strict=True))


def _counters(text: str) -> dict[str, float]:
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines if "_bucket" not in name and "_created" not in name}


if __name__ == "__main__":
    run(command, sys.argv[1:], "interrupted; nothing is written")
