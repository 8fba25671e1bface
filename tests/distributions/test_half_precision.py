"""Parameters, outcomes and raw outputs in float16 and bfloat16 are those numbers in float32, everywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions import (
    Affine,
    Binned,
    BlendedPareto,
    Censored,
    Deterministic,
    GeneralizedPareto,
    HybridPareto,
    Mixture,
    Normal,
    Quantized,
    SplicedBinnedPareto,
    StudentT,
    TwoTailedHybridPareto,
    kl_divergence,
    objective,
)
from sbp_jax.distributions.heads.base import CenteredHead
from sbp_jax.distributions.heads.baselines import (
    BinnedHead,
    BlendedParetoHead,
    HybridParetoHead,
    NormalHead,
    StudentTHead,
    TwoTailedHybridParetoHead,
)
from sbp_jax.distributions.heads.family import SplicedFamily
from sbp_jax.distributions.heads.objectives import OBJECTIVES
from sbp_jax.distributions.heads.spliced import SplicedBinnedParetoHead
from sbp_jax.distributions.heads.tails import PARAMETERIZATIONS
from tests.slow import marked

pytestmark = pytest.mark.unoptimized

HALF = [jnp.float16, jnp.bfloat16]
EDGES = np.linspace(-4.0, 4.0, 9)
NUMBERS = np.random.default_rng(0).normal(size=(3, 8))
LOC, SHAPE = np.array([0.0, 1.1, -1.3]), np.array([-0.2, 0.0, 0.4])


def pareto(f):
    return GeneralizedPareto(f(SHAPE), f(1.7))


def spliced(f):
    return SplicedBinnedPareto(f(NUMBERS), EDGES, pareto(f), GeneralizedPareto(f(0.1), f(2.1)), (0.05, 0.1))


def normal(f):
    return Normal(f(LOC), f(2.3))


# of a function that makes parameters
BUILD = {
    "affine": lambda f: Affine(spliced(f), f(LOC), f(2.3)),
    "binned": lambda f: Binned(f(NUMBERS), EDGES),
    "binned with edges in half": lambda f: Binned(f(NUMBERS), f(EDGES)),
    "blended": lambda f: BlendedPareto(f(NUMBERS), EDGES, f(SHAPE), f(0.1)),
    "censored": lambda f: Censored(normal(f), f(-30.0), f(LOC + 20)),
    "deterministic": lambda f: Deterministic(f(LOC)),
    "hybrid": lambda f: HybridPareto(f(LOC), f(2.3), f(SHAPE)),
    "mixture": lambda f: Mixture([0.25, 0.75], [pareto(f), normal(f)]),
    "mixture by logits": lambda f: Mixture.from_logits(f([0.3, 0.1]), [pareto(f), normal(f)]),
    "normal": normal,
    "pareto": pareto,
    "quantized": lambda f: Quantized(normal(f), f(0.5), f(0.25)),
    "spliced": spliced,
    "student": lambda f: StudentT(f([1.5, 4.0, 30.0]), f(LOC), f(2.3)),
    "two-tailed": lambda f: TwoTailedHybridPareto(f(LOC), f(2.3), f(SHAPE), f(0.2)),
}
PROBABILITIES = ("cdf", "survival_function", "cdf_left", "log_cdf", "log_survival_function", "log_cdf_left")
METHODS = (*PROBABILITIES, "log_survival_left", "log_prob", "icdf", "isf", "crps", "mean", "variance", "median")
HEADS = {
    "normal": NormalHead(),
    "student": StudentTHead(),
    "hybrid": HybridParetoHead(),
    "two-tailed": TwoTailedHybridParetoHead(),
    "binned": BinnedHead(tuple(EDGES)),
    "blended": BlendedParetoHead(tuple(EDGES)),
    "centered": CenteredHead(NormalHead(), (0.3, -0.2)),
} | {
    name: SplicedBinnedParetoHead(tuple(EDGES), parameterization=name, support=(-50.0, 60.0))
    for name in PARAMETERIZATIONS
}


def narrow(dtype):
    return lambda values: jnp.asarray(values, jnp.float32).astype(dtype)


def rounded(dtype):
    """The same numbers, in float32."""
    return lambda values: narrow(dtype)(values).astype(jnp.float32)


def same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for mine, theirs in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert mine.dtype == theirs.dtype == jnp.float32
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", BUILD)
def test_parameters_become_float32(name, dtype):
    dist = BUILD[name](narrow(dtype))
    same(dist, BUILD[name](rounded(dtype)))
    assert dist.dtype == jnp.float32


@pytest.mark.sample(6)
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", marked(BUILD, ["blended", "mixture", "mixture by logits"]))
def test_every_method_accepts_narrow_outcomes(name, dtype):
    dist, y = BUILD[name](narrow(dtype)), narrow(dtype)([0.1, 0.5, 0.9])
    for method in METHODS:
        arguments = () if method in ("mean", "variance", "median") else (y,)
        assert jax.eval_shape(lambda d, *y, m=method: getattr(d, m)(*y), dist, *arguments).dtype == jnp.float32, method
    for call in (lambda d, y: d.interval_log_prob(y - 1, y), lambda d, y: d.twcrps(y, y, y + 1)):
        assert jax.eval_shape(call, dist, y).dtype == jnp.float32
    assert jax.eval_shape(lambda d, key: d.sample(key, (2,)), dist, jax.random.key(0)).dtype == jnp.float32


@pytest.mark.parametrize("dtype", HALF)
def test_values_and_gradients(dtype):
    def loss(loc):
        return jnp.sum(Normal(loc, 2.3).log_prob(narrow(dtype)([0.1, 0.5, 0.9])))

    value, gradient = jax.value_and_grad(loss)(narrow(dtype)(LOC))
    expected = jax.value_and_grad(loss)(rounded(dtype)(LOC))
    assert (value, gradient.dtype) == (expected[0], dtype)
    np.testing.assert_array_equal(gradient, expected[1].astype(dtype))


@pytest.mark.parametrize("dtype", HALF)
def test_a_cast_of_the_leaves_keeps_float32(dtype):
    dist = jax.tree.map(narrow(dtype), BUILD["affine"](rounded(dtype)))
    same(dist, BUILD["affine"](rounded(dtype)))
    assert jax.jit(lambda d: d)(dist).dtype == jnp.float32


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", HEADS)
def test_heads_compute_in_float32(name, dtype):
    head = HEADS[name]
    raw = np.random.default_rng(1).normal(size=(3, head.num_outputs))
    same(head(narrow(dtype)(raw)), head(rounded(dtype)(raw)))


@pytest.mark.parametrize("dtype", HALF)
def test_a_family_of_heads_computes_in_float32(dtype):
    heads = [HEADS["bounded"], HEADS["orthogonal"]]
    family = SplicedFamily(heads)
    raw = np.random.default_rng(1).normal(size=(3, family.num_outputs))
    values = family.values(heads[1])
    same(family(narrow(dtype)(raw), values), family(rounded(dtype)(raw), values))


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_compute_in_float32(name, dtype):
    """Half of a cell is not subtracted in half precision: 200 - 0.5 is 200 in bfloat16."""
    dist, y = spliced(narrow(dtype)), narrow(dtype)([3.0, 200.0, 250.0])
    loss, censored = objective(name), jnp.array([False, True, False])
    expected = loss(dist, y.astype(jnp.float32), censored)
    assert expected.dtype == jnp.float32
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(loss(dist, y, censored), expected)


@pytest.mark.parametrize("dtype", HALF)
def test_divergence(dtype):
    value = kl_divergence(normal(narrow(dtype)), Normal(narrow(dtype)(0.3), 1.0))
    np.testing.assert_array_equal(value, kl_divergence(normal(rounded(dtype)), Normal(rounded(dtype)(0.3), 1.0)))
