"""The parts of a load test: the service in one process, its clients in others."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sbp_jax.errors import InputError

TOLERANCE = 1e-4  # relative for values above 1
EACH = 4  # concurrent plays of a connection
START_S = 180.0  # for the service to load its run
Part = Literal["steady", "misbehaving", "restart"]


@dataclass(frozen=True)
class Load:
    """Load from well-behaved clients.

    Attributes:
        plays: number of concurrent plays.
        hz: frames per second of each play.
        processes: number of client processes.
        restart_s: seconds from the start of the part "restart" to the signal that stops the service.
    """

    plays: int
    hz: float
    processes: int
    restart_s: float

    @property
    def rows(self) -> int:
        """Number of rows that the service needs, including those of misbehaving clients."""
        return self.plays + 56


class Server:
    """The service in its own process."""

    def __init__(self, run: Path, folder: Path, plays: int, port: int = 0) -> None:
        self.run, self.plays, self.port = run, plays, port or _free_port()
        self.log = folder / f"server-{time.time():.3f}.log"
        words = [str(run), "--port", str(self.port), "--plays", str(plays)]
        with self.log.open("w", encoding="utf-8") as log:
            command = [sys.executable, "-c", "from sbp_jax.cli import main; main('serve')", *words]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        start = time.monotonic()
        while not self.health():
            if self.process.poll() is not None or time.monotonic() > start + START_S:
                self.process.kill()
                raise InputError(f"the service did not start: {self.log.read_text(encoding='utf-8')[-400:].strip()}")
            time.sleep(0.1)
        self.start_s = time.monotonic() - start

    def health(self) -> dict[str, Any] | None:
        """Return the service's status; None while it does not answer."""
        try:
            return json.loads(self.get("/health"))
        except OSError:
            return None

    def get(self, path: str) -> str:
        """Return the content of a page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def memory_mib(self) -> float:
        """Return the resident memory in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise InputError("the service has exited")

    def cpu_s(self) -> float:
        """Return the processor time used, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def files(self) -> int:
        """Return the number of open files and sockets."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self) -> tuple[int, float]:
        """Stop the service with SIGTERM; return its exit code and the seconds until it exited."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60), time.monotonic() - start


def part(load: Load, server: Server, plays: list[dict[str, Any]], folder: Path, seconds: float, what: Part) -> Any:
    """Run one part of the test: the good clients, next to them "misbehaving" ones or a "restart" of the service.

    Args:
        load: load from the well-behaved clients.
        server: the service; a restart replaces its process.
        plays: the plays to replay, each with `static`, `frames` (as JSON), `outcome`, and the expected `summaries`
            and `score`.
        folder: folder for tasks, results and logs.
        seconds: duration.
        what: "steady", "misbehaving" or "restart".

    Returns:
        Counts, latencies in ms, outages in s, wrong answers, memory in MiB over time, cores and open files.

    Raises:
        InputError: clients fail or do not exit.
    """
    connections = -(-load.plays // EACH)
    until = time.time() + seconds
    shared = {
        "url": f"ws://127.0.0.1:{server.port}/v1/live",
        "http": f"http://127.0.0.1:{server.port}",
        "plays": plays,
        "hz": load.hz,
        "until": until,
        "each": EACH,
        "tolerance": TOLERANCE,
    }
    clients, results = [], []
    bounds = np.linspace(0, connections, load.processes + 1).astype(int).tolist()
    tasks = [("good", {"first": a, "connections": b - a}) for a, b in itertools.pairwise(bounds)]
    for number, (kind, options) in enumerate(tasks + ([("misbehaving", {})] if what == "misbehaving" else [])):
        task, result = folder / f"{what}-{number}.json", folder / f"{what}-{number}-result.json"
        task.write_text(json.dumps(shared | options), encoding="utf-8")
        words = [sys.executable, "-m", "sbp_jax.service.load.clients", kind, str(task), str(result)]
        clients.append(subprocess.Popen(words))
        results.append((kind, result))
    memory: list[tuple[float, float]] = []
    begin_s, restart = time.time(), None
    files, cpu_s = 0, server.cpu_s()
    while any(client.poll() is None for client in clients):
        if time.time() > until + 60:
            for client in clients:
                client.kill()
            raise InputError("clients did not exit")
        if what == "restart" and not restart and time.time() > begin_s + load.restart_s:
            start = time.time()
            code, ended_s = server.stop()
            again = Server(server.run, folder, server.plays, server.port)
            server.process, server.log = again.process, again.log
            restart = {"exit_code": code, "ended_s": ended_s, "away_s": time.time() - start}
        memory.append((time.time() - begin_s, server.memory_mib()))
        files = max(files, server.files())
        time.sleep(1.0)
    if any(client.returncode for client in clients):
        raise InputError(f"clients exited with codes {[client.returncode for client in clients]}")
    reports = [(kind, json.loads(result.read_text(encoding="utf-8"))) for kind, result in results]
    good = [each for kind, each in reports if kind == "good"]
    time.sleep(1.0)
    return {
        "seconds": seconds,
        "count": dict(sum((Counter(each["count"]) for each in good), Counter())),
        "latency_ms": _quantiles(np.concatenate([each["latencies"] for each in good]) * 1000),
        "outages_s": [outage for each in good for outage in each["outages"]],
        "wrong": [line for each in good for line in each["wrong"]],
        "misbehaving": next((each["count"] for kind, each in reports if kind == "misbehaving"), None),
        "restart": restart,
        "memory_mib": memory,
        "cores": None if restart else (server.cpu_s() - cpu_s) / (time.time() - begin_s),
        "files": [files, server.files()],
        "open_after": (server.health() or {}).get("open_plays"),
    }


def _free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return each.getsockname()[1]


def _quantiles(values: np.ndarray) -> dict[str, float]:
    quantiles = np.quantile(values, [0.5, 0.95, 0.99, 1.0]).tolist() if len(values) else [float("nan")] * 4
    return dict(zip(("p50", "p95", "p99", "max"), quantiles, strict=True))
