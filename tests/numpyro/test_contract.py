"""NumPyro's contract for a distribution, with the cases of its own suite, for every adapter."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as numpyro_dists
import pytest
from jax.scipy.special import logsumexp
from numpyro.distributions import constraints
from numpyro.distributions.transforms import biject_to

from sbp_jax.distributions import (
    Affine,
    Binned,
    BlendedPareto,
    GeneralizedPareto,
    HybridPareto,
    Normal,
    StudentT,
    TwoTailedHybridPareto,
)
from sbp_jax.errors import InputError
from sbp_jax.numpyro import Continuous, Rounded
from sbp_jax.numpyro.supports import FixedSpan
from tests.numpyro.test_adapters import DISTS, EDGES, LOGITS, spliced

ADAPTERS = {name: lambda make=make: Continuous(make(), validate_args=True) for name, make in DISTS.items()} | {
    "Rounded": lambda: Rounded(DISTS["Normal"](), 0.5, validate_args=True)
}
EVERY = [pytest.mark.slow, pytest.mark.unoptimized, pytest.mark.parametrize("name", ADAPTERS)]


def every(test):
    """Over all adapters, in the slow suite."""
    for mark in EVERY:
        test = mark(test)
    return test


@every
@pytest.mark.parametrize("prepend", [(), (2,), (2, 3)])
def test_shapes_of_samples_and_scores(name, prepend, loose):
    d = ADAPTERS[name]()
    draws = d.sample(key=jax.random.key(0), sample_shape=prepend)
    assert draws.shape == d.shape(prepend) == prepend + d.batch_shape + d.event_shape
    assert d.log_prob(draws).shape == prepend + d.batch_shape
    assert d.expand((4, 3)).sample(jax.random.key(0), prepend).shape == (*prepend, 4, 3)
    assert d.expand((2, 1, 3)).expand((2, 5, 3)).log_prob(draws[(0,) * len(prepend)]).shape == (2, 5, 3)
    assert d.to_event(1).log_prob(draws).shape == prepend
    with pytest.raises(ValueError, match="Cannot broadcast"):
        d.expand((4,))


@every
def test_log_prob_is_that_of_jit_and_of_vmap(name):
    d = ADAPTERS[name]()
    draws = d.sample(jax.random.key(1), (5,))
    want = d.log_prob(draws)
    np.testing.assert_allclose(jax.jit(lambda d, y: d.log_prob(y))(d, draws), want, rtol=1e-5, atol=1e-5)
    by_element = jax.vmap(lambda d, y: d.log_prob(y), in_axes=(0, 1), out_axes=1)(d, draws)
    np.testing.assert_allclose(by_element, want, rtol=1e-5, atol=1e-5)
    assert np.all(np.isfinite(want))


@every
def test_cdf_and_icdf(name):
    d = ADAPTERS[name]()
    q = jnp.broadcast_to(jnp.array([[0.03], [0.3], [0.5], [0.7], [0.98]]), (5, 3))
    y = d.icdf(q)
    if d.is_discrete:
        assert bool(jnp.all(d.cdf(y) >= q - 1e-6))
        assert bool(jnp.all(d.cdf(y - 0.5) < q + 1e-6))
    else:
        np.testing.assert_allclose(d.cdf(y), q, atol=2e-5)
        slope = jax.jit(jax.vmap(jax.vmap(jax.grad(lambda d, y: d.cdf(y), 1)), (None, 0)))(d, y)
        np.testing.assert_allclose(slope, jnp.exp(d.log_prob(y)), rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(d.log_cdf(y), jnp.log(d.cdf(y)), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTS)
def test_gradient_of_a_sample_is_that_of_its_quantile(name):
    """d y = -(d F) / f: implicit reparameterization, in every parameter."""
    d = ADAPTERS[name]()
    assert d.has_rsample
    key = jax.random.key(3)
    at = jax.lax.stop_gradient(d.rsample(key))
    got = jax.jit(jax.grad(lambda d: jnp.sum(d.rsample(key))))(d)
    density = jax.lax.stop_gradient(jnp.exp(d.log_prob(at)))
    want = jax.jit(jax.grad(lambda d: -jnp.sum(d.cdf(at) / density)))(d)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert np.all(np.isfinite(a))
        np.testing.assert_allclose(a, b, rtol=2e-2, atol=2e-3 * (1 + np.max(np.abs(b))))


@every
def test_constraints(name):
    """Samples lie in the support, bijections cover it, and what lies outside is warned of."""
    d = ADAPTERS[name]()
    draws = d.sample(jax.random.key(2), (100,))
    assert bool(jnp.all(d.support(draws)))
    assert not bool(jnp.any(d.support(jnp.full((3,), jnp.nan))))
    assert bool(jnp.all(d.support(d.support.feasible_like(draws))))
    if not d.is_discrete:
        transform = biject_to(d.support)
        x = jnp.array([-1.3, 0.1, 2.0])
        y = transform(x)
        assert bool(jnp.all(d.support(y)))
        np.testing.assert_allclose(transform._inverse(y), x, rtol=1e-3, atol=1e-4)
        slopes = jnp.diag(jax.jacfwd(transform)(x))
        np.testing.assert_allclose(transform.log_abs_det_jacobian(x, y), jnp.log(jnp.abs(slopes)), atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d.log_prob(draws)
    with pytest.warns(UserWarning, match="Out-of-support"):
        d.log_prob(jnp.full((3,), jnp.inf))


@every
def test_pytree_of_an_expanded_masked_and_independent_one(name, loose):
    d = ADAPTERS[name]()
    y = d.sample(jax.random.key(4), (2,))
    for each in (d, d.expand((2, 3)), d.mask(jnp.array([True, False, True])), d.to_event(1)):
        leaves, structure = jax.tree.flatten(each)
        again = jax.tree.unflatten(structure, leaves)
        assert (again.batch_shape, again.event_shape) == (each.batch_shape, each.event_shape)
        np.testing.assert_array_equal(again.log_prob(y), each.log_prob(y))
        np.testing.assert_allclose(jax.jit(lambda d, y: d.log_prob(y))(each, y), each.log_prob(y), rtol=1e-5, atol=1e-5)


@every
def test_mean_and_variance_are_those_of_samples(name):
    d = ADAPTERS[name]()
    draws = np.asarray(d.sample(jax.random.key(5), (20_000,)), np.float64)
    variance = np.asarray(d.variance, np.float64)
    light = np.isfinite(variance) & (variance < 50)
    error = np.abs(draws.mean(axis=0) - np.asarray(d.mean))[light]
    assert np.all(error <= 6 * np.sqrt(variance[light] / 20_000))


@pytest.mark.slow
def test_parameters_without_a_distribution_are_refused():
    """Under jit too, as far as they are known there; NumPyro passes over traced ones, and so does this."""
    wrong = {
        "shape of HybridPareto must be above -1": lambda: HybridPareto(0.0, 1.0, jnp.array([-1.5, 0.2])),
        "lower_shape of TwoTailedHybridPareto must be above -1": (
            lambda: TwoTailedHybridPareto(0.0, 1.0, jnp.array(-1.0), 0.1)
        ),
        r"base\.shape of Affine must be above -1": lambda: Affine(HybridPareto(0.0, 1.0, jnp.array(-2.0)), 0.0, 1.0),
        "df of StudentT must be positive": lambda: StudentT(jnp.array(0.0), 0.0, 1.0),
        "parameters of BlendedPareto must define a distribution: its published cdf falls": lambda: BlendedPareto(
            jnp.array([0.0, 0.0, 0.0, 0.0, -0.2, -9.0, -9.0, -9.0, -9.0, -1.2]),
            np.linspace(0.0, 10.0, 11),
            None,
            jnp.array(0.1),
            blend="published",
        ),
    }
    for line, make in wrong.items():
        with pytest.raises(InputError, match=line):
            Continuous(make(), validate_args=True)
        d = make()
        with pytest.raises(InputError, match=line):
            jax.jit(lambda y, d=d: Continuous(d, validate_args=True).log_prob(y))(1.0)
    for make, line in (
        (lambda: Normal(np.nan, 1.0), "loc of Normal must not be NaN"),
        (lambda: GeneralizedPareto(np.array([0.1, np.nan]), 1.0), "shape of GeneralizedPareto must not be NaN"),
        (lambda: Binned(np.array([0.0, np.nan]), np.arange(3.0)), "logits of Binned must not be NaN"),
        (lambda: Affine(Normal(0.0, 1.0), np.nan, 1.0), "loc of Affine must not be NaN"),
    ):
        with pytest.raises(InputError, match=line):
            jax.jit(lambda y, make=make: Continuous(make(), validate_args=True).log_prob(y))(1.0)
    traced = jax.jit(lambda s: Continuous(Normal(0.0, s), validate_args=True).log_prob(1.0))(-1.0)
    assert np.isnan(traced)


@pytest.mark.slow
def test_the_warning_survives_jit():
    """For outcomes and parameters that are known there, as of NumPyro's own distributions."""
    dist = GeneralizedPareto(0.1, 1.0)
    for outcome in (np.array(-1.0), jnp.array(-1.0)):
        for make in (
            lambda: Continuous(dist, validate_args=True),
            lambda: numpyro_dists.HalfNormal(1.0, validate_args=True),
        ):
            if isinstance(outcome, jax.Array) and isinstance(make(), numpyro_dists.HalfNormal):
                continue  # NumPyro's own is silent there
            with pytest.warns(UserWarning, match="Out-of-support"):
                jax.jit(lambda s, make=make, y=outcome: s + make().log_prob(y))(1.0)
    with pytest.warns(UserWarning, match="Out-of-support"):
        jax.jit(lambda s: s + Rounded(Normal(0.0, 1.0), validate_args=True).log_prob(np.array(0.5)))(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.jit(lambda y: Continuous(dist, validate_args=True).log_prob(y))(-1.0)


WEIGHTS = jnp.array([0.3, 0.7])
COMPONENTS = {
    "normal": lambda: Continuous(Normal(jnp.array([-1.0, 2.0]), 1.5)),
    "student": lambda: Continuous(StudentT(4.0, jnp.array([-1.0, 2.0]), 1.5)),
    "binned": lambda: Continuous(Binned(jnp.asarray(LOGITS[:2]), EDGES)),
    "affine": lambda: Continuous(Affine(Normal(jnp.array([-1.0, 2.0]), 1.5), 0.5, 2.0)),
    "rounded": lambda: Rounded(GeneralizedPareto(jnp.array([0.1, 0.3]), 2.0), 1.0),
    "named": lambda: Continuous(GeneralizedPareto(jnp.array([0.1, 0.3]), 2.0), support=constraints.nonnegative),
    "named line": lambda: Continuous(spliced()[:2], support=constraints.real),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPONENTS)
def test_mixtures_of_numpyro(name, loose):
    component = COMPONENTS[name]()
    weights = numpyro_dists.Categorical(probs=WEIGHTS)
    mixture = numpyro_dists.MixtureSameFamily(weights, component)
    y = jnp.array([0.0, 1.0, 3.0])
    want = logsumexp(jnp.log(WEIGHTS) + component.log_prob(y[:, None]), axis=-1)
    np.testing.assert_allclose(mixture.log_prob(y), want, rtol=1e-5)
    np.testing.assert_allclose(mixture.cdf(y), jnp.sum(WEIGHTS * component.cdf(y[:, None]), axis=-1), rtol=1e-5)
    draws = mixture.sample(jax.random.key(0), (50,))
    assert draws.shape == (50,)
    assert bool(jnp.all(mixture.support(draws)))
    leaves, structure = jax.tree.flatten(mixture)
    np.testing.assert_allclose(jax.tree.unflatten(structure, leaves).log_prob(y), want, rtol=1e-5)


@pytest.mark.slow
def test_mixtures_that_need_a_named_support():
    weights, shapes = numpyro_dists.Categorical(probs=WEIGHTS), jnp.array([0.1, -0.3])
    with pytest.raises(AssertionError, match="support that does not depend on their parameters"):
        numpyro_dists.MixtureSameFamily(weights, Continuous(GeneralizedPareto(shapes, 1.0)))
    parts = [Continuous(Normal(0.0, 1.0)), Continuous(GeneralizedPareto(0.1, 1.0))]
    with pytest.raises(ValueError, match="must have the same support"):
        numpyro_dists.MixtureGeneral(weights, parts)
    mixture = numpyro_dists.MixtureGeneral(weights, parts, support=constraints.real)
    want = logsumexp(jnp.log(WEIGHTS) + jnp.stack([part.log_prob(jnp.array(0.5)) for part in parts]))
    np.testing.assert_allclose(mixture.log_prob(jnp.array(0.5)), want, rtol=1e-5)
    assert mixture.log_prob(jnp.array(-0.5)) == jnp.log(WEIGHTS[0]) + parts[0].log_prob(-0.5)


def test_a_fixed_span():
    span = Continuous(DISTS["Binned"]()).support
    assert isinstance(span, FixedSpan)
    assert span == Continuous(Binned(jnp.asarray(LOGITS), EDGES)).support
    assert span != Continuous(Binned(jnp.asarray(LOGITS), EDGES + 1)).support
    np.testing.assert_array_equal(span(jnp.array([-3.5, -3.0, 4.0, 4.5, jnp.nan])), [False, True, True, False, False])
    assert jax.tree.structure(span) == jax.tree.structure(Continuous(DISTS["Binned"]()).support)
    x = jnp.array([-2.0, 0.0, 3.0])
    np.testing.assert_allclose(biject_to(span)(x), -3 + 7 / (1 + np.exp(-np.asarray(x))), rtol=1e-6)


def test_mode_and_entropy():
    dist = DISTS["Normal"]()
    np.testing.assert_array_equal(Continuous(dist).mode, dist.loc)
    np.testing.assert_array_equal(Continuous(dist).entropy(), dist.entropy())
    np.testing.assert_allclose(
        Continuous(dist).entropy(), numpyro_dists.Normal(dist.loc, dist.scale).entropy(), rtol=1e-6
    )
    with pytest.raises(NotImplementedError, match="entropy: no closed form for BlendedPareto"):
        Continuous(DISTS["BlendedPareto"]()).entropy()
