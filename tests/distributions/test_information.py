"""Entropy, mode and Kullback-Leibler divergence against 50 digits, in value and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions import (
    Affine,
    Binned,
    BlendedPareto,
    GeneralizedPareto,
    HybridPareto,
    Normal,
    SplicedBinnedPareto,
    StudentT,
    TwoTailedHybridPareto,
    kl_divergence,
)
from sbp_jax.errors import InputError
from tests.oracles import Pareto, Spliced, exact, mp
from tests.oracles_baselines import DERIVATIVE, VALUE, Hybrid, Student, compare, partial

X64 = pytest.mark.parametrize("x64", [pytest.param(False, id="float32"), pytest.param(True, id="float64")])
EDGES = np.array([-4.0, -2.5, -1.0, -0.5, 0.0, 0.75, 1.5, 3.0, 5.0])  # exact in float32
LOGITS = np.array([0.3, -0.8, 1.1, 0.2, 1.7, 0.4, -0.3, -1.2])
SHAPES = [-1.0, -0.6, -1e-6, 0.0, 1e-12, 1e-3, 0.3, 1.0, 2.5]


def digamma_entropy(df, _, scale):
    """log scale - log c + (df + 1) / 2 (psi((df + 1) / 2) - psi(df / 2)), with the t's normalizer c."""
    log_c = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(mp.pi * df) / 2
    return mp.log(scale) - log_c + (df + 1) / 2 * (mp.digamma((df + 1) / 2) - mp.digamma(df / 2))


def hybrid_entropy(loc, scale, xi_l, xi_u):
    """-(the integral of f log f): of a tail (log b + 1 + xi + log gamma) / gamma, of the body by its moments."""
    dist = Hybrid(loc, scale, xi_l, xi_u)
    total, log_gamma = mp.mpf(0), mp.log(dist.gamma)
    a, b = (dist.alpha_l - loc) / scale, (dist.alpha - loc) / scale
    for tail in (dist.tail_l, dist.tail_u):
        if tail:
            total += (mp.log(tail.beta) + 1 + tail.xi + log_gamma) / dist.gamma
    mass = mp.ncdf(b) - (mp.ncdf(a) if xi_l is not None else 0)
    second = mass - b * mp.npdf(b) + (a * mp.npdf(a) if xi_l is not None else 0)
    return total + ((mp.log(2 * mp.pi) / 2 + mp.log(scale) + log_gamma) * mass + second / 2) / dist.gamma


ENTROPIES = {
    "normal": (Normal, lambda loc, scale: mp.log(2 * mp.pi * mp.e * scale**2) / 2, [(0.5, 2.0), (-3.0, 1e-3)]),
    "student": (StudentT, digamma_entropy, [(df, 0.5, 2.0) for df in (0.1, 0.7, 1.0, 2.5, 5.0, 30.0, 300.0, 1e4)]),
    "pareto": (GeneralizedPareto, lambda xi, beta: mp.log(beta) + xi + 1, [(xi, 0.7) for xi in [*SHAPES, -2.0]]),
    "hybrid": (
        HybridPareto,
        lambda loc, scale, xi: hybrid_entropy(loc, scale, None, xi),
        [(0.5, 2.0, xi) for xi in (-0.9, -0.3, 0.0, 1e-6, 0.4, 1.0)],
    ),
    "two-tailed hybrid": (TwoTailedHybridPareto, hybrid_entropy, [(0.5, 2.0, -0.3, 0.4), (0.0, 0.1, 0.0, 1.0)]),
    "affine": (
        lambda xi, loc, scale: Affine(GeneralizedPareto(xi, 1.5), loc, scale),
        lambda xi, loc, scale: mp.log(mp.mpf(3) / 2) + xi + 1 + mp.log(scale),
        [(-0.4, 2.0, 3.0), (0.0, -1.0, 0.2)],
    ),
}


@pytest.mark.sample(1)
@X64
@pytest.mark.parametrize("name", ENTROPIES)
def test_entropy(name, x64):
    make, oracle, rows = ENTROPIES[name]
    compare(lambda *p: make(*p).entropy(), oracle, rows, x64)


def test_entropy_of_the_oracles_is_the_integral():
    """-(the integral of f log f), by quadrature of the density itself."""
    with mp.workdps(20):
        grid = [-mp.inf, -30, -8, -2, 0.5, 2, 8, 30, mp.inf]
        student = Student(mp.mpf(5), mp.mpf(0.5), mp.mpf(2))
        total = -mp.quad(lambda y: mp.exp(student.log_prob(y)) * student.log_prob(y), grid)
        assert abs(total - digamma_entropy(mp.mpf(5), mp.mpf(0.5), mp.mpf(2))) < 1e-8
        xi = mp.mpf(-0.3)
        hybrid = Hybrid(mp.mpf(0.5), mp.mpf(2), xi, xi)
        ends = [hybrid.alpha_l - hybrid.tail_l.end(), hybrid.alpha_l, hybrid.alpha, hybrid.alpha + hybrid.tail_u.end()]
        ends = [ends[0] + mp.mpf("1e-15"), *ends[1:-1], ends[-1] - mp.mpf("1e-15")]
        total = -mp.quad(lambda y: mp.exp(hybrid.log_prob(y)) * hybrid.log_prob(y), ends)
        assert abs(total - hybrid_entropy(mp.mpf(0.5), mp.mpf(2), xi, xi)) < 1e-8


@pytest.mark.slow
def test_entropy_of_student_t_far_out():
    """Towards infinite degrees of freedom it is the Gaussian's, without a digit lost."""
    for x64, bound in ((False, 3e-7), (True, 1e-15)):
        with jax.enable_x64(x64):
            want = np.log(2 * np.pi * np.e * 4.0) / 2
            for df in (1e9, 1e20, np.inf):
                value, slope = jax.value_and_grad(lambda v: StudentT(v, 0.5, 2.0).entropy())(jnp.asarray(df))
                assert float(value) == pytest.approx(want + 1 / df, rel=bound, abs=bound)
                assert np.isfinite(slope)


def spliced_entropy(logits, xi_l, beta_l, xi_u, beta_u, tau_l, tau_u):
    """-(the integral of f log f): pieces of constant density, and tau (1 + xi + log beta - log tau) of each tail."""
    edges = [exact(e) for e in EDGES]
    dist = Spliced(list(logits), edges, Pareto(xi_l, beta_l), Pareto(xi_u, beta_u), tau_l, tau_u)
    total = mp.mpf(0)
    for k, p in enumerate(dist.p):
        a, b, density = max(edges[k], dist.t_l), min(edges[k + 1], dist.t_u), p / (edges[k + 1] - edges[k])
        total -= max(b - a, 0) * density * mp.log(density)
    for tau, tail in ((tau_l, dist.lower), (tau_u, dist.upper)):
        total += tau * (1 + tail.xi + mp.log(tail.beta) - mp.log(tau)) if tau else 0
    return total


@pytest.mark.slow
@X64
@pytest.mark.parametrize("masses", [(0.05, 0.1), (0.0, 0.2), (0.0, 0.0)])
def test_entropy_of_bins(masses, x64):
    """In the logits, through the thresholds, and in the tails' parameters; without tails that of `Binned`."""
    with jax.enable_x64(x64):
        logits, tails = jnp.asarray(LOGITS), tuple(jnp.asarray(v) for v in (-0.4, 1.5, 0.3, 0.7))

        @jax.jit
        def entropy(logits, tails):
            lower, upper = GeneralizedPareto(*tails[:2]), GeneralizedPareto(*tails[2:])
            return SplicedBinnedPareto(logits, EDGES, lower, upper, masses).entropy()

        value, (by_logits, by_tails) = jax.value_and_grad(entropy, (0, 1))(logits, tails)
        taus = [exact(np.asarray(m).astype(logits.dtype)) for m in masses]
        point = [*(exact(v) for v in logits), *(exact(v) for v in tails)]

        def oracle(*p):
            return spliced_entropy(p[:8], *p[8:], *taus)

        assert abs(value - float(oracle(*point))) <= VALUE[x64] * 5
        for j, slope in enumerate([*by_logits, *by_tails]):
            assert abs(slope - float(partial(oracle, point, j))) <= DERIVATIVE[x64], j
        if masses == (0.0, 0.0):
            np.testing.assert_allclose(Binned(logits, EDGES).entropy(), value, rtol=1e-6)
            assert np.all(np.asarray(by_tails) == 0)


def test_entropy_and_divergence_at_forbidden_bins_are_finite():
    logits = jnp.asarray(np.where(np.arange(8) % 3 == 1, -np.inf, LOGITS), jnp.float32)
    for value, slope in (
        jax.value_and_grad(lambda x: Binned(x, EDGES).entropy())(logits),
        jax.value_and_grad(lambda x: kl_divergence(Binned(x, EDGES), Binned(jnp.zeros(8), EDGES)))(logits),
        jax.value_and_grad(lambda x: kl_divergence(Binned(x, EDGES), Binned(x, EDGES)))(logits),
        jax.value_and_grad(lambda x: Binned(1e4 * x, EDGES).entropy())(jnp.asarray(LOGITS, jnp.float32)),
    ):
        assert np.isfinite(value)
        assert np.all(np.isfinite(slope))
    assert kl_divergence(Binned(jnp.zeros(8), EDGES), Binned(logits, EDGES)) == jnp.inf
    p, width = np.exp(LOGITS) * (np.arange(8) % 3 != 1), np.diff(EDGES)
    p = p[p > 0] / p.sum()
    want = -np.sum(p * np.log(p / width[np.arange(8) % 3 != 1]))
    assert float(Binned(logits, EDGES).entropy()) == pytest.approx(want, rel=1e-6)


MODES = {
    "normal": (Normal(0.5, 2.0), 0.5),
    "student": (StudentT(0.5, -1.0, 2.0), -1.0),
    "pareto": (GeneralizedPareto(jnp.array([-0.5, 0.0, -1.0, -2.0]), 3.0), [0.0, 0.0, 0.0, 1.5]),
    "hybrid": (HybridPareto(0.25, 2.0, 0.3), 0.25),
    "two-tailed hybrid": (TwoTailedHybridPareto(0.25, 2.0, -0.3, 0.3), 0.25),
    "affine": (Affine(GeneralizedPareto(-2.0, 3.0), 1.0, 2.0), 4.0),
    # widths 1 and 4: the wide bin has more probability, the narrow one more density
    "binned": (Binned(jnp.array([0.0, 1.0]), np.array([0.0, 1.0, 5.0])), 0.5),
    "body": (SplicedBinnedPareto(jnp.zeros(2), np.array([0.0, 1.0, 5.0]), *[GeneralizedPareto(0.1, 9.0)] * 2), 0.55),
    "tail": (
        SplicedBinnedPareto(
            jnp.zeros(4), np.arange(5.0), GeneralizedPareto(0.1, 9.0), GeneralizedPareto(jnp.array([0.1, -2.0]), 0.1)
        ),
        [3.8, 3.85],
    ),
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", MODES)
def test_mode(name):
    d, want = MODES[name]
    np.testing.assert_allclose(d.mode(), want, rtol=1e-6)
    others = d.icdf(jnp.linspace(0.001, 0.999, 200)[:, None])
    # the density just beyond a threshold is the tail's
    around = np.stack([np.asarray(d.mode()) + step for step in (-1e-4, 0.0, 1e-4)])
    best = np.max(np.asarray(d.log_prob(around)), axis=0)
    assert np.all(np.asarray(d.log_prob(others)) <= np.where(np.isfinite(best), best, np.inf) + 1e-2)


def test_what_has_no_closed_form_is_refused():
    blended = BlendedPareto(jnp.zeros(8), EDGES, 0.1, 0.1)
    for d, name in ((blended, "BlendedPareto"), (Affine(blended, 0.0, 1.0), "BlendedPareto")):
        with pytest.raises(InputError, match=f"entropy: no closed form for {name}"):
            d.entropy()
        with pytest.raises(InputError, match=f"mode: no closed form for {name}"):
            d.mode()
    binned, traced = Binned(jnp.zeros(8), EDGES), "edges known at compile time"
    for p, q, line in (
        (Normal(0.0, 1.0), binned, "no closed form for Normal and Binned"),
        (GeneralizedPareto(0.1, 1.0), GeneralizedPareto(0.2, 1.0), "no closed form for GeneralizedPareto and Gener"),
        (binned, Binned(jnp.zeros(8), EDGES + 1), "expected two Binned with equal edges"),
        (binned, Binned(jnp.zeros(2), EDGES[:3]), "expected two Binned with equal edges"),
        (Normal(np.zeros(2), 1.0), Normal(np.zeros(3), 1.0), r"p \(2,\), q \(3,\)"),
    ):
        with pytest.raises(InputError, match=line):
            kl_divergence(p, q)
    with pytest.raises(InputError, match=traced):
        jax.jit(lambda e: kl_divergence(binned, Binned(jnp.zeros(8), e)))(EDGES)


@X64
def test_divergence_of_normals(x64):
    def oracle(m_p, s_p, m_q, s_q):
        return ((m_p - m_q) ** 2 + s_p**2) / (2 * s_q**2) - mp.mpf(1) / 2 - mp.log(s_p / s_q)

    rows = [(0.5, 2.0, 0.5, 2.0), (0.5, 2.0, -1.0, 0.3), (0.0, 1e-4, 0.0, 1.0), (3.0, 1.0, 2.9375, 1.03125)]
    compare(lambda *p: kl_divergence(Normal(*p[:2]), Normal(*p[2:])), oracle, rows, x64)
    with jax.enable_x64(x64):  # a small divergence keeps its digits
        near = [jnp.asarray(v) for v in (0.5, 2.0, 0.5, 2.0 + 2.0**-12)]
        got, want = kl_divergence(Normal(*near[:2]), Normal(*near[2:])), oracle(*(exact(v) for v in near))
        assert abs(exact(got) / want - 1) < (1e-12 if x64 else 1e-5)
        assert kl_divergence(Normal(0.0, 1.0), Normal(jnp.array([0.0, jnp.nan]), 1.0)).shape == (2,)
        assert jnp.isnan(kl_divergence(Normal(0.0, 1.0), Normal(jnp.array(jnp.nan), 1.0)))


@X64
@pytest.mark.parametrize("step", [0.0, 1e-4, 0.5, 4.0])
def test_divergence_of_bins(step, x64):
    """Relative to its size, also where the two are nearly equal."""
    other = LOGITS + step * np.array([1.0, -2.0, 0.5, 3.0, -1.0, 0.0, 2.0, -3.0])

    def oracle(*logits):
        p, q = ([mp.exp(x) for x in part] for part in (logits[:8], logits[8:]))
        p, q = [x / mp.fsum(p) for x in p], [x / mp.fsum(q) for x in q]
        return mp.fsum(a * (mp.log(a) - mp.log(b)) for a, b in zip(p, q, strict=True))

    with jax.enable_x64(x64):
        parts = jnp.asarray(LOGITS), jnp.asarray(other)
        value, slopes = jax.value_and_grad(lambda a, b: kl_divergence(Binned(a, EDGES), Binned(b, EDGES)), (0, 1))(
            *parts
        )
        point = [exact(v) for part in parts for v in part]
        want = float(oracle(*point))
        # rounding of the logits' difference counts once more where it is small
        slack = {False: 2e-3, True: 1e-11}[x64] if step == 1e-4 else 10 * VALUE[x64]
        assert abs(value - want) <= slack * want + 1e-30
        for j, slope in enumerate(np.concatenate(slopes)):
            assert abs(slope - float(partial(oracle, point, j))) <= DERIVATIVE[x64] * max(1, want), j
    assert kl_divergence(Binned(jnp.zeros((3, 8)), EDGES), Binned(jnp.zeros((2, 1, 8)), EDGES)).shape == (2, 3)
