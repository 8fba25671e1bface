"""Approaches behind one interface: fitted to draws of a known distribution, then queried for what a capability needs.

This project's distributions are fitted through their heads: raw outputs for each state of the input, by gradient.
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

SIZE, HOLD = 4000, 2000  # draws in each state; draws for which a state of the input lasts
BINS, COVERED = 100, (0.005, 0.995)  # number of bins of the binned distributions; levels between which the bins lie
STEPS, RATE = 500, 0.05  # steps of the descent; its learning rate, which decays to zero
FIRST = 0.1  # step along the negative gradient that measures a threshold's first movement
SHAPES = (-0.5, 0.95)  # bounds of every tail's shape, so that each distribution can have a bounded support


class State(NamedTuple):
    """The distribution of the outcome in one state of the input.

    Attributes:
        mean: its mean.
        draw: map from uniform numbers between 0 and 1 to outcomes: the quantile function, except for a mixture.
    """

    mean: float
    draw: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Sample:
    """Stratified draws of a distribution in each state: one from each of `SIZE` equal parts of its probability.

    Attributes:
        states: the S states of the input.
        seed: seed of the draws.
    """

    states: tuple[State, ...]
    seed: int = 0

    @cached_property
    def y(self) -> np.ndarray:
        """Outcomes in each state, in random order, float32 [S, SIZE]."""
        random = np.random.default_rng(self.seed)
        uniform = [(random.permutation(SIZE) + random.uniform(size=SIZE)) / SIZE for _ in self.states]
        return np.stack([state.draw(u) for state, u in zip(self.states, uniform, strict=True)]).astype(np.float32)

    @property
    def means(self) -> np.ndarray:
        """Mean of each state, [S]."""
        return np.array([state.mean for state in self.states])

    def stream(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the outcomes as a time series and the state of each, [S SIZE]; a state lasts for `HOLD` of them."""
        turns = self.y.reshape(len(self.states), -1, HOLD).swapaxes(0, 1)
        state = np.broadcast_to(np.arange(len(self.states))[:, None], turns.shape)
        return turns.ravel().astype(np.float64), state.ravel()

    def again(self) -> "Sample":
        """Return new draws from the same distribution."""
        return replace(self, seed=self.seed + 1)


class Lacking(Exception):
    """An approach does not have the quantity to measure; the message states why."""


class Descent(NamedTuple):
    """A threshold during gradient descent on the loss, each [S].

    Attributes:
        start: its initial value, the same in every state.
        slope: its first movement along the negative gradient of the loss, per unit step.
        end: its final value.
    """

    start: np.ndarray
    slope: np.ndarray
    end: np.ndarray


class Fitted:
    """An approach fitted to a sample of S states; a method whose quantity it does not have raises `Lacking`."""

    def lacking(self, what: str) -> Lacking:
        """Return the exception for a missing quantity, `what`."""
        return Lacking(f"no {what}")

    def beyond(self, rate: float, side: Side) -> np.ndarray:
        """Return the value that the outcome lies beyond with probability `rate` on a side, in each state [S]."""
        raise self.lacking("threshold")

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y <= y) for values in each state, both [S, n]."""
        raise self.lacking("distribution of the base")

    def density(self, y: np.ndarray) -> np.ndarray:
        """Return the density at values in each state, both [S, n]."""
        raise self.lacking("density")

    def descent(self, rate: float) -> Descent:
        """Return how training moved the value that the outcome exceeds with probability `rate`."""
        raise self.lacking("threshold")


Approach = Callable[[Sample], Fitted]


@dataclass(frozen=True, eq=False)
class FittedDistribution(Fitted):
    """One of this project's distributions.

    Attributes:
        head: map from raw outputs to distributions.
        start, slope: raw outputs before the descent, and the gradient of the loss there, [S, outputs].
        raw: raw outputs after the descent, [S, outputs].
    """

    head: Head
    start: jax.Array
    slope: jax.Array
    raw: jax.Array

    @cached_property
    def dist(self) -> Any:
        """The fitted distributions, batch shape [S, 1]."""
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
    """Return the edges [BINS + 1] of equal bins over the bulk of all states."""
    low, high = np.quantile(y, COVERED)
    return np.linspace(low, high, BINS + 1)


def head_of(kind: Kind, y: np.ndarray) -> Head:
    """Return a head for outcomes [S, n], with unit and bins from their bulk and a support that covers all draws."""
    edges = edges_of(y)
    half = (edges[1] - edges[0]) / 2
    ends = float(y.min()), float(y.max())
    head = make_head(HeadConfig(kind, edges[0] + half, edges[-1] - half, BINS, shape_bounds=SHAPES, support=ends))
    return replace(head, shape_bounds=SHAPES) if isinstance(head, HybridParetoHead | BlendedParetoHead) else head


def dist(kind: Kind) -> Approach:
    """Return the approach with this project's head of that name."""

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
