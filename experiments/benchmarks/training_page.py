"""Tables of the training's benchmark, from its results."""

from collections.abc import Mapping, Sequence
from typing import Any

from sbp_jax.reporting.tables import markdown

Rows = Sequence[Mapping[str, Any]]


def step_table(settings: Mapping[str, Rows], forms: Sequence[str]) -> str:
    """Plays a second by batch size and allocator setting, and how often ours is as fast as the peer."""
    cells = []
    for setting, rows in settings.items():
        for row in rows:
            speeds = [
                "not installed" if row[form] is None else f"{1e3 * row['plays'] / row[form]:,.0f}" for form in forms
            ]
            ratio = "" if row["peer"] is None else f"{row['peer'] / row['ours']:.2f}"
            cells.append([f"{row['plays']:,}", setting, *speeds, ratio])
    return markdown(["plays a step", "allocator", *forms, "ours / peer"], cells)


def floor_table(floor: Mapping[str, Any], steps: Rows) -> str:
    """Operations of a step of 256 plays, and their rate as a share of a large matrix product's."""
    (at,) = (row for row in steps if row["plays"] == 256)
    cells = [["matrix product", f"{2 * floor['size'] ** 3 / 1e9:.2f}", f"{floor['flops_per_s'] / 1e9:,.0f}", "100%"]]
    for form, flops in floor["step_flops"].items():
        rate = flops / (1e-3 * at[form])
        cells.append([form, f"{flops / 1e9:.2f}", f"{rate / 1e9:,.0f}", f"{rate / floor['flops_per_s']:.0%}"])
    return markdown(["work", "10^9 operations", "10^9 a second", "share of the product's"], cells)


def shares_table(rows: Rows) -> str:
    """Milliseconds of each piece of a step."""
    return markdown(["network", "piece", "ms"], [[r["network"], r["piece"], f"{r['ms']:.1f}"] for r in rows])


def epochs_text(result: Mapping[str, Any]) -> str:
    """Seconds of whole epochs on the device."""
    times = result["seconds"]
    rest = sum(times[1:]) / max(len(times) - 1, 1)
    return (
        f"{result['plays']:,} plays of {result['frames']} frames, half of them reflected, {len(times)} epochs of the "
        f"default network in batches of {result['batch_size']}: {sum(times):.0f} seconds, {times[0]:.1f} of them for "
        f"the first one with its compilation; {result['plays'] / rest:,.0f} plays/s after it."
    )
