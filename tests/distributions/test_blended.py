"""The blended generalized Pareto distribution against 50 digits, in float32 and float64, and its edge cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions import Binned, BlendedPareto
from sbp_jax.distributions.blending import weight, weight_gain, weight_slope
from sbp_jax.errors import InputError
from tests.oracles import derivative, exact, mp
from tests.oracles_blended import Blended

pytestmark = pytest.mark.long

X64 = [pytest.param(False, id="float32"), pytest.param(True, id="float64")]
VALUE = {False: 5e-6, True: 1e-12}
DERIVATIVE = {False: 1e-4, True: 1e-9}
EDGES = np.array([-4.0, -2.5, -1.0, -0.5, 0.0, 0.75, 1.5, 3.0, 5.0])  # exact in float32
LOGITS = np.array([0.3, -0.8, 1.1, 0.2, 1.7, 0.4, -0.3, -1.2])
MASSES = ((0.05, 0.2), (0.02, 0.15))
CASES = {
    "heavy and bounded": (LOGITS, EDGES, 0.4, -0.35, *MASSES),
    "exponential": (LOGITS, EDGES, 0.0, 1e-12, *MASSES),
    "uniform and infinite mean": (LOGITS, EDGES, -1.0, 1.0, *MASSES),
    "far masses, no lower tail": (LOGITS, EDGES, 0.2, 0.45, None, (0.001, 0.3)),
    "one bin": (np.array([-12.0] * 7 + [0.0]), EDGES, -0.6, 0.45, *MASSES),
}
OUTCOMES = [-9.0, -4.2, -3.9, -3.0, -2.5, -1.4, -1.0, 0.1, 1.5, 1.9, 2.5, 3.0, 3.3, 4.2, 5.0, 5.1, 11.0]
PROBABILITIES = [1e-6, 0.0005, 0.03, 0.06, 0.17, 0.3, 0.63, 0.81, 0.87, 0.97, 0.995]
INTERVALS = [(-9, -8), (-3.5, -3.25), (-3.5, -3.4990234375), (-5, 5), (2, 2.0625), (1.25, 3.25), (4, np.inf), (2, 1)]
BLENDS = ("density", "published")
METHODS = ("log_prob", "cdf", "survival_function", "log_cdf", "log_survival_function")


def oracle_of(dist, edges):
    """The oracle with the distribution's rounded numbers."""
    masses = [
        m if m is None else [exact(v) for v in np.asarray(m).astype(dist.dtype)]
        for m in (dist.lower_mass, dist.upper_mass)
    ]
    shapes = [mp.mpf(0) if xi is None else exact(xi) for xi in (dist.lower_shape, dist.upper_shape)]
    return Blended([exact(v) for v in dist.logits], [exact(e) for e in edges], *shapes, *masses, blend=str(dist.blend))


def log(p):
    return mp.log(p) if p > 0 else -mp.inf


def close(got, want, bound):
    got, want = exact(got), mp.mpf(want)
    return got == want if mp.isinf(want) else abs(got - want) <= bound * max(1, abs(want))


def near(got, function, at, bound):
    """Within the bound, or ten times what one rounding of the point `at` moves the answer by."""
    want = function(exact(at))
    if close(got, want, bound) or mp.isinf(want):
        return close(got, want, bound)
    moved = max(abs(function(exact(np.nextafter(np.asarray(at), s * np.inf, dtype=at.dtype))) - want) for s in (-1, 1))
    return abs(exact(got) - want) <= 10 * moved


@jax.jit
def evaluate(dist, y, q, low, high):
    return {name: getattr(dist, name)(y) for name in METHODS} | {
        "icdf": dist.icdf(q),
        "isf": dist.isf(q),
        "interval": dist.interval_log_prob(low, high),
        "crps": dist.crps(y[1::6]),
        "mean": dist.mean(),
        "variance": dist.variance(),
        "thresholds": dist.thresholds(),
        "negative": dist.negative_mass(),
        "tail masses": dist.tail_masses(),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "blend", "x64"),
    [
        # each program takes half a minute: the fast suite runs one of them
        pytest.param(
            case,
            blend,
            x64,
            id=f"{case}-{blend}-{dtype}",
            marks=pytest.mark.slow if x64 or CASES[case][4] or blend == "published" else (),
        )
        for case in CASES
        for blend in BLENDS
        for x64, dtype in ((False, "float32"), (True, "float64"))
    ],
)
def test_values(case, blend, x64):
    with jax.enable_x64(x64):
        logits, edges, *rest = CASES[case]
        dist = BlendedPareto(jnp.asarray(logits), edges, *rest, blend)
        oracle, bound = oracle_of(dist, edges), VALUE[x64]
        y, q = jnp.asarray(OUTCOMES), jnp.asarray(PROBABILITIES)
        low, high = jnp.asarray(np.array(INTERVALS).T)
        got = evaluate(dist, y, q, low, high)
        assert got["negative"] == 0
        for a, b in zip(got["thresholds"], oracle.thresholds(), strict=True):
            assert close(a, b, bound)
        for mass, side in zip(got["tail masses"], (oracle.down, oracle.up), strict=True):
            assert close(mass, side.mass if side else 0, bound)
        functions = {
            "log_prob": oracle.log_prob,
            "cdf": oracle.cdf,
            "survival_function": oracle.survival,
            "log_cdf": lambda t: log(oracle.cdf(t)),
            "log_survival_function": lambda t: log(oracle.survival(t)),
        }
        for name, function in functions.items():
            for value, at in zip(got[name], y, strict=True):
                assert near(value, function, at, bound), (name, at)
        for i, at in enumerate(q):
            assert near(got["icdf"][i], oracle.icdf, at, bound), at
            assert near(got["isf"][i], oracle.isf, at, bound), at
        for i, ends in enumerate(zip(low, high, strict=True)):
            assert close(got["interval"][i], oracle.log_interval(*(exact(e) for e in ends)), bound), ends
        # what quadrature gives in the zone: the bound of the docstring, below the rounding of the dtype
        tight = float(10 * jnp.finfo(dist.dtype).eps)
        for i, at in enumerate(y[1::6]):
            assert close(got["crps"][i], oracle.crps(exact(at)), tight), at
        assert close(got["mean"], oracle.mean(), tight)
        assert close(got["variance"], oracle.variance() if max(rest[:2]) < 0.5 else mp.inf, tight)


@pytest.mark.parametrize("x64", X64)
def test_weights_keep_digits_at_both_ends(x64):
    with jax.enable_x64(x64):
        bound = float(4 * jnp.finfo(float if x64 else jnp.float32).eps)
        for small in (1e-7, 1e-3, 0.1, 0.25, 0.5):
            t = jnp.asarray(small)
            # both ends get the small number exactly: t and 1 - t are computed apart
            want = mp.betainc(5, 5, 0, exact(t), regularized=True)
            assert abs(exact(weight(t, 1 - t)) / want - 1) < bound
            assert abs(exact(1 - weight(1 - t, t)) - want) < bound
            assert abs(exact(weight_slope(t, 1 - t)) / (exact(t) ** 4 * (1 - exact(t)) ** 4 * 630) - 1) < 2 * bound
            step = jnp.asarray(0.5**9)
            gain = mp.betainc(5, 5, exact(t), exact(t) + exact(step), regularized=True)
            assert abs(exact(weight_gain(t, 1 - t, step)) / gain - 1) < 4 * bound


@pytest.mark.slow
@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("case", ["heavy and bounded", "exponential"])
def test_derivatives(case, blend, x64):
    """In the outcome, every logit and both shapes: density, tail probability, interval and quantile."""
    with jax.enable_x64(x64):
        logits, edges, xi_l, xi_u, *masses = CASES[case]
        arrays = tuple(jnp.asarray(a) for a in (logits, xi_l, xi_u))

        def dist(arrays):
            return BlendedPareto(arrays[0], edges, *arrays[1:], *masses, blend)

        oracle = oracle_of(dist(arrays), edges)
        methods = {
            "log_prob": (lambda o, t: o.log_prob(t), (-9.0, -3.3, -2.0, 0.1, 1.9, 3.3, 4.7)),
            "log_survival_function": (lambda o, t: log(o.survival(t)), (-3.3, 1.9, 4.7)),
            "icdf": (lambda o, q: o.icdf(q), (0.01, 0.06, 0.17, 0.5, 0.87, 0.99)),
        }
        for name, (reference, points) in methods.items():
            gradient = jax.jit(jax.grad(lambda a, t, name=name: getattr(dist(a), name)(t), (0, 1)))
            for point in points:
                at = jnp.asarray(point)
                slopes, slope = gradient(arrays, at)
                want = derivative(lambda t, f=reference: f(oracle, t), exact(at))
                assert close(slope, want, DERIVATIVE[x64]), (name, point)
                for which, grad in enumerate(slopes):
                    for i, value in enumerate(np.ravel(grad)):

                        def line(x, which=which, i=i, at=at, f=reference):
                            moved = [list(oracle.logits), [oracle.xi_l], [oracle.xi_u]]
                            moved[which][i] = x
                            moved = Blended(
                                moved[0], oracle.edges, moved[1][0], moved[2][0], oracle.lower, oracle.upper, blend
                            )
                            return f(moved, exact(at))

                        want = derivative(line, exact(np.ravel(arrays[which])[i]))
                        assert close(value, want, DERIVATIVE[x64]), (name, point, which, i)


@pytest.mark.slow
def test_one_bin_is_a_distribution_for_every_shape_from_minus_one():
    shapes = jnp.concatenate([jnp.linspace(-1.0, 3.0, 41), jnp.array([-5.0])])
    dist = BlendedPareto(jnp.zeros((42, 1)), [0.0, 1.0], None, shapes, blend="published")
    assert jnp.all(dist.negative_mass()[:-1] == 0)
    assert dist.negative_mass()[-1] > 1e-3
    y = jnp.linspace(0.81, 0.949, 200)[:, None]
    assert jnp.all(dist.log_prob(y)[:, :-1] > -jnp.inf)


@pytest.mark.slow
def test_without_tails_it_is_the_histogram():
    logits = jnp.asarray(LOGITS, jnp.float32)
    dist, body, y = (
        BlendedPareto(logits, EDGES, None, 0.3, upper_mass=None),
        Binned(logits, EDGES),
        jnp.asarray(OUTCOMES),
    )
    for name in (*METHODS, "crps"):
        np.testing.assert_allclose(getattr(dist, name)(y), getattr(body, name)(y), rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(dist.mean(), body.mean(), rtol=1e-6)
    np.testing.assert_allclose(dist.variance(), body.variance(), rtol=1e-6)
    np.testing.assert_allclose(dist.icdf(jnp.array([0.0, 0.2, 1.0])), body.icdf(jnp.array([0.0, 0.2, 1.0])))
    np.testing.assert_array_equal(jnp.stack(dist.thresholds()), EDGES[[0, 0, -1, -1]])


@pytest.mark.slow
def test_infinite_moments_scalars_and_missing_parameters():
    dist = BlendedPareto(
        jnp.zeros((5, 4)),
        np.arange(5.0),
        jnp.array([0.0, 1.2, 1.2, 0.0, 0.6]),
        jnp.array([1.2, 0.0, 1.2, jnp.nan, 0.6]),
    )
    mean, variance = dist.mean(), dist.variance()
    np.testing.assert_array_equal(mean[:4], [np.inf, -np.inf, np.nan, np.nan])
    np.testing.assert_allclose(mean[4], 2.0, rtol=1e-6)
    np.testing.assert_array_equal(variance, [np.inf, np.inf, np.inf, np.nan, np.inf])
    values = jax.jit(lambda d: [getattr(d, name)(1.0) for name in METHODS] + [d.icdf(0.5), d.crps(0.5)])(dist)
    for value in values:
        assert jnp.all(jnp.isfinite(value[:3]))
        assert jnp.isnan(value[3])
    broken = BlendedPareto(jnp.array([0.0, jnp.nan]), np.arange(3.0), 0.1, 0.1)
    assert jnp.all(jnp.isnan(broken.log_prob(jnp.arange(3.0))))
    scalar = BlendedPareto(jnp.zeros(4), np.arange(5.0), 0.0, 0.1)
    assert scalar.batch_shape == scalar.log_prob(1.0).shape == scalar.sample(jax.random.key(0)).shape == ()
    one = BlendedPareto(jnp.zeros((1, 4)), np.arange(5.0), 0.0, 0.1)
    assert one.log_prob(3.8).shape == (1,)
    assert one.log_prob(3.8) == scalar.log_prob(3.8)


def test_user_errors_name_the_argument():
    logits, edges = jnp.zeros(3), np.arange(4.0)
    for bad in ((0.2, 0.05), (0.0, 0.2), (0.1, 0.5), (0.1, np.nan), (0.1, 0.1 + 1e-12), (0.1, 0.2, 0.3)):
        with pytest.raises(InputError, match="upper_mass must be a pair of numbers"):
            BlendedPareto(logits, edges, 0.1, 0.1, upper_mass=bad)
    with pytest.raises(InputError, match=r"logits \(2,\), lower_shape \(3,\)"):
        BlendedPareto(jnp.zeros((2, 3)), edges, np.zeros(3), 0.1)
    with pytest.raises(InputError, match="edges must have shape"):
        BlendedPareto(logits, edges[:-1], 0.1, 0.1)
    with pytest.raises(InputError, match="blend: expected one of density, published, got 'cdf'"):
        BlendedPareto(logits, edges, 0.1, 0.1, blend="cdf")
    with pytest.raises(InputError, match="lower_mass must be a pair of numbers"):
        jax.jit(lambda m: BlendedPareto(logits, edges, 0.1, 0.1, lower_mass=m).log_prob(1.0))(jnp.array([0.1, 0.2]))
