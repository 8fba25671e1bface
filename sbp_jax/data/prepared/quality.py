"""Distributions of a data set's plays: counts by number of frames, outcome, result and position."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.tracking import TrackingChunk

UNKNOWN = "unknown"
_NUMBERS = {"frames": "frames, snap to release", "outcomes": "outcome", "players": "tracked players"}
_WORDS = {"results": "results", "positions": "positions", "formats": "format"}


@dataclass
class Distributions:
    """Counts of kept plays, accumulated chunk by chunk; those of parts add up with `+`.

    Args:
        frames: plays by number of frames from snap to release, at 10 Hz.
        outcomes: plays by the requested outcome.
        results: plays by result code (C, I, IN).
        players: plays by number of tracked players, at most 22.
        positions: players in plays by position, "unknown" if no file has it.
        formats: plays by the tracking format of their file.
    """

    frames: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)
    players: Counter[str] = field(default_factory=Counter)
    positions: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)

    def add(self, chunk: TrackingChunk) -> None:
        """Count the plays of a chunk."""
        people = chunk.frames.unique([*PLAY, "player_id"]).select(*PLAY, pl.col("position").fill_null(UNKNOWN))
        self.frames.update(str(n) for n in chunk.plays["frames"])
        self.outcomes.update(f"{y:.9g}" for y in chunk.plays["outcome"])
        self.results.update(chunk.plays["result"].fill_null(UNKNOWN))
        counts = chunk.plays.select(PLAY).join(people.group_by(PLAY).len(), on=PLAY, how="left")["len"]
        self.players.update(str(n) for n in counts.fill_null(0))
        self.positions.update(people["position"])
        self.formats.update(chunk.plays["format"])

    def __add__(self, other: "Distributions") -> "Distributions":
        names = (*_NUMBERS, *_WORDS)
        return Distributions(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return plain counts: numbers in order, words by frequency."""
        numbers = {
            name: dict(sorted(getattr(self, name).items(), key=lambda item: float(item[0]))) for name in _NUMBERS
        }
        words = {
            name: dict(sorted(getattr(self, name).items(), key=lambda item: (-item[1], item[0]))) for name in _WORDS
        }
        return numbers | words


def to_markdown(distributions: dict[str, dict[str, int]]) -> str:
    """Return the counts as a Markdown table: median and range of numbers, percentages of words."""
    lines = ["| of kept plays | |", "| --- | --- |"]
    for name, title in _NUMBERS.items():
        counts = distributions[name]
        numbers = np.repeat([float(v) for v in counts], list(counts.values()))
        lowest, low, middle, high, highest = np.quantile(numbers, (0.0, 0.05, 0.5, 0.95, 1.0), method="nearest")
        text = f"median {middle:g}, 5 to 95 %: {low:g} to {high:g}, range {lowest:g} to {highest:g}"
        lines.append(f"| {title} | {text} |")
    for name, title in _WORDS.items():
        total = sum(distributions[name].values())
        shares = ", ".join(f"{word} {count / total:.1%}" for word, count in distributions[name].items())
        lines.append(f"| {title} | {shares} |")
    return "\n".join(lines)
