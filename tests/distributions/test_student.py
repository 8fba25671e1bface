"""The Student-t distribution against 50 digits, in values and in the derivative of every parameter."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sbp_jax.distributions import Normal, StudentT
from sbp_jax.distributions.student_numerics import log_normalizer
from sbp_jax.errors import InputError
from tests import oracles
from tests.oracles_baselines import Student, compare

pytestmark = pytest.mark.slow  # minutes of compilation; the interface's own tests hold these distributions too

X64 = [pytest.param(False, id="float32"), pytest.param(True, id="float64")]
DFS = [0.1, 0.5, 1.0, 2.0, 4.5, 19.0, 300.0, 1e5]
Z = [-200.0, -6.0, -0.9, 0.0, 0.3, 0.5, 2.0, 40.0]
LOC, SCALE = 0.5, 1.5
# far tails of nearly Gaussian distributions differ in the exponents of tiny probabilities only, and cost the oracle
# most
GRID = [(df, LOC, SCALE, LOC + SCALE * z) for df, z in itertools.product(DFS, Z) if df < 1e4 or abs(z) < 100]
METHODS = {
    "log_prob": Student.log_prob,
    "cdf": Student.cdf,
    "survival_function": Student.survival,
    "log_cdf": Student.log_cdf,
    "log_survival_function": Student.log_survival,
}


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("name", METHODS)
def test_values_and_derivatives(name, x64):
    compare(
        lambda df, loc, scale, y: getattr(StudentT(df, loc, scale), name)(y),
        lambda df, loc, scale, y: METHODS[name](Student(df, loc, scale), y),
        GRID,
        x64,
    )


@pytest.mark.parametrize("x64", X64)
def test_tends_to_the_gaussian(x64):
    with jax.enable_x64(x64):
        y = jnp.asarray([-20.0, -3.0, 0.0, 0.4, 1.0, 8.0])
        normal = Normal(0.3, 1.2)
        for df in (1e8, 1e12 if x64 else 1e30, np.inf):
            dist = StudentT(df, 0.3, 1.2)
            # the expansion's first term is of order z^4 / df
            bound = max(5e-6 if not x64 else 1e-12, (1e5 if np.isfinite(df) else 0) / df)
            for name in METHODS:
                np.testing.assert_allclose(getattr(dist, name)(y), getattr(normal, name)(y), rtol=bound, atol=bound)
            np.testing.assert_allclose(dist.crps(y), normal.crps(y), rtol=bound, atol=bound)
            np.testing.assert_allclose(dist.isf(1e-12), normal.isf(1e-12), rtol=bound)
            np.testing.assert_allclose(dist.variance(), normal.variance(), rtol=max(bound, 1e-6))


@pytest.mark.parametrize("x64", X64)
def test_normalizer(x64):
    def oracle(df):
        nu = oracles.mp.mpf(df)
        return oracles.mp.loggamma((nu + 1) / 2) - oracles.mp.loggamma(nu / 2) - oracles.mp.log(oracles.mp.pi * nu) / 2

    compare(lambda df: log_normalizer(1 / df), oracle, [(df,) for df in (0.01, *DFS, 19.9, 20.1, 1e12)], x64)


PAIRS = [(-8.0, -7.9), (-3.0, 0.1), (0.0, 1e-3), (0.4, 0.6), (1.0, 2.5), (5.0, 5.001), (4.0, 60.0), (-50.0, 80.0)]


@pytest.mark.parametrize("x64", X64)
def test_intervals_have_no_cancellation(x64):
    compare(
        lambda df, loc, scale, low, high: StudentT(df, loc, scale).interval_log_prob(low, high),
        lambda df, loc, scale, low, high: Student(df, loc, scale).log_interval(low, high),
        [(df, LOC, SCALE, *pair) for df in (0.1, 1.0, 4.5, 300.0) for pair in PAIRS],
        x64,
    )


def test_infinite_and_empty_intervals():
    dist = StudentT(3.0, LOC, SCALE)
    assert dist.interval_log_prob(-jnp.inf, jnp.inf) == 0
    np.testing.assert_allclose(dist.interval_log_prob(4.0, jnp.inf), dist.log_survival_function(4.0), rtol=1e-6)
    np.testing.assert_allclose(dist.interval_log_prob(-jnp.inf, 4.0), dist.log_cdf(4.0), rtol=1e-6)
    for low, high in ((1.0, 1.0), (2.0, 1.0), (jnp.inf, jnp.inf), (-jnp.inf, -jnp.inf)):
        value, slopes = jax.value_and_grad(lambda *a: StudentT(*a[:3]).interval_log_prob(*a[3:]), range(5))(
            *map(jnp.asarray, (3.0, LOC, SCALE, low, high))
        )
        assert value == -jnp.inf
        np.testing.assert_array_equal(jnp.stack(slopes), 0)


MASSES = [1e-20, 1e-12, 1e-6, 1e-3, 0.05, 0.3, 0.499, 0.5]


@pytest.mark.parametrize("x64", X64)
def test_quantiles(x64):
    """Where rounding an input alone moves the quantile by more than the bound, within ten times that movement."""
    with jax.enable_x64(x64):
        eps = float(jnp.finfo(jnp.asarray(0.0).dtype).eps)
        rows = np.array([(df, s) for df in DFS for s in MASSES if s ** (-1 / df) < 1e30])
        df, s = (jnp.asarray(column) for column in rows.T)
        y = jax.jit(StudentT(df, LOC, SCALE).isf)(s)
        for i in range(len(rows)):
            nu, mass, at = (oracles.exact(x[i]) for x in (df, s, y))
            dist = Student(nu, oracles.mp.mpf(LOC), oracles.mp.mpf(SCALE))
            density = oracles.mp.exp(dist.log_prob(at))
            in_df = oracles.derivative(lambda x, at=at: Student(x, LOC, SCALE).survival(at), nu) / density
            moved = 5 * eps * float(abs(in_df * nu) + mass / density)
            want = float(dist.isf_near(mass, at))
            assert abs(float(at) - want) <= (1e-12 if x64 else 5e-6) * max(1, abs(want)) + moved, rows[i]


@pytest.mark.parametrize("x64", X64)
def test_quantiles_invert_both_sides_and_have_implicit_derivatives(x64):
    with jax.enable_x64(x64):
        df = jnp.asarray(DFS[1:])[:, None]
        dist = StudentT(df, LOC, SCALE)
        s = jnp.asarray([MASSES[1:]])
        y = dist.isf(s)
        bound = 1e-12 if x64 else 5e-6
        eps = float(jnp.finfo(y.dtype).eps)
        # what rounding the quantile costs, in relative probability
        moved = 10 * eps * (1 + jnp.exp(dist.log_prob(y) - dist.log_survival_function(y)) * jnp.abs(y))
        assert jnp.all(jnp.abs(dist.survival_function(y) / s - 1) <= bound + moved)
        np.testing.assert_allclose(dist.cdf(dist.icdf(s)) / s, 1, rtol=float(jnp.max(bound + moved)))
        slope = jax.vmap(jax.vmap(jax.grad(lambda d, m: StudentT(d, LOC, SCALE).isf(m), (0, 1)), (None, 0)))
        in_df, in_s = slope(df[:, 0], jnp.broadcast_to(s, y.shape))
        density = jnp.exp(dist.log_prob(y))
        np.testing.assert_allclose(in_s * density, -1, rtol=1e-8 if x64 else 2e-4)
        in_df_of_tail = jax.vmap(
            jax.vmap(jax.grad(lambda d, x: StudentT(d, LOC, SCALE).survival_function(x)), (None, 0))
        )
        want = in_df_of_tail(df[:, 0], y)
        np.testing.assert_allclose(in_df * density, want, rtol=1e-7 if x64 else 2e-3, atol=1e-9 if x64 else 1e-5)


def test_quantile_ends_and_moments():
    dist = StudentT(jnp.array([0.5, 1.0, 1.5, 2.0, 5.0]), 2.0, 3.0)
    np.testing.assert_array_equal(dist.icdf(1.0), jnp.inf)
    np.testing.assert_array_equal(dist.isf(1.0), -jnp.inf)
    np.testing.assert_array_equal(dist.median(), 2)
    assert np.all(np.isnan(dist.icdf(jnp.array([[-0.1], [1.1], [jnp.nan]]))))
    np.testing.assert_array_equal(dist.mean(), [jnp.nan, jnp.nan, 2, 2, 2])
    np.testing.assert_allclose(dist.variance(), [np.nan, np.nan, np.inf, np.inf, 15], rtol=1e-6)


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("window", [(-np.inf, np.inf), (2.0, np.inf), (-np.inf, -4.0), (-3.0, 6.0), (20.0, 30.0)])
def test_crps_and_its_windows_against_quadrature(window, x64):
    with jax.enable_x64(x64):
        for df in (0.3125, 0.8125, 3.875, 4.125, 60.0):
            dist = Student(*(oracles.exact(x) for x in (jnp.asarray(df), LOC, SCALE)))
            low, high = map(oracles.mp.mpf, window)
            # an unbounded tail: the oracle's truncation at exp(40) bites for small df, and below 1/2 it diverges
            if np.isinf(window).any() and df < 1:
                assert df > 0.5 or StudentT(df, LOC, SCALE).twcrps(1.0, *window) == jnp.inf
                continue
            for y in (-7.0, 1.0):
                at = min(max(oracles.mp.mpf(y), low), high)
                want = dist.area(dist.cdf, low, at, [dist.loc]) if low < at else 0
                want += dist.area(dist.survival, at, high, [dist.loc]) if at < high else 0
                got = StudentT(df, LOC, SCALE).twcrps(y, *window)
                assert abs(got - float(want)) <= (1e-11 if x64 else 5e-6) * max(1, float(want)), (df, y)


def test_areas_of_far_tails_keep_their_digits():
    with jax.enable_x64(True):
        for df, z in ((3.0, 1e5), (60.0, 30.0), (1e3, 9.0)):
            dist, length = Student(oracles.mp.mpf(df), 0, 1), z / df + 1 / z
            top = dist.survival(oracles.mp.mpf(z))

            def integrand(s, dist=dist, z=z, length=length, top=top):
                """The squared tail relative to that at z, a distance of `length` expm1(s) further out."""
                return length * (dist.survival(z + length * oracles.mp.expm1(s)) / top) ** 2 * oracles.mp.exp(s)

            with oracles.mp.workdps(20):
                want = oracles.mp.quad(integrand, [0, 0.5, 1, 2, 3, 4, 8, 16])
            got = StudentT(df, 0.0, 1.0).twcrps(0.0, z) / StudentT(df, 0.0, 1.0).survival_function(z) ** 2
            assert float(got) == pytest.approx(float(want), rel=1e-9)
    assert StudentT(1e6, 0.0, 1.0).twcrps(0.0, 12.0) >= 0


def test_crps_derivatives():
    """In y F^2 - S^2; in loc its negative; in scale by homogeneity; in df against differences of the oracle."""
    with jax.enable_x64(True):
        for df in (1.5, 3.9, 4.1, 50.0):
            for y in (-3.0, 0.7):
                point = tuple(map(jnp.asarray, (df, LOC, SCALE, y)))
                value, slopes = jax.value_and_grad(lambda *a: StudentT(*a[:3]).crps(a[3]), range(4))(*point)
                dist = StudentT(*point[:3])
                in_y = dist.cdf(y) ** 2 - dist.survival_function(y) ** 2
                in_scale = (value - (y - LOC) * in_y) / SCALE
                np.testing.assert_allclose(slopes[1:], [-in_y, in_scale, in_y], rtol=1e-9, atol=1e-9)
                h = 1e-4
                near = [StudentT(df + k * h, LOC, SCALE).crps(y) for k in (-2, -1, 1, 2)]
                numeric = (near[0] - 8 * near[1] + 8 * near[2] - near[3]) / (12 * h)
                assert float(slopes[0]) == pytest.approx(float(numeric), abs=1e-9, rel=1e-8)


def test_total_mass_and_slope_of_the_cdf():
    with jax.enable_x64(True):
        dist = StudentT(jnp.array([0.5, 3.0, 1e4]), LOC, SCALE)
        # y = loc + sinh(s): the heaviest tail beyond exp(90) holds 1e-20
        s = jnp.linspace(-90.0, 90.0, 40_001)[:, None]
        density = jnp.exp(dist.log_prob(LOC + jnp.sinh(s))) * jnp.cosh(s)
        np.testing.assert_allclose(jnp.sum(density, 0) * (s[1, 0] - s[0, 0]), 1, rtol=1e-9)
        y = jnp.asarray([-30.0, -1.0, 0.5, 1.1, 9.0])
        slope = jax.vmap(jax.grad(StudentT(3.0, LOC, SCALE).cdf))(y)
        np.testing.assert_allclose(slope, jnp.exp(StudentT(3.0, LOC, SCALE).log_prob(y)), rtol=1e-12)


def test_samples_follow_the_cdf():
    draws = StudentT(jnp.array([0.7, 4.0, 1e5]), 1.0, 2.0).sample(jax.random.key(3), (3000,))
    for i, df in enumerate((0.7, 4.0, 1e5)):
        assert scipy.stats.kstest(np.asarray(draws[:, i]), scipy.stats.t(df, 1, 2).cdf).pvalue > 1e-3


def rows(dfs, scales, ys):
    return np.array([(df, 0.5, scale, y) for df, scale, y in itertools.product(dfs, scales, ys)], np.float32)


ADVERSARIAL = np.concatenate(
    [
        rows([0.1, 0.5, 1.0, 2.0, 4.0, 1e3, 1e8], [0.7], [0.0, 0.5, 0.5001, 30.0, -30.0, 1e6, -1e6]),
        rows([0.1, 3.0, 1e30], [1e-30, 1.0, 1e30], [0.5, -3e38, 3e38, 1e-38]),
    ]
)
ORDINARY = 49
FUNCTIONS = {name: lambda dist, y, name=name: getattr(dist, name)(y) for name in METHODS} | {
    "interval": lambda dist, y: dist.interval_log_prob(y, y + 1e-3),
    "wide interval": lambda dist, y: dist.interval_log_prob(y, y + 1e7),
    "empty interval": lambda dist, y: dist.interval_log_prob(y, y),
    "twcrps": lambda dist, y: dist.twcrps(y, 0.5),
    "isf": lambda dist, y: dist.isf(1e-3) + 0 * jnp.where(jnp.abs(y) < 1, y, 0.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_adversarial_inputs_and_nan_parameters(name):
    """No NaN for any finite input, finite slopes for all but the extreme ones, and NaN for a NaN parameter."""

    def function(df, loc, scale, y):
        return FUNCTIONS[name](StudentT(df, loc, scale), y)

    bad = np.array([[np.nan if i == j else 1.0 for i in range(4)] for j in range(3)], np.float32)
    table = np.concatenate([ADVERSARIAL, bad])
    if name == "twcrps":
        # its slope in df is of order y / df^2 and overflows beyond
        table[:, 3] = np.clip(table[:, 3], -1e30, 1e30)
    table = jnp.asarray(table)
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(function, range(4))))(*table.T)
    slopes = jnp.stack(slopes)[:, :-3]
    assert jnp.all(jnp.isnan(values[-3:]))
    assert not jnp.any(jnp.isnan(values[:-3]))
    assert not jnp.any(jnp.isnan(slopes))
    assert jnp.all(jnp.isfinite(slopes[:, :ORDINARY]))
    if name == "log_prob":
        assert jnp.all(jnp.any(slopes != 0, axis=1))


def test_nan_parameters_have_nan_moments():
    for bad in range(3):
        dist = StudentT(*(jnp.asarray(jnp.nan if i == bad else 3.0) for i in range(3)))
        assert np.isnan(dist.mean())
        assert np.isnan(dist.variance())
        assert np.isnan(dist.sample(jax.random.key(0)))
        assert np.isnan(dist.crps(1.0))


def test_user_errors_name_the_argument():
    with pytest.raises(InputError, match="df must be positive"):
        StudentT(0.0, 0.0, 1.0)
    with pytest.raises(InputError, match="scale must be positive"):
        StudentT(1.0, 0.0, -1.0)
    with pytest.raises(InputError, match=r"df \(2,\), loc \(\), scale \(3,\)"):
        StudentT(np.ones(2), 0.0, np.ones(3))
