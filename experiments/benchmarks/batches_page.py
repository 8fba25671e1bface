"""Tables of the batches' benchmark, from its results."""

from collections.abc import Mapping, Sequence
from typing import Any

from sbp_jax.reporting.tables import markdown

Rows = Sequence[Mapping[str, Any]]


def speed_table(settings: Mapping[str, Rows]) -> str:
    """Plays a second by allocator setting, beside a copy of the same bytes."""
    header = ["source", "empty slots", "allocator", "plays/s", "plays/s of processor time", "first epoch", "GB/s"]
    columns = ("plays_per_s", "plays_per_processor_s", "first_epoch_per_s")
    cells = [
        [r["source"], f"{r['empty_slots']:.0%}", setting, *(f"{r[c]:,.0f}" for c in columns), f"{r['gb_per_s']:.1f}"]
        for setting, rows in settings.items()
        for r in rows
    ]
    return markdown(header, cells)


def start_table(rows: Rows) -> str:
    """Seconds until plays are there."""
    cells = [
        [r["work"], f"{r['plays']:,}", f"{r['gb']:.2f}", *(f"{r[c]:.2f}" for c in ("seconds", "processor_seconds"))]
        for r in rows
    ]
    return markdown(["work", "plays", "GB", "seconds", "processor seconds"], cells)


def waste_table(rows: Rows) -> str:
    """Padding by number of buckets."""
    cells = [
        [len(r["buckets"]), ", ".join(map(str, r["buckets"])), f"{r['waste']:.1%}", f"{r['equal_steps']:.1%}"]
        for r in rows
    ]
    return markdown(["buckets", "chosen lengths", "waste", "waste of equal steps"], cells)


def records_table(rows: Rows) -> str:
    """Plays a second from records."""
    return markdown(["source", "plays/s"], [[r["source"], f"{r['plays_per_s']:,.0f}"] for r in rows])
