"""No NaN in any value or gradient, for every method, at adversarial parameters and outcomes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions import GeneralizedPareto, Normal, SplicedBinnedPareto

pytestmark = pytest.mark.unoptimized

EDGES = np.arange(-3.0, 5.0)
BINS = len(EDGES) - 1
SHAPES = [0.0, 1e-12, -1e-12, 1e-6, -1e-6, 1e-3, -1e-3, 0.3, -0.3, 0.95, -0.95, 1.0, -1.0]
RNG = np.random.default_rng(7)
LOGITS = {
    "ordinary": RNG.normal(size=BINS),
    "flat": np.zeros(BINS),
    "all mass in one bin": np.where(np.arange(BINS) == 3, 1e4, 0.0),
    "all mass in the first bin": np.where(np.arange(BINS) == 0, 1e4, -1e4),
    "all mass in the last bin": np.where(np.arange(BINS) == BINS - 1, 1e4, -1e4),
    "mass at both ends": np.where(np.isin(np.arange(BINS), [0, BINS - 1]), 0.0, -1e4),
    "a hole": np.where(np.isin(np.arange(BINS), [3, 4]), -1e4, 0.0),
    "huge": RNG.normal(size=BINS) * 1e4,
}
METHODS = ("log_prob", "composite_log_prob", "cdf", "survival_function", "log_cdf", "log_survival_function", "crps")


def dist(p, edges=EDGES):
    lower, upper = GeneralizedPareto(p["xi"], p["beta"]), GeneralizedPareto(-p["xi"], p["beta"])
    return SplicedBinnedPareto(p["logits"], edges, lower, upper, (p["tau"], p["tau"]))


def check(value, gradients, label, infinite=True):
    value = np.asarray(value)
    assert not np.any(np.isnan(value)), label
    assert infinite or np.all(np.isfinite(value)), label
    for leaf in jax.tree.leaves(gradients):
        assert np.all(np.isfinite(leaf)), label


def per_row(function):
    """Values, and the gradients of each row, in one compilation over all rows."""
    return jax.jit(jax.vmap(jax.value_and_grad(function, (0, 1))))


def rows(points):
    """Every combination of logits, shapes and points, and a distribution for each with its own thresholds among the
    points."""
    grid = [(name, xi, i) for name in LOGITS for xi in SHAPES for i in range(points)]
    parameters = {
        "logits": jnp.asarray([LOGITS[name] for name, _, _ in grid], jnp.float32),
        "xi": jnp.asarray([xi for _, xi, _ in grid], jnp.float32),
        "beta": jnp.full(len(grid), 1.5, jnp.float32),
        "tau": jnp.full(len(grid), 0.05, jnp.float32),
    }
    return grid, parameters, np.array([i for _, _, i in grid])


POINTS = [0.0, 0.3, *EDGES, -3.7, 4.6, -1e6, 1e6, "t_l", "t_u", "below t_l", "above t_u"]


@pytest.fixture(scope="module")
def cases():
    grid, parameters, index = rows(len(POINTS))
    t_l, t_u = (np.asarray(t) for t in jax.jit(jax.vmap(lambda p: dist(p).thresholds()))(parameters))
    low, high = np.float32(-np.inf), np.float32(np.inf)
    moving = {"t_l": t_l, "t_u": t_u, "below t_l": np.nextafter(t_l, low), "above t_u": np.nextafter(t_u, high)}
    table = np.stack([moving[p] if isinstance(p, str) else np.full(len(grid), p, np.float32) for p in POINTS])
    return grid, parameters, jnp.asarray(table[index, np.arange(len(grid))])


@pytest.mark.sample(1)
@pytest.mark.parametrize("method", METHODS)
def test_methods_of_an_outcome(method, cases):
    _, parameters, y = cases
    value, gradients = per_row(lambda p, y: getattr(dist(p), method)(y))(parameters, y)
    check(value, gradients, method)


@pytest.mark.sample(1)
@pytest.mark.parametrize("width", [1.0, 1e-3, 0.0, 1e6])
def test_intervals(width, cases):
    _, parameters, y = cases
    value, gradients = per_row(lambda p, y: dist(p).interval_log_prob(y - 0.5 * width, y + 0.5 * width))(parameters, y)
    check(value, gradients, width)


@pytest.mark.sample(1)
@pytest.mark.parametrize("method", ["mean", "variance"])
def test_moments(method, cases):
    _, parameters, y = cases
    value, gradients = per_row(lambda p, y: getattr(dist(p), method)() + 0 * y)(parameters, y)
    check(value, gradients, method)


@pytest.mark.parametrize("method", ["icdf", "isf"])
@pytest.mark.parametrize("q", [1e-7, 0.01, 0.05, 0.3, 0.5, 0.95, 0.999])
def test_quantiles(method, q, cases):
    grid, parameters, _ = cases
    some = slice(None, None, len(POINTS))  # one row for each distribution
    parameters = jax.tree.map(lambda x: x[some], parameters)
    n = len(grid[some])
    value, gradients = quantile_rows(method)(parameters, jnp.full(n, q, jnp.float32))
    check(value, gradients, (method, q), infinite=False)


COMPILED = {}


def quantile_rows(method):
    return COMPILED.setdefault(method, per_row(lambda p, q: getattr(dist(p), method)(q)))


def test_log_density_stays_informative_where_probability_underflows():
    logits = jnp.asarray(LOGITS["all mass in one bin"], jnp.float32)
    d = SplicedBinnedPareto(logits, EDGES, GeneralizedPareto(0.1, 1.0), GeneralizedPareto(0.1, 1.0), (0.0, 0.0))
    assert d.log_prob(-2.5) == -1e4
    assert d.interval_log_prob(-2.75, -2.25) == pytest.approx(-1e4 + np.log(0.5), rel=1e-6)
    assert d.log_cdf(-2.5) == pytest.approx(-1e4 + np.log(0.5), rel=1e-6)


@pytest.mark.slow
def test_normal():
    y = jnp.array([0.0, 3.0, -3.0, 30.0, -30.0, 1e6, -1e6])
    q = jnp.array([1e-7, 0.01, 0.3, 0.5, 0.7, 0.99, 0.999])
    parameters = {"loc": jnp.zeros(7), "scale": jnp.full(7, 0.7)}

    def total(p, y, q):
        d = Normal(p["loc"], p["scale"])
        methods = ("log_prob", "cdf", "survival_function", "log_cdf", "log_survival_function", "crps")
        values = {name: getattr(d, name)(y) for name in methods}
        values |= {
            f"interval {width}": d.interval_log_prob(y - width / 2, y + width / 2)
            for width in (0.0, 1e-3, 1.0, 1e3, 1e7)
        }
        return values | {"icdf": d.icdf(q)}

    values = jax.vmap(total)(parameters, y, q)
    slopes = jax.jit(jax.vmap(jax.jacrev(total, (0, 1, 2))))(parameters, y, q)
    for name, value in values.items():
        check(value, slopes[name], name, infinite=name != "icdf")
