"""Scorers for tests of the service: sums of what was pushed, and a small network that was never trained."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbp_jax.config import HeadConfig
from sbp_jax.live import LiveScorer
from sbp_jax.models import FlatEncoder, Network, NetworkConfig
from sbp_jax.training.build import make_head

FEATURES, STATIC = ("x", "y", "speed"), ("down", "distance", "distance_missing")
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
PLAYERS = 22
SPEC = {
    "players": PLAYERS,
    "features": list(FEATURES),
    "static": list(STATIC),
    "outcome": "yards",
    "in_yards": True,
    "integer": True,
    "levels": list(LEVELS),
    "edges": [-0.5, 0.5, 1.5],
    "window": 64,
    "frame_s": 0.1,
    "per_frame": True,
    "league": None,
}


def frame(value=0.0):
    """A frame as in a message; player 21 is absent."""
    return [[value, 1.0, 0.25] for _ in range(PLAYERS - 1)] + [None]


def array(message):
    """The same frame as the scorer's input."""
    return np.array([[np.nan] * len(FEATURES) if row is None else row for row in message], np.float32)


def total(frames, static=0.0):
    """The median reported by `sums`: the sum of all numbers, plus a thousand times the down."""
    return float(sum(np.nansum(array(each)) for each in frames)) + 1000 * static


def _numbers(totals, count):
    rows = [totals + level - 0.5 for level in LEVELS] + [count] + [jnp.full_like(totals, 0.5)] * 3
    return jnp.stack(rows, axis=1)


def sums(batch=4):
    """A scorer whose median is the sum of all numbers of a play's frames: a lost or misplaced frame changes it."""

    def step(stream, x, present, static, marks, active):
        now = jnp.stack([x.sum(axis=1), jnp.ones(len(x), jnp.float32)], axis=1)
        stream = stream + jnp.where(active[:, None], now, 0.0)
        totals = stream[:, 0] + 1000 * static[:, 0]
        return stream, _numbers(totals, stream[:, 1]), totals[:, None]

    def play(x, mask, present, static, marks):
        totals = jnp.where(mask[:, :, None], x, 0.0).sum(axis=(1, 2)) + 1000 * static[:, 0]
        return _numbers(totals, mask.sum(axis=1).astype(jnp.float32)), totals[:, None]

    functions = {
        "start": lambda rows: jnp.zeros((rows, 2), jnp.float32),
        "begin": lambda stream, rows: jnp.where(rows[:, None], 0.0, stream),
        "frame": step,
        "play": play,
        "cells": lambda raw, marks: jnp.broadcast_to(jnp.asarray([0.25, 0.75], jnp.float32), (len(raw), 2)),
        "score": lambda raw, y, marks, league: jnp.stack([y, y, raw[:, 0], y], axis=1),
    }
    return LiveScorer(functions, SPEC, batch)


def network(batch):
    """A scorer of a small network whose last layer is not zero."""
    config = NetworkConfig(encoder="flat", channels=8, layers=2, hidden=(16,))
    head = make_head(HeadConfig(kind="gaussian"))
    model = Network(config, FlatEncoder(PLAYERS, len(FEATURES)), head, len(STATIC), rngs=nnx.Rngs(0))
    model.last.kernel.set_value(jax.random.normal(jax.random.key(9), (16, head.num_outputs)))
    graph, state = nnx.split(model)

    def numbers(raw):
        dist = head(raw)
        unknown = jnp.full((3, len(raw)), jnp.nan, raw.dtype)
        quantiles = dist.icdf(jnp.asarray(LEVELS, raw.dtype)[:, None])
        return jnp.concatenate([quantiles, dist.mean()[None], unknown]).T

    def step(stream, x, present, static, marks, active):
        raw, stream = nnx.merge(graph, state).step(x, present, static, stream, active)
        return stream, numbers(raw), raw

    def play(x, mask, present, static, marks):
        raw = nnx.merge(graph, state).raw(x, mask, present, static)
        return numbers(raw), raw

    def score(raw, y, marks, league):
        below = head(raw).cdf(y)
        return jnp.stack([below] * 4, axis=1)

    functions = {
        "start": lambda rows: nnx.merge(graph, state).start(rows),
        "begin": lambda stream, rows: stream.begin(rows),
        "frame": step,
        "play": play,
        "cells": lambda raw, marks: jnp.full((len(raw), 2), 0.5),
        "score": score,
    }
    return LiveScorer(functions, SPEC | {"window": model.receptive_field}, batch)
