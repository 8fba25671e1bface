"""The Spliced Binned-Pareto distribution against 50 digits, in float32 and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from sbp_jax.distributions import Binned, GeneralizedPareto, SplicedBinnedPareto
from sbp_jax.errors import InputError
from tests import oracles

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
OUTCOMES = [-9.0, -4.0, -3.9, -2.6, -1.01, -0.5, 0.1, 0.75, 1.2, 2.9, 3.4, 4.99, 5.0, 5.3, 11.0]


def build(logits, edges, xi_l, beta_l, xi_u, beta_u, tau_l, tau_u):
    return SplicedBinnedPareto(
        logits, edges, GeneralizedPareto(xi_l, beta_l), GeneralizedPareto(xi_u, beta_u), (tau_l, tau_u)
    )


def oracle_of(law):
    numbers = [oracles.exact(x) for x in np.asarray(law.logits)]
    edges = [oracles.exact(x) for x in np.asarray(law.edges)]
    tails = [oracles.Pareto(oracles.exact(t.shape), oracles.exact(t.scale)) for t in (law.lower, law.upper)]
    # tail masses as the law sees them: rounded to its dtype
    masses = [oracles.exact(jnp.asarray(float(m), law.dtype)) for m in law.tail_mass]
    return oracles.Spliced(numbers, edges, *tails, *masses)


def close(got, want, bound):
    got, want = float(got), float(want)
    return got == want if np.isinf(want) else abs(got - want) <= bound * max(1, abs(want))


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("case", CASES)
def test_values(case, x64):
    with jax.enable_x64(x64):
        law = build(jnp.asarray(LOGITS), EDGES, *CASES[case])
        oracle, bound = oracle_of(law), VALUE[x64]
        t_l, t_u = law.thresholds()
        assert close(t_l, oracle.t_l, bound)
        assert close(t_u, oracle.t_u, bound)
        y = jnp.asarray([t for t in OUTCOMES if t > (-9 if oracle.tau_l == 0 else -99)])
        got = jax.jit(lambda d, y: (d.log_prob(y), d.cdf(y), d.survival_function(y), d.crps(y), d.log_cdf(y)))(law, y)
        for i, t in enumerate(oracles.exact(v) for v in y):
            if (t < oracle.edges[0] and not oracle.tau_l) or (t > oracle.edges[-1] and not oracle.tau_u):
                assert got[0][i] == -jnp.inf
                continue
            for name, function, value in zip(
                ("log_prob", "cdf", "survival", "crps"),
                (oracle.log_prob, oracle.cdf, oracle.survival, oracle.crps),
                got[:4],
                strict=True,
            ):
                assert close(value[i], function(t), bound), (name, t)
            if oracle.cdf(t) > 0:
                assert close(got[4][i], oracles.mp.log(oracle.cdf(t)), bound), t
        assert close(law.mean(), oracle.mean(), bound)
        assert close(law.variance(), oracle.variance(), bound)
        for q in (1e-4, 0.04, 0.1, 0.31, 0.5, 0.77, 0.91, 0.9375):
            want = oracle.icdf(oracles.exact(jnp.asarray(q)))
            assert close(law.icdf(q), want, bound), q


@pytest.mark.parametrize("x64", X64)
def test_derivatives(x64):
    """Every derivative of the log-density and the interval probability, thresholds included."""
    parameters = (LOGITS, *CASES["heavy and bounded"])
    with jax.enable_x64(x64):
        arrays = [jnp.asarray(p) for p in parameters]
        exacts = [[oracles.exact(x) for x in np.ravel(a)] for a in arrays]

        def oracle_with(which, i, value):
            values = [list(e) for e in exacts]
            values[which][i] = value
            logits, (xi_l,), (beta_l,), (xi_u,), (beta_u,), (tau_l,), (tau_u,) = values
            edges = [oracles.mp.mpf(float(e)) for e in EDGES]
            lower, upper = oracles.Pareto(xi_l, beta_l), oracles.Pareto(xi_u, beta_u)
            return oracles.Spliced(logits, edges, lower, upper, tau_l, tau_u)

        def check(function, oracle_function, point):
            grads = jax.jit(jax.grad(function, tuple(range(7))))(*arrays)
            for which, grad in enumerate(grads):
                for i, slope in enumerate(np.ravel(grad)):
                    line = lambda x, w=which, i=i: oracle_function(oracle_with(w, i, x))  # noqa: E731
                    want = oracles.derivative(line, exacts[which][i])
                    assert close(slope, want, DERIVATIVE[x64]), (point, which, i)

        for y in (-9.0, -2.8, 0.3, 3.4, 5.5):
            t = oracles.exact(jnp.asarray(y))
            check(lambda *p, y=y: build(p[0], EDGES, *p[1:]).log_prob(y), lambda o, t=t: o.log_prob(t), y)
        for low, high in ((-9.0, -8.0), (-3.5, -2.5), (-0.3, 0.7), (2.5, 3.5), (-6.0, 7.0), (6.0, 6.25)):
            a, b = oracles.mp.mpf(low), oracles.mp.mpf(high)
            check(
                lambda *p, low=low, high=high: build(p[0], EDGES, *p[1:]).interval_log_prob(low, high),
                lambda o, a=a, b=b: o.log_interval(a, b),
                (low, high),
            )


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("case", CASES)
def test_intervals(case, x64):
    with jax.enable_x64(x64):
        law = build(jnp.asarray(LOGITS), EDGES, *CASES[case])
        oracle = oracle_of(law)
        ends = [-np.inf, -9.0, -3.5, -2.75, -0.75, 0.125, 0.1875, 2.5, 4.5, 6.0, np.inf]
        pairs = np.array([(a, b) for i, a in enumerate(ends) for b in ends[i + 1 :]])
        got = jax.jit(lambda d, low, high: d.interval_log_prob(low, high))(law, *jnp.asarray(pairs).T)

        def cdf(y):
            if y == -np.inf or (y < oracle.edges[0] and not oracle.tau_l):
                return oracles.mp.mpf(0)
            if y == np.inf or (y > oracle.edges[-1] and not oracle.tau_u):
                return oracles.mp.mpf(1)
            return oracle.cdf(oracles.mp.mpf(y))

        for (low, high), value in zip(pairs, got, strict=True):
            p = cdf(high) - cdf(low)
            assert close(value, oracles.mp.log(p) if p > 0 else -np.inf, VALUE[x64]), (low, high)


@pytest.mark.parametrize("width", [0.02, 0.3, 1.0, 7.0])
@pytest.mark.parametrize("shapes", [(0.4, -0.3), (-0.45, 0.0), (0.9, 0.2)])
def test_total_mass_is_one(width, shapes):
    edges = width * np.arange(-20, 21).astype(np.float32)
    logits = np.random.default_rng(3).normal(size=40)
    with jax.enable_x64(True):
        law = build(jnp.asarray(logits), edges, shapes[0], width, shapes[1], 2 * width, 0.05, 0.08)
        t_l, t_u = (float(t) for t in law.thresholds())
        knots = [t_l, *(float(e) for e in edges if t_l < e < t_u), t_u]
        density = jax.jit(lambda y: jnp.exp(law.log_prob(y)))
        middles = 0.5 * (np.array(knots[1:]) + np.array(knots[:-1]))
        total = float(np.sum(np.diff(knots) * np.asarray(density(middles))))
        for sign, start, xi in ((-1, t_l, shapes[0]), (1, t_u, shapes[1])):
            end = -width * (1 if sign < 0 else 2) / xi if xi < 0 else np.inf
            # z = t / (1 - t) stretches a heavy tail over [0, 1]
            total += scipy.integrate.quad(
                lambda t, sign=sign, start=start: (
                    float(density(start + sign * width * t / (1 - t))) * width / (1 - t) ** 2
                ),
                1e-12,
                end / (width + end) if np.isfinite(end) else 1 - 1e-9,
                limit=200,
                epsabs=1e-9,
            )[0]
            if xi > 0.5:  # the mass beyond the end of that integral, from the survival function
                far = width * (1 - 1e-9) / 1e-9
                total += float(law.cdf(start - far) if sign < 0 else law.survival_function(start + far))
        assert total == pytest.approx(1, abs=1e-6)
    single = build(jnp.asarray(logits, jnp.float32), edges, shapes[0], width, shapes[1], 2 * width, 0.05, 0.08)
    assert jnp.exp(single.interval_log_prob(-jnp.inf, jnp.inf)) == pytest.approx(1, abs=1e-6)


def test_slope_of_the_cdf_is_the_density():
    with jax.enable_x64(True):
        law = build(jnp.asarray(LOGITS), EDGES, *CASES["heavy and bounded"])
        y = jnp.linspace(-12.0, 8.0, 200)
        slope = jax.vmap(jax.grad(law.cdf))(y)
        np.testing.assert_allclose(slope, jnp.exp(law.log_prob(y)), rtol=1e-12)
        np.testing.assert_allclose(-jax.vmap(jax.grad(law.survival_function))(y), slope, rtol=1e-12)


@pytest.mark.parametrize("x64", X64)
@pytest.mark.parametrize("case", CASES)
def test_quantiles_invert(case, x64):
    with jax.enable_x64(x64):
        law = build(jnp.asarray(LOGITS), EDGES, *CASES[case])
        bound = 1e-12 if x64 else 1e-6
        q = jnp.concatenate([jnp.logspace(-6, -1, 40), jnp.linspace(0.1, 0.9, 80), 1 - jnp.logspace(-6, -1, 40)])
        assert jnp.max(jnp.abs(law.cdf(law.icdf(q)) - q)) <= bound
        s = jnp.logspace(-7, -0.01, 100)
        assert jnp.max(jnp.abs(law.survival_function(law.isf(s)) - s)) <= bound
        tail = s[s < 0.9 * max(CASES[case][5], 1e-6)]
        if len(tail):  # relative: the upper tail keeps its digits, up to the rounding of the quantile
            y = law.isf(tail)
            moved = 10 * jnp.finfo(y.dtype).eps * jnp.exp(law.log_prob(y)) * jnp.abs(y)
            assert jnp.all(jnp.abs(law.survival_function(y) - tail) <= 2 * bound * tail + moved)


def test_unsorted_quantiles_come_back_in_their_order():
    law = build(jnp.asarray(LOGITS, jnp.float32), EDGES, *CASES["exponential"])
    q = jnp.array([0.9, 0.1, 0.5, 0.02, 0.99])
    order = jnp.argsort(q)
    np.testing.assert_array_equal(law.icdf(q)[order], law.icdf(q[order]))
    assert jnp.all(jnp.diff(law.icdf(jnp.sort(q))) > 0)


def test_composite_is_the_published_surrogate():
    parameters = (LOGITS, *CASES["heavy and bounded"])
    with jax.enable_x64(True):
        law = build(jnp.asarray(LOGITS), EDGES, *parameters[1:])
        oracle = oracle_of(law)
        for y in (-9.0, -3.4, 0.1, 3.4, 5.2):
            want = oracle.composite(oracles.mp.mpf(y), oracle.t_l, oracle.t_u)
            assert close(law.composite_log_prob(y), want, 1e-12)
        # thresholds held constant: in a tail the logits receive the histogram's gradient alone
        for y in (-3.4, 3.4):
            grad = jax.grad(lambda x, y=y: build(x, EDGES, *parameters[1:]).composite_log_prob(y))(law.logits)
            want = jax.grad(lambda x, y=y: Binned(x, EDGES).log_prob(y))(law.logits)
            np.testing.assert_allclose(grad, want, rtol=1e-12)
            exact = jax.grad(lambda x, y=y: build(x, EDGES, *parameters[1:]).log_prob(y))(law.logits)
            assert jnp.max(jnp.abs(exact - want)) > 0.1


def test_without_tails_it_is_the_histogram():
    logits = jnp.asarray(LOGITS, jnp.float32)
    law, body = build(logits, EDGES, *CASES["no tails"]), Binned(logits, EDGES)
    y = jnp.asarray(OUTCOMES)
    for name in ("log_prob", "cdf", "survival_function", "log_cdf", "log_survival_function", "crps"):
        np.testing.assert_allclose(getattr(law, name)(y), getattr(body, name)(y), rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(law.mean(), body.mean(), rtol=1e-6)
    np.testing.assert_allclose(law.variance(), body.variance(), rtol=1e-6)
    np.testing.assert_array_equal(jnp.stack(law.thresholds()), EDGES[[0, -1]])


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


def test_samples_follow_the_cdf_and_differ():
    logits = jnp.asarray(np.stack([LOGITS, LOGITS[::-1]]), jnp.float32)
    law = build(logits, EDGES, 0.3, 1.0, -0.2, 1.5, 0.05, 0.1)
    draws = law.sample(jax.random.key(0), (4000,))
    assert draws.shape == (4000, 2)
    assert law.sample(jax.random.key(1), (2, 3)).shape == (2, 3, 2)
    for i in range(2):
        pits = np.asarray(law.cdf(draws))[:, i]
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
