"""The blended generalized Pareto distribution is self-consistent and finite, and reports where it is invalid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sbp_jax.distributions import BlendedPareto, Quantized
from tests.distributions.test_blended import BLENDS, CASES, EDGES, LOGITS, MASSES, METHODS, VALUE, X64, close, oracle_of
from tests.oracles import exact, mp
from tests.oracles_blended import Blended

pytestmark = pytest.mark.slow


def composite(function, knots, nodes=40):
    """Integral over [knots[0], knots[-1]] by Gauss-Legendre quadrature between the knots; a function of [points]."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    start, length = knots[:-1, None], np.diff(knots)[:, None]
    points = start + length * 0.5 * (1 + x)
    padded = np.resize(points, 4096)  # one shape, one compilation
    values = np.asarray(function(jnp.asarray(padded)))[: points.size].reshape(points.shape)
    return np.sum(0.5 * w * length * values)


@jax.jit
def density(dist, y):
    return jnp.exp(dist.log_prob(y))


@jax.jit
def density_on(edges, logits, lower_shape, upper_shape, y):
    """With traced edges, so that the bin widths share one compilation."""
    return jnp.exp(BlendedPareto(logits, edges, lower_shape, upper_shape, *MASSES).log_prob(y))


@jax.jit
def places(edges, *parameters):
    dist = BlendedPareto(parameters[0], edges, *parameters[1:], *MASSES)
    return dist.thresholds(), dist.tail_masses(), dist.negative_mass()


@jax.jit
def quantiles_and_back(dist, q):
    icdf, isf = dist.icdf(q), dist.isf(q)
    return dist.cdf(icdf), dist.survival_function(isf), jnp.exp(dist.log_prob(isf)) * jnp.abs(isf), icdf


@jax.jit
def crps_tools(dist, y):
    return dist.cdf(y), dist.survival_function(y)


@pytest.mark.parametrize("width", [0.02, 0.3, 1.0, 7.0])
@pytest.mark.parametrize("shapes", [(0.4, -0.3), (-0.45, 0.0), (0.9, 0.2)])
def test_total_mass_is_one(width, shapes):
    """Quadrature between the knots, and over the hazard beyond the zones."""
    edges = width * np.arange(-20, 21)
    logits = 0.4 * np.random.default_rng(3).normal(size=40)
    with jax.enable_x64(True):
        parameters = [jnp.asarray(p) for p in (edges, logits, *shapes)]
        ends, beyond, negative = places(*parameters)
        assert negative == 0
        lower, upper = (float(mass) for mass in beyond)
        assert 0.05**2 / 0.2 < lower < 0.2
        assert 0.02**2 / 0.15 < upper < 0.15
        b_l, a_l, a_u, b_u = (float(t) for t in ends)
        knots = np.array(sorted({b_l, a_l, a_u, b_u, *(e for e in edges if b_l < e < b_u)}))
        total = composite(lambda y: density_on(*parameters, y), knots)
        assert total == pytest.approx(1 - lower - upper, abs=1e-9)
        for sign, end, xi, mass, outer, inner, zone in (
            (-1, b_l, shapes[0], lower, 0.05, 0.2, a_l - b_l),
            (1, b_u, shapes[1], upper, 0.02, 0.15, b_u - a_u),
        ):
            rise = np.log(inner / outer)
            beta = zone / (rise if xi == 0 else (1 - np.exp(-xi * rise)) / xi)

            def by_hazard(a, sign=sign, end=end, xi=xi, beta=beta):
                z = beta * (jnp.expm1(xi * a) / xi if xi else a)
                return density_on(*parameters, end + sign * z) * beta * jnp.exp(xi * a)

            part = composite(by_hazard, np.linspace(0.0, 40.0, 5))
            assert part == pytest.approx(mass, abs=1e-9)
            total += part
        assert total == pytest.approx(1, abs=1e-9)
    single = [jnp.asarray(p, jnp.float32) for p in parameters]
    assert composite(lambda y: density_on(*single, jnp.asarray(y, jnp.float32)), knots) == pytest.approx(
        1 - lower - upper, abs=1e-6
    )


def test_slope_of_the_cdf_is_the_density_which_is_continuous_at_the_ends_of_the_zones():
    with jax.enable_x64(True):
        dist = BlendedPareto(jnp.asarray(LOGITS), EDGES, jnp.asarray(0.4), jnp.asarray(-0.35), *MASSES)
        ends = jnp.stack(dist.thresholds())
        y = jnp.concatenate([jnp.linspace(-12.0, 7.0, 200), ends])

        @jax.jit
        def slopes(y):
            up = jax.grad(lambda t: jnp.sum(dist.cdf(t)))(y)
            down = jax.grad(lambda t: jnp.sum(dist.survival_function(t)))(y)
            return up, -down, jnp.exp(dist.log_prob(y))

        rising, falling, value = slopes(y)
        np.testing.assert_allclose(rising, value, rtol=1e-12)
        np.testing.assert_allclose(falling, value, rtol=1e-12)
        step = 1e-9
        np.testing.assert_allclose(density(dist, ends - step), density(dist, ends + step), rtol=1e-7)
        lower, upper = dist.tail_masses()
        np.testing.assert_allclose(dist.cdf(ends), [lower, 0.2, 0.85, 1 - upper], rtol=1e-14)


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("blend", BLENDS)
def test_quantiles_invert(case, blend, x64):
    with jax.enable_x64(x64):
        logits, edges, *rest = CASES[case]
        dist = BlendedPareto(jnp.asarray(logits), edges, *rest, blend)
        q = jnp.concatenate([jnp.logspace(-7, -0.4, 90), jnp.linspace(0.1, 0.97, 90)])

        back, tail, moved, icdf = quantiles_and_back(dist, q)
        assert jnp.max(jnp.abs(back - q)) <= (1e-12 if x64 else 1e-6)
        assert jnp.all(jnp.abs(tail - q) <= (1e-12 if x64 else 2e-6) * q + 10 * jnp.finfo(q.dtype).eps * moved)
        assert jnp.all(jnp.diff(icdf[jnp.argsort(q)]) >= 0)
        ends = quantiles_and_back(dist, jnp.resize(jnp.array([0.0, 1.0, -0.1, 1.1, jnp.nan]), q.shape))[3][:5]
        oracle = oracle_of(dist, edges)
        lowest = -oracle.down.end() if oracle.down else oracle.edges[0]
        assert close(ends[0], lowest, VALUE[x64])
        assert close(ends[1], oracle.up.end(), VALUE[x64])
        assert jnp.all(jnp.isnan(ends[2:]))


def test_samples_follow_the_cdf_and_every_parameter_moves_them():
    logits = jnp.asarray(np.stack([0.5 * LOGITS, 0.5 * LOGITS[::-1]]), jnp.float32)

    def dist(logits, xi_l, xi_u):
        return BlendedPareto(logits, EDGES, xi_l, xi_u)

    shapes = jnp.asarray(0.3), jnp.asarray(-0.2)
    assert jnp.all(dist(logits, *shapes).negative_mass() == 0)
    draws = dist(logits, *shapes).sample(jax.random.key(0), (4000,))
    assert draws.shape == (4000, 2)
    for i in range(2):
        pits = np.asarray(dist(logits, *shapes).cdf(draws))[:, i]
        assert scipy.stats.kstest(pits, "uniform").pvalue > 1e-3
    score = jax.jit(jax.grad(lambda *p: jnp.mean(dist(*p).sample(jax.random.key(0), (99,))), (0, 1, 2)))
    fit = jax.jit(jax.grad(lambda *p: jnp.mean(dist(*p).log_prob(draws[:99])), (0, 1, 2)))
    rank = jax.jit(jax.grad(lambda *p: jnp.mean(dist(*p).crps(draws[:9])), (0, 1, 2)))
    for gradients in (score(logits, *shapes), fit(logits, *shapes), rank(logits, *shapes)):
        for gradient in gradients:
            assert jnp.all(jnp.isfinite(gradient))
            assert jnp.all(gradient != 0)


def test_crps_of_windows_against_quadrature():
    with jax.enable_x64(True):
        dist = BlendedPareto(jnp.asarray(LOGITS), EDGES, jnp.asarray(0.1), jnp.asarray(-0.3), *MASSES)
        ends = [float(t) for t in dist.thresholds()]
        windows = [(-9.0, 7.0), (-3.0, 3.25), (2.0, 2.5), (3.3, 8.0), (-8.0, -3.2), (4.4, 5.9), (ends[0], ends[2])]
        for y in (-8.5, -3.2, -1.5, 0.2, 2.25, 4.0, 5.5):
            for low, high in windows:
                at = min(max(y, low), high)
                # the end of the support at about 6.2 is a knot: the rest is smooth between thresholds and edges
                end = ends[3] + float((ends[3] - ends[2]) / ((0.15 / 0.02) ** 0.3 - 1))
                inner = [x for x in (*EDGES, *ends, end) if low < x < high]
                total = 0.0
                for start, stop, which in ((low, at, 0), (at, high, 1)):
                    knots = np.array(sorted({start, stop, *(x for x in inner if start < x < stop)}))
                    total += composite(lambda x, which=which: crps_tools(dist, x)[which] ** 2, knots)
                assert dist.twcrps(y, low, high) == pytest.approx(total, abs=1e-9), (y, low, high)
            full = dist.twcrps(y, -jnp.inf, 1.0) + dist.twcrps(y, 1.0, jnp.inf)
            assert dist.crps(y) == pytest.approx(float(full), abs=1e-12)
        assert dist.crps(jnp.inf) == dist.twcrps(-jnp.inf, -jnp.inf) == jnp.inf


ADVERSARIAL = {
    "ordinary": np.random.default_rng(7).normal(size=7),
    "flat": np.zeros(7),
    "all mass in one bin": np.where(np.arange(7) == 3, 1e4, 0.0),
    "all mass in the first bin": np.where(np.arange(7) == 0, 1e4, -1e4),
    "all mass in the last bin": np.where(np.arange(7) == 6, 1e4, -1e4),
    "mass at both ends": np.where(np.isin(np.arange(7), [0, 6]), 0.0, -1e4),
    "a hole": np.where(np.isin(np.arange(7), [3, 4]), -1e4, 0.0),
    "holes in the zones": np.array([0.0, -1e4, 1.0, 1.0, 0.5, -1e4, -0.5]),
    "huge": np.random.default_rng(7).normal(size=7) * 1e4,
}
SHAPES = [0.0, 1e-12, -1e-6, 1e-3, 0.3, -0.3, 0.95, 1.0, -1.0, -3.0, 30.0, -30.0, 1e3, -1e3]
UNEVEN = {"unit": np.arange(-3.0, 5.0), "narrow": np.array([-3.0, -2.0, -1.0, 0.0, 1e-6, 1.0, 1.0000001, 1e6])}


def ugly(parameters, blend="density"):
    return BlendedPareto(parameters["logits"], parameters["edges"], parameters["xi"], -parameters["xi"], blend=blend)


@jax.jit
def ugly_places(parameters):
    def ends(p):
        return jnp.stack(ugly(p).thresholds())

    return jax.vmap(ends, ({"logits": 0, "xi": 0, "edges": None},))(parameters)


AXES = {"logits": 0, "xi": 0, "edges": None}
QUANTITIES = {
    "log_prob": lambda d, y, q, w: d.log_prob(y),
    # sums, in which a NaN of any stays one: no two have opposite infinities
    "probabilities": lambda d, y, q, w: sum(getattr(d, name)(y) for name in METHODS[1:]),
    "interval": lambda d, y, q, w: d.interval_log_prob(y - 0.5 * w, y + 0.5 * w),
    "quantile": lambda d, y, q, w: d.isf(q),
    "crps": lambda d, y, q, w: d.crps(y),
    "mean": lambda d, y, q, w: d.mean() + 0 * y,
    "variance": lambda d, y, q, w: d.variance() + d.negative_mass() + 0 * y,
    "rounded": lambda d, y, q, w: Quantized(d).crps(y),
}


def per_row(quantity, blend):
    one = jax.value_and_grad(lambda p, *points: quantity(ugly(p, blend), *points), (0, 1, 2))
    return jax.jit(jax.vmap(jax.vmap(one, (None, 0, 0, 0)), (AXES, 0, None, None)))


ROWS = {blend: {name: per_row(quantity, blend) for name, quantity in QUANTITIES.items()} for blend in BLENDS}


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("edges", UNEVEN)
def test_no_value_or_gradient_is_nan(edges, blend):
    """Every method and its gradients in outcome, logits, edges and shapes, for every body, shape and point.

    Gradients are finite too for shapes up to 1; those beyond may overflow float32, as their distributions do.
    """
    edges = UNEVEN[edges]
    grid = [(name, xi) for name in ADVERSARIAL for xi in SHAPES]
    parameters = {
        "logits": jnp.asarray([ADVERSARIAL[name] for name, _ in grid], jnp.float32),
        "xi": jnp.asarray([x for _, x in grid], jnp.float32),
        "edges": jnp.asarray(edges, jnp.float32),
    }
    tame = np.array([abs(x) <= 1 for _, x in grid])
    ends = ugly_places(parameters)
    moving = jnp.concatenate([ends, jnp.nextafter(ends, jnp.inf), jnp.nextafter(ends, -jnp.inf)], axis=-1)
    middle = 0.5 * (ends[:, 1:] + ends[:, :-1])
    fixed = jnp.asarray([*edges, -1e6, 1e6, 0.3, -2.7, 3.7], jnp.float32)
    y = jnp.concatenate([moving, middle, jnp.broadcast_to(fixed, (len(grid), len(fixed)))], axis=-1)
    q = jnp.linspace(0.0, 1.0, y.shape[-1]).at[1].set(1e-7)
    w = jnp.resize(jnp.array([0.0, 1e-3, 1.0, 1e6]), q.shape)
    for name, rows in ROWS[blend].items():
        value, slopes = rows(parameters, y, q, w)
        assert faults(np.isnan(value), grid) == [], name
        for slope in jax.tree.leaves(slopes):
            assert faults(np.isnan(slope), grid) == [], name
            assert (
                faults(~np.isfinite(np.asarray(slope)[tame]), [g for g, t in zip(grid, tame, strict=True) if t]) == []
            )


def faults(bad, grid):
    """The distributions of the grid with a fault."""
    return [grid[i] for i in np.unique(np.nonzero(np.asarray(bad))[0])]


@jax.jit
def slopes_and_steps(dist, y):
    cdf = jnp.concatenate([dist.cdf(y), 1 - dist.survival_function(y[-1:])])
    return jnp.diff(cdf[:-1]), dist.log_prob(y), dist.interval_log_prob(y[:-1], y[1:])


@pytest.mark.parametrize("sigma", [1.0, 3.0, 30.0])
def test_a_blend_of_densities_rises_for_every_body(sigma):
    """F never falls where the published blend falls in half of the draws, and outcomes in a zone stay possible."""
    logits = sigma * np.random.default_rng(5).normal(size=(64, 40))
    shapes = np.linspace(-0.9, 1.5, 64)
    with jax.enable_x64(True):
        dist = BlendedPareto(jnp.asarray(logits), np.linspace(-10.0, 10.0, 41), jnp.asarray(shapes), shapes[::-1])
        published = BlendedPareto(
            jnp.asarray(logits), np.linspace(-10.0, 10.0, 41), jnp.asarray(shapes), shapes[::-1], blend="published"
        )
        assert np.mean(published.negative_mass() > 0) > 0.05
        assert jnp.all(dist.negative_mass() == 0)
        b_l, _, _, b_u = dist.thresholds()
        y = b_l + (b_u - b_l) * jnp.linspace(1e-9, 1 - 1e-9, 2001)[:, None]
        steps, log_density, log_interval = slopes_and_steps(dist, y)
        assert jnp.all(steps >= -1e-15)
        assert jnp.all(jnp.isfinite(log_density) | (sigma == 30.0))
        np.testing.assert_allclose(jnp.exp(log_interval), steps, atol=1e-14)
        np.testing.assert_allclose(dist.prob(-jnp.inf, jnp.inf), 1, rtol=1e-13)


# almost all of the mass between the ends of the upper zone lies at its inner end, then none for a while


STEEP = np.array([0.0, 0.0, 0.0, 0.0, -0.2, -9.0, -9.0, -9.0, -9.0, -1.2])
STEPS = np.linspace(0.0, 10.0, 11)


def test_where_the_published_blend_is_invalid():
    """log_prob is -inf with zero gradient exactly where the exact density is negative; elsewhere it is as defined."""
    with jax.enable_x64(True):

        def dist(logits):
            return BlendedPareto(logits, STEPS, None, jnp.asarray(0.1), blend="published")

        logits = jnp.asarray(STEEP)
        d = dist(logits)
        oracle = Blended(
            [exact(v) for v in STEEP],
            [exact(e) for e in STEPS],
            mp.mpf(0),
            exact(jnp.asarray(0.1)),
            None,
            tuple(mp.mpf(m) for m in (0.05, 0.2)),
        )
        a, b = (float(t) for t in d.thresholds()[2:])
        y = np.linspace(a, b, 62)[1:-1]
        values, (slopes, slope) = jax.jit(
            lambda *p: (dist(p[0]).log_prob(p[1]), jax.jacrev(lambda *p: dist(p[0]).log_prob(p[1]), (0, 1))(*p))
        )(logits, jnp.asarray(y))
        densities = [oracle.up.density(exact(t)) for t in y]
        falls = np.array([f <= 0 for f in densities])
        assert 5 < falls.sum() < 55
        np.testing.assert_array_equal(np.isneginf(values), falls)
        assert jnp.all(slopes[falls] == 0)
        assert jnp.all(slope[falls] == 0)
        for value, f in zip(values[~falls], np.array(densities)[~falls], strict=True):
            assert close(value, mp.log(f), 1e-11)
        # F as defined, and its falls
        dense = np.linspace(a, b, 20001)
        f = np.asarray(d.cdf(jnp.asarray(dense)))
        assert close(d.cdf(jnp.asarray(y[30])), oracle.cdf(exact(y[30])), 1e-13)
        lost = float(-np.minimum(np.diff(f), 0).sum())
        assert 0.01 < lost < 0.15
        assert float(d.negative_mass()) == pytest.approx(lost, rel=1e-3)
        # the positive part integrates to one and that much
        knots = np.array([0.0, *STEPS[1:-1], b, *dense[::100]])
        knots = np.unique(knots[knots <= b])
        inside = composite(lambda t: density(d, t), knots, 16)
        assert inside == pytest.approx(0.95 + lost, abs=2e-4)
        # an interval over which F falls has none; one that holds a fall and more has F's difference
        low, high = dense[np.argmin(np.diff(f)) - 20], dense[np.argmin(np.diff(f)) + 20]
        assert d.interval_log_prob(low, high) == -jnp.inf
        assert np.exp(d.interval_log_prob(0.5, high)) == pytest.approx(float(d.cdf(high) - d.cdf(0.5)), rel=1e-12)
        # F equals the level at a quantile
        s = jnp.linspace(0.051, 0.199, 40)
        np.testing.assert_allclose(d.survival_function(d.isf(s)), s, rtol=1e-12)
        # the penalty has a gradient that leads out
        grad = jax.grad(lambda z: dist(z).negative_mass())(logits)
        assert jnp.all(jnp.isfinite(grad))
        assert dist(logits - 0.5 * grad).negative_mass() < d.negative_mass()


def test_memory_of_sums_over_the_grid_grows_with_the_bins_and_not_with_their_square():
    def bytes_of(bins):
        dist = Quantized(BlendedPareto(jnp.zeros((64, bins)), np.arange(bins + 1.0), 0.1, 0.2))
        return jax.jit(lambda d: d.crps(3.0)).lower(dist).compile().memory_analysis().temp_size_in_bytes

    assert bytes_of(80) < 6 * bytes_of(16)
