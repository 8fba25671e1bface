"""The benchmark of sweeps as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from sbp_jax.reporting.tables import markdown


def sweep_table(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """By allocator: milliseconds a step of all, plays/s, times as fast as in sequence, seconds of the first call."""
    header = ["members, way", "allocator", "ms a step of all", "plays/s", "times in sequence", "first call, s"]
    return markdown(
        header,
        [
            [
                f"{row['members']}, {row['way']}",
                setting,
                f"{row['ms']:,.1f}",
                f"{row['plays_per_s']:,.0f}",
                f"{row['ratio']:.2f}",
                f"{row['first_s']:.1f}",
            ]
            for setting, rows in results.items()
            for row in rows
        ],
    )
