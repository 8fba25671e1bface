"""The hybrid Pareto distributions against 50 digits: the join, values, derivatives, quantiles, moments and areas."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sbp_jax.distributions import HybridPareto, TwoTailedHybridPareto
from sbp_jax.distributions.numerics import lambert_w
from sbp_jax.errors import InputError
from tests import oracles
from tests.oracles_baselines import Hybrid, compare

pytestmark = pytest.mark.slow  # minutes of compilation; the interface's own tests hold these distributions too

X64 = [pytest.param(False, id="float32"), pytest.param(True, id="float64")]
LOC, SCALE = 0.5, 1.5
SHAPES = [-0.9, -0.3, -1e-6, 0.0, 1e-6, 0.4, 0.95]
METHODS = {
    "log_prob": Hybrid.log_prob,
    "cdf": Hybrid.cdf,
    "survival_function": Hybrid.survival,
    "log_cdf": Hybrid.log_cdf,
    "log_survival_function": Hybrid.log_survival,
}


def one(loc, scale, xi):
    return Hybrid(loc, scale, None, xi)


DISTS = {"one": (HybridPareto, one), "two": (TwoTailedHybridPareto, Hybrid)}


def grid(name, points):
    """Every shape with every point at least 10 % of the support's length inside it, and off the junctions."""
    rows = []
    for xi, y in itertools.product(SHAPES, points):
        parameters = (LOC, SCALE, xi) if name == "one" else (LOC, SCALE, -xi / 2, xi)
        dist = DISTS[name][1](*map(oracles.mp.mpf, parameters))
        ends = dist.alpha + 0.9 * dist.tail_u.end(), dist.alpha_l - 0.9 * (dist.tail_l.end() if dist.tail_l else 0)
        if ends[1] < y < ends[0]:
            rows.append((*parameters, y))
    return rows


POINTS = [-40.0, -6.0, -0.4, 0.4, 1.2, 2.0, 9.0, 80.0]


@pytest.mark.parametrize("x64", X64)
def test_lambert_w(x64):
    points = [(z,) for z in (1e-30, 1e-12, 1e-5, 0.05, 0.6, 1.0, np.e, 30.0, 1e6, 1e30)]
    compare(lambert_w, lambda z: oracles.mp.lambertw(z).real, points, x64)
    with jax.enable_x64(x64):
        eps = float(jnp.finfo(jnp.asarray(0.0).dtype).eps)
        for (z,) in points:
            z = jnp.asarray(z)
            want = float(oracles.mp.lambertw(oracles.exact(z)).real)
            assert abs(lambert_w(z) - want) <= 4 * eps * want
    value, slope = jax.vmap(jax.value_and_grad(lambert_w))(jnp.array([0.0, jnp.inf]))
    np.testing.assert_array_equal(value, [0, jnp.inf])
    np.testing.assert_array_equal(slope, [1, 0])
    assert jnp.isnan(lambert_w(jnp.asarray(-0.1)))


@pytest.mark.parametrize("xi", SHAPES)
def test_density_is_continuous_in_value_and_slope(xi):
    """The documented formulas in 50 digits from both sides, and the package's own density across the junctions."""
    h = oracles.mp.mpf(10) ** -20
    dist = Hybrid(*map(oracles.mp.mpf, (LOC, SCALE, xi / 2, xi)))
    for at in (dist.alpha, dist.alpha_l):
        below, above = ([dist.log_prob(at + k * side * h) for k in (1, 2)] for side in (-1, 1))
        assert abs(below[0] - above[0]) < 1e-18
        assert abs((below[0] - below[1]) / h - (above[1] - above[0]) / h) < 1e-18
    with jax.enable_x64(True):
        subject = TwoTailedHybridPareto(LOC, SCALE, xi / 2, xi)
        slope = jax.grad(lambda y: subject.log_prob(y))
        for at in (float(dist.alpha), float(dist.alpha_l)):
            np.testing.assert_allclose(subject.log_prob(at - 1e-9), subject.log_prob(at + 1e-9), rtol=1e-8)
            np.testing.assert_allclose(slope(at - 1e-9), slope(at + 1e-9), rtol=1e-7)


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("dist", DISTS)
@pytest.mark.parametrize("name", METHODS)
def test_values_and_derivatives(name, dist, x64):
    subject, oracle = DISTS[dist]
    compare(
        lambda *a: getattr(subject(*a[:-1]), name)(a[-1]),
        lambda *a: METHODS[name](oracle(*a[:-1]), a[-1]),
        grid(dist, POINTS),
        x64,
    )


PAIRS = [(-8.0, -7.9), (-5.0, 6.0), (0.0, 1e-3), (0.4, 0.6), (1.0, 2.5), (5.0, 5.001), (4.0, 60.0), (-30.0, -2.0)]


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("dist", DISTS)
def test_intervals_have_no_cancellation(dist, x64):
    subject, oracle = DISTS[dist]
    shapes = [(0.0,), (0.4,), (-0.1,)] if dist == "one" else [(0.0, 0.4), (0.3, 0.0), (0.2, -0.1)]
    compare(
        lambda *a: subject(*a[:-2]).interval_log_prob(*a[-2:]),
        lambda *a: oracle(*a[:-2]).log_interval(*a[-2:]),
        [(LOC, SCALE, *xi, *pair) for xi in shapes for pair in PAIRS if min(xi) >= 0 or pair[1] < 10],
        x64,
    )


def test_infinite_and_empty_intervals():
    for dist in (HybridPareto(LOC, SCALE, -0.2), TwoTailedHybridPareto(LOC, SCALE, 0.2, -0.2)):
        np.testing.assert_allclose(dist.interval_log_prob(-jnp.inf, jnp.inf), 0, atol=1e-6)
        np.testing.assert_allclose(dist.interval_log_prob(3.0, jnp.inf), dist.log_survival_function(3.0), rtol=1e-5)
        np.testing.assert_allclose(dist.interval_log_prob(-jnp.inf, -3.0), dist.log_cdf(-3.0), rtol=1e-6)
        for low, high in ((1.0, 1.0), (2.0, 1.0), (jnp.inf, jnp.inf), (-jnp.inf, -jnp.inf), (100.0, 101.0)):
            value, slopes = jax.value_and_grad(lambda d, a, b: d.interval_log_prob(a, b), (0, 1, 2))(
                dist, jnp.asarray(low), jnp.asarray(high)
            )
            assert value == -jnp.inf
            np.testing.assert_array_equal(jnp.stack(jax.tree.leaves(slopes)), 0)


MASSES = np.array([1e-20, 1e-12, 1e-6, 1e-3, 0.05, 0.3, 0.45, 0.5])


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("dist", DISTS)
@pytest.mark.parametrize("side", ["icdf", "isf"])
def test_quantiles(side, dist, x64):
    """Against the oracle, within ten times what rounding the inputs moves it, and the implicit derivative in mass."""
    subject, oracle = DISTS[dist]
    with jax.enable_x64(x64):
        eps = float(jnp.finfo(jnp.asarray(0.0).dtype).eps)
        for xi in SHAPES:
            parameters = (LOC, SCALE, xi) if dist == "one" else (LOC, SCALE, -xi / 2, xi)
            exact = oracle(*(oracles.exact(jnp.asarray(p)) for p in parameters))
            y, slope = jax.vmap(jax.value_and_grad(getattr(subject(*parameters), side)))(jnp.asarray(MASSES))
            for i in range(len(MASSES)):
                mass = oracles.exact(jnp.asarray(MASSES[i]))
                at = getattr(exact, side)(mass)
                in_mass = 1 / oracles.mp.exp(exact.log_prob(at))
                # the logarithm of the mass rounds too, and the shape multiplies it
                moved = 5 * eps * float(mass * in_mass) * (1 + abs(np.log(MASSES[i])))
                bound = (1e-12 if x64 else 5e-6) * max(1, abs(float(at)))
                assert abs(y[i] - float(at)) <= bound + moved, (xi, MASSES[i])
                if in_mass < 1e30:
                    want = float(in_mass) * (1 if side == "icdf" else -1)
                    assert float(slope[i]) == pytest.approx(want, rel=1e-9 if x64 else 1e-4), (xi, MASSES[i])


def test_quantile_ends_and_derivatives_in_the_parameters():
    dist = TwoTailedHybridPareto(LOC, SCALE, jnp.array([-0.5, 0.0, 0.3]), jnp.array([0.0, 0.4, -0.25]))
    np.testing.assert_array_equal(jnp.isinf(dist.icdf(1.0)), [True, True, False])
    np.testing.assert_array_equal(jnp.isinf(dist.icdf(0.0)), [False, True, True])
    assert HybridPareto(LOC, SCALE, 0.1).icdf(0.0) == -jnp.inf
    assert np.all(np.isnan(dist.icdf(jnp.array([[-0.1], [1.1], [jnp.nan]]))))
    with jax.enable_x64(True):
        point = tuple(map(jnp.asarray, (LOC, SCALE, 0.2, -0.3)))
        for q in (1e-6, 0.1, 0.5, 0.6, 0.999):
            y, slopes = jax.value_and_grad(lambda *a, q=q: TwoTailedHybridPareto(*a).icdf(q), range(4))(*point)
            of_cdf = jax.grad(lambda *a, y=y: TwoTailedHybridPareto(*a).cdf(y), range(4))(*point)
            density = jnp.exp(TwoTailedHybridPareto(*point).log_prob(y))
            np.testing.assert_allclose(jnp.stack(slopes), -jnp.stack(of_cdf) / density, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("dist", DISTS)
def test_moments_against_quadrature(dist, x64):
    subject, oracle = DISTS[dist]
    with jax.enable_x64(x64):
        for xi in (-0.75, -0.25, 0.0, 0.25):
            shapes = (xi,) if dist == "one" else (0.125, xi)
            exact = oracle(*map(oracles.mp.mpf, (LOC, SCALE, *shapes)))
            first, second = exact.moment(1), exact.moment(2)
            got = subject(LOC, SCALE, *shapes)
            assert abs(got.mean() - float(first)) <= (1e-12 if x64 else 5e-6) * max(1, abs(float(first)))
            want = float(second - first**2)
            assert abs(got.variance() - want) <= (1e-12 if x64 else 5e-6) * max(1, want)
    assert HybridPareto(0.0, 1.0, 0.5).variance() == jnp.inf
    assert HybridPareto(0.0, 1.0, 1.0).mean() == jnp.inf
    assert TwoTailedHybridPareto(0.0, 1.0, 1.0, 0.1).mean() == -jnp.inf
    assert jnp.isnan(TwoTailedHybridPareto(0.0, 1.0, 1.0, 1.5).mean())


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("dist", DISTS)
@pytest.mark.parametrize("window", [(-np.inf, np.inf), (2.0, np.inf), (-np.inf, -4.0), (-3.0, 6.0), (20.0, 30.0)])
def test_crps_and_its_windows_against_quadrature(window, dist, x64):
    subject, oracle = DISTS[dist]
    low, high = map(oracles.mp.mpf, window)
    with jax.enable_x64(x64):
        for xi in (-0.5, 0.0, 0.375):
            shapes = (xi,) if dist == "one" else (0.125, xi)
            exact = oracle(*map(oracles.mp.mpf, (LOC, SCALE, *shapes)))
            end = exact.alpha + exact.tail_u.end()
            knots = [k for k in (exact.alpha_l, exact.loc, exact.alpha, end) if abs(k) < oracles.INF]
            for y in (-5.0, 1.0, 7.0):
                at = min(max(oracles.mp.mpf(y), low), high)
                want = exact.area(exact.cdf, low, at, knots) if low < at else 0
                want += exact.area(exact.survival, at, high, knots) if at < high else 0
                got = subject(LOC, SCALE, *shapes).twcrps(y, *window)
                assert abs(got - float(want)) <= (1e-11 if x64 else 5e-6) * max(1, float(want)), (xi, y)
    assert HybridPareto(0.0, 1.0, 2.0).crps(0.0) == jnp.inf


def test_crps_derivatives():
    """In y F^2 - S^2; in loc its negative; in scale by homogeneity; in the shapes against differences."""
    with jax.enable_x64(True):
        for shapes, y in itertools.product(((0.3, -0.2), (0.0, 0.4)), (-9.0, -0.1, 0.9, 8.0)):
            point = tuple(map(jnp.asarray, (LOC, SCALE, *shapes, y)))

            def crps(*a):
                return TwoTailedHybridPareto(*a[:4]).crps(a[4])

            value, slopes = jax.value_and_grad(crps, range(5))(*point)
            dist = TwoTailedHybridPareto(*point[:4])
            in_y = dist.cdf(y) ** 2 - dist.survival_function(y) ** 2
            in_scale = (value - (y - LOC) * in_y) / SCALE
            np.testing.assert_allclose(jnp.stack([slopes[i] for i in (0, 1, 4)]), [-in_y, in_scale, in_y], rtol=1e-9)
            for i in (2, 3):
                h = 1e-3
                near = [crps(*point[:i], point[i] + k * h, *point[i + 1 :]) for k in (-2, -1, 1, 2)]
                numeric = (near[0] - 8 * near[1] + 8 * near[2] - near[3]) / (12 * h)
                assert float(slopes[i]) == pytest.approx(float(numeric), abs=1e-9, rel=1e-8)


def test_total_mass_and_slope_of_the_cdf():
    with jax.enable_x64(True):
        for dist in (HybridPareto(LOC, SCALE, 0.4), TwoTailedHybridPareto(LOC, SCALE, 0.3, -0.4)):
            s = jnp.linspace(-40.0, 40.0, 400_001)
            density = jnp.exp(dist.log_prob(LOC + jnp.sinh(s))) * jnp.cosh(s)
            np.testing.assert_allclose(jnp.sum(density) * (s[1] - s[0]), 1, rtol=1e-7)
            y = jnp.asarray([-9.0, -1.0, 0.5, 1.1, 3.0])
            np.testing.assert_allclose(jax.vmap(jax.grad(dist.cdf))(y), jnp.exp(dist.log_prob(y)), rtol=1e-12)


def test_samples_follow_the_cdf():
    for dist in (HybridPareto(LOC, SCALE, 0.3), TwoTailedHybridPareto(LOC, SCALE, 0.3, -0.4)):
        draws = dist.sample(jax.random.key(3), (3000,))
        assert scipy.stats.kstest(np.asarray(draws), lambda y, d=dist: np.asarray(d.cdf(y))).pvalue > 1e-3


def rows(shapes, scales, ys):
    table = [(0.5, scale, -0.9 * xi, xi, y) for xi, scale, y in itertools.product(shapes, scales, ys)]
    return np.array(table, np.float32)


JUNCTION = float(Hybrid(*map(oracles.mp.mpf, (0.5, 0.75, 0.3, 0.3))).alpha)
WIDE_SHAPES = [0.0, 1e-6, -1e-6, 0.3, -0.3, 0.95, -0.95, 1.0]
ADVERSARIAL = np.concatenate(
    [
        rows(WIDE_SHAPES, [0.75], [0.0, 0.5, JUNCTION, 30.0, -30.0, 1e6, -1e6]),
        rows([0.0, 0.4, -0.4], [1e-30, 1.0, 1e30], [0.5, -3e38, 3e38, 1e-38]),
    ]
)
ORDINARY = 56
FUNCTIONS = {name: lambda dist, y, name=name: getattr(dist, name)(y) for name in (*METHODS, "crps")} | {
    "interval": lambda dist, y: dist.interval_log_prob(y, y + 1e-3),
    "wide interval": lambda dist, y: dist.interval_log_prob(y, y + 1e7),
    "empty interval": lambda dist, y: dist.interval_log_prob(y, y),
    "twcrps": lambda dist, y: dist.twcrps(y, 0.5),
    "isf": lambda dist, y: dist.isf(1e-3) + 0 * jnp.where(jnp.abs(y) < 1, y, 0.0),
    "mean": lambda dist, y: dist.mean() + 0 * jnp.where(jnp.abs(y) < 1, y, 0.0),
    "variance": lambda dist, y: dist.variance() + 0 * jnp.where(jnp.abs(y) < 1, y, 0.0),
}


@pytest.mark.parametrize("dist", DISTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_adversarial_inputs_and_nan_parameters(name, dist):
    """No NaN for any finite input, finite slopes for all but the extreme ones, and NaN for a NaN parameter."""
    columns = [0, 1, 2, 3] if dist == "two" else [0, 1, 3]

    def function(*row):
        return FUNCTIONS[name](DISTS[dist][0](*(row[i] for i in columns)), row[4])

    bad = np.array([[np.nan if i == j else 0.5 for i in range(5)] for j in columns], np.float32)
    table = jnp.asarray(np.concatenate([ADVERSARIAL, bad]))
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(function, (*columns, 4))))(*table.T)
    slopes = jnp.stack(slopes)[:, : len(ADVERSARIAL)]
    assert jnp.all(jnp.isnan(values[len(ADVERSARIAL) :]))
    assert not jnp.any(jnp.isnan(values[: len(ADVERSARIAL)]))
    assert not jnp.any(jnp.isnan(slopes))
    assert jnp.all(jnp.isfinite(slopes[:, :ORDINARY]))
    if name == "log_prob":
        assert jnp.all(jnp.any(slopes != 0, axis=1))


def test_user_errors_name_the_argument():
    with pytest.raises(InputError, match="scale must be positive"):
        HybridPareto(0.0, 0.0, 0.1)
    with pytest.raises(InputError, match="shape must be above -1"):
        HybridPareto(0.0, 1.0, -1.0)
    with pytest.raises(InputError, match="lower_shape must be above -1"):
        TwoTailedHybridPareto(0.0, 1.0, -1.5, 0.1)
    with pytest.raises(InputError, match=r"loc \(\), scale \(2,\), shape \(3,\)"):
        HybridPareto(0.0, np.ones(2), np.zeros(3))
