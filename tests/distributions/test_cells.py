"""The density averaged over cells: the density itself in the body, exact at thresholds, and its gradient."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions import Affine, GeneralizedPareto, SplicedBinnedPareto
from sbp_jax.distributions.heads import PARAMETERIZATIONS, objective
from sbp_jax.evaluation import gradients
from tests.slow import marked

EDGES = np.array([-3.0, -1.5, 0.0, 0.5, 2.0, 4.0])
LOGITS = np.array([0.2, -0.4, 1.0, 0.3, -0.5])


def dist(dtype=jnp.float32):
    tails = GeneralizedPareto(jnp.asarray(-0.2, dtype), 0.7), GeneralizedPareto(jnp.asarray(0.3, dtype), 1.2)
    return SplicedBinnedPareto(jnp.asarray(LOGITS, dtype), EDGES, *tails, (0.07, 0.2))


def ends(spliced):
    edges = np.asarray(spliced.edges)
    return np.concatenate([*(np.linspace(a, b, 9)[:-1] for a, b in itertools.pairwise(edges)), [4.0]])


@pytest.mark.slow
def test_equals_the_density_in_the_body_and_beyond_the_edges():
    spliced = dist()
    t_l, t_u = (float(t) for t in spliced.thresholds())
    cells = ends(spliced)
    middle = 0.5 * (cells[:-1] + cells[1:])
    body = middle[(cells[:-1] > t_l) & (cells[1:] < t_u)]
    assert len(body) > 15
    np.testing.assert_array_equal(spliced.cell_log_density(body), spliced.log_prob(body))
    beyond = np.array([-3.001, -5.0, 4.001, 9.0, 1e6, -1e6, np.inf, -np.inf])
    np.testing.assert_array_equal(spliced.cell_log_density(beyond), spliced.log_prob(beyond))
    assert np.isnan(spliced.cell_log_density(np.nan))


@pytest.mark.slow
def test_cells_have_the_probability_of_what_is_between_the_edges():
    with jax.enable_x64(True):
        spliced = dist(jnp.float64)
        cells = ends(spliced)
        density = np.exp(spliced.cell_log_density(cells[:-1]))
        inside = np.exp(spliced.interval_log_prob(-3.0, 4.0))
        assert np.sum(density * np.diff(cells)) == pytest.approx(float(inside), rel=1e-13)
        # a cell holds its lower end and not its upper one; the last one holds both
        np.testing.assert_allclose(np.exp(spliced.cell_log_density(cells[1:] - 1e-12)), density, rtol=1e-14)
        assert float(np.exp(spliced.cell_log_density(4.0))) == density[-1]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", marked([np.float32, np.float64], [np.float64]))
def test_value_and_gradient_against_50_digits(dtype):
    with jax.enable_x64(dtype is np.float64):
        near = ("inside threshold", "outside threshold", "body", "upper tail")
        points = [c for c in gradients.cells(dtype) if c.regime in near][::23]
        assert {c.parameterization for c in points} == set(PARAMETERIZATIONS)
        rows = gradients.check(points, dtype, "exact")
    assert len(rows) > 250
    assert all(r["ratio"] <= 1 for r in rows), max(rows, key=lambda r: r["ratio"])


def test_of_an_affine_it_is_the_base_and_the_jacobian():
    moved = Affine(dist(), 10.0, 2.0)
    y = jnp.array([2.0, 7.3, 10.0, 11.1, 19.0, 60.0])
    want = dist().cell_log_density((y - 10) / 2) - np.log(2)
    np.testing.assert_allclose(-objective("exact")(moved, y), want, rtol=1e-6)


@pytest.mark.slow
def test_a_forbidden_bin_and_a_side_without_tail():
    tail = GeneralizedPareto(0.1, 1.0)
    spliced = SplicedBinnedPareto(
        np.array([0.0, -np.inf, 0.0]), np.array([-1.0, 0.0, 1.0, 2.0]), tail, tail, (0.0, 0.1)
    )
    value, slope = jax.value_and_grad(lambda y: jnp.sum(spliced.cell_log_density(y)))(jnp.array([0.3, -1.2]))
    assert value == -np.inf
    np.testing.assert_array_equal(slope, 0)
    assert np.all(np.isfinite(spliced.cell_log_density(np.array([-0.5, 1.5, 5.0]))))
