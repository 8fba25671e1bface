"""The NumPyro adapters: densities, shapes, transformations, and two models fitted to simulated outcomes."""

import inspect
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as numpyro_dists
import pytest
from numpyro import handlers
from numpyro.contrib.control_flow import scan
from numpyro.distributions import constraints
from numpyro.distributions.transforms import biject_to
from numpyro.infer import Predictive
from numpyro.infer.util import log_density

from sbp_jax import distributions
from sbp_jax.distributions import (
    Affine,
    Binned,
    BlendedPareto,
    Censored,
    Distribution,
    GeneralizedPareto,
    HybridPareto,
    Normal,
    Quantized,
    SplicedBinnedPareto,
    StudentT,
    TwoTailedHybridPareto,
)
from sbp_jax.errors import InputError
from sbp_jax.numpyro import Continuous, Rounded
from sbp_jax.numpyro.supports import Lattice, Span
from tests.slow import marked

pytestmark = [pytest.mark.unoptimized, pytest.mark.long]

EDGES = np.array([-3.0, -1.0, 0.5, 2.0, 4.0])
LOGITS = np.array([[0.3, 1.2, 0.4, -0.5], [0.0, 0.1, 0.2, 0.3], [-1.0, 2.0, 1.0, 0.0]])


def spliced(tail_mass=(0.05, 0.1)):
    lower = GeneralizedPareto(jnp.array([-0.3, 0.0, 0.2]), 0.8)
    return SplicedBinnedPareto(jnp.asarray(LOGITS), EDGES, lower, GeneralizedPareto(0.1, 1.3), tail_mass)


# One distribution of batch shape [3] for each family; a new family needs one line here.
DISTS = {
    "Binned": lambda: Binned(jnp.asarray(LOGITS), EDGES),
    "GeneralizedPareto": lambda: GeneralizedPareto(jnp.array([-0.4, 0.0, 0.3]), jnp.array([1.0, 2.0, 0.5])),
    "Normal": lambda: Normal(jnp.array([-1.0, 0.0, 2.0]), jnp.array([0.5, 1.0, 3.0])),
    "SplicedBinnedPareto": spliced,
    "BlendedPareto": lambda: BlendedPareto(jnp.asarray(0.3 * LOGITS), EDGES, 0.1, jnp.array([-0.2, 0.0, 0.2])),
    "HybridPareto": lambda: HybridPareto(jnp.array([-1.0, 0.0, 2.0]), 1.5, jnp.array([-0.3, 0.0, 0.4])),
    "StudentT": lambda: StudentT(jnp.array([1.5, 4.0, 30.0]), 0.5, 2.0),
    "TwoTailedHybridPareto": lambda: TwoTailedHybridPareto(0.3, 1.0, jnp.array([-0.2, 0.0, 0.3]), 0.1),
    "Affine": lambda: Affine(GeneralizedPareto(jnp.array([-0.4, 0.0, 0.3]), 1.0), jnp.array([-1.0, 0.0, 0.5]), 1.5),
}
# those made of other distributions have tests of their own
ON_THE_HOST = {"Shifted"}  # its methods do not work inside jit, which NumPyro needs
MADE_OF_OTHERS = {"Censored", "Deterministic", "Mixture", "Quantized"}
# half a minute of compilation each, for what the others show too
SLOW = set(DISTS) - {"SplicedBinnedPareto"}
EVERY = pytest.mark.parametrize("family", marked(DISTS, SLOW))
X64 = pytest.mark.parametrize("x64", [pytest.param(False, id="float32"), pytest.param(True, id="float64")])
OUTCOMES = np.array([-7.5, -1.0, 0.0, 0.3, 1.9, 2.6, 11.0])


def test_every_family_is_listed():
    families = {
        name
        for name in distributions.__all__
        if inspect.isclass(cls := getattr(distributions, name))
        and issubclass(cls, Distribution)
        and not inspect.isabstract(cls)
    }
    assert families == set(DISTS) | MADE_OF_OTHERS | ON_THE_HOST


@pytest.mark.sample(1)
@EVERY
@X64
def test_methods_are_those_of_the_distribution(family, x64):
    with jax.enable_x64(x64):
        dist = DISTS[family]()
        adapter = Continuous(dist, validate_args=False)
        assert isinstance(adapter, numpyro_dists.Distribution)
        assert (adapter.batch_shape, adapter.event_shape, adapter.has_rsample) == ((3,), (), True)
        y = jnp.asarray(OUTCOMES[:, None])
        for name, x in (("log_prob", y), ("cdf", y), ("icdf", jnp.array([[0.0], [0.01], [0.7], [1.0]]))):
            value = getattr(adapter, name)(x)
            np.testing.assert_array_equal(value, getattr(dist, name)(x), err_msg=name)
            assert value.dtype == (jnp.float64 if x64 else jnp.float32)
        np.testing.assert_array_equal(adapter.mean, dist.mean())
        np.testing.assert_array_equal(adapter.variance, dist.variance())
        key = jax.random.key(3)
        np.testing.assert_array_equal(adapter.sample(key, (4, 2)), dist.sample(key, (4, 2)))
        assert adapter.sample(key).shape == (3,)


@pytest.mark.slow
@EVERY
def test_validation_warns_but_changes_no_score(family):
    dist = DISTS[family]()
    outside = jnp.array([jnp.nan, -jnp.inf, jnp.inf])
    with pytest.warns(UserWarning, match="Out-of-support"):
        score = Continuous(dist, validate_args=True).log_prob(outside)
    np.testing.assert_array_equal(score, dist.log_prob(outside))
    assert jnp.isnan(score[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Continuous(dist, validate_args=False).log_prob(outside)
        Continuous(dist, validate_args=True).log_prob(dist.sample(jax.random.key(0), (50,)))


def test_validation_of_parameters():
    with pytest.raises(InputError, match="scale of GeneralizedPareto must be positive"):
        Continuous(GeneralizedPareto(0.1, jnp.array([1.0, -1.0])), validate_args=True)
    tails = GeneralizedPareto(0.1, 1.0), GeneralizedPareto(0.1, jnp.array(-1.0))
    wrong = SplicedBinnedPareto(jnp.zeros(4), EDGES, *tails)
    with pytest.raises(InputError, match=r"upper\.scale of SplicedBinnedPareto must be positive"):
        Rounded(wrong, validate_args=True)
    with pytest.raises(InputError, match="loc of Normal must not be NaN"):
        Continuous(Normal(jnp.array(jnp.nan), 1.0), validate_args=True)
    Continuous(GeneralizedPareto(0.1, jnp.array(-1.0)), validate_args=False)
    with pytest.raises(RuntimeError, match="inside jitted code"):
        jax.jit(lambda s: Continuous(Normal(0.0, s)).validate_args() or s)(1.0)
    for width in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(InputError, match="width must be a positive finite number"):
            Rounded(Normal(0.0, 1.0), width)


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrap",
    [lambda dist: Continuous(dist, validate_args=False), lambda dist: Rounded(dist, 0.5)],
    ids=["continuous", "rounded"],
)
@EVERY
def test_transformations(family, wrap):
    adapter = wrap(DISTS[family]())
    y = jnp.array([-0.5, 0.5, 1.5])
    want = adapter.log_prob(y)
    leaves, structure = jax.tree.flatten(adapter)
    again = jax.tree.unflatten(structure, leaves)
    assert jax.tree.structure(again) == structure
    assert vars(again).get("width") == vars(adapter).get("width")
    np.testing.assert_array_equal(again.log_prob(y), want)
    np.testing.assert_allclose(jax.jit(lambda d, y: d.log_prob(y))(adapter, y), want, rtol=1e-5, atol=1e-6)

    def one(d, y):
        assert d.batch_shape == ()
        return d.log_prob(y)

    np.testing.assert_allclose(jax.vmap(one)(adapter, y), want, rtol=1e-5, atol=1e-6)
    built = jax.jit(lambda: adapter)()
    assert built.batch_shape == (3,)
    assert jax.vmap(lambda d: d)(adapter).batch_shape == (3,)
    _, scanned = jax.lax.scan(lambda carry, xs: (carry, one(*xs)), 0, (adapter, y))
    np.testing.assert_allclose(scanned, want, rtol=1e-5, atol=1e-6)
    carried, _ = jax.lax.scan(lambda d, _: (d, None), adapter, length=2)
    np.testing.assert_array_equal(carried.log_prob(y), want)
    gradient = jax.jit(jax.grad(lambda d: jnp.sum(jnp.where(jnp.isfinite(want), d.log_prob(y), 0.0))))(adapter)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
@EVERY
def test_shapes_under_numpyro(family, loose):
    dist = DISTS[family]()
    adapter = Continuous(dist, validate_args=False)
    y = jnp.linspace(-2.0, 3.0, 12).reshape(4, 3)
    expanded = adapter.expand((4, 3))
    assert expanded.batch_shape == (4, 3)
    np.testing.assert_array_equal(expanded.log_prob(y), dist.log_prob(y))
    assert expanded.sample(jax.random.key(0), (2,)).shape == (2, 4, 3)
    assert expanded.mean.shape == (4, 3)
    np.testing.assert_array_equal(adapter.expand_by((5,)).log_prob(y[0]), jnp.broadcast_to(dist.log_prob(y[0]), (5, 3)))
    event = adapter.to_event(1)
    assert (event.batch_shape, event.event_shape, event.has_rsample) == ((), (3,), True)
    np.testing.assert_allclose(event.log_prob(y), jnp.sum(dist.log_prob(y), axis=-1), rtol=1e-6)
    masked = adapter.mask(jnp.array([True, False, True])).log_prob(y)
    np.testing.assert_array_equal(masked, jnp.where(jnp.array([True, False, True]), dist.log_prob(y), 0.0))

    def model(y=None):
        with numpyro.plate("rows", 4, dim=-2), numpyro.plate("columns", 3, dim=-1):
            return numpyro.sample("y", adapter, obs=y)

    inside = dist.sample(jax.random.key(5), (4,))
    score, _ = log_density(model, (inside,), {}, {})
    assert float(score) == pytest.approx(float(jnp.sum(dist.log_prob(inside))), rel=1e-5)
    trace = handlers.trace(handlers.seed(model, 0)).get_trace()
    assert trace["y"]["value"].shape == (4, 3)
    assert handlers.seed(handlers.condition(model, {"y": inside}), 0)() is inside
    draws = Predictive(model, num_samples=7)(jax.random.key(1))["y"]
    assert draws.shape == (7, 4, 3)
    assert bool(jnp.all(jnp.isfinite(dist.log_prob(draws))))


def test_scan_of_numpyro(loose):
    def model(y):
        loc = numpyro.sample("loc", numpyro_dists.Normal(0.0, 1.0))
        return scan(lambda c, y: (y, numpyro.sample("y", Continuous(Normal(loc + 0.5 * c, 1.0)), obs=y)), 0.0, y)

    y = jnp.array([0.3, -0.2, 1.1])
    score, trace = log_density(model, (y,), {}, {"loc": 0.2})
    before = jnp.array([0.0, 0.3, -0.2])
    want = jnp.sum(Normal(0.2 + 0.5 * before, 1.0).log_prob(y)) + Normal(0.0, 1.0).log_prob(0.2)
    assert float(score) == pytest.approx(float(want), rel=1e-6)
    assert trace["y"]["fn"].batch_shape == (3,)


@EVERY
def test_draws_lie_in_the_support(family):
    dist = DISTS[family]()
    support = Continuous(dist).support
    assert bool(jnp.all(support(dist.sample(jax.random.key(0), (500,)))))
    assert not bool(jnp.any(support(jnp.array([[jnp.nan], [jnp.inf], [-jnp.inf]]))))
    near = biject_to(support)(jnp.broadcast_to(jnp.array([[-4.0], [0.0], [4.0]]), (3, 3)))
    assert near.dtype == dist.dtype
    assert bool(jnp.all(support(near)))


def test_support_follows_the_parameters():
    span = Continuous(GeneralizedPareto(jnp.array([-0.5, 0.0, 0.3]), 2.0)).support
    np.testing.assert_allclose(span.upper_bound, [4.0, jnp.inf, jnp.inf], rtol=1e-6)
    np.testing.assert_array_equal(span.lower_bound, [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(span(jnp.array([4.5, 4.5, -0.1])), [False, True, False])
    assert Continuous(Normal(0.0, 1.0)).support is constraints.real
    bins = Continuous(DISTS["Binned"]()).support
    np.testing.assert_array_equal(bins.lower_bound, [-3.0] * 3)
    np.testing.assert_array_equal(bins.upper_bound, [4.0] * 3)
    bounded = Continuous(spliced((0.05, 0.0))).support
    np.testing.assert_array_equal(bounded.upper_bound, [4.0] * 3)
    np.testing.assert_array_equal(jnp.isfinite(bounded.lower_bound), [True, False, False])
    support = Span(jnp.array([-jnp.inf, -jnp.inf]), jnp.array([jnp.inf, 2.0]))
    transform = biject_to(support)
    x = jnp.array([1.5, 0.5])
    np.testing.assert_allclose(transform(x), [1.5, 2 - np.exp(-0.5)], rtol=1e-6)
    np.testing.assert_allclose(transform.inv(transform(x)), x, rtol=1e-5)
    assert span == span
    assert jax.tree.structure(jax.tree.map(lambda x: x, transform)) == jax.tree.structure(transform)


@pytest.mark.slow
@EVERY
def test_rounded_is_a_distribution(family, loose):
    dist = DISTS[family]()
    adapter = Rounded(dist, 0.1, validate_args=False)
    assert (adapter.batch_shape, adapter.has_rsample, adapter.is_discrete) == ((3,), False, True)
    lattice = jnp.arange(-2000, 2001) * 0.1
    score = adapter.log_prob(lattice[:, None])
    inside = dist.cdf(200.05) - dist.cdf(-200.05)
    np.testing.assert_allclose(jnp.sum(jnp.exp(score), axis=0), inside, rtol=2e-5)
    np.testing.assert_allclose(
        adapter.cdf(jnp.array([[0.3], [0.37]])), jnp.broadcast_to(dist.cdf(0.35), (2, 3)), rtol=1e-5, atol=1e-6
    )
    q = jnp.array([[0.03], [0.41], [0.9]])
    least = adapter.icdf(q)
    assert bool(jnp.all(adapter.cdf(least) >= q - 1e-5))
    assert bool(jnp.all(adapter.cdf(least - 0.1) < q + 1e-5))
    draws = adapter.sample(jax.random.key(0), (200,))
    assert draws.shape == (200, 3)
    assert bool(jnp.all(adapter.support(draws)))
    assert bool(jnp.all(jnp.isfinite(adapter.log_prob(draws))))
    off = jnp.array([0.25, jnp.nan, jnp.inf])
    np.testing.assert_array_equal(adapter.log_prob(off), [-jnp.inf, jnp.nan, -jnp.inf])
    with pytest.warns(UserWarning, match="Out-of-support"):
        Rounded(dist, 0.1, validate_args=True).log_prob(off)
    assert adapter.support == Lattice(0.1)
    assert adapter.support != Lattice(0.2)
    assert bool(jnp.all(Lattice(2.0)(jnp.array([2, -4]))))
    np.testing.assert_array_equal(adapter.mean, Quantized(dist, 0.1).mean())
    np.testing.assert_array_equal(adapter.variance, Quantized(dist, 0.1).variance())


@pytest.mark.sample(1)
@X64
def test_bounded_outcomes_as_a_likelihood(x64, loose):
    """A mixed distribution scores atoms by their probability; its support ends at the bounds."""
    with jax.enable_x64(x64):
        dist = Censored(Normal(jnp.array([-1.0, 0.0, 2.0]), 1.5), high=2.5)
        adapter = Continuous(dist, validate_args=False)
        y = jnp.array([2.5, 0.3, 2.5])
        np.testing.assert_array_equal(adapter.log_prob(y), dist.log_prob(y))
        np.testing.assert_array_equal(adapter.mean, dist.mean())
        np.testing.assert_array_equal(adapter.support(jnp.array([2.5, 0.3, 2.6])), [True, True, False])

        def model(y):
            loc = numpyro.sample("loc", numpyro_dists.Normal(0.0, 1.0))
            numpyro.sample("y", Continuous(Censored(Normal(loc, 1.5), high=2.5)), obs=y)

        score, _ = log_density(model, (2.5,), {}, {"loc": 0.2})
        want = Normal(0.2, 1.5).log_survival_function(2.5) + Normal(0.0, 1.0).log_prob(0.2)
        assert float(score) == pytest.approx(float(want), rel=1e-5)


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_module_name_does_not_hide_numpyro():
    done = run_python("import sbp_jax.numpyro, numpyro; assert numpyro.__version__ and numpyro is not sbp_jax.numpyro")
    assert done.returncode == 0, done.stderr


def test_a_distribution_of_numpyro_is_refused():
    done = run_python("import numpyro, sbp_jax.numpyro as n; n.Continuous(numpyro.distributions.Normal(0.0, 1.0))")
    assert done.stderr.splitlines()[-1].endswith("InputError: dist must be a distribution of sbp_jax, got Normal")


def test_missing_numpyro_names_the_extra():
    done = run_python("import sys; sys.modules['numpyro'] = None; import sbp_jax.numpyro")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: sbp_jax.numpyro needs NumPyro: pip install 'sbp_jax[numpyro]'"
    )
