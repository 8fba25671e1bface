"""What is said of a play while it unfolds, and when it has ended."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """What the distribution says of a play after so many of its frames.

    Attributes:
        frames: so far.
        seconds: from the first of them to the last.
        median: in the unit of the outcome, yards as a rule; not beyond the goal line, wherever the network's
            distribution is.
        quantiles: by level; likewise.
        expected: mean of the outcome; of a gain in yards that of integer yards, which the goal line stops and which is
            at least -40.
        first_down, touchdown, loss: probabilities of a gain as far as the first down, as far as the goal line, and
            below zero; None where the distance is not known or the outcome is no gain in yards.
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
    """The whole distribution in cells.

    Attributes:
        edges: [C + 1] of the cells, not to be written to; those of gains in yards are centerd on integer yards.
        probability: [C], summing to 1; what lies beyond counts in the outermost cells.
    """

    edges: np.ndarray
    probability: np.ndarray

    @property
    def centers(self) -> np.ndarray:
        """[C] middles of the cells: the integer yards themselves."""
        return (self.edges[:-1] + self.edges[1:]) / 2


@dataclass(frozen=True)
class Score:
    """The score of a play that has ended, as `Run.score` has it.

    Attributes:
        yards: the outcome.
        median: what was predicted at the last frame, not beyond the goal line.
        pit_low, pit, pit_high: P(Y < y), the (mid-)PIT, P(Y <= y).
        score: its normal score.
        passing_score: from 50 to 99, by the league saved with the run; None where there is none.
    """

    yards: float
    median: float
    pit_low: float
    pit: float
    pit_high: float
    score: float
    passing_score: float | None
