"""Time and memory of preparing data sets against their size."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sbp_jax.reporting.style import COLOURS, figure


def growth_figure(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Seconds and peak memory against plays, beside a line through the origin and the largest point.

    Args:
        path: PNG to write.
        rows: `plays`, `simulate_s`, `prepare_s` [seconds] and `peak_gib`, one a size.
    """
    plays = [row["plays"] for row in rows]
    with figure(path, 9.0, 3.4) as drawing:
        seconds, memory = drawing.subplots(1, 2)
        for column, label, colour in (("prepare_s", "prepare", "sbp"), ("simulate_s", "simulate", "marginal")):
            seconds.plot(plays, [row[column] for row in rows], "o-", color=COLOURS[colour], label=label)
        last = rows[-1]
        seconds.plot([0, last["plays"]], [0, last["prepare_s"]], ":", color="black", label="linear")
        seconds.set(xlabel="plays", ylabel="seconds", title="time")
        seconds.legend()
        memory.plot(plays, [row["peak_gib"] for row in rows], "o-", color=COLOURS["sbp"])
        memory.set(xlabel="plays", ylabel="GiB", title="peak memory of preparing", ylim=(0, None))
