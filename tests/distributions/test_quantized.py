"""Rounded outcomes: probabilities, sums over the grid against 50 digits, quantiles, draws, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sbp_jax.distributions import (
    Affine,
    Binned,
    BlendedPareto,
    GeneralizedPareto,
    HybridPareto,
    Normal,
    Quantized,
    SplicedBinnedPareto,
    StudentT,
    TwoTailedHybridPareto,
)
from sbp_jax.errors import InputError
from tests.oracles import INF, Pareto, Spliced, exact, mp
from tests.oracles_baselines import Hybrid, Student, compare
from tests.oracles_blended import Blended
from tests.oracles_outcomes import Excess, Gaussian, Rounded
from tests.slow import marked

# each program takes half a minute: the fast suite runs one of each kind
X64 = pytest.mark.parametrize(
    "x64", [pytest.param(False, id="float32"), pytest.param(True, id="float64", marks=pytest.mark.slow)]
)
EDGES = np.array([-4.0, -2.5, -1.0, -0.5, 0.0, 0.75, 1.5, 3.0, 5.0])  # exact in float32
LOGITS = np.array([0.25, -0.75, 1.0, 0.25, 1.75, 0.5, -0.25, -1.25])
TAIL_MASS = (0.0625, 0.125)
SHAPES = [-0.3, -1e-4, 0.0, 1e-6, 0.2, 0.45]


def spliced(xi, beta, logit):
    tails = GeneralizedPareto(0.5 * xi, 0.5 * beta), GeneralizedPareto(xi, beta)
    return SplicedBinnedPareto(jnp.asarray(LOGITS, beta.dtype).at[3].set(logit), EDGES, *tails, TAIL_MASS)


def spliced_oracle(xi, beta, logit):
    logits = [mp.mpf(x) for x in LOGITS]
    logits[3] = logit
    tails = Pareto(xi / 2, beta / 2), Pareto(xi, beta)
    return Spliced(logits, [mp.mpf(e) for e in EDGES], *tails, *(mp.mpf(m) for m in TAIL_MASS))


# xi, beta, a logit, the width: no midpoint of the grid is an edge, where the slope in the width has two sides
ROWS = [(xi, beta, 0.25, width) for xi in SHAPES for beta, width in ((1.5, 1.125), (4.0, 0.140625), (0.25, 3.25))]


QUANTITIES = {
    "crps": (lambda d, width: d.crps(2 * width), lambda d, width: d.crps(2 * width)),
    "far crps": (lambda d, width: d.crps(40 * width), lambda d, width: d.crps(40 * width)),
    "twcrps": (
        lambda d, width: d.twcrps(2 * width, -60 * width, 3 * width),
        lambda d, width: d.crps(2 * width, -60 * width, 3 * width),
    ),
    "mean": (lambda d, width: d.mean(), lambda d, width: d.moments()[0]),
    "variance": (lambda d, width: d.variance(), lambda d, width: d.moments()[1]),
}
# half a minute of compilation each
SPLICED = marked(QUANTITIES, ["far crps", "twcrps", "mean"])


@pytest.mark.slow
@X64
@pytest.mark.parametrize("quantity", SPLICED)
def test_spliced_sums_against_50_digits(quantity, x64):
    """In shape, scale, logit and width; outcomes and windows are grid points, which move with the width."""
    method, oracle = QUANTITIES[quantity]
    # a variance has few digits left next to the shape of 1/2 where it ends
    rows = [row for row in ROWS if quantity != "variance" or row[0] < 0.3]
    compare(
        lambda xi, beta, logit, width: method(Quantized(spliced(xi, beta, logit), width), width),
        lambda xi, beta, logit, width: oracle(Rounded(spliced_oracle(xi, beta, logit), width), width),
        rows,
        x64,
    )


@X64
@pytest.mark.slow
@pytest.mark.parametrize("quantity", ["crps", "mean", "variance"])
def test_tails_of_any_scale_against_50_digits(quantity, x64):
    """Cells from a thousandth of the scale to ten scales, so that every part of the rule is used."""

    def method(xi, beta):
        d = Quantized(GeneralizedPareto(xi, beta), 1.0)
        return {"crps": lambda: d.crps(0.0), "mean": d.mean, "variance": d.variance}[quantity]() / beta

    def oracle(xi, beta):
        d = Rounded(Excess(Pareto(xi, beta)), mp.mpf(1))
        # below 0 there is nothing: all of the outcome is above the grid point 0
        if quantity == "crps":
            return d.sums(0, INF, True, 2)[0] / beta
        above, moment = d.sums(0, INF, True, 1)
        return (above if quantity == "mean" else 2 * moment + above - above**2) / beta

    scales = [0.1, 0.5, 1.0, 2.0, 7.0, 40.0, 1000.0]
    shapes = [-1.0, -0.3, -0.02, 0.0, 1e-6, 0.02, 0.15, 0.3] + ([0.9] if quantity != "variance" else [])
    rows = [(xi, beta) for xi in shapes for beta in scales if xi >= 0 or beta < -4000 * xi]
    compare(method, oracle, rows, x64)


@pytest.mark.slow
@X64
@pytest.mark.parametrize("quantity", ["crps", *marked(["mean", "variance"], ["mean", "variance"])])
def test_gaussian_sums_against_50_digits(quantity, x64):
    def method(loc, scale):
        d = Quantized(Normal(loc, scale))
        return d.crps(2.0) if quantity == "crps" else getattr(d, quantity)()

    def oracle(loc, scale):
        d = Rounded(Gaussian(loc, scale), mp.mpf(1))
        reach = int(14 * scale) + 5
        return d.crps(2, -reach, reach) if quantity == "crps" else d.moments(-reach, reach)[quantity == "variance"]

    compare(method, oracle, [(0.25, scale) for scale in (0.0625, 0.375, 1.0, 3.0, 9.0)] + [(1.75, 9.0)], x64)


def blended(blend):
    """The family, its oracle and rows of shape and logit."""

    def build(a, b):
        logits = 0.25 * jnp.asarray(LOGITS, a.dtype).at[3].set(b)
        return BlendedPareto(logits, EDGES, 0.5 * a, a, blend=blend)

    def reference(a, b):
        logits = [mp.mpf(x) / 4 for x in LOGITS]
        logits[3] = b / 4
        masses = (mp.mpf(0.05), mp.mpf(0.2))
        return Blended(logits, [mp.mpf(e) for e in EDGES], a / 2, a, masses, masses, blend=blend)

    return build, reference, [(0.25, 0.25), (-0.25, 0.0)]


FAMILIES = {
    "student": (lambda a, b: StudentT(a, b, 1.5), lambda a, b: Student(a, b, mp.mpf(1.5)), [(0.75, 0.25), (4.0, 0.5)]),
    "hybrid": (
        lambda a, b: HybridPareto(b, 1.5, a),
        lambda a, b: Hybrid(b, mp.mpf(1.5), None, a),
        [(-0.25, 0.25), (0.0, 0.0), (0.25, -1.0)],
    ),
    "two-tailed hybrid": (
        lambda a, b: TwoTailedHybridPareto(b, 1.5, a, 0.25),
        lambda a, b: Hybrid(b, mp.mpf(1.5), a, mp.mpf(0.25)),
        [(-0.25, 0.25), (0.25, -1.0)],
    ),
    "binned": (
        lambda a, b: Binned(jnp.asarray(LOGITS, a.dtype).at[3].set(a).at[5].set(b), EDGES),
        lambda a, b: Spliced(
            [mp.mpf(x) for x in LOGITS[:3]] + [a, mp.mpf(LOGITS[4]), b] + [mp.mpf(x) for x in LOGITS[6:]],
            [mp.mpf(e) for e in EDGES],
            Pareto(mp.mpf(0), mp.mpf(1)),
            Pareto(mp.mpf(0), mp.mpf(1)),
            mp.mpf(0),
            mp.mpf(0),
        ),
        [(0.25, 0.5)],
    ),
    "affine": (
        lambda a, b: Affine(spliced(a, jnp.ones_like(a), 0.25 * jnp.ones_like(a)), 0.5, b),
        None,
        [(0.25, 2.0), (-0.25, 0.5)],
    ),
    "blend of densities": blended("density"),
    "published blend": blended("published"),
}


class Moved:
    """The oracle of an affine distribution."""

    def __init__(self, base, loc, scale):
        self.base, self.loc, self.scale = base, loc, scale

    def cdf(self, y):
        return self.base.cdf((y - self.loc) / self.scale)

    def survival(self, y):
        return self.base.survival((y - self.loc) / self.scale)


@X64
@pytest.mark.slow
@pytest.mark.parametrize("width", [1.0, 0.0625])
@pytest.mark.parametrize("name", FAMILIES)
def test_windows_of_every_family_against_50_digits(name, width, x64):
    """Scores over a window are finite sums, whatever the tails."""
    build, reference, rows = FAMILIES[name]
    if name == "affine":

        def reference(a, b):
            return Moved(spliced_oracle(a, mp.mpf(1), mp.mpf(0.25)), mp.mpf(0.5), b)

    window = (-6.0, 9.0)

    def method(a, b):
        return Quantized(build(a, b), width).twcrps(1.0, *window)

    def oracle(a, b):
        return Rounded(reference(a, b), mp.mpf(width)).crps(mp.mpf(1), *(mp.mpf(x) for x in window))

    # the blends' masses are rounded to the dtype
    compare(method, oracle, rows, x64, rounding=(lambda point, eps: 10 * eps) if "blend" in name else None)


@pytest.mark.slow
def test_sums_of_student_tails():
    """Infinite sums against SciPy in float64 where its tails are negligible, and finite variances only."""
    with jax.enable_x64(True):
        g = np.arange(-400_000, 400_000) + 0.5
        want = scipy.stats.t(5.0, 0.25, 1.5)
        below, above = want.cdf(g), want.sf(g)
        d = Quantized(StudentT(5.0, 0.25, 1.5))
        score = np.sum(below[g < 2] ** 2) + np.sum(above[g > 2] ** 2)
        np.testing.assert_allclose(d.crps(2.0), score, rtol=1e-12)
        mean = np.sum(above[g > 0]) - np.sum(below[g < 0])
        np.testing.assert_allclose(d.mean(), mean, rtol=1e-10)
        second = 2 * np.sum(above[g > 0] * g[g > 0]) - 2 * np.sum(below[g < 0] * g[g < 0])
        np.testing.assert_allclose(d.variance(), second - mean**2, rtol=1e-9)
        assert Quantized(StudentT(1.5, 0.0, 1.0)).variance() == np.inf
        assert np.isnan(Quantized(StudentT(0.9, 0.0, 1.0)).mean())


@pytest.mark.slow
def test_probabilities_round_to_the_nearest_point():
    """TensorFlow Probability's QuantizedDistribution would give P(Y = 5) = F(5) - F(4)."""
    dist = scipy.stats.norm(5.3, 2.0)
    d = Quantized(Normal(5.3, 2.0))
    k = np.arange(-3.0, 14.0)
    np.testing.assert_allclose(np.exp(d.log_prob(k)), dist.cdf(k + 0.5) - dist.cdf(k - 0.5), rtol=2e-5)
    np.testing.assert_allclose(d.cdf(k), dist.cdf(k + 0.5), rtol=1e-5)
    np.testing.assert_allclose(d.cdf(k + 0.9), d.cdf(k))
    np.testing.assert_allclose(d.cdf(k - 0.1), d.cdf_left(k), rtol=1e-6)
    np.testing.assert_allclose(d.survival_function(k), dist.sf(k + 0.5), rtol=1e-5)
    np.testing.assert_allclose(np.exp(d.log_survival_left(k)), dist.sf(k - 0.5), rtol=1e-5)
    np.testing.assert_allclose(np.exp(d.log_cdf_left(k)), dist.cdf(k - 0.5), rtol=1e-5)
    low, high = d.pit_bounds(k)
    np.testing.assert_allclose(high - low, np.exp(d.log_prob(k)), atol=1e-6)
    np.testing.assert_allclose(
        np.exp(d.interval_log_prob(k - 0.2, k + 2.7)), dist.cdf(k + 2.5) - dist.cdf(k - 0.5), rtol=2e-5
    )
    assert d.interval_log_prob(3.1, 3.9) == -np.inf
    # far in a tail the probability has all its digits
    assert d.log_prob(40.0) == pytest.approx(float(dist.logsf(39.5)), rel=1e-3)


@pytest.mark.slow
def test_off_the_grid():
    d = Quantized(Normal(0.25, 2.0), 0.1, 0.03)
    grid = jnp.float32(0.03) + jnp.arange(-40, 40, dtype=jnp.float32) * jnp.float32(0.1)
    assert np.all(np.isfinite(d.log_prob(grid)))
    value, slope = jax.value_and_grad(lambda loc: Quantized(Normal(loc, 2.0)).log_prob(0.5))(0.25)
    assert value == -np.inf
    assert slope == 0
    np.testing.assert_array_equal(d.log_prob(jnp.array([0.05, jnp.inf, -jnp.inf])), -jnp.inf)
    assert np.isnan(d.log_prob(jnp.nan))
    assert d.cdf(-jnp.inf) == 0
    assert d.cdf(jnp.inf) == 1
    assert d.crps(jnp.inf) == np.inf
    # scores of outcomes between grid points are the integral, whose slope is F^2 - S^2
    one = Quantized(Normal(0.25, 2.0))
    slope = jax.grad(one.crps)(2.3)
    np.testing.assert_allclose(slope, one.cdf(2.0) ** 2 - one.survival_function(2.0) ** 2, rtol=1e-5)
    np.testing.assert_allclose(one.crps(2.3), one.crps(2.0) + 0.3 * slope, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("x64", [False, True])
def test_quantiles_are_those_of_the_cdf_as_it_is_rounded(x64):
    with jax.enable_x64(x64):
        for d in (
            Quantized(spliced(jnp.asarray(0.2), jnp.asarray(1.5), 0.25), 0.1, 0.03),
            Quantized(Normal(5.3, 9.0)),
            Quantized(GeneralizedPareto(-0.5, 2.0), 0.25),
        ):
            width, origin = (np.asarray(x).astype(d.dtype) for x in (d.width, d.origin))
            k = origin + np.arange(-25, 26, dtype=d.dtype) * width
            q = np.asarray(d.cdf(k))
            # in a flat piece of the cdf the least point is meant
            rising = (q > np.asarray(d.cdf(k - width))) & (q < 1)
            assert rising.sum() > 5
            np.testing.assert_allclose(np.asarray(d.icdf(q))[rising], k[rising], rtol=1e-6, atol=1e-6)
            q = np.linspace(0.0013, 0.9987, 301).astype(d.dtype)
            y = d.icdf(q)
            assert np.all(d.cdf(y) >= q * (1 - 1e-6))
            assert np.all(d.cdf(y - 0.5 * width) < q)
            s = np.asarray(d.survival_function(k))
            solid = rising & (s > 1e-5)
            np.testing.assert_allclose(np.asarray(d.isf(s))[solid], k[solid], rtol=1e-6, atol=1e-6)
        uniform = Quantized(GeneralizedPareto(-1.0, 4.0))
        np.testing.assert_array_equal(uniform.icdf(jnp.array([0.0, 1.0])), [0.0, 4.0])
        assert np.isnan(uniform.icdf(1.5))
        assert jax.grad(lambda loc: Quantized(Normal(loc, 2.0)).icdf(0.3))(0.4) == 0


@pytest.mark.slow
def test_outcomes_of_any_size():
    """Outcomes near 2,800, a million grid points in one bin, grids finer than the numbers of the dtype."""
    near = Quantized(Normal(2800.25, 30.0)), Quantized(Normal(0.25, 30.0))
    for method in ("crps", "log_prob", "cdf"):
        np.testing.assert_allclose(
            getattr(near[0], method)(np.arange(2700.0, 2900.0)),
            getattr(near[1], method)(np.arange(-100.0, 100.0)),
            rtol=2e-5,
            atol=1e-7,
        )
    np.testing.assert_allclose(
        [near[0].mean() - 2800, near[0].variance()], [near[1].mean(), near[1].variance()], rtol=1e-3
    )
    with jax.enable_x64(True):
        edges, n = np.array([0.0, 1e6, 2e6]), 1_000_000
        d = Quantized(Binned(np.zeros(2), edges))
        g = np.arange(0, 2 * n) + 0.5
        below = g / (2 * n)
        for y in (0.0, 700_000.0, 1_999_999.0):
            want = np.sum(np.where(g < y, below**2, (1 - below) ** 2))
            assert float(d.crps(y)) == pytest.approx(want, rel=1e-10)
        # each of the cells between the ends is as likely, and half a cell belongs to each end
        assert float(d.mean()) == pytest.approx(1e6, rel=1e-12)
        assert float(d.variance()) == pytest.approx((4e12 + 2) / 12, rel=1e-12)
    fine = Quantized(Normal(0.0, 1e5), 1e-3)
    np.testing.assert_allclose(fine.log_prob(1e5), Normal(0.0, 1e5).log_prob(1e5) + np.log(1e-3), rtol=1e-6)
    np.testing.assert_allclose(fine.crps(1e5), Normal(0.0, 1e5).crps(1e5), rtol=1e-5)
    np.testing.assert_allclose(fine.variance(), 1e10, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1e-38, 1e-20, 1e-3, 1.0, 1e10, 1e30])
def test_no_nan_for_any_size(width):
    y = jnp.array([-3e38, -1e20, -1.0, 0.0, 1e-38, 2.0, 1e10, 3e38])

    def values(xi, beta, logit, y):
        d = Quantized(spliced(xi, beta, logit), width)
        return {
            **{name: getattr(d, name)(y) for name in ("log_prob", "cdf", "log_cdf", "log_survival_function", "crps")},
            "icdf": d.icdf(jnp.clip(jnp.abs(y), 0.0, 1.0)),
            "mean": d.mean(),
            "twcrps": d.twcrps(y, -1.0, 5.0),
        }

    for xi in (-0.3, 0.0, 0.3):
        for beta in (1e-12, 1.0, 1e12):
            got = jax.jit(jax.vmap(values, (None, None, None, 0)))(jnp.float32(xi), jnp.float32(beta), 0.25, y)
            slopes = jax.jit(jax.vmap(jax.jacrev(values, (0, 1, 2)), (None, None, None, 0)))(
                jnp.float32(xi), jnp.float32(beta), jnp.float32(0.25), y
            )
            for name, value in got.items():
                assert not np.any(np.isnan(value)), (name, xi, beta)
                assert not any(np.any(np.isnan(s)) for s in slopes[name]), (name, xi, beta)


@pytest.mark.slow
def test_draws_follow_the_distribution():
    d = Quantized(spliced(jnp.asarray(0.2), jnp.asarray(1.5), 0.25), 0.5)
    draws = np.asarray(d.sample(jax.random.key(1), (20_000,)))
    points, counts = np.unique(draws, return_counts=True)
    expected = np.exp(np.asarray(d.log_prob(points), np.float64)) * len(draws)
    common = expected > 10
    observed = np.append(counts[common], len(draws) - counts[common].sum())
    expected = np.append(expected[common], len(draws) - expected[common].sum())
    assert scipy.stats.chisquare(observed, expected).pvalue > 1e-3
    assert jax.grad(lambda loc: jnp.sum(Quantized(Normal(loc, 2.0)).sample(jax.random.key(0), (9,))))(0.3) == 0


@pytest.mark.slow
def test_parameters_that_have_no_distribution():
    for width in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(InputError, match="width must be a positive finite number"):
            Quantized(Normal(0.0, 1.0), width)
    with pytest.raises(InputError, match="origin must be a finite number"):
        Quantized(Normal(0.0, 1.0), 1.0, np.inf)
    with pytest.raises(InputError, match=r"width \(2,\): expected to broadcast to the base's \(\)"):
        Quantized(Normal(0.0, 1.0), np.ones(2))
    d = Quantized(Normal(jnp.zeros(3), jnp.array([1.0, jnp.nan, 1.0])), jnp.array([1.0, 1.0, -1.0]))
    for value in (d.log_prob(0.0), d.cdf(0.3), d.crps(1.0), d.mean(), d.variance(), d.icdf(0.3)):
        np.testing.assert_array_equal(np.isnan(value), [False, True, True])
    leaf = Quantized(Normal(jnp.zeros(3), 2.0), jnp.array([1.0, 0.5, 2.0]), jnp.float32(0.25))
    assert leaf.width.shape == (3,)
    np.testing.assert_allclose(leaf.crps(0.25)[1], Quantized(Normal(0.0, 2.0), 0.5, 0.25).crps(0.25), rtol=1e-6)


def test_50_digit_sums_are_those_of_their_terms():
    """The oracle's own formula, and a Hurwitz zeta function."""
    from tests.oracles_outcomes import tail_sums

    for xi in (0.0, 0.3):
        tail = Pareto(exact(xi), mp.mpf(2))
        terms = [tail.survival(mp.mpf(0.25) + r) ** 2 for r in range(3500)]
        first, moment = tail_sums(tail, 2, mp.mpf(0.25), mp.mpf(1), 3500)
        assert abs(first - mp.fsum(terms)) < 1e-40
        assert abs(moment - mp.fsum(r * t for r, t in enumerate(terms))) < 1e-36
    tail = Pareto(mp.mpf(0.25), mp.mpf(2))
    s, q = mp.mpf(8), mp.mpf(8.25)
    first, moment = tail_sums(tail, 2, mp.mpf(0.25), mp.mpf(1))
    assert abs(first - 8**s * mp.zeta(s, q)) < 1e-40
    assert abs(moment - 8**s * (mp.zeta(s - 1, q) - q * mp.zeta(s, q))) < 1e-38
