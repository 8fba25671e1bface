"""A leaderboard of passing scores as a Markdown table."""

import polars as pl

from sbp_jax.reporting.tables import markdown

# column -> heading and digits; those that a leaderboard has
SHOWN = {
    "score": ("mean score", 3),
    "reliability": ("reliability", 2),
    "passer_rating": ("passer rating", 1),
    "any_a": ("ANY/A", 2),
    "cpoe": ("CPOE", 1),
    "success_over_expectation": ("success over expectation", 1),
    "epa_per_play": ("EPA/play", 3),
}
_HIDDEN = ("passer_id",)


def leaderboard_table(table: pl.DataFrame, most: int = 40) -> str:
    """The first rows of what `sbp_jax.scoring.aggregate` returns, and further ratings where there are some."""
    groups = [name for name in table.columns[: table.columns.index("plays")] if name not in _HIDDEN]
    ours = {"passing_score", "passing_low", "passing_high", "shrunk", "low", "high", "bootstrap_low", "bootstrap_high"}
    ours |= {"standard_error", "pit", "games", "plays", "passer_id", *groups, *SHOWN, "completion_percentage"}
    shown = {name: each for name, each in SHOWN.items() if name in table.columns}
    further = [name for name in table.columns if name not in ours]
    header = ["rank", *groups, "plays", "games", "passing score", "90 % interval"]
    header += [heading for heading, _ in shown.values()] + further
    rows = []
    for rank, row in enumerate(table.head(most).iter_rows(named=True), start=1):
        cells = [rank, *(_text(row[name]) for name in groups), row["plays"], row["games"]]
        cells += [f"{row['passing_score']:.1f}", f"{row['passing_low']:.1f} to {row['passing_high']:.1f}"]
        cells += ["" if row[name] is None else f"{row[name]:.{digits}f}" for name, (_, digits) in shown.items()]
        rows.append([*cells, *(_text(row[name]) for name in further)])
    return markdown(header, rows)


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
