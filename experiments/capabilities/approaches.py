"""Approaches behind one interface: fitted to draws of a known distribution, then asked for what a capability needs.

This project's distributions are fitted as their heads have them: raw outputs for each state of the input, by gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.config import HeadConfig, Kind
from sbp_jax.distributions.heads import BlendedParetoHead, Head, HybridParetoHead
from sbp_jax.evaluation.detectors import Side
from sbp_jax.training.build import make_head
from sbp_jax.training.head_fit import descend

SIZE, HOLD = 4000, 2000  # draws in each state; for how many of them a state of the input lasts
BINS, COVERED = 100, (0.005, 0.995)  # of the binned distributions, and the levels that the bins lie between
STEPS, RATE = 500, 0.05  # of the descent; its learning rate, which decays to zero
FIRST = 0.1  # step along the negative gradient by which a threshold's first movement is measured
SHAPES = (-0.5, 0.95)  # of every tail, so that each distribution may find an end of its support


class State(NamedTuple):
    """The distribution of the outcome in one state of the input.

    Attributes:
        mean: its mean.
        draw: uniform numbers between 0 and 1 to outcomes: the quantile function, but for a mixture.
    """

    mean: float
    draw: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Sample:
    """Draws of a distribution in each state of the input, one out of each of `SIZE` equal parts of its probability.

    Attributes:
        states: of the input, S of them.
        seed: of the draws.
    """

    states: tuple[State, ...]
    seed: int = 0

    @cached_property
    def y(self) -> np.ndarray:
        """The outcomes in each state, in random order, float32 [S, SIZE]."""
        random = np.random.default_rng(self.seed)
        uniform = [(random.permutation(SIZE) + random.uniform(size=SIZE)) / SIZE for _ in self.states]
        return np.stack([state.draw(u) for state, u in zip(self.states, uniform, strict=True)]).astype(np.float32)

    @property
    def means(self) -> np.ndarray:
        """Of each state, [S]."""
        return np.array([state.mean for state in self.states])

    def stream(self) -> tuple[np.ndarray, np.ndarray]:
        """The outcomes in order of time and the state of each, [S SIZE]: every state lasts for `HOLD` of them."""
        turns = self.y.reshape(len(self.states), -1, HOLD).swapaxes(0, 1)
        state = np.broadcast_to(np.arange(len(self.states))[:, None], turns.shape)
        return turns.ravel().astype(np.float64), state.ravel()

    def again(self) -> "Sample":
        """Other draws of the same distribution."""
        return replace(self, seed=self.seed + 1)


class Lacking(Exception):
    """An approach has nothing that could be measured; the message is the reason."""


class Descent(NamedTuple):
    """How descending the loss moved a threshold, each [S].

    Attributes:
        start: where it was, the same in every state.
        slope: its first movement along the negative gradient of the loss, for a unit of it.
        end: where it came to.
    """

    start: np.ndarray
    slope: np.ndarray
    end: np.ndarray


class Fitted:
    """An approach fitted to a sample of S states; what it has no such quantity for raises `Lacking`."""

    def lacking(self, what: str) -> Lacking:
        """Why it has no `what`."""
        return Lacking(f"no {what}")

    def beyond(self, rate: float, side: Side) -> np.ndarray:
        """The value that the outcome lies beyond with probability `rate` on a side, in each state [S]."""
        raise self.lacking("threshold")

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """P(Y <= y) of values in each state, [S, n] both."""
        raise self.lacking("distribution of the base")

    def density(self, y: np.ndarray) -> np.ndarray:
        """The density at values in each state, [S, n] both."""
        raise self.lacking("density")

    def descent(self, rate: float) -> Descent:
        """How the value that the outcome exceeds with probability `rate` was learnt."""
        raise self.lacking("threshold")


Approach = Callable[[Sample], Fitted]


@dataclass(frozen=True, eq=False)
class FittedDistribution(Fitted):
    """One of this project's distributions.

    Attributes:
        head: raw outputs to distributions.
        start, slope: raw outputs before the descent, and the gradient of the loss there, [S, outputs].
        raw: raw outputs after it, [S, outputs].
    """

    head: Head
    start: jax.Array
    slope: jax.Array
    raw: jax.Array

    @cached_property
    def dist(self) -> Any:
        """The distributions found, batch shape [S, 1]."""
        return self.head(self.raw[:, None])

    def beyond(self, rate: float, side: Side) -> np.ndarray:
        return _beyond(self.dist, rate, side)

    def cdf(self, y: np.ndarray) -> np.ndarray:
        return np.asarray(self.dist.cdf(np.asarray(y, np.float32)), np.float64)

    def density(self, y: np.ndarray) -> np.ndarray:
        return np.exp(np.asarray(self.dist.log_prob(np.asarray(y, np.float32)), np.float64))

    def descent(self, rate: float) -> Descent:
        moved = (self.start, self.start - FIRST * self.slope)
        start, first = (_beyond(self.head(raw[:, None]), rate, "upper") for raw in moved)
        return Descent(start, (first - start) / FIRST, self.beyond(rate, "upper"))


def _beyond(dist: Any, rate: float, side: Side) -> np.ndarray:
    return np.asarray(dist.isf(rate) if side == "upper" else dist.icdf(rate), np.float64)[:, 0]


def edges_of(y: np.ndarray) -> np.ndarray:
    """Edges [BINS + 1] of equal bins over the bulk of all states."""
    low, high = np.quantile(y, COVERED)
    return np.linspace(low, high, BINS + 1)


def head_of(kind: Kind, y: np.ndarray) -> Head:
    """A distribution's head for outcomes [S, n]: its unit and bins from their bulk; whatever was drawn must stay
    possible."""
    edges = edges_of(y)
    half = (edges[1] - edges[0]) / 2
    ends = float(y.min()), float(y.max())
    head = make_head(HeadConfig(kind, edges[0] + half, edges[-1] - half, BINS, shape_bounds=SHAPES, support=ends))
    return replace(head, shape_bounds=SHAPES) if isinstance(head, HybridParetoHead | BlendedParetoHead) else head


def dist(kind: Kind) -> Approach:
    """An approach of this project, by its head's name."""

    def fit(sample: Sample) -> FittedDistribution:
        head, y = head_of(kind, sample.y), jnp.asarray(sample.y)
        initial = jnp.asarray(head.init_from_data(sample.y.ravel()), jnp.float32)
        start = jnp.broadcast_to(initial, (len(y), len(initial)))
        return FittedDistribution(head, start, *descend(head, start, y, STEPS, RATE))

    return fit


DISTS: dict[str, Kind] = {
    "SBP": "sbp",
    "Binned": "binned",
    "Student-t": "student_t",
    "Gaussian": "gaussian",
    "Hybrid Pareto": "hybrid_pareto",
    "Blended Pareto": "blended_pareto",
}
