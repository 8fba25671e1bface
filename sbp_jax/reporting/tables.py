"""Markdown tables from results; imports nothing but the standard library."""

import string
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

# names of the models in tables and figures
NAMES = {
    "sbp": "SBP network",
    "gaussian": "Gaussian network",
    "marginal": "Marginal SBP",
    "oracle": "Oracle (true distribution)",
}

# column -> heading and digits, for the columns present in a leaderboard
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


class _Fields(string.Formatter):
    """Format strings in which None formats as an empty string."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return "" if value is None else format(value, format_spec)


_FIELDS = _Fields()


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    first, *rest = ("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in (header, *rows))
    return "\n".join([first, "| --- |" + " ---: |" * (len(header) - 1), *rest])


def records_table(template: str, records: Iterable[Mapping[str, Any]]) -> str:
    """Return a Markdown table with one row per record.

    Args:
        template: two lines, the headings and a row, with cells between "|". A cell is a format string over a record's
            fields, such as `{seconds:.1f}`; a field that is None formats as an empty string.
        records: the rows.
    """
    header, row = ([cell.strip() for cell in line.split("|")] for line in template.strip().splitlines())
    return markdown(header, [[_FIELDS.vformat(cell, (), record) for cell in row] for record in records])


def metrics_table(models: Mapping[str, Mapping[str, Any]], unit: str = "yd") -> str:
    """Return a table of each model's NLL, CRPS, MAE of the median and PP error by region; `unit` may be empty."""
    of = f", {unit}" if unit else ""
    header = ["model", "NLL, nats", f"CRPS{of}", f"MAE{of}", "PP lower", "PP base", "PP upper", "PP full"]
    rows = [
        [NAMES.get(name, name), f"{m['nll']:.4f}", _error(m["crps"], 4), _error(m["mae"], 3)]
        + [f"{m['pp'][region]:.4f}" for region in ("lower", "base", "upper", "full")]
        for name, m in models.items()
    ]
    return markdown(header, rows)


def _error(value: float, digits: int) -> str:
    """An error in the outcome's unit; a small one keeps three significant digits."""
    return f"{value:.3g}" if 0 < value < 0.1 else f"{value:.{digits}f}"


def leaderboard_table(table: "pl.DataFrame", most: int = 40) -> str:
    """Return the first rows of a leaderboard from `sbp_jax.scoring.aggregate`, with further ratings if it has any."""
    groups = [name for name in table.columns[: table.columns.index("plays")] if name not in _HIDDEN]
    ours = {"passing_score", "passing_low", "passing_high", "shrunk", "low", "high", "bootstrap_low", "bootstrap_high"}
    ours |= {"standard_error", "pit", "games", "plays", "passer_id", *groups, *SHOWN, "completion_percentage"}
    columns = {name: each for name, each in SHOWN.items() if name in table.columns}
    further = [name for name in table.columns if name not in ours]
    header = ["rank", *groups, "plays", "games", "passing score", "90 % interval"]
    header += [heading for heading, _ in columns.values()] + further
    rows = []
    for rank, row in enumerate(table.head(most).iter_rows(named=True), start=1):
        cells = [rank, *(_text(row[name]) for name in groups), row["plays"], row["games"]]
        cells += [f"{row['passing_score']:.1f}", f"{row['passing_low']:.1f} to {row['passing_high']:.1f}"]
        cells += ["" if row[name] is None else f"{row[name]:.{digits}f}" for name, (_, digits) in columns.items()]
        rows.append([*cells, *(_text(row[name]) for name in further)])
    return markdown(header, rows)


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
