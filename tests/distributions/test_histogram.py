"""Probabilities of bins against NumPy in float64; their custom derivatives against those of the plain formulas."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions.histogram import (
    bin_index,
    log_partial_mass,
    log_probability,
    partial_mass,
    probabilities,
    quantile_bin,
    take_last,
)

SIZES = [1, 2, 3, 7, 10, 16, 17, 71, 100, 101]


def softmax(logits):
    weights = np.exp(np.asarray(logits, np.float64) - np.max(logits, -1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def rows(n, count=50):
    return np.random.default_rng(n).normal(size=(count, n)) * 2


@pytest.mark.sample(1)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("from_last", [False, True])
def test_quantile_bin_is_where_the_sum_reaches_the_mass(n, from_last):
    logits = jnp.asarray(rows(n), jnp.float32)
    p = softmax(logits)[:, ::-1] if from_last else softmax(logits)
    mass = np.random.default_rng(1).uniform(0.01, 0.99, size=50)
    index, fraction = quantile_bin(logits, jnp.asarray(mass, jnp.float32), from_last)
    index = n - 1 - np.asarray(index) if from_last else np.asarray(index)
    reached = np.array([p[i, :k].sum() + p[i, k] * f for i, (k, f) in enumerate(zip(index, fraction, strict=True))])
    np.testing.assert_allclose(reached, mass, atol=1e-6)
    assert jnp.all((fraction >= 0) & (fraction <= 1))


def test_ties_go_to_the_bin_where_the_sum_exceeds_the_mass():
    logits = jnp.zeros(8)  # each bin holds 1/8, exactly
    index, fraction = quantile_bin(logits, jnp.asarray(0.25), False)
    assert (int(index), float(fraction)) == (2, 0.0)
    index, fraction = quantile_bin(logits, jnp.asarray(0.25), True)
    assert (int(index), float(fraction)) == (5, 0.0)


def plain_crossing(logits, mass, index, from_last):
    p = jax.nn.softmax(logits)
    before = jnp.sum(jnp.where(jnp.arange(len(p)) > index if from_last else jnp.arange(len(p)) < index, p, 0.0))
    return (mass - before) / p[index]


def plain_share(logits, index, fraction, from_last):
    p, position = jax.nn.softmax(logits), jnp.arange(len(logits))
    outside = position > index if from_last else position < index
    return jnp.sum(jnp.where(outside, p, 0.0)) + p[index] * fraction


@pytest.mark.slow
@pytest.mark.parametrize("from_last", [False, True])
def test_derivatives_of_first_and_second_order(from_last):
    with jax.enable_x64(True):
        logits, mass = jnp.asarray(rows(13, 1)[0]), jnp.asarray(0.3)
        index, _ = quantile_bin(logits, mass, from_last)
        k = int(index)
        pairs = [
            (lambda x, m: quantile_bin(x, m, from_last)[1], lambda x, m: plain_crossing(x, m, k, from_last)),
            (lambda x, m: partial_mass(x, index, m, from_last), lambda x, m: plain_share(x, k, m, from_last)),
            (lambda x, m: log_probability(x, index) + m, lambda x, m: jax.nn.log_softmax(x)[k] + m),
            (lambda x, m: jnp.sum(probabilities(x) ** 2) * m, lambda x, m: jnp.sum(jax.nn.softmax(x) ** 2) * m),
            (
                lambda x, m: log_partial_mass(x, m * jnp.linspace(0.0, 1.0, 13)),
                lambda x, m: jnp.log(jnp.sum(jax.nn.softmax(x) * m * jnp.linspace(0.0, 1.0, 13))),
            ),
        ]

        @partial(jax.jit, static_argnums=0)
        def orders(function, *point):
            return function(*point), jax.grad(function, (0, 1))(*point), jax.hessian(function, (0, 1))(*point)

        for ours, plain in pairs:
            (got, *got_slopes), (want, *want_slopes) = orders(ours, logits, mass), orders(plain, logits, mass)
            np.testing.assert_allclose(got, want, rtol=1e-13)
            for got, want in zip(jax.tree.leaves(got_slopes), jax.tree.leaves(want_slopes), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)


@pytest.mark.sample(1)
@pytest.mark.parametrize("n", SIZES)
def test_partial_mass_from_either_side(n):
    logits = rows(n)
    p = softmax(logits.astype(np.float32))
    rng = np.random.default_rng(3)
    index, fraction = rng.integers(0, n, 50), rng.uniform(size=50)
    args = jnp.asarray(logits, jnp.float32), jnp.asarray(index, jnp.int32), jnp.asarray(fraction, jnp.float32)
    want = [p[i, :k].sum() + p[i, k] * f for i, (k, f) in enumerate(zip(index, fraction, strict=True))]
    np.testing.assert_allclose(partial_mass(*args, False), want, rtol=2e-6)
    want = [p[i, k + 1 :].sum() + p[i, k] * f for i, (k, f) in enumerate(zip(index, fraction, strict=True))]
    np.testing.assert_allclose(partial_mass(*args, True), want, rtol=2e-6)


def test_log_partial_mass_where_the_probability_underflows():
    logits = jnp.array([0.0, 1e4, -1e4, -1e4 - 1])
    value, slope = jax.value_and_grad(lambda x: log_partial_mass(x, jnp.array([0.0, 0.0, 0.5, 1.0])))(logits)
    assert value == pytest.approx(-2e4 + np.log(0.5 + np.exp(-1)), rel=1e-6)
    inside = np.array([0.5, np.exp(-1)]) / (0.5 + np.exp(-1))
    np.testing.assert_allclose(slope, [0, -1, *inside], rtol=1e-3)  # logits of 1e4 are known to 1e-3
    empty, slope = jax.value_and_grad(lambda x: log_partial_mass(x, jnp.zeros(4)))(logits)
    assert empty == -jnp.inf
    np.testing.assert_array_equal(slope, 0)


@pytest.mark.sample(1)
@pytest.mark.parametrize("bins", [1, 2, 3, 4, 5, 31, 32, 33, 100])
def test_bin_index_is_the_bin_that_holds_the_outcome(bins):
    edges = np.cumsum(np.random.default_rng(bins).integers(1, 4, bins + 1)).astype(np.float32)
    y = np.concatenate([[-np.inf, -9.0], edges, edges + 0.5, [1e30, np.inf]]).astype(np.float32)
    want = np.clip(np.searchsorted(edges, y, side="right") - 1, 0, bins - 1)
    batched = jnp.broadcast_to(jnp.asarray(edges), (1, bins + 1))
    np.testing.assert_array_equal(bin_index(batched, jnp.asarray(y)), want)
    assert bin_index(jnp.asarray(edges), jnp.asarray(np.nan)) in range(bins)


def test_take_last_broadcasts_over_axes_of_length_one_and_its_gradient_is_an_indicator():
    values = jnp.arange(12.0).reshape(1, 3, 4)
    index = jnp.array([[0], [3]])
    np.testing.assert_array_equal(take_last(values, index), [[0, 4, 8], [3, 7, 11]])
    np.testing.assert_array_equal(jax.grad(take_last)(jnp.arange(5.0), jnp.asarray(3)), [0, 0, 0, 1, 0])


@pytest.mark.parametrize("from_last", [False, True])
def test_a_side_without_mass_has_no_gradient_whatever_the_weight_of_its_bin(from_last):
    # the inverse of the end bins' probabilities overflows float32 in some, and not in others
    for depth in (50.0, 80.0, 87.0, 88.5, 89.0, 92.0, 103.0, 1e4):
        logits = jnp.array([-depth, 0.0, 1.0, -depth])
        gradient = jax.grad(lambda x: quantile_bin(x, jnp.asarray(0.0), from_last)[1])(logits)
        np.testing.assert_array_equal(gradient, np.zeros(4))
