"""One page on a prepared data set: accepted and rejected plays, and distributions of the accepted plays."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbp_jax.reporting.style import COLORS, figure

if TYPE_CHECKING:
    import matplotlib.axes

_LINE, _MIN_ROOM, _MAX_BARS = 26, 6, 16


def quality_page(path: Path, report: Mapping[str, Any]) -> None:
    """Plot accepted and rejected plays, repairs, and distributions of frames, outcomes, positions and tracked players.

    Args:
        path: PNG to write.
        report: the data set's report.json.
    """
    distributions = report["distributions"]
    with figure(path, 12.0, 7.2) as drawing:
        fate, repairs, positions, frames, outcomes, num_players = drawing.subplots(2, 3).ravel()
        _bars(fate, {"accepted": report["plays"], **report["rejected"]}, f"{report['read']:,} plays read")
        _bars(repairs, report["repaired"], "repairs, rows or plays")
        _bars(positions, distributions["positions"], "players in plays by position")
        _numbers(frames, distributions["frames"], "frames from snap to release (10 Hz)")
        _numbers(outcomes, distributions["outcomes"], "outcome", logarithmic=True)
        _numbers(num_players, distributions["players"], "tracked players in a play")
        num_players.set_xlim(0, 23)
        drawing.suptitle(f"{report['format']}: {report['plays']:,} plays")


def _bars(ax: "matplotlib.axes.Axes", counts: Mapping[str, int], title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_title(title)
    if not counts:
        ax.text(0.5, 0.5, "none", ha="center", va="center", transform=ax.transAxes)
        ax.set_axis_off()
        return
    largest = sorted(counts.items(), key=lambda item: item[1])[-_MAX_BARS:]
    bars = ax.barh(range(len(largest)), [count for _, count in largest], height=0.8, color=COLORS["sbp"])
    ax.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=7)
    ax.set_yticks(range(len(largest)), [textwrap.fill(name, _LINE) for name, _ in largest], fontsize=7)
    # few bars are as thin as many
    ax.set_ylim(min(-0.6, len(largest) - 0.4 - _MIN_ROOM), len(largest) - 0.4)
    ax.margins(x=0.15)
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _numbers(ax: "matplotlib.axes.Axes", counts: Mapping[str, int], title: str, logarithmic: bool = False) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.bar([float(value) for value in counts], list(counts.values()), width=0.9, color=COLORS["sbp"])
    ax.set(title=title, ylabel="plays")
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    if logarithmic:
        ax.set_yscale("log")
