"""Random numbers drawn game by game: a play's numbers never depend on how many other games are simulated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for; the outcome has its own, so nothing before the release can depend on it."""

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


@dataclass(frozen=True)
class GameBlock:
    """Games simulated together: `index` [games] counts games over all seasons, `drawn` is the number of plays of each.

    `kept` [games] holds, in rising order, which of a game's drawn plays are wanted; the others are drawn and forgotten.
    """

    index: Sequence[int]
    drawn: Sequence[int]
    kept: Sequence[np.ndarray]

    @property
    def plays(self) -> int:
        """Number of wanted plays."""
        return sum(map(len, self.kept))

    def whole(self) -> "GameBlock":
        """The same games with every drawn play."""
        return replace(self, kept=[np.arange(drawn) for drawn in self.drawn])


class GameStreams:
    """One generator a game and purpose; every draw returns rows for the kept plays of all games, in order."""

    def __init__(self, seed: int, purpose: Purpose, block: GameBlock):
        self._generators = [np.random.default_rng([seed, int(purpose), game]) for game in block.index]
        self._drawn, self._kept = list(block.drawn), list(block.kept)

    def normal(self, *shape: int) -> np.ndarray:
        """Standard normal draws, [plays, *shape]."""
        return self._gather(lambda generator, rows: generator.standard_normal((rows, *shape)))

    def normal_single(self, *shape: int) -> np.ndarray:
        """Standard normal draws in single precision, [plays, *shape]: for large noise arrays."""
        return self._gather(lambda generator, rows: generator.standard_normal((rows, *shape), dtype=np.float32))

    def uniform(self, low: float | int = 0.0, high: float | int = 1.0, *shape: int) -> np.ndarray:
        """Uniform draws on [low, high), [plays, *shape]."""
        return self._gather(lambda generator, rows: generator.uniform(low, high, (rows, *shape)))

    def gamma(self, shape_parameter: float, *shape: int) -> np.ndarray:
        """Gamma draws of unit scale, [plays, *shape]."""
        return self._gather(lambda generator, rows: generator.gamma(shape_parameter, size=(rows, *shape)))

    def pick(self, weights: np.ndarray) -> np.ndarray:
        """Index drawn with the given weights, [options] or [plays, options] (rows need not sum to one); [plays]."""
        cumulative = np.cumsum(weights / np.sum(weights, axis=-1, keepdims=True), axis=-1)
        cumulative[..., -1] = 1.0
        return np.sum(self.uniform()[:, None] >= cumulative, axis=-1)

    def _gather(self, draw) -> np.ndarray:
        # A whole game is drawn even when only some of its plays are kept: a play then stays the same.
        rows = zip(self._generators, self._drawn, self._kept, strict=True)
        return np.concatenate([draw(generator, drawn)[kept] for generator, drawn, kept in rows])
