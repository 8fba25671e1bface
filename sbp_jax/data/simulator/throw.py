"""Throws to a known receiver: what all distributions of the simulator share, and how outcomes are drawn from them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

import numpy as np

from sbp_jax.data.simulator.streams import GameStreams

MAX_LOSS = 12
MAX_RETURN = 100
CATCH_REACH = 20  # maximum scatter of the catch depth, in yards either way
RETURN_NONE, RETURN_SHAPE, RETURN_SCALE = 0.4, 0.1, 14.0
COMPLETE, INCOMPLETE, INTERCEPTED = "C", "I", "IN"


@dataclass(frozen=True)
class Outcomes:
    """Results of the passes, [plays] each: `result` C, I or IN, catch depth, yards, net yards, all in integer
    yards."""

    result: np.ndarray
    catch_yards: np.ndarray
    yards: np.ndarray
    net_yards: np.ndarray


Chances = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Throw(ABC):
    """Distribution of the yards of throws to a known receiver, at any skill; all arrays [plays].

    A completion gains the depth of the catch and the yards after it, of three kinds: tackled at the catch, free, and
    breaking away. The goal line censors the gain, and the own goal line the loss.

    Attributes:
        yards_to_goal: from the line of scrimmage.
        return_limit_yards: maximum interception return.
    """

    yards_to_goal: np.ndarray
    return_limit_yards: np.ndarray

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the column names of the parameters."""
        return tuple(field.name for field in fields(cls))

    @abstractmethod
    def chances(self, skill: np.ndarray | float) -> Chances:
        """Return P(complete), P(intercepted), P(tackled | complete), P(breaks away | complete).

        `skill` is a number or [plays].
        """

    @property
    @abstractmethod
    def center(self) -> np.ndarray:
        """Middle of the range of catch depths in yards, an integer."""

    @abstractmethod
    def catch_cdf(self, offset: np.ndarray) -> np.ndarray:
        """Return P(catch depth <= center + offset) before rounding and clipping, [plays, offsets]."""

    @abstractmethod
    def catch_quantile(self, u: np.ndarray) -> np.ndarray:
        """Return the catch depth before rounding and clipping that has probability `u` [plays] below it."""

    @abstractmethod
    def run_cdfs(self, yards: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return P(C <= yards) if tackled at the catch, free, and breaking away; `yards` [plays, values]."""

    @abstractmethod
    def run_quantiles(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the integers C of the same three kinds that reach probability `u` [plays]."""

    def catch_offset_pmf(self) -> np.ndarray:
        """Return P(catch depth = center + j), j = -20 .. 20, [plays, 41]; rows sum to one."""
        edges = np.arange(-CATCH_REACH, CATCH_REACH) + 0.5
        return np.diff(self.catch_cdf(edges), prepend=0.0, append=1.0, axis=1)

    def largest_loss(self) -> np.ndarray:
        """Return the maximum loss of a completed pass in yards."""
        return np.minimum(MAX_LOSS, 100 - self.yards_to_goal)

    def draw(self, skill: np.ndarray, streams: GameStreams) -> Outcomes:
        """Draw one outcome per play step by step, for quarterbacks with the given `skill` [plays]."""
        complete, intercepted, tackled, breakaway = self.chances(skill)
        u = streams.uniform()
        result = np.where(u < complete, COMPLETE, np.where(u < complete + intercepted, INTERCEPTED, INCOMPLETE))
        catch = np.rint(self.catch_quantile(streams.uniform()))
        catch = np.clip(catch, self.center - CATCH_REACH, self.center + CATCH_REACH)
        kind, u = streams.uniform(), streams.uniform()
        short, free, away = self.run_quantiles(u)
        after = np.where(kind < tackled, short, np.where(kind < tackled + breakaway, away, free))
        gain = np.clip(catch + after, -self.largest_loss(), self.yards_to_goal)

        none, u = streams.uniform() < RETURN_NONE, streams.uniform()
        return_yards = np.where(none, 0, 1 + np.floor(pareto_quantile(u, RETURN_SHAPE, RETURN_SCALE)))
        return_yards = np.minimum(return_yards, self.return_limit_yards)
        yards = np.where(result == COMPLETE, gain, 0)
        net = np.where(result == INTERCEPTED, -return_yards, yards)
        return Outcomes(result, catch.astype(np.int64), yards.astype(np.int64), net.astype(np.int64))


def pareto_cdf(beyond: np.ndarray, shape: float, scale: float) -> np.ndarray:
    """Return the cdf of the generalized Pareto distribution; 0 below 0."""
    return -np.expm1(-np.log1p(shape * np.maximum(beyond, 0.0) / scale) / shape)


def pareto_quantile(u: np.ndarray, shape: float, scale: float) -> np.ndarray:
    """Return the quantile of the generalized Pareto distribution."""
    return scale * np.expm1(-shape * np.log1p(-u)) / shape


def return_survival(yards: np.ndarray) -> np.ndarray:
    """Return P(interception return > yards), yards >= 0, before the end of the field stops it."""
    return (1 - RETURN_NONE) * np.exp(-np.log1p(RETURN_SHAPE * yards / RETURN_SCALE) / RETURN_SHAPE)
