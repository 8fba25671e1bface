"""The network: masks, the last valid frame, its start at the marginal."""

from dataclasses import dataclass

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from sbp_jax.errors import InputError
from sbp_jax.models import EntityAttention, EntityGroup, EntityLayout, FlatEncoder, Network, NetworkConfig
from tests.slow import marked

pytestmark = [pytest.mark.unoptimized, pytest.mark.long]

ENTITIES, COLUMNS, STATICS = 5, 4, 4


@dataclass(frozen=True)
class RawHead:
    """A head whose distributions are the raw outputs themselves."""

    num_outputs: int = 5

    def __call__(self, raw):
        return raw

    def init_from_data(self, y):
        return np.zeros(self.num_outputs)


LAYOUT = EntityLayout(reference=0, groups=(EntityGroup((1, 2), (3, 4), width=6), EntityGroup((3, 4), width=5)))


def make_encoder(name):
    return FlatEncoder(ENTITIES, COLUMNS) if name == "flat" else EntityAttention(COLUMNS, LAYOUT, rngs=nnx.Rngs(3))


@pytest.fixture(params=marked(["flat", "attention"], ["flat"]))
def network(request):
    """A small network with a nonzero last layer, so that all its parts affect the output."""
    config = NetworkConfig(channels=8, layers=2, hidden=(16,))
    network = Network(config, make_encoder(request.param), RawHead(), STATICS, rngs=nnx.Rngs(0))
    network.last.kernel.set_value(jax.random.normal(jax.random.key(9), (16, 5)))
    random = np.random.default_rng(5)
    network.encoder.fit(random.normal(2.0, 3.0, (50, ENTITIES, COLUMNS)), random.random((50, ENTITIES)) > 0.3)
    return network


def batch(rows=6, frames=11, seed=0):
    random = np.random.default_rng(seed)
    lengths = random.integers(1, frames + 1, rows)
    mask = np.arange(frames)[None, :] < lengths[:, None]
    present = (random.random((rows, frames, ENTITIES)) > 0.2) & mask[:, :, None]
    x = random.normal(size=(rows, frames, ENTITIES * COLUMNS)).astype(np.float32)
    static = random.normal(size=(rows, STATICS)).astype(np.float32)
    return tuple(jnp.asarray(a) for a in (x, mask, present, static))


@nnx.jit
def raw_of(network, x, mask, present, static):
    return network.raw(x, mask, present, static)


def loss_and_gradient(network, x, mask, present, static):
    graph, params, rest = nnx.split(network, nnx.Param, ...)

    @jax.jit
    @jax.value_and_grad
    def squares(params):
        return jnp.sum(nnx.merge(graph, params, rest).raw(x, mask, present, static) ** 2)

    return squares(params)


@pytest.mark.slow
def test_nan_in_padding_and_in_absent_entities_changes_neither_loss_nor_gradient(network):
    x, mask, present, static = batch()
    there = jnp.repeat(present & mask[:, :, None], COLUMNS, axis=-1)
    clean = loss_and_gradient(network, jnp.where(there, x, 0.0), mask, present, static)
    dirty = loss_and_gradient(network, jnp.where(there, x, jnp.nan), mask, present, static)
    assert np.isfinite(clean[0])
    chex.assert_trees_all_equal(clean, dirty)


@pytest.mark.slow
def test_output_is_that_of_the_last_valid_frame(network):
    x, mask, present, static = batch()
    raw = raw_of(network, x, mask, present, static)
    for row, length in enumerate(mask.sum(axis=1)):
        one = slice(row, row + 1)
        alone = raw_of(network, x[one, :length], mask[one, :length], present[one, :length], static[one])
        np.testing.assert_allclose(raw[row], alone[0], rtol=1e-5, atol=1e-5)


def test_without_an_encoder_the_static_features_alone_are_seen():
    network = Network(NetworkConfig(encoder="none", hidden=(16,)), None, RawHead(), STATICS, rngs=nnx.Rngs(0))
    network.last.kernel.set_value(jax.random.normal(jax.random.key(9), (16, 5)))
    x, mask, present, static = batch()
    raw = network.raw(x, mask, present, static)
    np.testing.assert_array_equal(raw, network.raw(jnp.full_like(x, jnp.nan), mask, present, static))
    assert (jnp.abs(raw - network.raw(x, mask, present, static + 1.0)) > 1e-3).any(axis=1).all()
    every = network.raw_frames(x, mask, present, static)
    np.testing.assert_allclose(every, jnp.broadcast_to(raw[:, None], every.shape), rtol=1e-5, atol=1e-5)
    assert (network.tcn, network.receptive_field) == (None, 1)
    _, gradient = loss_and_gradient(network, x, mask, present, static)
    assert all(bool((leaf != 0).any()) for leaf in jax.tree.leaves(gradient))


def test_longer_padding_changes_nothing(network):
    x, mask, present, static = batch()
    longer = [jnp.pad(a, ((0, 0), (0, 9), *[(0, 0)] * (a.ndim - 2))) for a in (x, mask, present)]
    expected = raw_of(network, x, mask, present, static)
    np.testing.assert_allclose(raw_of(network, *longer, static), expected, rtol=1e-5, atol=1e-5)


def test_permuting_the_batch_permutes_the_output(network):
    rows = batch(rows=7)
    order = np.random.default_rng(1).permutation(7)
    expected = np.asarray(raw_of(network, *rows))[order]
    np.testing.assert_allclose(raw_of(network, *(a[order] for a in rows)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_one_play_of_one_frame(network):
    x, mask, present, static = batch(rows=1, frames=1)
    raw = network.raw(x, mask, present, static)
    assert raw.shape == (1, 5)
    assert raw.dtype == jnp.float32
    assert np.isfinite(raw).all()


def test_every_parameter_receives_a_gradient(network):
    _, gradient = loss_and_gradient(network, *batch(rows=32, frames=20))
    for path, leaf in jax.tree_util.tree_flatten_with_path(gradient)[0]:
        assert np.abs(np.asarray(leaf)).max() > 0, jax.tree_util.keystr(path)


@pytest.mark.slow
def test_fresh_network_predicts_its_offset():
    network = Network(NetworkConfig(channels=8, layers=2), make_encoder("flat"), RawHead(), STATICS, rngs=nnx.Rngs(0))
    offset = jnp.arange(5.0)
    network.offset.set_value(offset)
    np.testing.assert_array_equal(network.raw(*batch()), np.broadcast_to(offset, (6, 5)))


@pytest.mark.slow
def test_last_window_equals_the_whole_play(network):
    """Computing only the receptive field gives the same raw outputs as the states of all frames."""
    x, mask, present, static = batch(rows=9, frames=40)
    assert network.tcn.receptive_field < 40
    last = np.asarray(mask.sum(axis=1)) - 1
    full = network.encode(x, mask, present)[jnp.arange(9), last]
    expected = network.decode(full, static)
    np.testing.assert_allclose(raw_of(network, x, mask, present, static), expected, rtol=1e-5, atol=1e-5)


def test_constant_column_keeps_unit_scale(network):
    network.static_scale.fit(np.array([1.0, 2, 3, 4]), np.array([0.0, 1, 2, 0]))
    np.testing.assert_allclose(network.static_scale(jnp.ones((1, 4))), [[0, -1, -1, -3]])


def test_attention_sees_members_as_a_set():
    encoder = make_encoder("attention")
    x, _, present, _ = batch(rows=3)
    frames = x.reshape(3, -1, ENTITIES, COLUMNS)
    swapped = jnp.array([0, 2, 1, 4, 3])
    np.testing.assert_allclose(
        encoder(frames[:, :, swapped], present[:, :, swapped]), encoder(frames, present), rtol=1e-5, atol=1e-5
    )


def test_attention_is_finite_where_a_group_or_all_are_absent():
    encoder = make_encoder("attention")
    x = jnp.full((1, 2, ENTITIES, COLUMNS), jnp.nan)
    nobody = jnp.zeros((1, 2, ENTITIES), bool)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(encoder(x, nobody) ** 2)))(x)
    np.testing.assert_array_equal(encoder(x, nobody), np.zeros((1, 2, encoder.num_features)))
    np.testing.assert_array_equal(gradient, np.zeros_like(gradient))
    coincident = jnp.zeros((1, 2, ENTITIES, COLUMNS))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(encoder(x, ~nobody) ** 2)))(coincident)
    assert np.isfinite(gradient).all()


@pytest.mark.slow
@pytest.mark.parametrize("compute", marked(["float32", "bfloat16"], ["bfloat16"]))
def test_frame_by_frame_says_what_the_network_says_at_every_frame(network, compute):
    if compute == "bfloat16":
        config = NetworkConfig(channels=8, layers=2, hidden=(16,), compute=compute)
        network = Network(config, network.encoder, RawHead(), STATICS, rngs=nnx.Rngs(0))
        network.last.kernel.set_value(jax.random.normal(jax.random.key(9), (16, 5)))
    x, mask, present, static = batch(rows=4)
    full = network.raw_frames(x, mask, present, static)
    stream, step = network.start(4), jax.jit(network.step)
    for t in range(x.shape[1]):
        frame = jnp.where(mask[:, t, None], x[:, t], jnp.nan)
        raw, stream = step(frame, present[:, t], static, stream, mask[:, t])
        assert raw.dtype == jnp.float32
        tolerance = 2e-6 if compute == "float32" else 2e-2  # bfloat16 has 8 bits, and there are four products
        there = np.asarray(mask[:, t])
        np.testing.assert_allclose(raw[there], full[there, t], rtol=1e-5, atol=tolerance * np.abs(full).max())


def test_a_network_that_sees_no_frames_can_be_fed_with_them():
    network = Network(NetworkConfig(encoder="none", hidden=(8,)), None, RawHead(), STATICS, rngs=nnx.Rngs(0))
    network.last.kernel.set_value(jnp.ones((8, 5)))
    x, mask, present, static = batch(rows=3)
    raw, stream = network.step(x[:, 0], present[:, 0], static, network.start(3), jnp.array([True, True, False]))
    np.testing.assert_allclose(raw[:2], network.raw(x, mask, present, static)[:2], rtol=1e-6)
    np.testing.assert_array_equal(stream.count, [1, 1, 0])


def test_a_network_without_a_head_has_raw_outputs_only():
    sizes = NetworkConfig(encoder="none", hidden=(8,))
    network, same = (
        Network(sizes, None, head, STATICS, rngs=nnx.Rngs(0)) for head in (RawHead(), RawHead().num_outputs)
    )
    inputs = batch(rows=3)
    np.testing.assert_array_equal(same.raw(*inputs), network.raw(*inputs))
    with pytest.raises(InputError, match=r"^this network has no head: call raw"):
        same(*inputs)
