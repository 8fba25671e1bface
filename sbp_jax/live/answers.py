"""Results for a play: while it unfolds, and after it has ended."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Summary of the predictive distribution after a number of frames.

    Attributes:
        frames: number of frames so far.
        seconds: time from the first frame to the last.
        median: median in the unit of the outcome, usually yards; never beyond the goal line, even if the network's
            distribution is.
        quantiles: quantiles by level, bounded like the median.
        expected: mean of the outcome; for a gain, the mean of integer yards, at least -40 and at most the yards to the
            goal line.
        first_down, touchdown, loss: probabilities that the gain reaches the first down, reaches the goal line, or is
            negative; None if the distance is unknown or the outcome is not a gain in yards.
    """

    frames: int
    seconds: float
    median: float
    quantiles: Mapping[float, float]
    expected: float
    first_down: float | None
    touchdown: float | None
    loss: float | None


@dataclass(frozen=True, eq=False)
class Distribution:
    """The predictive distribution in cells.

    Attributes:
        edges: [C + 1], read-only edges of the cells; for gains in yards, the cells are centered on integer yards.
        probability: [C], summing to 1; the outermost cells include the probability beyond them.
    """

    edges: np.ndarray
    probability: np.ndarray

    @property
    def centers(self) -> np.ndarray:
        """Midpoints of the cells [C]: the integer yards for gains."""
        return (self.edges[:-1] + self.edges[1:]) / 2


@dataclass(frozen=True)
class Score:
    """The score of a completed play, equal to that of `Run.score`.

    Attributes:
        outcome: the outcome.
        median: predictive median at the last frame, never beyond the goal line.
        pit_low, pit, pit_high: P(Y < y), the (mid-)PIT, P(Y <= y).
        score: the normal score.
        passing_score: from 50 to 99, relative to the league saved with the run; None without a league.
    """

    outcome: float
    median: float
    pit_low: float
    pit: float
    pit_high: float
    score: float
    passing_score: float | None
