"""Selecting a bin and crossing a target, against NumPy's sums; gradients against finite definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.distributions.crossing import crossing_from_first, crossing_from_last, pick


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 16, 17, 100, 101])
def test_crossing_is_the_first_exceedance(n):
    rng = np.random.default_rng(n)
    weights = rng.integers(0, 5, size=(50, n)).astype(np.float32)  # integers: sums are exact in any order
    weights[:, n // 2] += 1
    target = (rng.uniform(size=50) * weights.sum(-1)).astype(np.float32) * np.float32(0.999)
    target[:5] = np.floor(target[:5])  # ties
    sums = np.cumsum(weights, -1)
    first = np.argmax(sums > target[:, None], axis=-1)
    index, before = crossing_from_first(jnp.asarray(weights), jnp.asarray(target))
    np.testing.assert_array_equal(index, first)
    np.testing.assert_array_equal(before, [weights[i, :k].sum() for i, k in enumerate(first)])
    back = n - 1 - np.argmax(np.cumsum(weights[:, ::-1], -1) > target[:, None], axis=-1)
    index, after = crossing_from_last(jnp.asarray(weights), jnp.asarray(target))
    np.testing.assert_array_equal(index, back)
    np.testing.assert_array_equal(after, [weights[i, k + 1 :].sum() for i, k in enumerate(back)])


def test_gradients_are_indicators():
    weights, target = jnp.array([1.0, 2.0, 3.0, 4.0, 5.0]), jnp.asarray(4.0)
    assert crossing_from_first(weights, target)[0] == 2
    np.testing.assert_array_equal(jax.grad(lambda w: crossing_from_first(w, target)[1])(weights), [1, 1, 0, 0, 0])
    assert crossing_from_last(weights, target)[0] == 4
    np.testing.assert_array_equal(
        jax.grad(lambda w: crossing_from_last(w, jnp.asarray(6.0))[1])(weights), [0, 0, 0, 0, 1]
    )
    np.testing.assert_array_equal(jax.grad(pick)(weights, jnp.asarray(3)), [0, 0, 0, 1, 0])


def test_pick_broadcasts_over_axes_of_length_one():
    values = jnp.arange(12.0).reshape(1, 3, 4)
    index = jnp.array([[0], [3]])
    np.testing.assert_array_equal(pick(values, index), [[0, 4, 8], [3, 7, 11]])
