"""Live computations as pure functions of arrays: a frame, a complete play, cells of the distribution, a score."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbp_jax.config import DataConfig
from sbp_jax.data.extras import feature_names
from sbp_jax.data.plays import FRAME_S, PLAYERS, static_names
from sbp_jax.distributions.base import Distribution
from sbp_jax.errors import InputError
from sbp_jax.scoring import LEAGUE_PATH
from sbp_jax.scoring.play import MIN_SCORE, SCORE_RANGE, normal_score
from sbp_jax.training.outcome import Outcome

if TYPE_CHECKING:
    from sbp_jax.runs.run import Run

FORMAT = 2
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # levels of the quantiles in a summary
MIN_YARDS, MAX_YARDS = -40, 100  # range of the one-yard cells; outcomes beyond count in the outermost cells
CELLS = 140  # number of cells over the range of the head's bins, for an outcome that is not a gain in yards


@dataclass(frozen=True)
class Programs:
    """The functions of a run, pure and not compiled, for B rows at once; each takes `weights` as its first argument.

    Attributes:
        weights: parameters and statistics of the network, a pytree.
        functions: by name,

            start: (B) -> stream;
            begin: (stream, rows [B]) -> stream in which those rows are reset;
            frame: (stream, x [B, 22 F], present [B, 22], static [B, S], marks [B, 2], active [B]) -> (stream, numbers
                [B, N], raw outputs [B, R]); donate the stream;
            play: (x [B, W, 22 F], mask [B, W], present [B, W, 22], static, marks) -> (numbers, raw) at the last frame
                in the mask;
            cells: (raw, marks) -> [B, C], probability of each of the cells between the edges;
            score: (raw, y [B], marks, league [2]) -> [B, 4]: both ends of the PIT, normal score, passing score.

            `marks` are the yards to the first down and to the goal line, NaN where unknown. `numbers` are the quantiles
            at `LEVELS`, the expected outcome, P(first down), P(touchdown) and P(loss), NaN where not defined, all for
            the distribution of the observed outcome, which is bounded by the goal line. `league` is the mean and spread
            of the plays' scores.
        spec: the information that a caller needs, in JSON types.
    """

    weights: Any
    functions: Mapping[str, Callable[..., Any]]
    spec: Mapping[str, Any]


def programs_of(run: "Run", league: Path | None = None) -> Programs:
    """Return the functions of a run.

    Args:
        run: a run trained on plays with tracking.
        league: file of the league for passing scores; by default the league that was fixed when the run, or its
            cross-fitting, was first scored. Without a league there are no passing scores.

    Raises:
        InputError: the run uses no frames, or uses features that are unknown live; or the league cannot be read.
    """
    data = run.config.data
    if not isinstance(data, DataConfig) or run.model.tcn is None:
        raise InputError(f"{run.path}: expected a run that uses frames of plays; this one uses none")
    if "target_defenders" in data.extras:
        raise InputError(f"{run.path}: was trained with target_defenders, which is not known before the throw")
    graph, params, rest = nnx.split(run.model, nnx.Param, ...)
    readout = _Readout(run.model.head, run.outcome, _edges(run))

    def model(weights):
        return nnx.merge(graph, *weights)

    def frame(weights, stream, x, present, static, marks, active):
        raw, stream = model(weights).step(x, present, static, stream, active)
        return stream, readout.numbers(raw, marks), raw

    def play(weights, x, mask, present, static, marks):
        raw = model(weights).raw(x, mask, present, static)
        return readout.numbers(raw, marks), raw

    functions = {
        "start": lambda weights, batch: model(weights).start(batch),
        "begin": lambda weights, stream, rows: stream.begin(rows),
        "frame": frame,
        "play": play,
        "cells": lambda weights, raw, marks: readout.cells(raw, marks),
        "score": lambda weights, raw, y, marks, league: readout.score(raw, y, marks, league),
    }
    return Programs((params, rest), functions, _spec(run, data, readout, league_numbers(run, league)))


def league_numbers(run: "Run", path: Path | None) -> tuple[float, float] | None:
    """Return mean and spread of the plays' scores in the league of a run; None without a league."""
    files = [path] if path else [run.path / LEAGUE_PATH, run.path.parent / LEAGUE_PATH]
    for file in files:
        if path or file.is_file():
            from sbp_jax.scoring import League  # needs polars

            league = League.load(file)
            if "play" not in league.spreads:
                raise InputError(f"{file}: expected a league with the spread of plays")
            return league.mean, league.spreads["play"]
    return None


@dataclass(frozen=True)
class _Readout:
    """Map raw outputs to the numbers that describe the distribution of the observed outcome."""

    head: Any
    outcome: Outcome
    edges: np.ndarray

    def distribution(self, raw: jax.Array, marks: jax.Array) -> Distribution:
        """Return the outcome's distribution, bounded at the goal line if it is known, batch shape [B]."""
        goal = marks[:, 1]
        upper = jnp.where(goal >= 0, goal, jnp.inf) if self.outcome.in_yards else None
        return self.outcome.observed(self.head(raw), upper)

    def numbers(self, raw: jax.Array, marks: jax.Array) -> jax.Array:
        dist, levels = self.distribution(raw, marks), jnp.asarray(LEVELS, raw.dtype)[:, None]
        if not self.outcome.in_yards:
            unknown = jnp.full((3, raw.shape[0]), jnp.nan, raw.dtype)
            return jnp.concatenate([dist.icdf(levels), dist.mean()[None], unknown]).T
        goal = jnp.where(marks[:, 1] >= 0, marks[:, 1], MAX_YARDS)
        ends, below = self._below(dist)
        # E[Y] = goal - the sum of P(Y <= y) over the integers y below the goal
        expected = goal - jnp.sum(jnp.where(ends < goal[None], below, 0.0), axis=0)
        # a gain of at least m yards lies beyond the cell of the last integer below m
        first = jnp.clip(jnp.ceil(marks.T) - (ends[0, 0] + 0.5), 0, len(ends) - 1).astype(jnp.int32)
        success = jnp.where(jnp.isnan(marks.T), jnp.nan, 1 - jnp.take_along_axis(below, first, axis=0))
        loss = below[int(np.flatnonzero(self.edges[1:-1] == -0.5)[0])]
        return jnp.concatenate([self._quantiles(dist, levels, below, goal), expected[None], success, loss[None]]).T

    def _quantiles(self, dist: Distribution, levels: jax.Array, below: jax.Array, goal: jax.Array) -> jax.Array:
        """Quantiles [levels, B]; for integers, the least integer whose cdf reaches the level, from the cells."""
        if not self.outcome.integer:
            return dist.icdf(levels)
        slack = 1 - 4 * float(jnp.finfo(below.dtype).eps)  # as in `Quantized.icdf`: programs round a cdf differently
        count = jnp.sum(below[:, None] < levels[None] * slack, axis=0)
        return jnp.minimum(MIN_YARDS + count.astype(below.dtype), goal[None])

    def cells(self, raw: jax.Array, marks: jax.Array) -> jax.Array:
        _, below = self._below(self.distribution(raw, marks))
        zero = jnp.zeros_like(below[:1])
        return jnp.diff(jnp.concatenate([zero, below, zero + 1]), axis=0).T

    def score(self, raw: jax.Array, y: jax.Array, marks: jax.Array, league: jax.Array) -> jax.Array:
        dist = self.distribution(raw, marks)
        z = normal_score(dist, y)
        passing = MIN_SCORE + SCORE_RANGE * jax.scipy.special.ndtr((z - league[0]) / league[1])
        return jnp.stack([*dist.pit_bounds(y), z, passing], axis=1)

    def _below(self, dist: Distribution) -> tuple[np.ndarray, jax.Array]:
        """The inner edges of the cells [C - 1, 1] and the cdf at them [C - 1, B]."""
        ends = self.edges[1:-1, None]
        # constants: the compiler computes their bins
        return ends, dist.cdf(np.repeat(ends, dist.batch_shape[0], axis=1))


def _edges(run: "Run") -> np.ndarray:
    assert isinstance(run.config.data, DataConfig)
    if run.outcome.in_yards:
        return np.arange(MIN_YARDS, MAX_YARDS + 2, dtype=np.float32) - np.float32(0.5)
    return np.linspace(run.config.head.low, run.config.head.high, CELLS + 1, dtype=np.float32)


def _spec(run: "Run", data: DataConfig, readout: _Readout, league: tuple[float, float] | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "players": PLAYERS,
        "features": list(feature_names(data.extras)),
        "static": list(static_names(data.situation)),
        "outcome": data.outcome,
        "in_yards": readout.outcome.in_yards,
        "integer": readout.outcome.integer,
        "levels": list(LEVELS),
        "edges": [float(edge) for edge in readout.edges],
        "window": run.model.receptive_field,
        "frame_s": FRAME_S,
        "per_frame": run.config.training.per_frame,
        "league": league and list(league),
    }
