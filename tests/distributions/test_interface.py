"""Common uses of any distribution: attributes, indexing of the batch, repr and help."""

import inspect
import pydoc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions import (
    Affine,
    Binned,
    BlendedPareto,
    Distribution,
    GeneralizedPareto,
    Normal,
    SplicedBinnedPareto,
)
from sbp_jax.errors import InputError
from tests.distributions.test_transformations import BATCH, DISTS, EDGES, logits, spliced

pytestmark = pytest.mark.unoptimized


def test_attributes_are_arrays():
    """Of constants and of leaves alike, and what is made of them is the same distribution again."""
    d = spliced()
    assert 1 - d.tail_mass[0] == 0.95
    assert float(d.tail_mass[1]) == 0.1
    np.testing.assert_array_equal(d.edges + 1, EDGES + 1)
    np.testing.assert_array_equal(2 * d.edges[1:-1], 2 * EDGES[1:-1])
    assert (d.edges.shape, len(d.edges), d.edges[0], d.edges.max()) == ((9,), 9, -4.0, 4.0)
    np.testing.assert_array_equal(jnp.asarray(d.edges), EDGES)
    with pytest.raises(ValueError, match="read-only"):
        d.edges[0] = 0.0
    assert jax.tree.structure(spliced(d.tail_mass, d.edges)) == jax.tree.structure(d)
    blended = BlendedPareto(logits(), EDGES, 0.1, None)
    np.testing.assert_array_equal(1 - blended.lower_mass, [0.95, 0.8])
    assert blended.upper_mass is None
    np.testing.assert_array_equal(Binned(logits(), tuple(EDGES.tolist())).edges[::2], EDGES[::2])

    @jax.jit
    def inside(d):
        return d.edges[0] + d.tail_mass[0] * d.thresholds()[1]

    np.testing.assert_allclose(inside(d), -4 + 0.05 * d.thresholds()[1], rtol=1e-6)
    by_element = spliced((jnp.full(BATCH, 0.05), 0.1))
    np.testing.assert_allclose(1 - by_element.tail_mass[0], [0.95] * BATCH, rtol=1e-6)


PARTS = [0, -1, np.array([True, False, True]), slice(1, 3), (Ellipsis, None), [2, 0], jnp.array([1, 1]), (None, 1), ()]


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", DISTS)
def test_indexing_takes_a_part_of_the_batch(name):
    d = DISTS[name]()
    mean = np.asarray(d.mean())
    for index in PARTS:
        part = d[index]
        expected = mean[np.asarray(index) if isinstance(index, jax.Array) else index]
        assert type(part) is type(d)
        assert part.batch_shape == expected.shape
        assert all(leaf.shape[: expected.ndim] == expected.shape for leaf in jax.tree.leaves(part))
    element = jax.tree.leaves(d[1])
    for leaf, each in zip(jax.tree.leaves(d), element, strict=True):
        np.testing.assert_array_equal(leaf[1], each)
    for index, part in (([2, 0], d[[2, 0]]), (2, jax.jit(lambda d, i: d[i])(d, 2))):
        for leaf, each in zip(jax.tree.leaves(d), jax.tree.leaves(part), strict=True):
            np.testing.assert_array_equal(np.asarray(leaf)[index], each)
    assert [each.batch_shape for each in d] == [()] * BATCH
    for wrong, why in ((BATCH, "out of bounds"), ((0, 0), "too many indices"), (np.array([True] * 4), "boolean")):
        with pytest.raises(InputError, match=rf"index: expected a valid index for batch shape \(3,\), got .*{why}"):
            d[wrong]
    with pytest.raises(
        InputError, match=r"index: expected a valid index for batch shape \(\), got 0: too many indices"
    ):
        d[0][0]
    with pytest.raises(InputError, match=r"iteration: expected a batch of distributions, got batch shape \(\)"):
        iter(d[0])


def test_indexing_of_two_axes_and_masks():
    d = Affine(Normal(jnp.arange(6.0).reshape(2, 3), 1.0), jnp.zeros((4, 1, 1)), 2.0)
    mean = np.asarray(d.mean())
    mask = mean[0] > 3
    for index in ((0,), (slice(None), 1), (Ellipsis, [0, 2]), (0, mask), (..., None, 0), ([1, 2], slice(None), [0, 1])):
        want = mean[tuple(index)]
        got = d[tuple(index)]
        assert got.batch_shape == want.shape
        np.testing.assert_array_equal(got.mean(), want)
    with pytest.raises(InputError, match="got a traced one"):
        jax.jit(lambda m: d[m].mean())(jnp.ones(4, bool))


@pytest.mark.parametrize("name", DISTS)
def test_repr_is_one_line(name):
    d = DISTS[name]()
    for each in (d, d[0], Affine(d, 0.0, 1.0), d.base if isinstance(d, Affine) else d):
        line = repr(each)
        assert line.startswith(f"{type(each).__name__}(")
        assert line.endswith(f"batch_shape={each.batch_shape}, dtype=float32)")
        assert "\n" not in line
        assert len(line) <= 120
    assert jax.jit(lambda d: (repr(d), d)[1])(d).batch_shape == d.batch_shape
    leaves, structure = jax.tree.flatten(d)
    assert type(d).__name__ in repr(jax.tree.unflatten(structure, [object()] * len(leaves)))


def test_repr_shows_constants_and_numbers():
    assert repr(Normal(0.5, 2.0)) == "Normal(loc=0.5, scale=2, batch_shape=(), dtype=float32)"
    assert repr(spliced()) == (
        "SplicedBinnedPareto(edges=[-4, ..., 4], tail_mass=(0.05, 0.1), batch_shape=(3,), dtype=float32)"
    )
    blended = BlendedPareto(jnp.zeros(8), EDGES, 0.1, 0.2)
    assert repr(blended) == (
        "BlendedPareto(edges=[-4, ..., 4], lower_shape=0.1, upper_shape=0.2, batch_shape=(), dtype=float32)"
    )
    moved = Affine(GeneralizedPareto(0.25, 1.0), -1.0, 2.0)
    inner = "base=GeneralizedPareto(shape=0.25, scale=1)"
    assert repr(moved) == f"Affine({inner}, loc=-1, scale=2, batch_shape=(), dtype=float32)"


@pytest.mark.parametrize("name", DISTS)
def test_help_shows_signature_and_docstring(name):
    d = DISTS[name]()
    methods = [m for m, v in inspect.getmembers(type(d), callable) if not m.startswith("_") and m not in ("dtype",)]
    assert {"cdf", "icdf", "crps", "prob", "std", "mean", "entropy", "mode"} <= set(methods)
    for method in methods:
        bound = getattr(d, method)
        assert inspect.getdoc(bound), method
        assert "self" not in inspect.signature(bound).parameters
    assert list(inspect.signature(d.cdf).parameters) == ["y"]
    text = pydoc.render_doc(d.interval_log_prob, renderer=pydoc.plaintext)
    assert "interval_log_prob(low" in text
    assert "P(low < Y <= high)" in pydoc.render_doc(d.prob, renderer=pydoc.plaintext)


@pytest.mark.parametrize("name", DISTS)
def test_shapes_that_do_not_broadcast_are_named(name):
    d = DISTS[name]()
    line = r"^outcomes of shape \(4,\) do not broadcast against batch shape \(3,\)"
    for method in ("log_prob", "cdf", "icdf", "crps"):
        with pytest.raises(InputError, match=line):
            getattr(d, method)(jnp.zeros(4))
    with pytest.raises(InputError, match=r"^outcomes of shape \(2, 1\) and \(4,\) do not broadcast against batch"):
        d.interval_log_prob(jnp.zeros((2, 1)), np.ones(4))


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", DISTS)
def test_probability_and_standard_deviation(name):
    d = DISTS[name]()
    low, high = jnp.array([[0.1], [0.5], [2.0], [-jnp.inf]]), jnp.array([[0.4], [3.0], [1.0], [jnp.inf]])
    value = d.prob(low, high)
    np.testing.assert_allclose(value, jnp.where(low < high, d.cdf(high) - d.cdf(low), 0.0), atol=1e-6)
    np.testing.assert_array_equal(value[2], 0)
    np.testing.assert_allclose(value[3], 1, rtol=1e-6)
    np.testing.assert_allclose(d.std(), jnp.sqrt(d.variance()), rtol=1e-6)


class Fixed(GeneralizedPareto):
    """Its variance is the scale."""

    def variance(self):
        return self.scale


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", DISTS)
def test_an_interval_without_an_upper_end_is_the_survival_function(name):
    dist, low = DISTS[name](), jnp.array([-1.4, 0.3, 2.6])

    def open_ended(dist):
        return dist.interval_log_prob(low, jnp.full_like(low, jnp.inf))

    value = dist.log_survival_function(low)
    np.testing.assert_allclose(open_ended(dist), value, rtol=2e-6, atol=1e-6)
    finite = jnp.isfinite(value)
    slopes = [
        jax.grad(lambda dist, log=log: jnp.sum(jnp.where(finite, log(dist), 0.0)))(dist)
        for log in (open_ended, lambda dist: dist.log_survival_function(low))
    ]
    for one, other in zip(*map(jax.tree.leaves, slopes), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


def test_standard_deviation_at_its_edges():
    assert GeneralizedPareto(0.6, 1.0).std() == jnp.inf
    assert jnp.isnan(Normal(jnp.array(jnp.nan), 1.0).std())
    value, slope = jax.vmap(jax.value_and_grad(lambda v: Fixed.std.__wrapped__(Fixed(0.1, v))))(
        jnp.array([0.0, 4.0, jnp.inf])
    )
    np.testing.assert_allclose(value, [0, 2, np.inf])
    np.testing.assert_allclose(slope, [0, 0.25, 1])


@pytest.mark.slow
def test_edges_of_each_element():
    """Bins of their own for every element: each is the distribution of its row."""
    edges = np.stack([EDGES, 2 * EDGES, EDGES + 0.25])
    tails = GeneralizedPareto(0.1, 1.0), GeneralizedPareto(-0.2, 2.0)
    makers = {
        "binned": lambda logits, edges: Binned(logits, edges),
        "spliced": lambda logits, edges: SplicedBinnedPareto(logits, edges, *tails, (0.05, 0.1)),
        "blended": lambda logits, edges: BlendedPareto(0.3 * logits, edges, 0.1, 0.2),
    }
    y = jnp.array([[-1.3], [0.0], [2.6]])
    for name, make in makers.items():
        d: Distribution = make(logits(), edges)
        assert d.batch_shape == (BATCH,)
        assert d.edges.shape == (BATCH, 9)
        for k in range(BATCH):
            one = make(logits()[k], edges[k])
            for method in ("log_prob", "cdf"):
                np.testing.assert_allclose(
                    getattr(d, method)(y)[:, k], getattr(one, method)(y[:, 0]), rtol=1e-6, atol=1e-7, err_msg=name
                )
            np.testing.assert_allclose(d.icdf(0.3)[k], one.icdf(0.3), rtol=1e-6)
            np.testing.assert_allclose(d[k].mean(), one.mean(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(jax.vmap(lambda d: d.mean())(d), d.mean(), rtol=1e-6)
        # logits of one distribution, edges of three
        assert make(logits()[0], edges).batch_shape == (BATCH,)
    for wrong, line in (
        (edges[:2], r"batch shapes do not broadcast against each other: logits \(3,\), edges \(2,\)"),
        (edges[:, ::-1], "edges must be finite and increasing in float32"),
        (edges[:, 1:], r"edges must have shape \[9\] for logits of shape \[3, 8\], got \[3, 8\]"),
    ):
        with pytest.raises(InputError, match=line):
            Binned(logits(), wrong)
