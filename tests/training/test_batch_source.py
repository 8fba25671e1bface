"""Plays on the device: the same batches and steps as on the host, one program, and no difference after a restart."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbp_jax.data.batches.arrays import ArrayBatches, Arrays
from sbp_jax.data.batches.symmetry import mirror_of
from sbp_jax.training import Checkpoints, HostBatchSource, ResidentBatchSource, State, Trainer, WindowBatchSource, fit
from sbp_jax.training.build import constants
from sbp_jax.training.scan import scan_steps
from tests.plays import random_plays
from tests.slow import marked
from tests.training.test_fit import CONFIG, Killed, build

pytestmark = pytest.mark.unoptimized

NOTHING = State(*(jnp.zeros(()),) * 6)


def sources(count=75, batch_size=16, buckets=(16, 30), steps=2):
    plays = random_plays(count, longest=30, seed=3)
    padded, mirror = Arrays.of(plays, buckets), mirror_of(plays)
    host = HostBatchSource(ArrayBatches(padded, batch_size, seed=5, mirror=mirror))
    return host, ResidentBatchSource(padded, batch_size, seed=5, mirror=mirror, steps=steps)


def trained(batch_source, trainer, epochs=2):
    state, losses = trainer.initial(0), []
    for epoch in range(epochs):
        for after, metrics in batch_source.run(trainer, state, epoch, 0):
            state = after
            losses += np.asarray(metrics["loss"]).tolist()
    return state, losses


class Recorder(Trainer):
    """A stand-in trainer that records batches; a scan's step is traced once per bucket and once for its metrics."""

    def __init__(self, buckets):
        chex.clear_trace_counter()
        self.batches, self.mesh = [], None
        self.step = lambda state, batch: (self.batches.append(batch), (state, {"loss": np.zeros(())}))[1]
        keep = chex.assert_max_traces(self._keep, n=buckets + 1)
        self.scan = jax.jit(lambda *call: scan_steps(keep, *call))

    def _keep(self, state, batch):
        frames = batch["x"].shape[1]
        longest = {
            name: jnp.pad(v, ((0, 0), (0, 30 - frames), *((0, 0),) * (v.ndim - 2)))
            if name in ("x", "mask", "present")
            else v
            for name, v in batch.items()
        }
        return state, {"loss": jnp.zeros(()), **longest}


@pytest.mark.sample(1)
@pytest.mark.parametrize("steps", [1, 3, 50])
def test_batches_are_the_host_s(steps):
    host, resident = sources(buckets=(9, 16, 30), steps=steps)
    recorder = Recorder(3)
    for epoch in (0, 1):
        recorder.batches.clear()
        for _ in host.run(recorder, NOTHING, epoch, 0):
            pass
        recorded = [metrics for _, metrics in resident.run(recorder, NOTHING, epoch, 0)]
        recorded = {name: np.concatenate([each[name] for each in recorded]) for name in recorded[0]}
        assert len(recorded["loss"]) == len(recorder.batches) == len(host.sampler)
        for i, batch in enumerate(recorder.batches):
            frames = batch["x"].shape[1]
            for name, expected in batch.items():
                seen = recorded[name][i]
                if name in ("x", "mask", "present"):
                    assert not seen[:, frames:].any()
                    seen = seen[:, :frames]
                np.testing.assert_array_equal(seen, expected, err_msg=name)


@pytest.mark.sample(1)
@pytest.mark.parametrize(("limit", "steps"), [(0, 2), (2**21, 3), (2**30, 5)])
@pytest.mark.parametrize("start", [0, 2])
def test_windows_have_the_batches_of_a_split_on_the_device(limit, steps, start):
    plays = random_plays(75, longest=30, seed=3)
    padded, mirror = Arrays.of(plays, (9, 16, 30)), mirror_of(plays)

    def batches(batch_source):
        recorded = [metrics for _, metrics in batch_source.run(Recorder(3), NOTHING, 1, start)]
        return {name: np.concatenate([each[name] for each in recorded]) for name in recorded[0]}, len(recorded)

    actual, calls = batches(WindowBatchSource(ArrayBatches(padded, 16, seed=5), mirror.signs, limit_bytes=limit))
    expected, _ = batches(ResidentBatchSource(padded, 16, seed=5, mirror=mirror))
    assert calls == -(-(5 - start) // steps)  # at least two steps for any limit
    assert set(actual) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(actual[name], values, err_msg=name)


@pytest.mark.slow  # the tests around it cover the batches and the number of programs
def test_steps_are_the_host_s_and_compile_once():
    host, resident = sources()
    _, predictor, trainer, _ = build()
    (a, losses), (b, others) = trained(host, trainer), trained(resident, trainer)
    assert len(losses) == 2 * len(host.sampler) == int(b.step)
    np.testing.assert_allclose(losses, others, rtol=1e-5)
    # compares outputs, not parameters: a softmax ignores the bias of its scores, whose gradient is rounding error
    one, other = (predictor(state.params, random_plays(20), 8, (30,)) for state in (a, b))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    assert trainer.scan._cache_size() == 1


def test_the_step_is_traced_once_per_bucket():
    _, resident = sources()
    recorder = Recorder(2)
    for epoch in range(3):
        list(resident.run(recorder, NOTHING, epoch, 0))
    assert len(resident.resident.buckets) == 2
    assert recorder.scan._cache_size() == 1


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", marked([3, 7], [7]))
def test_resuming_equals_never_stopping(tmp_path, killed_at):
    _, resident = sources()
    network, _, trainer, _ = build()
    uninterrupted = fit(
        trainer, resident, None, CONFIG.training, Checkpoints(tmp_path / "uninterrupted"), constants(network)
    )

    def kill(step):
        if step >= killed_at:
            raise Killed

    with pytest.raises(Killed):
        fit(trainer, resident, None, CONFIG.training, Checkpoints(tmp_path / "killed"), constants(network), kill)
    steps = []
    resumed = fit(
        trainer, resident, None, CONFIG.training, Checkpoints(tmp_path / "killed"), constants(network), steps.append
    )
    assert 0 < steps[0] <= killed_at
    chex.assert_trees_all_equal(uninterrupted.params, resumed.params)
    assert [row["training_loss"] for row in uninterrupted.history] == [row["training_loss"] for row in resumed.history]
