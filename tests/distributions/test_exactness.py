"""Values and every derivative against 50 digits, over shapes, scales, levels down to 1e-12, peaked and flat bins.

Errors are relative to max(1, |value|). Where rounding the inputs alone (tail masses too) moves the answer by more than
the bound, as near the end of a finite support, the error may be ten times that movement.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions import GeneralizedPareto, SplicedBinnedPareto
from tests import oracles
from tests.slow import marked

pytestmark = pytest.mark.long

VALUE = {False: 5e-6, True: 1e-12}
DERIVATIVE = {False: 1e-4, True: 1e-9}
EDGES = np.array([-4.0, -2.5, -1.0, -0.5, 0.0, 0.75, 1.5, 3.0, 5.0])  # exact in float32
LOGITS = {
    "ordinary": np.array([0.3, -0.8, 1.1, 0.2, 1.7, 0.4, -0.3, -1.2]),
    "flat": np.zeros(8),
    "peaked": np.array([0.0, 1.0, 0.0, 12.0, 0.0, 0.0, 1.0, 0.0]),
}
MAGNITUDES = [0.0, 1e-12, 1e-6, 1e-3, 0.1, 0.95, 1.0]
SHAPES = sorted({s * m for s in (-1, 1) for m in MAGNITUDES})
SCALES = [1e-3, 1.0, 1e3]
TAIL_MASS = (0.05, 0.1)
LEVELS = [1e-12, 1e-6, 0.03]
BODY = [-0.7, 0.3, 1.2]
# one row of the inputs: 8 logits, lower shape and scale, upper shape and scale, the argument, both tail masses
GRID = list(itertools.product(SHAPES, SCALES))
CHECKED = (1, 3, 6, 8, 9, 10, 11, 12)  # three logits, the tails, the outcome or level


def dist(x):
    tails = GeneralizedPareto(x[8], x[9]), GeneralizedPareto(x[10], x[11])
    return SplicedBinnedPareto(x[:8], EDGES, *tails, TAIL_MASS)


def oracle(x):
    edges = [oracles.mp.mpf(e) for e in EDGES]
    return oracles.Spliced(list(x[:8]), edges, oracles.Pareto(x[8], x[9]), oracles.Pareto(x[10], x[11]), *x[13:])


def isf(o, s):
    if s < o.tau_u:
        return o.t_u + o.upper.isf(s / o.tau_u)
    return o.icdf(1 - s)


QUANTITIES = {
    "log_prob": (lambda x: dist(x).log_prob(x[12]), lambda o, y: o.log_prob(y)),
    "log_survival": (lambda x: dist(x).log_survival_function(x[12]), lambda o, y: oracles.mp.log(o.survival(y))),
    "log_cdf": (lambda x: dist(x).log_cdf(x[12]), lambda o, y: oracles.mp.log(o.cdf(y))),
    "isf": (lambda x: dist(x).isf(x[12]), isf),
    "icdf": (lambda x: dist(x).icdf(x[12]), lambda o, q: o.icdf(q)),
}
MIRRORED = ("log_cdf", "isf")  # what the others are of the distribution turned round


def rows(logits, quantity, dtype):
    """Inputs [rows, 15], with arguments: outcomes at tail levels and in the body, or the levels themselves."""
    table = []
    for xi, beta in GRID:
        parameters = [oracles.exact(np.asarray(v, dtype)) for v in (*LOGITS[logits], xi, beta, xi, beta)]
        masses = [oracles.exact(np.asarray(m, dtype)) for m in TAIL_MASS]
        if quantity in ("isf", "icdf"):
            points = [*LEVELS, 0.3]
        else:
            o = oracle([*parameters, 0, *masses])
            points = [float(o.t_u + o.upper.isf(oracles.mp.mpf(s))) for s in LEVELS]
            points += [float(o.t_l - o.lower.isf(oracles.mp.mpf(s))) for s in LEVELS] + BODY
        table += [[*map(float, parameters), point, *map(float, masses)] for point in points]
    return np.asarray(table, dtype)


def allowance(function, x, eps):
    """Ten times what rounding each input alone moves the answer by; inf where that crosses the end of the support."""
    total, want = oracles.mp.mpf(0), function(x)
    for j, sign in itertools.product(range(len(x)), (-1, 1)):
        moved = [v * (1 + sign * eps / 2) if k == j else v for k, v in enumerate(x)]
        answer = function(moved)
        if oracles.mp.isfinite(answer) != oracles.mp.isfinite(want):
            return oracles.INF
        if oracles.mp.isfinite(want):
            total += abs(answer - want) / 2
    return 10 * total


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("logits", "x64"),
    [
        pytest.param("ordinary", False, id="ordinary-float32"),
        pytest.param("ordinary", True, id="ordinary-float64"),
        pytest.param("peaked", False, id="peaked-float32"),  # where a bin's probability can underflow
        pytest.param("peaked", True, id="peaked-float64", marks=pytest.mark.slow),
        pytest.param("flat", False, id="flat-float32", marks=pytest.mark.slow),
        pytest.param("flat", True, id="flat-float64", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("quantity", marked(QUANTITIES, MIRRORED))
def test_value_and_derivatives(quantity, logits, x64):
    method, exact_method = QUANTITIES[quantity]
    with jax.enable_x64(x64):
        dtype = np.float64 if x64 else np.float32
        table = rows(logits, quantity, dtype)
        values, slopes = jax.jit(jax.vmap(jax.value_and_grad(method)))(jnp.asarray(table))
    eps = oracles.exact(np.finfo(dtype).eps)

    def value_at(x):
        return exact_method(oracle(x), x[12])

    def slope_at(j):
        return lambda x: oracles.derivative(lambda v: value_at([*x[:j], v, *x[j + 1 :]]), x[j])

    def check(got, function, bound, x, label):
        want = function(x)
        finite = oracles.mp.isfinite(want) and np.isfinite(got)
        error = abs(oracles.exact(got) - want) if finite else 0 if float(got) == float(want) else oracles.INF
        limit = bound * max(1, abs(want)) if finite else 0
        if error > limit and (moved := allowance(function, x, eps)) > 10 * limit:
            limit = moved
        assert error <= limit, (label, float(got), float(want), float(error), float(limit))

    for i, row in enumerate(table):
        x = [oracles.exact(v) for v in row]
        label = dict(zip(("xi", "beta", "argument"), row[[10, 11, 12]].tolist(), strict=True))
        check(values[i], value_at, VALUE[x64], x, label)
        if not (np.isfinite(values[i]) and oracles.mp.isfinite(value_at(x))):
            continue
        for j in CHECKED:
            check(slopes[i][j], slope_at(j), DERIVATIVE[x64], x, label | {"derivative": j})
