"""The HTML report: one file with its data, its script and Plotly's script, usable offline.

The page itself is in `page/`; this module builds its parts from results: calibration, positions, densities.
"""

import base64
import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sbp_jax.errors import needs

NOWHERE = -32768  # coordinate of an absent player
LEVELS = np.concatenate([np.linspace(0.001, 0.049, 25), np.linspace(0.05, 0.95, 91), np.linspace(0.951, 0.999, 25)])
BARS = 20


def write_report(path: Path, data: Mapping[str, Any]) -> None:
    """Write the page with its data as JSON; numbers that are not finite become null.

    Raises:
        InputError: the extra `report` is not installed.
    """
    needs("report")
    from plotly.offline import get_plotlyjs

    page = files("sbp_jax.reporting") / "page"
    parts = {
        "title": html.escape(data["title"]),
        "css": (page / "page.css").read_text(encoding="utf-8"),
        "js": (page / "page.js").read_text(encoding="utf-8"),
        "plotly": get_plotlyjs(),
        "data": _embedded(_plain(data)),
    }
    # in one pass: a title may contain the placeholder of another part
    template = (page / "page.html").read_text(encoding="utf-8")
    text = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="replace")  # a path that is not UTF-8 contains surrogates


def _embedded(value: Any) -> str:
    """JSON that a script element may contain: `<!--<script>` and `</script>` would end or swallow the element."""
    content = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", content)


def calibration(plays: pl.DataFrame, strata: Mapping[str, pl.Series]) -> dict[str, Any]:
    """Return the PIT histogram, PP curve and mean PIT by stratum of scored plays.

    The PIT of an integer is spread evenly between `pit_low` and `pit_high` (Czado, Gneiting and Held 2009), without
    random numbers: it is uniform under the true distribution.

    Args:
        plays: columns `pit`, `pit_low`, `pit_high`, `game_id`.
        strata: stratum of each play by name, null for no stratum; means by stratum have 90 % intervals over games.
    """
    low, high = (plays[name].cast(pl.Float64).to_numpy() for name in ("pit_low", "pit_high"))
    edges = np.linspace(0, 1, BARS + 1)
    rows = []
    for name, stratum in strata.items():
        table = plays.select("game_id", pit=pl.col("pit").cast(pl.Float64)).with_columns(stratum=stratum).drop_nulls()
        games = table.group_by("stratum", "game_id").agg(total=pl.col("pit").sum(), n=pl.len())
        for value in table["stratum"].unique().sort():
            group = games.filter(pl.col("stratum") == value)
            total, n = group["total"].to_numpy(), group["n"].to_numpy()
            mean = total.sum() / n.sum()
            # standard error of a ratio of sums over games
            spread = math.sqrt(float(np.sum((total - mean * n) ** 2))) / n.sum()
            rows.append({"name": f"{name} {value}", "mean": mean, "half": 1.645 * spread, "plays": int(n.sum())})
    return {
        "histogram": np.diff(_shares(low, high, edges)) * BARS,
        "levels": LEVELS,
        "shares": _shares(low, high, LEVELS),
        "strata": rows,
        "note": (
            f"{len(plays):,} plays. For a calibrated distribution the histogram is flat and the curves are diagonal."
        ),
    }


def encode_positions(frames: np.ndarray, present: np.ndarray) -> str:
    """Encode positions of 22 players [T, 22, 2] in yards as base64 of integer hundredths, `NOWHERE` if absent."""
    hundredths = np.clip(np.rint(100 * frames), NOWHERE + 1, -NOWHERE - 1)
    return _base64(np.where(present[:, :, None], hundredths, NOWHERE).astype("<i2"))


def encode_densities(mass: np.ndarray) -> tuple[str, float]:
    """Encode probabilities [T, bins] as base64 of bytes v, with p = peak (v / 255)^2, and return the peak too."""
    peak = max(float(mass.max()), 1e-9)
    return _base64(np.rint(255 * np.sqrt(np.clip(mass, 0, None) / peak)).astype(np.uint8)), peak


def _shares(low: np.ndarray, high: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Mean over plays of the probability that a PIT uniform on [low, high] is at most each level."""
    width = np.maximum(high - low, 1e-12)
    return np.array([np.mean(np.clip((level - low) / width, 0, 1)) for level in levels])


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
