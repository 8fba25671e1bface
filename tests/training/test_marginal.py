"""The marginal distribution: against closed forms, and on data that break a naive fit."""

import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.config import HeadConfig
from sbp_jax.distributions.heads import objective
from sbp_jax.training import fit_marginal
from sbp_jax.training.build import make_head
from sbp_jax.training.marginal import MAX_VALUES, condensed, distinct

pytestmark = pytest.mark.unoptimized


def test_normal_marginal_is_the_maximum_likelihood_fit():
    y = np.random.default_rng(0).normal(7.0, 3.0, 4000)
    head = make_head(HeadConfig(kind="gaussian"))
    fitted = head(jnp.asarray(fit_marginal(head, y, objective("exact"), prior=0.0)))
    np.testing.assert_allclose(fitted.mean(), y.mean(), rtol=1e-4)
    np.testing.assert_allclose(jnp.sqrt(fitted.variance()), y.std(), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exact", "composite", "interval"])
def test_spliced_marginal_improves_on_its_start(name):
    y = np.round(np.random.default_rng(1).standard_t(2, 3000) * 4 + 5)
    head = make_head(HeadConfig())
    start, fitted = head.init_from_data(y), fit_marginal(head, y, objective(name))

    def mean_loss(raw):
        rows = jnp.broadcast_to(jnp.asarray(raw), (len(y), len(raw)))
        return float(jnp.mean(objective(name)(head(rows), jnp.asarray(y, jnp.float32))))

    assert np.isfinite(fitted).all()
    least = mean_loss(fitted)
    assert least < mean_loss(start)
    if name == "interval":  # the others jump where a threshold passes an integer
        directions = np.random.default_rng(0).normal(0.0, 0.02, (50, len(fitted))).astype(np.float32)
        assert min(mean_loss(fitted + away) for away in directions) > least - 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("y", [np.zeros(50), np.full(3, 500.0), np.array([4.0]), np.array([-300.0, 300.0])])
def test_degenerate_outcomes_give_a_finite_start(y):
    for kind in ("sbp", "gaussian"):
        head = make_head(HeadConfig(kind=kind))
        fitted = fit_marginal(head, y, objective("interval"))
        assert np.isfinite(fitted).all()


def test_many_outcomes_are_condensed_in_the_middle_alone():
    y = np.random.default_rng(2).standard_t(3, 5 * MAX_VALUES).astype(np.float32)
    values, censored, counts = distinct(np.append(y, y[:7]))
    few, few_censored, few_counts = condensed(values, censored, counts)
    assert len(few) == len(few_censored) == len(few_counts) == MAX_VALUES
    assert few_counts.sum() == counts.sum() == len(y) + 7
    edge = MAX_VALUES // 4
    for outer in (slice(None, edge), slice(-edge, None)):
        np.testing.assert_array_equal(few[outer], values[outer])
        np.testing.assert_array_equal(few_counts[outer], counts[outer])
    assert np.all(np.diff(few) > 0)
    # cumulative shares differ by no more than the width of a merged run of values
    shares = np.cumsum(few_counts) / few_counts.sum()
    expected = np.searchsorted(np.sort(y), np.asarray(few), side="right") / len(y)
    assert np.abs(shares - expected).max() < 1e-3
    untouched = condensed(values[:100], censored[:100], counts[:100])
    np.testing.assert_array_equal(untouched[0], values[:100])


def test_censored_outcomes_are_condensed_apart():
    y = np.random.default_rng(4).standard_normal(3 * MAX_VALUES).astype(np.float32)
    flags = np.arange(len(y)) % 3 == 0
    values, censored, counts = condensed(*distinct(y, flags))
    assert len(values) == MAX_VALUES
    assert counts[np.asarray(censored)].sum() == flags.sum()
    assert np.isin(np.asarray(values)[np.asarray(censored)], y[flags]).all()
    assert np.isin(np.asarray(values)[~np.asarray(censored)], y[~flags]).all()
    few = condensed(*distinct(y, np.arange(len(y)) < 5))
    assert np.asarray(few[1]).sum() == few[2][np.asarray(few[1])].sum() == 5


def test_normal_marginal_of_many_outcomes_is_still_the_fit():
    y = np.random.default_rng(3).normal(7.0, 3.0, 4 * MAX_VALUES)
    head = make_head(HeadConfig(kind="gaussian"))
    fitted = head(jnp.asarray(fit_marginal(head, y, objective("exact"), prior=0.0)))
    np.testing.assert_allclose(fitted.mean(), y.mean(), rtol=1e-3)
    np.testing.assert_allclose(jnp.sqrt(fitted.variance()), y.std(), rtol=1e-3)
