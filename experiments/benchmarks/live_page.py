"""Tables and figure of the latency of live scoring, from its results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sbp_jax.reporting.style import figure as canvas
from sbp_jax.reporting.tables import markdown

Rows = Sequence[Mapping[str, Any]]


def calls_table(settings: Mapping[str, Rows], targets: Mapping[str, tuple[float, float | None]]) -> str:
    """Median / 99th percentile in ms by work and form, what is wanted, and how often ours is as fast as the peer."""
    cells = []
    forms = list(dict.fromkeys(row["form"] for rows in settings.values() for row in rows))
    for setting, rows in settings.items():
        told = {(row["work"], row["form"]): row for row in rows}
        for work in dict.fromkeys(row["work"] for row in rows):
            found = [told.get((work, form)) for form in forms]
            times = ["" if row is None else f"{row['median_ms']:.3f} / {row['p99_ms']:.3f}" for row in found]
            median, p99 = targets.get(work, (None, None))
            wanted = "" if median is None else f"{median:g}" + ("" if p99 is None else f" / {p99:g}")
            peer, ours = told.get((work, "peer, traced")), told.get((work, "default network"))
            ratio = "" if peer is None or ours is None else f"{peer['median_ms'] / ours['median_ms']:.1f}"
            cells.append([work, setting, *times, wanted, ratio])
    return markdown(["work", "allocator", *forms, "wanted", "traced peer / default"], cells)


def cold_table(rows: Rows) -> str:
    """Seconds of import and loading, milliseconds of the first frames."""
    cells = [
        [
            f"{row['import_s']:.2f}",
            f"{row['load_s']:.2f}",
            f"{row['first_frame_ms']:.2f}",
            f"{row['third_frame_ms']:.2f}",
            f"{row['process_s']:.2f}",
        ]
        for row in rows
    ]
    return markdown(["import, s", "load, s", "first frame, ms", "third frame, ms", "whole process, s"], cells)


def season_text(result: Mapping[str, Any]) -> str:
    """Seconds of a season's scores."""
    first, *others = result["seconds"]
    mean = result["frames"] / result["plays"]
    return (
        f"{result['plays']:,} plays of {mean:.0f} frames in the mean, in batches of 256 on all cores, to their play "
        f"scores: {first:.1f} seconds with compilation, then "
        f"{' and '.join(f'{each:.1f}' for each in others)}; 10 are wanted."
    )


def figure(rows: Rows, path: Path) -> None:
    """Median latency by work and form with the 99th percentile, on a logarithmic axis."""
    works = list(dict.fromkeys(row["work"] for row in rows))
    forms = list(dict.fromkeys(row["form"] for row in rows))
    colours = ["#0072B2", "#56B4E9", "#D55E00", "#E69F00"]
    with canvas(path, 7.5, 0.45 * len(works) + 1.6) as fig:
        axes = fig.subplots()
        for i, form in enumerate(forms):
            told = {row["work"]: row for row in rows if row["form"] == form}
            place = [works.index(work) + 0.17 * (i - (len(forms) - 1) / 2) for work in told]
            median = [row["median_ms"] for row in told.values()]
            beyond = [row["p99_ms"] - row["median_ms"] for row in told.values()]
            axes.errorbar(
                median, place, xerr=[[0] * len(beyond), beyond], fmt="o", ms=4, color=colours[i % 4], label=form
            )
        axes.set(xscale="log", xlabel="latency, ms (point: median; bar: to the 99th percentile)")
        axes.set_yticks(range(len(works)), works)
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
