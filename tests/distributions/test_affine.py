"""Affine transforms: SciPy's location and scale, gradients in 50 digits, and undefined values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sbp_jax.distributions import (
    Affine,
    Binned,
    Censored,
    Deterministic,
    GeneralizedPareto,
    Mixture,
    Normal,
    Quantized,
    SplicedBinnedPareto,
    StudentT,
    objective,
)
from sbp_jax.errors import InputError
from tests import oracles
from tests.oracles_baselines import assert_probabilities
from tests.slow import marked

X64 = [pytest.param(False, id="float32"), pytest.param(True, id="float64")]
LOC, SCALE = 40.0, 3.0
BASES = {
    "normal": (lambda: Normal(0.5, 1.5), scipy.stats.norm(LOC + SCALE * 0.5, SCALE * 1.5)),
    "student": (lambda: StudentT(5.0, -1.0, 2.0), scipy.stats.t(5.0, LOC - SCALE, 2 * SCALE)),
    **{
        f"pareto {xi}": (lambda xi=xi: GeneralizedPareto(xi, 2.0), scipy.stats.genpareto(xi, LOC, 2 * SCALE))
        for xi in (-0.3, 0.0, 0.4)
    },
}
Y = np.array([30.0, 39.0, 40.5, 42.0, 47.0, 55.0])
EDGES = np.array([-4.0, -2.5, -1.0, -0.5, 0.0, 0.75, 1.5, 3.0, 5.0])
LOGITS = np.array([0.3, -0.8, 1.1, 0.2, 1.7, 0.4, -0.3, -1.2])


@pytest.mark.sample(1)
@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("name", marked(BASES, ["student"]))
def test_against_scipy(name, x64):
    bound = 1e-11 if x64 else 2e-5
    base, want = BASES[name]
    with jax.enable_x64(x64):
        dist = Affine(base(), LOC, SCALE)
        assert_probabilities(dist, want, Y, bound)
        q = np.array([1e-4, 0.02, 0.3, 0.5, 0.9])
        np.testing.assert_allclose(dist.icdf(q), want.ppf(q), rtol=bound)
        np.testing.assert_allclose(dist.isf(q), want.isf(q), rtol=bound)
        np.testing.assert_allclose([dist.mean(), dist.variance()], [want.mean(), want.var()], rtol=bound)
        within = np.log(want.cdf(Y + 0.5) - want.cdf(Y - 0.5))
        np.testing.assert_allclose(dist.interval_log_prob(Y - 0.5, Y + 0.5), within, rtol=bound, atol=bound)


@pytest.mark.sample(1)
@pytest.mark.parametrize("scale", [1e3, 1e5, 1e6, 3.9e6])
def test_cells_of_large_counts_keep_their_digits(scale):
    """The standardized ends of a cell of width 1 differ by a few rounding errors of float32."""
    y = np.round(scale * np.array([-1.3, 0.0, 0.7, 2.1]))
    want = scipy.stats.norm.logpdf(y, 0.0, scale)  # times a width of 1, up to 1e-8

    def cells(scale):
        return Affine(Normal(0.0, 1.0), 0.0, scale).interval_log_prob(y - 0.5, y + 0.5)

    np.testing.assert_allclose(cells(scale), want, rtol=1e-6)
    slope = jax.jacobian(lambda log_scale: cells(jnp.exp(log_scale)))(jnp.float32(np.log(scale)))
    np.testing.assert_allclose(slope, (y / scale) ** 2 - 1, rtol=1e-4)


@pytest.mark.parametrize("scale", [3.0, 1e3, 1e6])
def test_cells_of_a_mixture_far_from_zero_keep_their_digits(scale):
    """Around 1e7, adjacent float32 numbers differ by 1: the middle of a cell of width 1 is not among them."""
    loc = 1e7
    lows = np.float32(loc + np.round(scale * np.array([-1.3, 0.0, 0.7, 2.1])))
    parts = np.asarray([[0.3, -0.5, 0.7], [0.7, 0.4, 1.3]], np.float32)  # weight, mean and deviation of each

    def cells(loc, scale):
        base = Mixture(parts[:, 0], [Normal(mean, deviation) for _, mean, deviation in parts])
        return Affine(base, loc, scale).interval_log_prob(lows, lows + 1)

    def oracle(low, loc, scale):
        total = oracles.mp.mpf(0)
        for part in parts:
            weight, mean, deviation = map(oracles.exact, part)
            inside = oracles.normal_log_interval(loc + scale * mean, scale * deviation, low, low + 1)
            total += weight * oracles.mp.exp(inside)
        return oracles.mp.log(total)

    at = jnp.float32(loc), jnp.float32(scale)
    slopes = jax.jacobian(cells, (0, 1))(*at)
    for n, low in enumerate(map(oracles.exact, lows)):
        here = [oracles.exact(value) for value in at]
        by_loc = oracles.derivative(lambda v, low=low, scale=here[1]: oracle(low, v, scale), here[0])
        by_scale = oracles.derivative(lambda v, low=low, loc=here[0]: oracle(low, loc, v), here[1])
        np.testing.assert_allclose(cells(*at)[n], float(oracle(low, *here)), rtol=1e-6)
        got = [float(scale * slope[n]) for slope in slopes]
        np.testing.assert_allclose(got, [float(scale * by_loc), float(scale * by_scale)], rtol=2e-6, atol=2e-6)


def test_distributions_state_whether_they_can_have_atoms():
    point, rounded = Deterministic(1.0), Quantized(Normal(0.0, 1.0))
    for atoms in (point, rounded, Censored(Normal(0.0, 1.0), high=2.0), Mixture([0.5, 0.5], [Normal(0.0, 1.0), point])):
        assert atoms._has_atoms
        assert Affine(atoms, 1.0, 2.0)._has_atoms
    # a cell that is narrow in rounding errors of its ends holds an atom's whole probability
    assert float(Affine(point, 1e7, 1e6).prob(1.1e7 - 1, 1.1e7)) == 1.0
    for smooth in (
        Normal(0.0, 1.0),
        Mixture.from_logits(np.zeros(2), Normal(np.zeros(2), 1.0)),
        BASES["pareto 0.4"][0](),
    ):
        assert not smooth._has_atoms
        assert not Affine(smooth, 1.0, 2.0)._has_atoms


def test_a_narrow_cell_with_its_middle_beyond_the_support_has_its_part_inside():
    dist = Affine(Binned(jnp.zeros(4), np.linspace(-1.0, 1.0, 5)), -0.2, 1e4)
    np.testing.assert_allclose(dist.interval_log_prob(9999.5, 10000.5), np.log(0.3 / 2e4), rtol=1e-3)
    assert dist.interval_log_prob(10000.0, 10001.0) == -jnp.inf


@pytest.mark.slow
def test_scores_are_the_base_scores_in_the_unit_of_the_outcome():
    with jax.enable_x64(True):
        base = SplicedBinnedPareto(
            LOGITS, EDGES, GeneralizedPareto(-0.2, 1.0), GeneralizedPareto(0.3, 1.5), (0.05, 0.1)
        )
        dist = Affine(base, LOC, SCALE)
        z = (Y - LOC) / SCALE
        np.testing.assert_allclose(dist.crps(Y), SCALE * base.crps(z), rtol=1e-12)
        np.testing.assert_allclose(dist.twcrps(Y, LOC + SCALE), SCALE * base.twcrps(z, 1.0), rtol=1e-12)
        x = np.linspace(LOC - 60 * SCALE, LOC + 200 * SCALE, 2_000_001)
        middle = 0.5 * (x[1:] + x[:-1])
        integral = np.sum((np.asarray(dist.cdf(middle)) - (middle >= Y[3])) ** 2) * (x[1] - x[0])
        assert float(dist.crps(Y[3])) == pytest.approx(integral, rel=1e-4)
        assert float(jnp.sum(jnp.exp(dist.log_prob(middle))) * (x[1] - x[0])) == pytest.approx(1.0, abs=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("xi", marked([-0.3, 0.0, 0.4], [-0.3]))
def test_gradients_against_50_digits(xi, x64):
    """The distribution's own slopes and those in loc and scale, in both tails and the body."""

    def value(x):
        tails = GeneralizedPareto(x[8], x[9]), GeneralizedPareto(x[10], x[11])
        return Affine(SplicedBinnedPareto(x[:8], EDGES, *tails, (0.05, 0.1)), x[13], x[14]).log_prob(x[12])

    def oracle(x):
        edges = [oracles.mp.mpf(edge) for edge in EDGES]
        tails = oracles.Pareto(x[8], x[9]), oracles.Pareto(x[10], x[11])
        dist = oracles.Spliced(list(x[:8]), edges, *tails, oracles.mp.mpf("0.05"), oracles.mp.mpf("0.1"))
        return dist.log_prob((x[12] - x[13]) / x[14]) - oracles.mp.log(x[14])

    with jax.enable_x64(x64):
        for y in (31.0, 39.0, 44.0, 52.0):
            x = jnp.array([*LOGITS, xi, 3.0, xi, 2.0, y, LOC, SCALE])
            got, slopes = jax.jit(jax.value_and_grad(value))(x)
            exact = [oracles.exact(each) for each in x]
            want = float(oracle(exact))
            assert abs(got - want) <= (1e-12 if x64 else 1e-5) * max(1, abs(want))
            for j in (1, 4, 8, 10, 12, 13, 14):
                slope = oracles.derivative(lambda v, j=j, at=exact: oracle([*at[:j], v, *at[j + 1 :]]), exact[j])
                assert abs(slopes[j] - float(slope)) <= (1e-9 if x64 else 2e-4) * max(1, abs(float(slope))), (y, j)


@pytest.mark.sample(1)
@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e6, 1e30])
def test_far_outcomes_and_extreme_scales_have_finite_gradients(scale):
    def total(loc, scale, y):
        dist = Affine(Normal(jnp.zeros(5), 1.0), loc, scale)
        values = [dist.cdf(y), dist.survival_function(y), dist.icdf(jnp.full(5, 0.3)), dist.mean()]
        return sum(jnp.sum(value) for value in values)

    y = jnp.array([-1e38, -1.0, 0.0, 2.0, 1e38])
    value, gradient = jax.jit(jax.value_and_grad(total, (0, 1, 2)))(jnp.zeros(5), jnp.full(5, scale), y)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in gradient)


@pytest.mark.slow
def test_limits_and_undefined_values():
    dist = Affine(Normal(np.zeros(4), 1.0), jnp.array([0.0, 0.0, jnp.nan, 0.0]), jnp.array([2.0, -1.0, 1.0, 0.0]))
    assert dist.cdf(jnp.inf)[0] == 1
    assert dist.cdf(-jnp.inf)[0] == 0
    assert dist.log_prob(jnp.inf)[0] == -jnp.inf
    for values in (dist.log_prob(0.3), dist.cdf(0.3), dist.mean(), dist.crps(0.3), dist.icdf(0.3), dist.variance()):
        np.testing.assert_array_equal(np.isnan(values), [False, True, True, True])
    assert np.isnan(dist.log_prob(jnp.nan)).all()


@pytest.mark.slow
@pytest.mark.parametrize("threshold_gradient", [None, True, False])
@pytest.mark.parametrize("name", ["exact", "composite", "interval"])
def test_objectives_are_those_of_the_distribution_with_moved_edges(name, threshold_gradient):
    """Value and gradient in the logits; a plain distribution whose edges and tails are in the outcome's unit is the
    same distribution."""
    y = jnp.asarray(Y, jnp.float32)

    def total(logits, moved):
        loc, scale = (LOC, SCALE) if moved else (0.0, 1.0)
        tails = GeneralizedPareto(-0.1, 1.0 * scale), GeneralizedPareto(0.3, 1.5 * scale)
        dist = SplicedBinnedPareto(logits, loc + scale * EDGES, *tails, (0.05, 0.1))
        dist = dist if moved else Affine(dist, LOC, SCALE)
        return jnp.sum(objective(name, 1.0, threshold_gradient)(dist, y, jnp.zeros(len(Y), bool)))

    logits = jnp.asarray(LOGITS, jnp.float32)
    differentiated = jax.jit(jax.value_and_grad(total), static_argnums=1)
    (one, by_one), (other, by_other) = (differentiated(logits, moved) for moved in (False, True))
    # the surrogate has two densities in a tail, and one Jacobian: three of the outcomes lie there
    shift = 3 * np.log(SCALE) if name == "composite" else 0.0
    np.testing.assert_allclose(one + shift, other, rtol=2e-5)
    np.testing.assert_allclose(by_one, by_other, rtol=2e-4, atol=2e-4)


def test_samples_follow_the_distribution():
    dist = Affine(GeneralizedPareto(0.2, 1.0), LOC, SCALE)
    draws = np.asarray(dist.sample(jax.random.key(0), (20_000,)), np.float64)
    assert scipy.stats.kstest(draws, scipy.stats.genpareto(0.2, LOC, SCALE).cdf).pvalue > 1e-3


def test_shapes():
    base = Normal(jnp.zeros((2, 3)), 1.0)
    dist = Affine(base, jnp.arange(3.0), jnp.ones((2, 1)))
    assert (dist.batch_shape, dist.loc.shape, dist.log_prob(jnp.zeros((4, 1, 1))).shape) == ((2, 3), (2, 3), (4, 2, 3))
    assert dist.dtype == jnp.float32
    wider = Affine(base, np.zeros((4, 1, 1)), 1.0)
    assert (wider.batch_shape, wider.base.batch_shape, wider.mean().shape) == ((4, 2, 3), (4, 2, 3), (4, 2, 3))
    with pytest.raises(InputError, match=r"base \(2, 3\), loc \(4,\)"):
        Affine(base, np.zeros(4), 1.0)
    with pytest.raises(InputError, match="scale must be positive, got 0"):
        Affine(base, 0.0, 0.0)
