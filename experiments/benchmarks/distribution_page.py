"""Tables and figure of the law's benchmark, from its results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sbp_jax.reporting.style import COLOURS, figure
from sbp_jax.reporting.tables import markdown

Rows = Sequence[Mapping[str, Any]]


def peer_table(settings: Mapping[str, Rows]) -> str:
    """Milliseconds of both sides by allocator setting; a ratio is of two figures of one process, measured in turn."""
    header = ["work", "rows", "allocator", "gluonts, ms", "ours, ms", "times faster", "to reach"]
    lines = []
    for setting, rows in settings.items():
        for row in rows:
            peer = row["peer_ms"]
            shown, ratio = ("not installed", "") if peer is None else (f"{peer:.1f}", f"{peer / row['ours_ms']:.1f}")
            lines.append(
                [row["work"], f"{row['rows']:,}", setting, shown, f"{row['ours_ms']:.2f}", ratio, str(row["target"])]
            )
    return markdown(header, lines)


def steps_table(rows: Rows) -> str:
    """What each form of the log-likelihood costs."""
    header = ["form", "rows", "forward, ms", "with gradient, ms", "memory forward", "memory with gradient"]
    columns = ("forward_ms", "gradient_ms", "forward_memory", "gradient_memory")
    return markdown(header, [[r["form"], f"{r['rows']:,}", *(f"{r[c]:.2f}" for c in columns)] for r in rows])


def growth_table(rows: Rows) -> str:
    """Time over rows and bins, nanoseconds for each row and bin, and the same of a copy of the logits."""
    cells = [
        [
            f"{r['rows']:,}",
            r["bins"],
            f"{r['gradient_ms']:.2f}",
            *(f"{1e6 * r[work] / (r['rows'] * r['bins']):.2f}" for work in ("gradient_ms", "copy_ms")),
        ]
        for r in rows
    ]
    return markdown(["rows", "bins", "with gradient, ms", "ns per row and bin", "copy of the logits, ns"], cells)


def bandwidth_table(rows: Rows) -> str:
    """Bytes moved against the device's own copy."""
    cells = [[r["work"], f"{r['ms']:.3f}", f"{r['gb_per_s']:.0f}", f"{r['share_of_copy']:.0%}"] for r in rows]
    return markdown(["work at 2^20 x 100", "ms", "GB/s", "share of the copy"], cells)


def growth_figure(path: Path, rows: Rows, fixed_bins: int) -> None:
    """Time against rows and against bins, on logarithmic axes, beside lines of linear growth."""
    by_rows = [r for r in rows if r["bins"] == fixed_bins and r["rows"] != 16384]
    by_bins = [r for r in rows if r["rows"] == 16384]
    with figure(path, 9.0, 3.6) as drawing:
        panels = ((by_rows, "rows", f"{fixed_bins} bins"), (by_bins, "bins", "16,384 rows"))
        for ax, (points, axis, title) in zip(drawing.subplots(1, 2), panels, strict=True):
            x, y = [p[axis] for p in points], [p["gradient_ms"] for p in points]
            ax.loglog(x, y, "o-", color=COLOURS["sbp"], label="likelihood and gradient")
            ax.loglog(x, [p["copy_ms"] for p in points], "--", color="grey", label="copy of the logits")
            middle = len(x) // 2
            ax.loglog(x, [y[middle] * v / x[middle] for v in x], ":", color="black", label="linear")
            ax.set(xlabel=axis, ylabel="milliseconds", title=title)
            ax.legend()
