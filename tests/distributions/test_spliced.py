"""The Spliced Binned-Pareto distribution against 50 digits, in float32 and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sbp_jax.distributions import Binned, GeneralizedPareto, SplicedBinnedPareto
from sbp_jax.errors import InputError
from tests import oracles

pytestmark = pytest.mark.long

X64 = [pytest.param(False, id="float32"), pytest.param(True, id="float64")]
VALUE = {False: 5e-6, True: 1e-12}
DERIVATIVE = {False: 1e-4, True: 1e-9}
EDGES = np.array([-4.0, -2.5, -1.0, -0.5, 0.0, 0.75, 1.5, 3.0, 5.0])  # exact in float32
LOGITS = np.array([0.3, -0.8, 1.1, 0.2, 1.7, 0.4, -0.3, -1.2])
CASES = {
    "heavy and bounded": (0.4, 0.9, -0.35, 1.3, 0.05, 0.1),
    "exponential": (0.0, 0.8, 1e-12, 2.0, 0.1, 0.05),
    "no lower tail": (0.2, 1.0, 0.3, 0.7, 0.0, 0.02),
    "no tails": (0.2, 1.0, 0.3, 0.7, 0.0, 0.0),
    "wide tails": (-0.2, 3.0, 0.45, 0.5, 0.3, 0.45),
}
OUTCOMES = [-9.0, -4.0, -2.6, -0.5, 0.1, 1.2, 3.4, 5.0, 5.3, 11.0]


def build(logits, edges, xi_l, beta_l, xi_u, beta_u, tau_l, tau_u):
    return SplicedBinnedPareto(
        logits, edges, GeneralizedPareto(xi_l, beta_l), GeneralizedPareto(xi_u, beta_u), (tau_l, tau_u)
    )


METHODS = ("log_prob", "cdf", "survival_function", "crps", "log_cdf", "log_survival_function")


@jax.jit
def evaluate(parameters, y, q, low, high):
    """All methods at once, with traced tail masses, so that the cases share one compilation."""
    dist = build(parameters[0], EDGES, *parameters[1:])
    results = {name: getattr(dist, name)(y) for name in METHODS}
    icdf, isf = dist.icdf(q), dist.isf(q)
    return results | {
        "icdf": icdf,
        "isf": isf,
        "cdf(icdf)": dist.cdf(icdf),
        "sf(isf)": dist.survival_function(isf),
        "density(isf)": jnp.exp(dist.log_prob(isf)),
        "interval": dist.interval_log_prob(low, high),
        "mean": dist.mean(),
        "variance": dist.variance(),
        "thresholds": dist.thresholds(),
    }


log_prob = jax.jit(lambda parameters, y: build(parameters[0], EDGES, *parameters[1:]).log_prob(y))
interval = jax.jit(
    lambda parameters, low, high: build(parameters[0], EDGES, *parameters[1:]).interval_log_prob(low, high)
)
ENDS = [-np.inf, -9.0, -3.5, -2.75, -0.75, 0.125, 0.1875, 2.5, 4.5, 6.0, np.inf]
INTERVALS = np.array([(a, b) for i, a in enumerate(ENDS) for b in ENDS[i + 1 :]])
PROBABILITIES = np.concatenate(
    [np.logspace(-7, -1, 40), np.linspace(0.1, 0.9, 80), [0.9375], 1 - np.logspace(-6, -1, 40)]
)


def evaluated(case):
    """Parameters in the current dtype, the oracle fed the same rounded numbers, the points, and every result there."""
    parameters = tuple(jnp.asarray(p) for p in (LOGITS, *CASES[case]))
    exacts = [[oracles.exact(x) for x in np.ravel(p)] for p in parameters]
    points = (jnp.asarray(OUTCOMES), jnp.asarray(PROBABILITIES), *jnp.asarray(INTERVALS).T)
    return oracle_from(exacts), points, evaluate(parameters, *points)


def oracle_from(exacts):
    logits, (xi_l,), (beta_l,), (xi_u,), (beta_u,), (tau_l,), (tau_u,) = exacts
    edges = [oracles.exact(e) for e in EDGES]
    return oracles.Spliced(logits, edges, oracles.Pareto(xi_l, beta_l), oracles.Pareto(xi_u, beta_u), tau_l, tau_u)


def close(got, want, bound):
    got, want = float(got), float(want)
    return got == want if np.isinf(want) else abs(got - want) <= bound * max(1, abs(want))


@pytest.mark.slow
@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("case", CASES)
def test_values(case, x64):
    with jax.enable_x64(x64):
        oracle, (y, q, low, high), got = evaluated(case)
        bound = VALUE[x64]
        assert close(got["thresholds"][0], oracle.t_l, bound)
        assert close(got["thresholds"][1], oracle.t_u, bound)
        assert close(got["mean"], oracle.mean(), bound)
        assert close(got["variance"], oracle.variance(), bound)
        for i, t in enumerate(oracles.exact(v) for v in y):
            cdf, survival = oracle.cdf(t), oracle.survival(t)
            wants = {
                "log_prob": oracle.log_prob(t),
                "cdf": cdf,
                "survival_function": survival,
                "crps": oracle.crps(t),
                "log_cdf": oracles.mp.log(cdf) if cdf else -np.inf,
                "log_survival_function": oracles.mp.log(survival) if survival else -np.inf,
            }
            for name, want in wants.items():
                assert close(got[name][i], want, bound), (name, t)
        for i in range(0, len(q), 8):
            assert close(got["icdf"][i], oracle.icdf(oracles.exact(q[i])), bound), q[i]
        for i in range(len(INTERVALS)):
            p = oracle.cdf(oracles.exact(high[i])) - oracle.cdf(oracles.exact(low[i]))
            assert close(got["interval"][i], oracles.mp.log(p) if p > 0 else -np.inf, bound), INTERVALS[i]


@pytest.mark.slow
@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("case", CASES)
def test_quantiles_invert(case, x64):
    with jax.enable_x64(x64):
        _, (_, q, _, _), got = evaluated(case)
        bound = 1e-12 if x64 else 1e-6
        assert jnp.max(jnp.abs(got["cdf(icdf)"] - q)) <= bound
        assert jnp.max(jnp.abs(got["sf(isf)"] - q)) <= bound
        # the upper tail keeps its digits, up to what the rounding of the quantile costs
        moved = 10 * jnp.finfo(q.dtype).eps * got["density(isf)"] * jnp.abs(got["isf"])
        tail = q < 0.9 * CASES[case][5]
        assert jnp.all(jnp.where(tail, jnp.abs(got["sf(isf)"] - q), 0) <= 2 * bound * q + moved)


@pytest.mark.slow
@pytest.mark.parametrize("x64", X64)
def test_derivatives(x64):
    """Every derivative of the log-density and the interval probability, thresholds included."""
    with jax.enable_x64(x64):
        arrays = tuple(jnp.asarray(p) for p in (LOGITS, *CASES["heavy and bounded"]))
        exacts = [[oracles.exact(x) for x in np.ravel(a)] for a in arrays]

        def check(function, oracle_function, *points):
            grads = jax.grad(function)(arrays, *points)
            for which, grad in enumerate(grads):
                for i, slope in enumerate(np.ravel(grad)):

                    def line(x, which=which, i=i):
                        moved = [list(e) for e in exacts]
                        moved[which][i] = x
                        return oracle_function(oracle_from(moved))

                    want = oracles.derivative(line, exacts[which][i])
                    assert close(slope, want, DERIVATIVE[x64]), (points, which, i)

        for y in (-9.0, -2.8, 0.3, 3.4, 4.6):
            point = jnp.asarray(y)
            exact_point = oracles.exact(point)
            check(log_prob, lambda o, t=exact_point: o.log_prob(t), point)
        for low, high in ((-9.0, -8.0), (-3.5, -2.5), (-0.3, 0.7), (2.5, 3.5), (-6.0, 4.5), (4.0, 4.25)):
            ends = jnp.asarray(low), jnp.asarray(high)
            exact_ends = [oracles.exact(e) for e in ends]
            check(interval, lambda o, ab=exact_ends: o.log_interval(*ab), *ends)


@pytest.mark.slow
@pytest.mark.parametrize("width", [0.02, 0.3, 1.0, 7.0])
@pytest.mark.parametrize("shapes", [(0.4, -0.3), (-0.45, 0.0), (0.9, 0.2)])
def test_total_mass_is_one(width, shapes):
    """Midpoints of the body's pieces, where the density is constant, and quadrature over the hazard in the tails."""
    edges = width * np.arange(-20, 21)
    parameters = (np.random.default_rng(3).normal(size=40), edges, shapes[0], width, shapes[1], 2 * width, 0.05, 0.08)
    with jax.enable_x64(True):
        parameters = tuple(jnp.asarray(p) for p in parameters)
        t_l, t_u = (float(t) for t in thresholds_of(parameters))
        knots = np.array([t_l, *edges[(edges > t_l) & (edges < t_u)], t_u])
        total = np.sum(np.diff(knots) * np.asarray(density_of(parameters, jnp.asarray(0.5 * (knots[1:] + knots[:-1])))))
        nodes, weights = np.polynomial.legendre.leggauss(64)
        for sign, start, xi, beta, mass in ((-1, t_l, shapes[0], width, 0.05), (1, t_u, shapes[1], 2 * width, 0.08)):
            # excess at hazard a, by hand: the density times dz is smooth in a, and exp(-40) is left out
            a = 20 + 20 * nodes
            z = beta * (np.expm1(xi * a) / xi if xi else a)
            jacobian = beta * np.exp(xi * a)
            part = np.sum(20 * weights * jacobian * np.asarray(density_of(parameters, jnp.asarray(start + sign * z))))
            assert part == pytest.approx(mass, abs=1e-6)
            total += part
        assert total == pytest.approx(1, abs=1e-6)
    single = tuple(jnp.asarray(p, jnp.float32) for p in parameters)
    middles = jnp.asarray(0.5 * (knots[1:] + knots[:-1]), jnp.float32)
    body = np.sum(np.diff(knots) * np.asarray(density_of(single, middles), np.float64))
    assert body == pytest.approx(0.87, abs=1e-6)


density_of = jax.jit(lambda parameters, y: jnp.exp(build(*parameters).log_prob(y)))
thresholds_of = jax.jit(lambda parameters: build(*parameters).thresholds())


@pytest.mark.slow
def test_slope_of_the_cdf_is_the_density():
    with jax.enable_x64(True):
        dist = build(jnp.asarray(LOGITS), EDGES, *CASES["heavy and bounded"])
        y = jnp.linspace(-12.0, 8.0, 200)

        @jax.jit
        def slopes(y):
            down = jax.grad(lambda t: jnp.sum(dist.survival_function(t)))(y)
            return jax.grad(lambda t: jnp.sum(dist.cdf(t)))(y), -down, jnp.exp(dist.log_prob(y))

        rising, falling, density = slopes(y)
        np.testing.assert_allclose(rising, density, rtol=1e-12)
        np.testing.assert_allclose(falling, density, rtol=1e-12)


def test_unsorted_quantiles_come_back_in_their_order():
    dist = build(jnp.asarray(LOGITS, jnp.float32), EDGES, *CASES["exponential"])
    q = jnp.array([0.9, 0.1, 0.5, 0.02, 0.99])
    order = jnp.argsort(q)
    np.testing.assert_array_equal(dist.icdf(q)[order], dist.icdf(q[order]))
    assert jnp.all(jnp.diff(dist.icdf(jnp.sort(q))) > 0)


@pytest.mark.slow
def test_composite_is_the_published_surrogate():
    parameters = (LOGITS, *CASES["heavy and bounded"])
    with jax.enable_x64(True):
        dist = build(jnp.asarray(LOGITS), EDGES, *parameters[1:])
        oracle = oracle_from([[oracles.exact(x) for x in np.ravel(p)] for p in parameters])
        for y in (-9.0, -3.4, 0.1, 3.4, 5.2):
            want = oracle.composite(oracles.mp.mpf(y), oracle.t_l, oracle.t_u)
            assert close(dist.composite_log_prob(y), want, 1e-12)
        # thresholds are constants: in a tail the logits receive the histogram's gradient alone
        for y in (-3.4, 3.4):
            grad = jax.grad(lambda x, y=y: build(x, EDGES, *parameters[1:]).composite_log_prob(y))(dist.logits)
            want = jax.grad(lambda x, y=y: Binned(x, EDGES).log_prob(y))(dist.logits)
            np.testing.assert_allclose(grad, want, rtol=1e-12)
            exact = jax.grad(lambda x, y=y: build(x, EDGES, *parameters[1:]).log_prob(y))(dist.logits)
            assert jnp.max(jnp.abs(exact - want)) > 0.1


@pytest.mark.slow
def test_without_tails_it_is_the_histogram():
    logits = jnp.asarray(LOGITS, jnp.float32)
    dist, body = build(logits, EDGES, *CASES["no tails"]), Binned(logits, EDGES)
    y = jnp.asarray(OUTCOMES)
    for name in ("log_prob", "cdf", "survival_function", "log_cdf", "log_survival_function", "crps"):
        np.testing.assert_allclose(getattr(dist, name)(y), getattr(body, name)(y), rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(dist.mean(), body.mean(), rtol=1e-6)
    np.testing.assert_allclose(dist.variance(), body.variance(), rtol=1e-6)
    np.testing.assert_array_equal(jnp.stack(dist.thresholds()), EDGES[[0, -1]])


@pytest.mark.slow
def test_infinite_moments():
    heavy, light = GeneralizedPareto(1.2, 1.0), GeneralizedPareto(0.6, 1.0)
    logits = jnp.zeros(4)
    edges = np.arange(5.0)
    assert SplicedBinnedPareto(logits, edges, light, heavy).mean() == jnp.inf
    assert SplicedBinnedPareto(logits, edges, heavy, light).mean() == -jnp.inf
    assert jnp.isnan(SplicedBinnedPareto(logits, edges, heavy, heavy).mean())
    assert SplicedBinnedPareto(logits, edges, light, light).variance() == jnp.inf
    assert jnp.isfinite(SplicedBinnedPareto(logits, edges, heavy, heavy).crps(3.0))
    assert jnp.isfinite(SplicedBinnedPareto(logits, edges, heavy, light, (0.0, 0.05)).mean())
    assert SplicedBinnedPareto(logits, edges, GeneralizedPareto(2.0, 1.0), light).crps(3.0) == jnp.inf


@pytest.mark.slow
def test_samples_follow_the_cdf_and_differ():
    logits = jnp.asarray(np.stack([LOGITS, LOGITS[::-1]]), jnp.float32)
    dist = build(logits, EDGES, 0.3, 1.0, -0.2, 1.5, 0.05, 0.1)
    draws = dist.sample(jax.random.key(0), (4000,))
    assert draws.shape == (4000, 2)
    assert dist.sample(jax.random.key(1), (2, 3)).shape == (2, 3, 2)
    for i in range(2):
        pits = np.asarray(dist.cdf(draws))[:, i]
        assert scipy.stats.kstest(pits, "uniform").pvalue > 1e-3
    assert len(np.unique(np.asarray(draws))) > 7900
    # reparameterized: moving both tails' scale moves the draws
    slope = jax.grad(
        lambda b: jnp.mean(build(logits, EDGES, 0.3, b, -0.2, b, 0.05, 0.1).sample(jax.random.key(0), (99,)))
    )
    assert jnp.isfinite(slope(jnp.asarray(1.0)))
    assert slope(jnp.asarray(1.0)) != 0


def test_user_errors_name_the_argument():
    tail = GeneralizedPareto(0.1, 1.0)
    with pytest.raises(InputError, match=r"edges must have shape \[5\] for logits of shape \[2, 4\], got \[4\]"):
        SplicedBinnedPareto(jnp.zeros((2, 4)), np.arange(4.0), tail, tail)
    with pytest.raises(InputError, match="edges must be finite and increasing"):
        SplicedBinnedPareto(jnp.zeros(3), np.array([0.0, 1.0, 1.0, 2.0]), tail, tail)
    for bad in ((0.5, 0.1), (-0.01, 0.1), (0.1, np.nan)):
        with pytest.raises(InputError, match="tail_mass must be at least 0 and below 1/2"):
            SplicedBinnedPareto(jnp.zeros(3), np.arange(4.0), tail, tail, bad)
    with pytest.raises(InputError, match=r"logits \(2,\), lower \(3,\)"):
        SplicedBinnedPareto(jnp.zeros((2, 3)), np.arange(4.0), GeneralizedPareto(np.zeros(3), 1.0), tail)
