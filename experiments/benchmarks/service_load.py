"""Load test of the service: python -m experiments.benchmarks.service_load RUN [--seconds 120] [--plays 200] [--hz 10].

Many test plays of the run at once over WebSockets; then with misbehaving clients in addition; then with a restart of
the service in the middle. Every answer is compared with that of a local scorer. Server and clients share the machine.
"""

import json
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from sbp_jax.cli.flags import parse, run
from sbp_jax.errors import InputError
from sbp_jax.live import LiveScorer
from sbp_jax.reporting.tables import markdown
from sbp_jax.runs import provenance
from sbp_jax.runs.run import load_run
from sbp_jax.service.load.clients import NUMBERS, TIMEOUT_S
from sbp_jax.service.load.parts import EACH, TOLERANCE, Load, Part, Server, part

TITLE = "The service under load"
DIFFERENT = 200  # number of plays that the clients replay
DECIMALS = 4  # decimals of a frame's numbers, as a tracking system sends them


@dataclass(frozen=True)
class Options:
    """Measure the service of a run under load, and write a page and a JSON file.

    Attributes:
        run: folder of the run; its test plays are replayed.
        seconds: duration of the first part; the second lasts half as long, the third longer by the time of a restart.
        plays: number of concurrent plays.
        hz: frames per second of each play.
        processes: number of client processes.
        out: folder of the results.
        note: a remark for the page, such as other load on the machine.
    """

    run: Annotated[Path, tyro.conf.Positional]
    seconds: float = 120.0
    plays: int = 200
    hz: float = 10.0
    processes: int = 2
    out: Path = Path("experiments/results/service")
    note: str = ""


def expected_of(path: Path, count: int) -> list[dict[str, Any]]:
    """Return test plays of a run as clients send them, with the summaries of a scorer with a single play."""
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
        summaries = [scorer.push(frame) for frame in frames]
        score = vars(scorer.finish(float(plays.outcome[play])))
        messages = [[None if np.isnan(row[0]) else row for row in frame.tolist()] for frame in frames]
        outcomes.append(
            {
                "static": static,
                "frames": [json.dumps(frame) for frame in messages],
                "outcome": float(plays.outcome[play]),
                "summaries": [{name: getattr(each, name) for name in NUMBERS} for each in summaries],
                "score": {name: score[name] for name in ("outcome", "median", "pit", "score", "passing_score")},
            }
        )
    return outcomes


def measure(options: Options, folder: Path) -> dict[str, Any]:
    """Run all three parts and stop the service; return their results."""
    plays = expected_of(options.run, DIFFERENT)
    half = options.seconds / 2
    load = Load(options.plays, options.hz, options.processes, half / 2)
    server = Server(options.run, folder, load.rows)
    parts: dict[str, Any] = {}
    try:
        # time must remain after the restart, and loading a run takes longer while clients are active
        spans: dict[Part, float] = {"steady": 2 * half, "misbehaving": half, "restart": half + 2.5 * server.start_s}
        for what, seconds in spans.items():
            print(f"{what}: {seconds:.0f} s ...", file=sys.stderr)
            parts[what] = part(load, server, plays, folder, seconds, what)
            parts[what]["metrics"] = _counters(server.get("/metrics"))
        code, ended_s = server.stop()
    finally:
        server.process.kill()
    logs = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("server-*.log"))]
    parts["end"] = {"exit_code": code, "ended_s": ended_s, "tracebacks": sum(log.count("Traceback") for log in logs)}
    parts["log"] = "\n".join(log[-2000:] for log in logs)
    return parts


def command(words: list[str]) -> None:
    """Measure, print the page and write it."""
    options = parse(Options, words, "python -m experiments.benchmarks.service_load", folder="out")
    for name, most in (("seconds", 86400), ("plays", 4000), ("hz", 1000), ("processes", 64)):
        if not 0 < getattr(options, name) <= most:
            raise InputError(f"{name}: expected a positive number up to {most}, got {getattr(options, name)}")
    with tempfile.TemporaryDirectory() as folder:
        parts = measure(options, Path(folder))
    packages = {name: version(name) for name in ("fastapi", "uvicorn", "websockets")}
    asked = {"run": str(options.run), "each": EACH, "different": DIFFERENT, "tolerance": TOLERANCE}
    asked |= {name: getattr(options, name) for name in ("plays", "hz", "processes", "note")}
    results = {"machine": provenance.describe(), "asked": asked, "packages": packages, "parts": parts}
    text = provenance.write_page(options.out, "service", page(results, words), results)
    print(f"{text}\nwritten to {options.out}")


def _counters(text: str) -> dict[str, float]:
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines if "_bucket" not in name and "_created" not in name}


def page(results: dict[str, Any], words: list[str]) -> list[str]:
    """Return the results as Markdown paragraphs."""
    asked = results["asked"]
    lines = [provenance.heading(TITLE, "experiments.benchmarks.service_load", words, results["machine"])]
    lines += [f"**{asked['note']}**"] if asked["note"] else []
    packages = ", ".join(f"{name} {number}" for name, number in results["packages"].items())
    lines.append(
        f"{asked['plays']} concurrent plays at {asked['hz']:g} Hz, {asked['each']} per connection, replayed from "
        f"{asked['different']} test plays of `{asked['run']}` by {asked['processes']} processes on the machine of the "
        f"service; {packages}. Latency is measured in the client, from sending a frame until its summary is read. An "
        f"answer is wrong if one of its numbers differs by more than {asked['tolerance']:g} (relative above 1) from "
        f"that of a scorer with a single play, lost if it does not arrive within {TIMEOUT_S:g} s, and mixed if it is "
        "for another play or out of order."
    )
    names = ("steady", "misbehaving", "restart")
    titles = ("alone", "with misbehaving clients", "with a restart")
    parts = [results["parts"][name] for name in names]
    rows = [["seconds", *(f"{each['seconds']:.0f}" for each in parts)]]
    counts = {"frames sent": "frames", "plays finished": "plays", "answers compared": "compared"}
    for title, what in (counts | {name: name for name in ("wrong", "lost", "mixed")}).items():
        rows.append([title, *(f"{each['count'].get(what, 0):,}" for each in parts)])
    for name in ("p50", "p95", "p99", "max"):
        rows.append([f"latency {name}, ms", *(f"{each['latency_ms'][name]:.1f}" for each in parts)])
    cores = ("" if each["cores"] is None else f"{each['cores']:.2f}" for each in parts)
    rows += [
        ["cores used by the service", *cores],
        ["memory at the beginning, MiB", *(f"{_settled(each)[0]:.0f}" for each in parts)],
        ["memory at the end, MiB", *(f"{_settled(each)[1]:.0f}" for each in parts)],
        ["largest memory, MiB", *(f"{max(m for _, m in each['memory_mib']):.0f}" for each in parts)],
        ["open files: largest, after", *(" / ".join(map(str, each["files"])) for each in parts)],
        ["plays open a second after", *(each["open_after"] for each in parts)],
    ]
    lines.append(markdown(["", *titles], rows))
    lines.append(
        "Memory is the service's resident memory. At the beginning and at the end it is the median of the first and "
        "the last fifth of the part; with a restart, of the time since the restart."
    )
    counts = results["parts"]["misbehaving"]["misbehaving"]
    lines.append("Misbehaving clients: " + "; ".join(f"{name}: {n:,}" for name, n in sorted(counts.items())) + ".")
    again, count = results["parts"]["restart"]["restart"], results["parts"]["restart"]["count"]
    closed = ", ".join(f"{n} {name}" for name, n in sorted(count.items()) if name.startswith("closed"))
    outages = results["parts"]["restart"]["outages_s"]
    lines.append(
        f"Restart: SIGTERM ended the service in {again['ended_s']:.1f} s with exit code {again['exit_code']}; "
        f"connections: {closed or 'none closed'}; another service answered {again['away_s']:.1f} s after the signal, "
        f"{count.get('reconnections', 0)} connections were opened again after at most {max(outages, default=0):.1f} s, "
        "and their plays restarted."
    )
    end = results["parts"]["end"]
    lines.append(
        f"Finally, SIGTERM ended it in {end['ended_s']:.1f} s with exit code {end['exit_code']}; its logs have "
        f"{end['tracebacks']} tracebacks."
    )
    return lines


def _settled(each: dict[str, Any]) -> tuple[float, float]:
    memory = [m for _, m in each["memory_mib"]]
    if each["restart"]:
        times = [t for t, _ in each["memory_mib"]]
        memory = memory[int(np.argmax(np.diff(times))) + 1 :]  # the longest pause is the restart
    fifth = max(1, len(memory) // 5)
    return float(np.median(memory[:fifth])), float(np.median(memory[-fifth:]))


if __name__ == "__main__":
    run(command, sys.argv[1:], "interrupted; nothing is written")
