"""Adapters expanded by plates, `expand`, `to_event` and `mask`, inside NumPyro's scan and outside, against hand sums.

As many series as steps is the case in which a wrong axis gives a wrong value instead of an error.
"""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as numpyro_dists
import pytest
from jax.scipy.special import logsumexp
from numpyro import handlers
from numpyro.contrib.control_flow import scan
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from numpyro.infer.autoguide import AutoNormal
from numpyro.infer.util import log_density

from sbp_jax.distributions import (
    Affine,
    Binned,
    Censored,
    GeneralizedPareto,
    Mixture,
    Normal,
    Quantized,
    SplicedBinnedPareto,
    StudentT,
)
from sbp_jax.errors import InputError
from sbp_jax.numpyro import Continuous, Rounded
from sbp_jax.numpyro.supports import FixedSpan, Lattice
from tests.slow import marked

pytestmark = pytest.mark.unoptimized

EDGES = np.array([-3.0, -1.0, 0.5, 2.0, 4.0])


def spliced(loc):
    """A distribution with an axis of bins after the batch."""
    logits = loc[..., None] * jnp.array([0.3, -0.2, 0.1, 0.0])
    tail = GeneralizedPareto(0.1, jnp.exp(0.1 * loc))
    return SplicedBinnedPareto(logits, EDGES, tail, tail, (0.05, 0.1))


FAMILIES = {
    "normal": lambda loc: Continuous(Normal(loc, 1.5)),
    "spliced": lambda loc: Continuous(spliced(loc)),
    "rounded": lambda loc: Rounded(Normal(loc, 1.5), 0.5),
}
SHAPES = pytest.mark.parametrize(
    ("series", "steps"),
    [(4, 4), (4, 3), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in ((1, 3), (3, 1)))],
)


def outcomes(steps, *series):
    draws = 1.5 * jax.random.normal(jax.random.key(7), (steps, *series)) + jnp.arange(series[-1])
    return 0.5 * jnp.round(2 * draws)


def even(count):
    return jnp.arange(count) % 2 == 0


# how a site spreads an adapter of batch shape () over the series
SPREAD = {
    "plate": lambda make, loc, n: (True, make(loc)),
    "plate of one": lambda make, loc, n: (True, make(loc[None])),
    "expand": lambda make, loc, n: (False, make(loc).expand((n,))),
    "expand from one": lambda make, loc, n: (False, make(loc[None]).expand((n,))),
    "expand twice": lambda make, loc, n: (False, make(loc).expand((1,)).expand((n,))),
    "expand_by": lambda make, loc, n: (False, make(loc).expand_by((n,))),
    "to_event": lambda make, loc, n: (False, make(loc).expand((n,)).to_event(1)),
    "mask False": lambda make, loc, n: (True, make(loc).mask(False)),
    "mask True": lambda make, loc, n: (True, make(loc).mask(True)),
}
MASKED = {
    "mask": lambda make, loc, n: (True, make(loc).mask(even(n))),
    "expand, mask": lambda make, loc, n: (False, make(loc).expand((n,)).mask(even(n))),
    "mask, to_event": lambda make, loc, n: (False, make(loc).expand((n,)).mask(even(n)).to_event(1)),
}


def series_model(spread, make, series):
    """Each step's location is half the mean of the previous outcomes."""

    def model(y):
        def step(previous, y):
            in_plate, fn = spread(make, 0.5 * jnp.mean(previous), series)
            if in_plate:
                with numpyro.plate("series", series):
                    return y, numpyro.sample("y", fn, obs=y)
            return y, numpyro.sample("y", fn, obs=y)

        return scan(step, jnp.zeros(series), y)

    return model


def by_hand(make, y):
    """The log-density of each outcome, from one distribution per step."""
    before = jnp.concatenate([jnp.zeros_like(y[:1]), y[:-1]])
    return jnp.stack([make(0.5 * jnp.mean(last)).log_prob(now) for last, now in zip(before, y, strict=True)])


@SHAPES
@pytest.mark.parametrize("how", [*SPREAD, *MASKED])
def test_one_distribution_over_the_series_of_a_scan(how, series, steps, loose):
    y = outcomes(steps, series)
    make = FAMILIES["normal"]
    score, trace = log_density(series_model((SPREAD | MASKED)[how], make, series), (y,), {}, {})
    included = jnp.zeros(series, bool) if how == "mask False" else even(series) if how in MASKED else True
    want = jnp.sum(jnp.where(included, by_hand(make, y), 0.0))
    assert float(score) == pytest.approx(float(want), rel=1e-5)
    fn = trace["y"]["fn"]
    assert fn.batch_shape + fn.event_shape == (steps, series)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("how", marked(["plate", "expand", "to_event"], ["expand", "to_event"]))
def test_families_over_the_series_of_a_scan(family, how, loose):
    make = FAMILIES[family]
    for series, steps in ((3, 3), (3, 2)):
        y = outcomes(steps, series)
        score, _ = log_density(series_model(SPREAD[how], make, series), (y,), {}, {})
        assert float(score) == pytest.approx(float(jnp.sum(by_hand(make, y))), rel=1e-5)


@pytest.mark.sample(2)
@pytest.mark.parametrize("steps", [2, 3, 4])
def test_nested_plates_in_a_scan(steps, loose):
    """Batch shapes (), (3,), (2, 1) and (2, 3) in plates of 2 and 3."""
    y = outcomes(steps, 2, 3)
    locs = {(): 0.3, (3,): jnp.arange(3.0), (2, 1): jnp.array([[0.5], [-1.0]]), (2, 3): y[0] - 1.0}

    def model(y, loc):
        def step(time, y):
            with numpyro.plate("rows", 2, dim=-2), numpyro.plate("columns", 3, dim=-1):
                return time + 1.0, numpyro.sample("y", Continuous(Normal(loc + time, 1.5)), obs=y)

        return scan(step, 0.0, y)

    for loc in locs.values():
        score, trace = log_density(model, (y, jnp.asarray(loc)), {}, {})
        want = sum(float(jnp.sum(Normal(loc + float(k), 1.5).log_prob(y[k]))) for k in range(steps))
        assert float(score) == pytest.approx(want, rel=1e-5)
        assert trace["y"]["fn"].batch_shape == (steps, 2, 3)


@SHAPES
def test_draws_and_handlers_of_a_scan(series, steps, loose):
    def model(y=None):
        def step(previous, y):
            with numpyro.plate("series", series):
                value = numpyro.sample("y", Continuous(Normal(0.5 * jnp.mean(previous), 1.5)), obs=y)
            return value, value

        return scan(step, jnp.zeros(series), y, length=steps)[1]

    y = outcomes(steps, series)
    want = float(jnp.sum(by_hand(FAMILIES["normal"], y)))
    for handler in (handlers.substitute, handlers.condition):
        trace = handlers.trace(handlers.seed(handler(model, {"y": y}), 0)).get_trace()
        np.testing.assert_array_equal(trace["y"]["value"], y)
        site = trace["y"]
        assert float(jnp.sum(site["fn"].log_prob(site["value"]))) == pytest.approx(want, rel=1e-5)
    draws = Predictive(model, num_samples=6)(jax.random.key(1))["y"]
    assert draws.shape == (6, steps, series)
    assert len(np.unique(draws)) == draws.size  # independent over series, steps and samples


@pytest.mark.slow
@pytest.mark.parametrize("steps", [3, 2])
def test_a_latent_site_in_a_scan_is_inferred(steps, loose):
    """A site with a bounded support and one on the real line, by NUTS and by SVI, with the energy of the hand."""

    def model(y, plate=True):
        scale = numpyro.sample("scale", numpyro_dists.LogNormal(0.0, 0.5))

        def step(previous, y):
            fns = Continuous(Normal(0.5 * jnp.mean(previous), scale)), Continuous(GeneralizedPareto(-0.5, 1.0))
            with numpyro.plate("series", 3) if plate else contextlib.nullcontext():
                level, excess = (
                    numpyro.sample(name, fn if plate else fn.expand((3,)))
                    for name, fn in zip(("level", "excess"), fns, strict=True)
                )
                numpyro.sample("y", Continuous(Normal(level + excess, 1.5)), obs=y)
            return level, None

        return scan(step, jnp.zeros(3), y)

    y = outcomes(steps, 3)
    level, excess = 0.3 * y, jnp.full((steps, 3), 0.4)
    sites = {"scale": 1.2, "level": level, "excess": excess}
    before = jnp.concatenate([jnp.zeros((1, 3)), level[:-1]])
    want = float(numpyro_dists.LogNormal(0.0, 0.5).log_prob(1.2)) + sum(
        float(jnp.sum(Normal(0.5 * jnp.mean(before[k]), 1.2).log_prob(level[k]))) for k in range(steps)
    )
    want += float(jnp.sum(GeneralizedPareto(-0.5, 1.0).log_prob(excess) + Normal(level + excess, 1.5).log_prob(y)))
    for plate in (True, False):
        assert float(log_density(model, (y, plate), {}, sites)[0]) == pytest.approx(want, rel=1e-5)

    mcmc = MCMC(NUTS(model, max_tree_depth=3), num_warmup=4, num_samples=3, progress_bar=False)
    mcmc.run(jax.random.key(0), y)
    draws = mcmc.get_samples()
    assert draws["level"].shape == draws["excess"].shape == (3, steps, 3)
    assert bool(jnp.all((draws["excess"] > 0) & (draws["excess"] < 2)))
    svi = SVI(model, AutoNormal(model), numpyro.optim.Adam(0.01), Trace_ELBO())
    # NumPyro's guides do not accept a plate inside a scan
    result = svi.run(jax.random.key(1), 3, y, False, progress_bar=False)
    assert bool(jnp.all(jnp.isfinite(result.losses)))


def test_shapes_and_draws_of_an_expanded_adapter(loose):
    loc = jnp.array([[-5.0], [5.0]])
    expanded = Continuous(Normal(loc, 0.1)).expand((3, 2, 4))
    assert (expanded.batch_shape, expanded.dist.batch_shape) == ((3, 2, 4), (2, 1))
    draws = expanded.sample(jax.random.key(0), (5,))
    assert draws.shape == (5, 3, 2, 4)
    assert len(np.unique(draws)) == draws.size
    np.testing.assert_array_equal(jnp.sign(draws), jnp.broadcast_to(jnp.sign(loc), draws.shape))
    np.testing.assert_array_equal(
        expanded.log_prob(draws), Normal(jnp.broadcast_to(loc, (3, 2, 4)), 0.1).log_prob(draws)
    )
    assert expanded.log_prob(0.0).shape == expanded.cdf(0.0).shape == expanded.icdf(0.2).shape == (3, 2, 4)
    assert expanded.mean.shape == expanded.variance.shape == expanded.mode.shape == (3, 2, 4)
    assert expanded.entropy().shape == (3, 2, 4)
    rounded = Rounded(Normal(loc, 0.1)).expand((2, 4))
    assert rounded.quantized.batch_shape == rounded.sample(jax.random.key(0)).shape == (2, 4)
    for wrong in ((4,), (3, 1), (2, 3, 4)):
        with pytest.raises(ValueError, match=r"Cannot broadcast distribution of shape \(2, 4\)"):
            rounded.expand(wrong)
    leaves, structure = jax.tree.flatten(expanded)
    assert [leaf.shape for leaf in leaves] == [(2, 1), (2, 1)]
    assert jax.tree.unflatten(structure, leaves).batch_shape == (3, 2, 4)


@pytest.mark.parametrize("count", [4, 3])
def test_an_axis_that_vmap_adds_comes_first(count, loose):
    locs, y = jnp.arange(float(count)), outcomes(1, 4)[0]
    adapters = jax.vmap(lambda loc: Continuous(Normal(loc, 1.5)).expand((4,)))(locs)
    assert adapters.batch_shape == (count, 4)
    np.testing.assert_array_equal(adapters.log_prob(y), Normal(locs[:, None], 1.5).log_prob(y[None]))
    assert adapters.sample(jax.random.key(0)).shape == (count, 4)
    inner = jax.vmap(lambda adapter, y: adapter.log_prob(y))(adapters, jnp.broadcast_to(y, (count, 4)))
    np.testing.assert_allclose(inner, adapters.log_prob(y), rtol=1e-6)


@pytest.mark.parametrize("steps", [3, 2])
def test_a_mixture_inside_the_adapter_is_scanned(steps, loose):
    """NumPyro's own mixtures do not follow the axis of time; those of this library do."""
    y = outcomes(steps, 3)

    def model(y):
        def step(previous, y):
            loc = 0.5 * jnp.mean(previous)
            parts = [Affine(StudentT(4.0, 0.0, 1.0), loc, 2.0), Normal(loc + 1.0, 1.0)]
            with numpyro.plate("series", 3):
                return y, numpyro.sample("y", Continuous(Mixture([0.3, 0.7], parts)), obs=y)

        return scan(step, jnp.zeros(3), y)

    score, _ = log_density(model, (y,), {}, {})
    want = 0.0
    for last, now in zip([jnp.zeros(3), *y[:-1]], y, strict=True):
        loc = 0.5 * float(jnp.mean(last))
        parts = [StudentT(4.0, loc, 2.0).log_prob(now), Normal(loc + 1.0, 1.0).log_prob(now)]
        want += float(jnp.sum(logsumexp(jnp.log(jnp.array([[0.3], [0.7]])) + jnp.stack(parts), axis=0)))
    assert float(score) == pytest.approx(want, rel=1e-5)


PAIR, HALF = jnp.array([0.0, 1.0]), jnp.array(0.5)
GRID_AT_3 = Quantized(Normal(PAIR, 1.0), 0.5, 0.25)
FIXED = {
    "rounded": (lambda: Rounded(GeneralizedPareto(0.1 * PAIR, 2.0)), Lattice(1.0)),
    "width of an array": (lambda: Rounded(Normal(PAIR, 1.0), HALF), Lattice(0.5)),
    "rounded, expanded": (lambda: Rounded(Normal(0.0, 1.0)).expand((2,)), Lattice(1.0)),
    "rounded, in a vmap": (lambda: jax.vmap(lambda loc: Rounded(Normal(loc, 1.0)))(PAIR), Lattice(1.0)),
    "quantized": (lambda: Continuous(Quantized(GeneralizedPareto(0.1 * PAIR, 2.0))), Lattice(1.0)),
    "quantized, off zero": (lambda: Continuous(GRID_AT_3), Lattice(0.5, 0.25)),
    "quantized, censored": (lambda: Continuous(Censored(Quantized(Normal(PAIR, 1.0)), high=2.0)), Lattice(1.0)),
    "off the grid": (lambda: Continuous(Censored(Quantized(Normal(PAIR, 1.0)), high=2.5)), FixedSpan(-np.inf, 2.5)),
    "censored": (lambda: Continuous(Censored(Normal(PAIR, 1.0), 0.0)), FixedSpan(0.0, np.inf)),
    "both bounds": (lambda: Continuous(Censored(GeneralizedPareto(0.1, 1.0 + PAIR), 0.5, 3.0)), FixedSpan(0.5, 3.0)),
    "mixture": (lambda: Continuous(Mixture(None, [Normal(PAIR, 1.0), StudentT(3.0, PAIR, 1.0)])), None),
    "mixture of bins": (
        lambda: Continuous(Mixture(None, [Binned(jnp.zeros((2, 4)), EDGES), Binned(jnp.zeros((2, 4)), EDGES + 1)])),
        FixedSpan(-3.0, 5.0),
    ),
    "mixture of grids": (lambda: Continuous(Mixture(None, [GRID_AT_3, GRID_AT_3])), Lattice(0.5, 0.25)),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", FIXED)
def test_components_whose_support_depends_on_no_parameter(name, loose):
    make, support = FIXED[name]
    component = make()
    assert component.support == (numpyro_dists.constraints.real if support is None else support)
    draws = component.sample(jax.random.key(0), (40,))
    assert bool(jnp.all(component.support(draws)))
    assert bool(jnp.all(component.support(component.support.feasible_like(draws))))
    assert component.has_rsample == (not component.is_discrete)
    weights = numpyro_dists.Categorical(probs=jnp.array([0.3, 0.7]))
    y = draws[:5, 0]

    def score(y):
        return numpyro_dists.MixtureSameFamily(weights, make()).log_prob(y)

    want = logsumexp(jnp.log(jnp.array([0.3, 0.7])) + component.log_prob(y[:, None]), axis=-1)
    np.testing.assert_allclose(score(y), want, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(score)(y), want, rtol=1e-5)


def test_supports_that_depend_on_parameters_are_still_refused():
    weights = numpyro_dists.Categorical(probs=jnp.array([0.3, 0.7]))
    for dist in (
        GeneralizedPareto(-0.1 - PAIR, 2.0),
        Censored(Normal(PAIR, 1.0), 1.0 - PAIR),
        Censored(GeneralizedPareto(0.1, 1.0 + PAIR), high=3.0),
        Affine(Binned(jnp.zeros((2, 4)), EDGES), PAIR, 1.0),
        Quantized(GeneralizedPareto(0.1, 1.0 + PAIR), 1.0 + PAIR),
        Mixture(None, [Normal(PAIR, 1.0), GeneralizedPareto(0.1, 1.0 + PAIR)]),
    ):
        with pytest.raises(AssertionError, match="support that does not depend on their parameters"):
            numpyro_dists.MixtureSameFamily(weights, Continuous(dist))
    with pytest.raises(InputError, match="width must be a number known at compile time, got a traced value"):
        jax.jit(lambda width: Rounded(Normal(0.0, 1.0), width).log_prob(1.0))(0.5)


def test_rounded_next_to_counts_of_numpyro(loose):
    """A named support makes components comparable; outcomes stay discrete."""
    rounded = Rounded(GeneralizedPareto(0.1, 2.0), support=numpyro_dists.constraints.nonnegative_integer)
    assert rounded.is_discrete
    assert Rounded(Normal(0.0, 1.0), support=numpyro_dists.constraints.real).is_discrete
    weights = numpyro_dists.Categorical(probs=jnp.array([0.3, 0.7]))
    mixture = numpyro_dists.MixtureGeneral(weights, [rounded, numpyro_dists.Poisson(3.0)])
    y = jnp.array([0.0, 2.0])
    parts = jnp.stack([rounded.log_prob(y), numpyro_dists.Poisson(3.0).log_prob(y)])
    np.testing.assert_allclose(
        mixture.log_prob(y), logsumexp(jnp.log(jnp.array([[0.3], [0.7]])) + parts, axis=0), rtol=1e-6
    )
    inflated = numpyro_dists.ZeroInflatedDistribution(Rounded(Normal(2.0, 1.0)), gate=0.2)
    want = jnp.log(0.2 * (y == 0) + 0.8 * jnp.exp(Rounded(Normal(2.0, 1.0)).log_prob(y)))
    np.testing.assert_allclose(inflated.log_prob(y), want, rtol=1e-5)
