"""Random numbers by game: the numbers of a play never depend on how many other games are simulated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """Purpose of a stream; the outcome has its own, so nothing before the release can depend on it."""

    LEAGUE = 0
    SITUATION = 1
    CALL = 2
    MOTION = 3
    MEASUREMENT = 4
    OUTCOME = 5
    THINNING = 6
    SCHEDULE = 7
    CAREER = 8
    STRENGTH = 9
    RESULT = 10
    REDRAW = 11
    COURSE = 12


@dataclass(frozen=True)
class GameBlock:
    """Games simulated together.

    Attributes:
        index: numbers of the games over all seasons, [games].
        drawn: number of plays of each game, [games].
        kept: which of a game's drawn plays are used, in ascending order, [games]; the others are drawn and discarded.
    """

    index: Sequence[int]
    drawn: Sequence[int]
    kept: Sequence[np.ndarray]

    @property
    def plays(self) -> int:
        """Number of used plays."""
        return sum(map(len, self.kept))

    def whole(self) -> "GameBlock":
        """Return the same games with every drawn play."""
        return replace(self, kept=[np.arange(count) for count in self.drawn])


class GameStreams:
    """One generator per game and purpose; every draw returns rows for the used plays of all games, in order."""

    def __init__(self, seed: int, purpose: Purpose, block: GameBlock):
        self._generators = [np.random.default_rng([seed, int(purpose), game]) for game in block.index]
        self._drawn, self._kept = list(block.drawn), list(block.kept)

    def normal(self, *shape: int) -> np.ndarray:
        """Return standard normal draws, [plays, *shape]."""
        return self._gather(lambda generator, rows: generator.standard_normal((rows, *shape)))

    def normal_single(self, *shape: int) -> np.ndarray:
        """Return standard normal draws in single precision, [plays, *shape], for large noise arrays."""
        return self._gather(lambda generator, rows: generator.standard_normal((rows, *shape), dtype=np.float32))

    def uniform(self, low: float | int = 0.0, high: float | int = 1.0, *shape: int) -> np.ndarray:
        """Return uniform draws on [low, high), [plays, *shape]."""
        return self._gather(lambda generator, rows: generator.uniform(low, high, (rows, *shape)))

    def gamma(self, shape_parameter: float, *shape: int) -> np.ndarray:
        """Return gamma draws of unit scale, [plays, *shape]."""
        return self._gather(lambda generator, rows: generator.gamma(shape_parameter, size=(rows, *shape)))

    def pick(self, weights: np.ndarray) -> np.ndarray:
        """Return indices [plays] drawn with weights [options] or [plays, options]; rows need not sum to one."""
        cumulative = np.cumsum(weights / np.sum(weights, axis=-1, keepdims=True), axis=-1)
        cumulative[..., -1] = 1.0
        return np.sum(self.uniform()[:, None] >= cumulative, axis=-1)

    def _gather(self, draw) -> np.ndarray:
        # draw all plays of a game even if only some are used, so that a play stays the same
        rows = zip(self._generators, self._drawn, self._kept, strict=True)
        return np.concatenate([draw(generator, count)[indices] for generator, count, indices in rows])
