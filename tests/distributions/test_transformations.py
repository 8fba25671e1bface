"""Every distribution is a pytree that jit, vmap, grad, scan and checkpoint accept; and what broadcasts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions import (
    Affine,
    Binned,
    BlendedPareto,
    Censored,
    GeneralizedPareto,
    HybridPareto,
    Mixture,
    Normal,
    Quantized,
    SplicedBinnedPareto,
    StudentT,
    TwoTailedHybridPareto,
)
from sbp_jax.distributions.binned import EdgesLike
from tests.slow import marked

pytestmark = [pytest.mark.unoptimized, pytest.mark.long]

EDGES = np.linspace(-4.0, 4.0, 9)
BATCH = 3


def logits():
    return jnp.asarray(np.random.default_rng(0).normal(size=(BATCH, 8)), jnp.float32)


def spliced(tail_mass=(0.05, 0.1), edges: EdgesLike = EDGES):
    shape = jnp.array([-0.2, 0.0, 0.4])
    return SplicedBinnedPareto(logits(), edges, GeneralizedPareto(shape, 1.0), GeneralizedPareto(0.1, 2.0), tail_mass)


DISTS = {
    "affine": lambda: Affine(spliced(), jnp.array([0.0, 1.0, -1.0]), 2.0),
    "pareto": lambda: GeneralizedPareto(jnp.array([-0.2, 0.0, 0.4]), 1.5),
    "binned": lambda: Binned(logits(), EDGES),
    "blended": lambda: BlendedPareto(0.3 * logits(), EDGES, jnp.array([-0.2, 0.0, 0.4]), 0.1),
    "hybrid": lambda: HybridPareto(jnp.array([0.0, 1.0, -1.0]), 2.0, jnp.array([-0.2, 0.0, 0.4])),
    "normal": lambda: Normal(jnp.array([0.0, 1.0, -1.0]), 2.0),
    "spliced": spliced,
    "bounded": lambda: Censored(Normal(jnp.array([0.0, 1.0, -1.0]), 2.0), -30.0, jnp.array([30.0, jnp.inf, 20.0])),
    "mixture": lambda: Mixture([0.25, 0.75], [GeneralizedPareto(jnp.array([-0.2, 0.0, 0.4]), 1.5), Normal(0.5, 2.0)]),
    "student": lambda: StudentT(jnp.array([1.5, 4.0, 1e6]), jnp.array([0.0, 1.0, -1.0]), 2.0),
    "yards": lambda: Censored(Quantized(spliced()), high=jnp.array([3.0, 5.0, jnp.inf])),
    "two-tailed hybrid": lambda: TwoTailedHybridPareto(0.5, 2.0, jnp.array([0.1, -0.3, 0.0]), 0.2),
}
# distributions to compare with whose every method compiles slowly
LONG = {"affine", "blended", "mixture", "hybrid", "student", "two-tailed hybrid"}
EVERY = pytest.mark.parametrize("name", marked(DISTS, LONG))
Y = jnp.array([0.3, 1.2, 3.9])


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", DISTS)
def test_vmap_over_a_batched_distribution_needs_no_axes(name):
    dist = DISTS[name]()
    np.testing.assert_allclose(jax.vmap(lambda d, y: d.log_prob(y))(dist, Y), dist.log_prob(Y), rtol=1e-6)
    single = jax.vmap(lambda d: d.mean())(dist)
    np.testing.assert_allclose(single, dist.mean(), rtol=1e-6)


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", DISTS)
def test_round_trips(name):
    dist = DISTS[name]()
    leaves, structure = jax.tree.flatten(dist)
    assert all(leaf.shape[0] == BATCH for leaf in leaves)
    assert hash(structure) == hash(jax.tree.structure(DISTS[name]()))
    placeholder = jax.tree.unflatten(structure, [object()] * len(leaves))
    assert type(placeholder) is type(dist)
    moved = jax.tree.map(lambda x: x + 0, dist)
    np.testing.assert_array_equal(moved.log_prob(Y), dist.log_prob(Y))
    assert jax.tree.structure(jax.device_get(dist)) == structure
    assert jax.jit(lambda d: d)(dist).batch_shape == (BATCH,)
    assert all("." in jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(dist))


@pytest.mark.slow
def test_scan_checkpoint_and_jvp():
    dist = spliced()

    def step(carry, y):
        return jax.tree.map(lambda x: 0.9 * x, carry), carry.log_prob(y)

    _, values = jax.lax.scan(step, dist, jnp.stack([Y, Y]))
    np.testing.assert_allclose(values[0], dist.log_prob(Y), rtol=1e-6)

    def loss(d):
        return -jnp.sum(d.log_prob(Y))

    plain, saved = jax.jit(jax.grad(loss))(dist), jax.jit(jax.grad(jax.checkpoint(loss)))(dist)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(saved), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    ones = jax.tree.map(jnp.ones_like, dist)
    _, forward = jax.jit(lambda d, t: jax.jvp(loss, (d,), (t,)))(dist, ones)
    backward = sum(jnp.sum(g) for g in jax.tree.leaves(plain))
    assert float(forward) == pytest.approx(float(backward), rel=1e-5)


def test_structure_is_shared_by_equal_constants_only():
    traces = []

    @jax.jit
    def f(d):
        traces.append(0)
        return d.log_prob(Y)

    for edges in (EDGES, EDGES.copy(), jnp.asarray(EDGES), tuple(EDGES.tolist())):
        f(spliced(edges=edges))
    assert len(traces) == 1
    f(spliced(edges=EDGES + 1))
    f(spliced(tail_mass=(0.05, 0.2)))
    assert len(traces) == 3


@pytest.mark.slow
def test_gradients_and_sweeps_in_edges_and_tail_masses():
    def value(edges, tau):
        return jnp.sum(spliced((tau, 0.1), edges).log_prob(jnp.array([-3.9, 0.3, 3.9])))

    edges, tau = jnp.asarray(EDGES, jnp.float32), jnp.asarray(0.05)
    assert value(edges, tau) == pytest.approx(float(value(EDGES, 0.05)), rel=1e-6)
    value = jax.jit(value)
    d_edges, d_tau = jax.grad(value, (0, 1))(edges, tau)
    assert jnp.all(jnp.isfinite(d_edges))
    assert jnp.any(d_edges != 0)
    numeric = (value(edges, tau + 1e-3) - value(edges, tau - 1e-3)) / 2e-3
    assert float(d_tau) == pytest.approx(float(numeric), rel=1e-3)
    taus = jnp.array([0.0, 0.02, 0.05, 0.2])
    swept = jax.vmap(lambda t: spliced((t, t)).log_prob(Y))(taus)
    for i, t in enumerate(taus):
        np.testing.assert_allclose(swept[i], spliced((float(t), float(t))).log_prob(Y), rtol=1e-6)
    # a swept distribution leaves vmap as a distribution with an axis more
    dists = jax.vmap(lambda t: spliced((t, t)))(taus)
    np.testing.assert_allclose(jax.vmap(lambda d: d.log_prob(Y))(dists), swept, rtol=1e-6)
    widened = jax.vmap(lambda s: Binned(logits(), s * edges))(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(widened.mean()[1], 2 * Binned(logits(), EDGES).mean(), rtol=1e-5)


@jax.jit
def everything(dist, y):
    probability = 0.5 + 0.0 * y
    return {
        **{
            m: getattr(dist, m)(y)
            for m in ("log_prob", "cdf", "log_cdf", "survival_function", "log_survival_function", "crps")
        },
        "icdf": dist.icdf(probability),
        "isf": dist.isf(probability),
        "interval_log_prob": dist.interval_log_prob(y, y + 1),
    }


@pytest.mark.slow
@EVERY
def test_outcomes_broadcast_as_in_numpy(name):
    dist = DISTS[name]()
    outcomes = jnp.asarray(np.random.default_rng(1).uniform(0.1, 3.0, size=(2, 4, BATCH)), jnp.float32)
    wants = everything(dist, outcomes)
    for y in (outcomes[0, :, :1], outcomes[0, 0, 0]):
        shape = np.broadcast_shapes(y.shape, (BATCH,))
        for method, value in everything(dist, y).items():
            assert value.shape == shape, method
            want = wants[method][0] if y.ndim == 2 else wants[method][0, 0]
            width = 1 if y.ndim == 0 or y.shape[-1] == 1 else BATCH
            np.testing.assert_allclose(value[..., :width], want[..., :width], rtol=1e-5, atol=1e-6, err_msg=method)
    with pytest.raises((ValueError, TypeError)):
        dist.log_prob(jnp.zeros(4))
    assert dist.median().shape == dist.mean().shape == dist.variance().shape == (BATCH,)


@pytest.mark.slow
@EVERY
def test_types_and_special_outcomes(name):
    dist = DISTS[name]()
    for y in (1, jnp.asarray(1), np.float64(1)):
        assert dist.log_prob(y).dtype == jnp.float32
        np.testing.assert_array_equal(dist.log_prob(y), dist.log_prob(1.0))
    got = everything(dist, jnp.array([[-jnp.inf], [jnp.inf], [jnp.nan]]))
    assert jnp.all(got["log_prob"][:2] == -jnp.inf)
    np.testing.assert_array_equal(got["cdf"][:2], [[0] * 3, [1] * 3])
    np.testing.assert_array_equal(got["survival_function"][:2], [[1] * 3, [0] * 3])
    np.testing.assert_array_equal(got["log_cdf"][:2], [[-np.inf] * 3, [0] * 3])
    np.testing.assert_array_equal(got["log_survival_function"][:2], [[0] * 3, [-np.inf] * 3])
    np.testing.assert_array_equal(got["crps"][:2], jnp.inf)
    for method, value in got.items():
        assert jnp.all(jnp.isnan(value[2])), method
    assert jnp.all(jnp.isnan(dist.interval_log_prob(0.0, jnp.nan)))


def test_permuting_the_batch_permutes_the_result():
    dist, order = spliced(), jnp.array([2, 0, 1])
    shuffled = jax.tree.map(lambda x: x[order], dist)
    np.testing.assert_array_equal(shuffled.log_prob(Y[order]), dist.log_prob(Y)[order])


def test_float64_under_x64_and_mixed_precision_follows_the_logits():
    with jax.enable_x64(True):
        assert spliced().dtype == jnp.float32  # float32 logits with the tails' Python numbers
        wide = SplicedBinnedPareto(
            np.zeros(8), EDGES, GeneralizedPareto(np.float32(0.1), 1.0), GeneralizedPareto(0.1, np.ones(2)), (0.1, 0.1)
        )
        assert wide.log_prob(np.float32(0.3)).dtype == jnp.float64
        assert wide.batch_shape == (2,)
        assert wide.sample(jax.random.key(0)).dtype == jnp.float64
