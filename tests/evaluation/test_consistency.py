"""Training that starts at the truth stays there with every consistent objective, and leaves it with `pointwise`."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions.heads import OBJECTIVES, PARAMETERIZATIONS, SplicedBinnedParetoHead, objective
from sbp_jax.evaluation import consistency
from tests.slow import marked

SOME = [("bounded", "exact"), ("bounded", "pointwise"), ("continuous", "pointwise"), ("bounded", "composite")]
CASES = {(c.start, c.parameterization, c.objective): c for c in consistency.cases()}
KEYS = list(CASES)


def test_every_objective_meets_every_parameterization():
    three = {(name, loss) for start, name, loss in KEYS if start == "three bins"}
    assert three == {(name, loss) for name in PARAMETERIZATIONS for loss in OBJECTIVES}


@pytest.mark.sample(1)
@pytest.mark.parametrize("key", marked(KEYS, [key for key in KEYS if key[1:] not in SOME or key[0] != "three bins"]))
def test_started_at_the_truth(key):
    case = CASES[key]
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # Optax mixes integers and floats
        row = consistency.measure(case)
    if case.consistent:
        assert row["gradient"] <= consistency.GRADIENT_BOUND
        assert row["drift"] <= consistency.DRIFT_BOUND
        assert row["ratio"] <= 1
    else:
        assert row["ratio"] > 10


def heads(rng):
    """A random head and its raw outputs: uneven bins, tails of either sign, thresholds in any bin."""
    edges = np.cumsum(rng.uniform(0.2, 2.0, 7)) - 4
    head = SplicedBinnedParetoHead(tuple(edges), tuple(rng.uniform(0.02, 0.3, 2)), "bounded")
    return head, rng.normal(size=head.num_outputs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_mean_gradient_over_random_distributions(seed):
    """Cells tile the line between the edges: the mean over them is a sum, exact but for what lies beyond the edges."""
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        head, raw = heads(rng)
        raw = jnp.asarray(raw)
        truth = head(raw)
        edges = np.asarray(truth.edges)
        ends = np.concatenate([np.linspace(a, b, 9)[:-1] for a, b in itertools.pairwise(edges)])
        ends = jnp.asarray([*ends, edges[-1]])
        inside = jnp.exp(truth.interval_log_prob(ends[:-1], ends[1:]))
        # beyond the edges: quantiles of what is left there
        below, above = truth.cdf(edges[0]), truth.survival_function(edges[-1])
        steps = (jnp.arange(100_000, dtype=float) + 0.5) / 100_000
        y = jnp.concatenate([0.5 * (ends[:-1] + ends[1:]), truth.icdf(steps * below), truth.isf(steps * above)])
        weight = jnp.concatenate([inside, jnp.full(100_000, below / 1e5), jnp.full(100_000, above / 1e5)])
        assert float(jnp.sum(weight)) == pytest.approx(1, abs=1e-12)

        def mean(raw, name):
            return jnp.sum(weight * objective(name)(head(raw), y))

        # a tail's score grows with the logarithm of the excess: the quadrature of its last quantiles is the error
        assert float(jnp.max(jnp.abs(jax.grad(mean)(raw, "exact")))) < 2e-5


@pytest.mark.slow
def test_the_slope_of_the_mean_is_the_mean_gradient():
    """Of `exact` on both sides of the truth, by finite differences; of `pointwise` the mean has a kink."""
    offsets = np.array([-1e-3, 0.0, 1e-3])
    values, slope = consistency.profile("exact", offsets)
    left, right = (values[1] - values[0]) / 1e-3, (values[2] - values[1]) / 1e-3
    assert slope == pytest.approx(0, abs=1e-4)
    assert left == pytest.approx(0, abs=1e-3)
    assert right == pytest.approx(0, abs=1e-3)
    values, slope = consistency.profile("pointwise", offsets)
    left, right = (values[1] - values[0]) / 1e-3, (values[2] - values[1]) / 1e-3
    assert left - right > 5e-3  # the truth is a maximum with a corner
    assert abs(slope) > 5e-3  # automatic differentiation gives the slope of neither side
