"""The page of the service's load test."""

from typing import Any

import numpy as np

from sbp_jax.runs import provenance
from sbp_jax.service.load.clients import PATIENCE_S

TITLE = "The service under load"


def page(results: dict[str, Any], words: list[str]) -> str:
    """The results as Markdown."""
    asked = results["asked"]
    lines = [provenance.heading(TITLE, "experiments.benchmarks.service_load", words, results["machine"])]
    lines += [f"**{asked['note']}**"] if asked["note"] else []
    packages = ", ".join(f"{name} {number}" for name, number in results["packages"].items())
    lines.append(
        f"{asked['plays']} plays at once at {asked['hz']:g} Hz, {asked['each']} to a connection, replayed from "
        f"{asked['different']} test plays of `{asked['run']}` by {asked['processes']} processes on the machine of the "
        f"service; {packages}. Latency is from the call that sends a frame to the reading of its summary, in the "
        "client. An answer is wrong where a number of it differs by more than "
        f"{asked['tolerance']:g} (relative above 1) from what a scorer that has one play says of it; lost is what did "
        f"not come in {PATIENCE_S:g} s; mixed is what came to another play or in another order."
    )
    names = ("steady", "hostile", "restart")
    titles = ("alone", "beside hostile clients", "with a restart")
    rows = [("", *titles), ("---", *["---:"] * 3)]
    parts = [results["parts"][name] for name in names]

    def row(title: str, values: list[str]) -> None:
        rows.append((title, *values))

    row("seconds", [f"{each['seconds']:.0f}" for each in parts])
    row("frames sent", [f"{each['count'].get('frames', 0):,}" for each in parts])
    row("plays finished", [f"{each['count'].get('plays', 0):,}" for each in parts])
    row("answers compared", [f"{each['count'].get('compared', 0):,}" for each in parts])
    for what in ("wrong", "lost", "mixed"):
        row(what, [f"{each['count'].get(what, 0):,}" for each in parts])
    for name in ("p50", "p95", "p99", "max"):
        row(f"latency {name}, ms", [f"{each['latency_ms'][name]:.1f}" for each in parts])
    row("cores that the service took", ["" if each["cores"] is None else f"{each['cores']:.2f}" for each in parts])
    row("memory at the beginning, MiB", [f"{_settled(each)[0]:.0f}" for each in parts])
    row("memory at the end, MiB", [f"{_settled(each)[1]:.0f}" for each in parts])
    row("largest memory, MiB", [f"{max(m for _, m in each['memory_mib']):.0f}" for each in parts])
    row("open files: largest, after", [" / ".join(map(str, each["files"])) for each in parts])
    row("plays open a second after", [str(each["open_after"]) for each in parts])
    lines.append("\n".join("| " + " | ".join(cells) + " |" for cells in rows))
    lines.append(
        "Memory is the service's resident memory; at the beginning and at the end are medians of the first and the "
        "last fifth of the part, after a restart of what came since."
    )
    hostile = results["parts"]["hostile"]["hostile"]
    lines.append("Hostile clients: " + "; ".join(f"{name}: {n:,}" for name, n in sorted(hostile.items())) + ".")
    again, count = results["parts"]["restart"]["restart"], results["parts"]["restart"]["count"]
    closed = ", ".join(f"{n} {name}" for name, n in sorted(count.items()) if name.startswith("closed"))
    outages = results["parts"]["restart"]["outages_s"]
    lines.append(
        f"Restart: SIGTERM ended the service in {again['ended_s']:.1f} s with exit code {again['exit_code']}; "
        f"connections: {closed or 'none closed'}; another answered {again['away_s']:.1f} s after the signal, "
        f"{count.get('reconnections', 0)} connections were opened anew after at most {max(outages, default=0):.1f} s, "
        "and their plays begun anew."
    )
    end = results["parts"]["end"]
    lines.append(
        f"In the end SIGTERM ended it in {end['ended_s']:.1f} s with exit code {end['exit_code']}; "
        f"its logs have {end['tracebacks']} tracebacks."
    )
    return "\n\n".join(lines) + "\n"


def _settled(each: dict[str, Any]) -> tuple[float, float]:
    memory = [m for _, m in each["memory_mib"]]
    if each["restart"]:
        times = [t for t, _ in each["memory_mib"]]
        memory = memory[int(np.argmax(np.diff(times))) + 1 :]  # the longest pause is the restart
    fifth = max(1, len(memory) // 5)
    return float(np.median(memory[:fifth])), float(np.median(memory[-fifth:]))
