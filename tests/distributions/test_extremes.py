"""Finite numbers of any size give no NaN in value or gradient, NaN parameters give NaN, infinities give the limits."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions import Binned, GeneralizedPareto, SplicedBinnedPareto
from tests.distributions.test_transformations import DISTS, EVERY

pytestmark = [pytest.mark.unoptimized, pytest.mark.long]

EDGES = np.arange(-3.0, 5.0)
BINS = len(EDGES) - 1
SIZES = [0.0, 1e-38, 1e-20, 1.0, 4.0, 1e10, 1e20, 1e38, 3e38, np.inf]
OUTCOMES = sorted({sign * size for sign in (-1, 1) for size in SIZES})
SHAPES = sorted({sign * size for sign in (-1, 1) for size in (0.0, 1e-38, 1e-12, 1e-3, 0.3, 0.95, 1.0, 2.0, 5.0)})
SCALES = [2e-38, 1e-12, 1.0, 1e12, 1e30]
RNG = np.random.default_rng(0)
LOGITS = [
    RNG.normal(size=BINS),
    RNG.normal(size=BINS) * 1e4,
    RNG.normal(size=BINS) * 1e38,
    np.where(np.arange(BINS) == 3, 3e38, -3e38),
]
POINTWISE = ("log_prob", "cdf", "survival_function", "log_cdf", "log_survival_function", "crps")


# every method of an outcome, and quantiles at a probability made of it
METHODS = {name: lambda dist, y, name=name: getattr(dist, name)(y) for name in POINTWISE} | {
    "interval": lambda dist, y: dist.interval_log_prob(y - 0.5, y + 0.5),
    "twcrps": lambda dist, y: dist.twcrps(y, 1.0),
    "twcrps below": lambda dist, y: dist.twcrps(y, -jnp.inf, 1.0),
    "icdf": lambda dist, y: dist.icdf(jnp.clip(jnp.abs(y), 0.0, 1.0)),
    "isf": lambda dist, y: dist.isf(jnp.clip(jnp.abs(y), 0.0, 1.0)),
    "median": lambda dist, y: dist.median(),
    "variance": lambda dist, y: dist.variance(),
}


def methods(dist, y):
    return {name: method(dist, y) for name, method in METHODS.items()}


BUILD = {
    "pareto": (
        lambda p: GeneralizedPareto(p["shape"], p["scale"]),
        {"shape": SHAPES, "scale": SCALES},
    ),
    "binned": (lambda p: Binned(p["logits"], EDGES), {"logits": LOGITS}),
    "spliced": (
        lambda p: SplicedBinnedPareto(
            p["logits"],
            EDGES,
            GeneralizedPareto(p["shape"], p["scale"]),
            GeneralizedPareto(-p["shape"], p["scale"]),
            (0.05, 0.1),
        ),
        {"logits": LOGITS, "shape": SHAPES, "scale": SCALES},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILD)
def test_no_nan_for_finite_inputs_of_any_size(name):
    build, grid = BUILD[name]
    rows = list(itertools.product(*grid.values(), OUTCOMES))
    parameters = {key: jnp.asarray([row[i] for row in rows], jnp.float32) for i, key in enumerate(grid)}
    y = jnp.asarray([row[-1] for row in rows], jnp.float32)

    for method, function in METHODS.items():
        value_and_slopes = jax.value_and_grad(lambda p, y, function=function: function(build(p), y), (0, 1))
        value, slopes = jax.jit(jax.vmap(value_and_slopes))(parameters, y)
        bad = np.isnan(value)
        for slope in jax.tree.leaves(slopes):
            bad |= np.isnan(np.asarray(slope).reshape(len(y), -1)).any(axis=1)
        assert not bad.any(), (method, int(bad.sum()), rows[np.flatnonzero(bad)[0]])


@pytest.mark.slow
@EVERY
def test_nan_parameters_give_nan(name):
    """One NaN in one parameter of one row: every method is NaN in that row, and only there."""
    dist = DISTS[name]()
    leaves, structure = jax.tree.flatten(dist)
    evaluate = jax.jit(lambda dist: methods(dist, jnp.full(3, 0.7)) | {"mean": dist.mean()})
    expected = evaluate(dist)
    for i, leaf in enumerate(leaves):
        first = (1, *(0,) * (leaf.ndim - 1))
        poisoned = jax.tree.unflatten(structure, [*leaves[:i], leaf.at[first].set(jnp.nan), *leaves[i + 1 :]])
        for method, value in evaluate(poisoned).items():
            assert jnp.isnan(value[1]), (method, i)
            np.testing.assert_array_equal(value[0], expected[method][0])
            np.testing.assert_array_equal(value[2], expected[method][2])


def test_a_scale_that_is_not_positive_gives_nan():
    for scale in (0.0, -1.0):
        dist = GeneralizedPareto(jnp.asarray(0.2), jnp.asarray(scale))
        for method, value in methods(dist, jnp.asarray(0.7)).items():
            assert jnp.isnan(value), method
