"""Markdown tables from results; imports nothing but the standard library."""

from collections.abc import Mapping, Sequence
from typing import Any

# how tables and figures call the models
NAMES = {
    "sbp": "SBP network",
    "gaussian": "Gaussian network",
    "marginal": "Marginal SBP",
    "oracle": "Oracle (true law)",
}


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    first, *rest = ("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in (header, *rows))
    return "\n".join([first, "| --- |" + " ---: |" * (len(header) - 1), *rest])


def metrics_table(models: Mapping[str, Mapping[str, Any]], unit: str = "yd") -> str:
    """The figures of each model: NLL, CRPS, MAE of the median, PP error by region; `unit` of outcomes, "" for none."""
    of = f", {unit}" if unit else ""
    header = ["model", "NLL, nats", f"CRPS{of}", f"MAE{of}", "PP lower", "PP base", "PP upper", "PP full"]
    rows = [
        [NAMES.get(name, name), f"{m['nll']:.4f}", f"{m['crps']:.4f}", f"{m['mae']:.3f}"]
        + [f"{m['pp'][region]:.4f}" for region in ("lower", "base", "upper", "full")]
        for name, m in models.items()
    ]
    return markdown(header, rows)
