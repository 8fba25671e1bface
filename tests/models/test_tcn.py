"""The TCN: against a loop, its causality and receptive field by gradient."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from sbp_jax.models.tcn import NO_DROPOUT, TCN, CausalConv, Dropout, receptive_field

pytestmark = pytest.mark.unoptimized


@pytest.mark.parametrize(("kernel_size", "dilation", "frames"), [(1, 1, 4), (2, 1, 5), (3, 2, 9), (3, 4, 3), (5, 3, 1)])
def test_causal_convolution_equals_its_definition(kernel_size, dilation, frames):
    conv = CausalConv(3, 2, kernel_size, dilation, rngs=nnx.Rngs(0))
    conv.bias.set_value(jnp.array([0.5, -1.0]))
    x = np.random.default_rng(0).normal(size=(2, frames, 3)).astype(np.float32)
    kernel = np.asarray(conv.kernel[...], np.float64)
    expected = np.broadcast_to(np.array([0.5, -1.0]), (2, frames, 2)).copy()
    for t in range(frames):
        for j in range(kernel_size):
            source = t - (kernel_size - 1 - j) * dilation
            if source >= 0:
                expected[:, t] += x[:, source].astype(np.float64) @ kernel[j]
    np.testing.assert_allclose(conv(jnp.asarray(x)), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("num_layers", "kernel_size"), [(1, 2), (2, 3), (3, 2), (1, 5)])
def test_state_sees_its_receptive_field_and_nothing_else(num_layers, kernel_size):
    tcn = TCN(4, channels=16, num_layers=num_layers, kernel_size=kernel_size, rngs=nnx.Rngs(1))
    reach = receptive_field(num_layers, kernel_size)
    assert tcn.receptive_field == reach
    frames, t = reach + 6, reach + 3
    x = jax.random.normal(jax.random.key(0), (1, frames, 4))
    mask = jnp.ones((1, frames), bool)
    gradient = jax.grad(lambda x: jnp.sum(tcn(x, mask)[0, t] ** 2))(x)
    touched = np.flatnonzero(np.abs(np.asarray(gradient[0])).sum(axis=-1))
    assert touched.min() == t - reach + 1
    assert touched.max() == t


@pytest.mark.slow
def test_masked_frames_before_the_first_are_no_frames_at_all():
    tcn = TCN(4, channels=8, num_layers=3, kernel_size=3, rngs=nnx.Rngs(2))
    for block in tcn.blocks:  # nonzero biases would leak from a frame that is zeroed only at the input
        block.first.bias.set_value(jnp.full((8,), 0.3))
        block.second.bias.set_value(jnp.full((8,), -0.2))
    x = jax.random.normal(jax.random.key(0), (2, 12, 4))
    late = jnp.concatenate([jnp.full((2, 5, 4), jnp.nan), x], axis=1)
    mask = jnp.broadcast_to(jnp.arange(17) >= 5, (2, 17))
    np.testing.assert_allclose(tcn(late, mask)[:, 5:], tcn(x, jnp.ones((2, 12), bool)), rtol=1e-6, atol=1e-6)


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("num_layers", "kernel_size"),
    [(1, 1), (2, 2), (3, 3), *(pytest.param(*sizes, marks=pytest.mark.slow) for sizes in ((1, 5), (4, 3), (3, 4)))],
)
def test_last_state_by_its_dependencies_equals_the_full_network(num_layers, kernel_size):
    with jax.enable_x64(True):
        tcn = TCN(5, channels=7, num_layers=num_layers, kernel_size=kernel_size, rngs=nnx.Rngs(3))
        graph, params, rest = nnx.split(tcn, nnx.Param, ...)
        noise = iter(jax.random.split(jax.random.key(1), 100))
        # biases too: with zero biases, a masked frame that has an effect would go unnoticed
        params = jax.tree.map(lambda leaf: 0.3 * jax.random.normal(next(noise), leaf.shape, float), params)

        def loss(params, x, mask, complete):
            model = nnx.merge(graph, params, rest)
            state = model(x, mask)[:, -1] if complete else model.last(x, mask)
            return jnp.sum(jnp.sin(state) * jnp.arange(1.0, 15.0).reshape(2, 7)), state

        both = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True), static_argnums=3)
        reach = tcn.receptive_field
        for frames in sorted({1, reach // 2 + 1, reach + 3}):
            x = jax.random.normal(jax.random.key(frames), (2, frames, 5), float)
            mask = np.arange(frames)[None, :] >= np.array([[0], [frames // 2]])
            masked = jnp.where(mask[:, :, None], x, jnp.nan)
            full, tree = (both(params, masked, mask, complete) for complete in (True, False))
            chex.assert_trees_all_close(full, tree, rtol=1e-10, atol=1e-12)


def test_dropout_keeps_the_mean_and_is_off_without_a_key():
    x = jnp.ones((200, 200))
    dropped = Dropout(0.25, jax.random.key(0))(x)
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
    np.testing.assert_allclose(jnp.mean(dropped), 1.0, atol=4 * np.sqrt(0.25 / 0.75 / 40_000))
    assert NO_DROPOUT(x) is x
    traced = jax.jit(lambda rate: Dropout(rate, jax.random.key(0))(x))
    np.testing.assert_array_equal(traced(0.25), dropped)
    np.testing.assert_array_equal(traced(0.0), x)


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("num_layers", "kernel_size"),
    [(1, 1), (2, 2), (3, 3), *(pytest.param(*sizes, marks=pytest.mark.slow) for sizes in ((1, 5), (5, 3), (3, 4)))],
)
def test_frame_by_frame_equals_the_full_network_at_every_frame(num_layers, kernel_size):
    """Rows have frames at different times and restart in the middle; a row without a frame is unchanged."""
    tcn = TCN(5, channels=7, num_layers=num_layers, kernel_size=kernel_size, rngs=nnx.Rngs(3))
    for block in tcn.blocks:  # nonzero biases reveal a frame that is treated as one before the first
        block.first.bias.set_value(jnp.full((7,), 0.3))
        block.second.bias.set_value(jnp.full((7,), -0.2))
    chex.clear_trace_counter()
    rows, frames = 3, tcn.receptive_field + 4
    random = np.random.default_rng(0)
    plays = [random.normal(size=(4, frames, 5)).astype(np.float32) for _ in range(rows)]  # four plays per row
    full = [np.asarray(tcn(jnp.asarray(each), jnp.ones((4, frames), bool))) for each in plays]
    step, stream = jax.jit(chex.assert_max_traces(tcn.step, n=1)), tcn.start(rows)
    at, play = np.zeros(rows, int), np.zeros(rows, int)
    checked = 0
    while (play < 3).any():
        active = (random.random(rows) < 0.7) & (at < frames)
        x = np.full((rows, 5), np.nan, np.float32)
        for row in np.flatnonzero(active):
            x[row] = plays[row][play[row], at[row]]
        state, stream = step(jnp.asarray(x), stream, jnp.asarray(active))
        for row in np.flatnonzero(active):
            np.testing.assert_allclose(state[row], full[row][play[row], at[row]], rtol=2e-5, atol=2e-6)
            checked += 1
        at += active
        np.testing.assert_array_equal(stream.count, at)
        done = (at == frames) | (random.random(rows) < 0.5 / frames)  # some end early
        done &= play < 3
        stream = stream.begin(jnp.asarray(done))
        at, play = np.where(done, 0, at), play + done
    assert checked > 2 * frames
