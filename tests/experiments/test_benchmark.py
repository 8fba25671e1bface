"""The benchmark's measurements on small sizes, its tables, and its command line."""

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import benchmark
from experiments.benchmarks import batches, distribution, live, sweep, timing, training
from sbp_jax.runs import provenance

pytestmark = pytest.mark.unoptimized


def page_of(what, results, out, words):
    return "\n\n".join(benchmark.page(what, results, out, words))


@pytest.mark.slow
def test_every_variant_is_the_same_log_likelihood():
    logits, edges, shape, scale, y, _ = distribution.inputs(500, 50)
    want = distribution.ours(logits, edges, shape, scale, y)
    for name, function in distribution.VARIANTS.items():
        np.testing.assert_allclose(function(logits, edges, shape, scale, y), want, rtol=2e-4, atol=2e-4, err_msg=name)
        grads = distribution.gradient_of(function, edges)((logits, shape, scale), y)[1]
        wants = distribution.gradient_of(distribution.ours, edges)((logits, shape, scale), y)[1]
        for got, expected in zip(grads, wants, strict=True):
            np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-6, err_msg=name)


@pytest.mark.sample(1)
@pytest.mark.parametrize("bins", [71, 100, 400])
def test_memory_beyond_inputs_and_outputs_is_at_most_a_fifth_more_than_the_logits(bins):
    logits, edges, shape, scale, y, _ = distribution.inputs(4096, bins)
    parameters, y = tuple(jnp.asarray(a) for a in (logits, shape, scale)), jnp.asarray(y)
    forward = distribution.compiled(lambda p, y: distribution.ours(p[0], edges, p[1], p[2], y), parameters, y)
    both = distribution.compiled(distribution.gradient_of(distribution.ours, edges), parameters, y)
    assert timing.extra_memory(forward, logits.nbytes) <= 1.2
    assert timing.extra_memory(both, logits.nbytes) <= 1.2


def test_calls_take_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) or jnp.zeros(()) for name in ("a", "b")}
    times = timing.in_turn(calls, 0.0)
    assert all(len(t) >= 9 for t in times.values())
    switches = sum(x != y for x, y in itertools.pairwise(order))
    assert switches >= 5


def test_tables_and_figure(tmp_path):
    row = {"work": "cdf", "rows": 16384, "ours_ms": 2.0, "target": 10}
    results = {
        "machine": provenance.describe(),
        "reference": {"default": [row | {"reference_ms": 50.0}], "kept": [row | {"reference_ms": 40.0}]},
        "steps": [
            {"form": "plain", "rows": 9, "forward_ms": 1, "gradient_ms": 2, "forward_memory": 3, "gradient_memory": 4}
        ],
        "growth": [{"rows": r, "bins": 100, "gradient_ms": r / 1e3, "copy_ms": r / 1e4} for r in (1000, 10000, 16384)],
        "bandwidth": None,
    }
    text = page_of("distribution", results, tmp_path, ["distribution"])
    assert "| cdf | 16,384 | default | 50.0 | 2.00 | 25.0 | 10 |" in text
    assert "| cdf | 16,384 | kept | 40.0 | 2.00 | 20.0 | 10 |" in text
    assert "JAX found no GPU" in text
    assert (tmp_path / "growth.png").stat().st_size > 5000
    results["reference"] = {"default": [row | {"reference_ms": None}]}
    results["bandwidth"] = [{"work": "copy", "ms": 0.3, "gb_per_s": 3000.0, "share_of_copy": 1.0}]
    text = page_of("distribution", results, tmp_path, ["distribution"])
    assert "not installed" in text
    assert "| copy | 0.300 | 3000 | 100% |" in text


def test_live_calls_are_counted_in_turns_and_their_table_has_targets_and_ratio(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(live, "CALLS", 100)
    works = {("frame", form): lambda form=form: order.append(form) for form in (live.DEFAULT, live.TRACED)}
    times = live._in_turn(works)
    assert all(len(each) == 100 for each in times.values())
    assert order[:50] == ["default network"] * 50
    assert order[50:100] == ["reference, traced"] * 50

    def row(work, form, ms):
        return {"work": work, "form": form, "median_ms": ms, "p99_ms": 2 * ms}

    rows = [row("play of 40", "default network", 0.4), row("play of 40", "reference, traced", 2.0)]
    cold = [{"import_s": 0.4, "load_s": 5.0, "first_frame_ms": 0.6, "third_frame_ms": 0.3, "process_s": 6.0}]
    results = {"machine": provenance.describe(), "calls": {"default": rows, "kept": rows}, "cold": cold}
    results["season"] = {"plays": 20000, "frames": 560000, "seconds": [11.0, 5.5, 5.4]}
    text = page_of("live", results, tmp_path, ["live"])
    assert "| play of 40 | default | 0.400 / 0.800 | 2.000 / 4.000 | 0.5 / 1 | 5.0 |" in text
    assert "11.0 seconds with compilation, then 5.5 and 5.4; target: 10" in text
    assert (tmp_path / "live.png").stat().st_size > 5000
    assert "flatbuffers is not installed" in page_of("live", results | {"cold": None}, tmp_path, ["live"])


@pytest.mark.slow
def test_the_network_of_the_live_benchmark_predicts_differently_for_every_play():
    scorer = live.scorer_of(live.programs_of(live.run_for(live.FORMS["reference network"])))
    random = np.random.default_rng(0)
    frames = random.standard_normal((2, 3, 22, 8), np.float32)
    medians = [scorer.whole_play(play, ()).median for play in frames]
    assert medians[0] != medians[1]


def test_without_a_gpu_its_bandwidth_is_not_measured():
    if jax.devices()[0].platform == "cpu":
        assert distribution.bandwidth(0.1) is None


@pytest.mark.slow
def test_wrong_arguments_are_one_line():
    words = [sys.executable, "-m", "experiments.benchmark"]
    done = subprocess.run([*words, "distribution", "--seconds", "-1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--seconds: expected a positive number" in done.stderr
    done = subprocess.run([*words, "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_batches_are_measured_and_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(batches, "PLAYS", 300)
    monkeypatch.setattr(batches, "RECORDS", 40)
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    results = {part: getattr(batches, part)(0.0) for part in batches.PARTS}
    assert cores is None or os.sched_getaffinity(0) == cores
    results |= {"machine": provenance.describe(), "note": "quiet", "speed": {"default": results["speed"]}}
    text = page_of("batches", results, tmp_path, ["batches"])
    for words in (
        "| mapped arrays, mirrored | 30% | default |",
        "**quiet**",
        "put the split on the device",
        "array_record",
    ):
        assert words in text
    assert all(row["waste"] <= row["equal_steps"] for row in results["waste"])
    assert "not installed" in page_of("batches", results | {"records": None}, tmp_path, ["batches"])


@pytest.mark.slow
def test_all_frames_and_the_receptive_field_are_the_same_function():
    data = batches.synthetic(np.full(3, training.FRAMES))
    batch = training._batch(data)
    ours, all_frames = (training.trainer_of(form, data) for form in ("ours", "all frames"))
    params = ours.initial(0).params
    one, other = (each.value_and_grad(params, batch, None) for each in (ours, all_frames))
    chex.assert_trees_all_close(one, other, rtol=2e-4, atol=2e-5)


@pytest.mark.slow
def test_training_is_measured_and_reported(monkeypatch, tmp_path):
    small = training.NetworkConfig(encoder="flat", channels=4, layers=1, hidden=(), dropout=0.0)
    for name, value in {"SAME": small, "BATCH_SIZES": (256,), "PLAYS": 300, "EPOCHS": 2, "FRAMES": 6}.items():
        monkeypatch.setattr(training, name, value)
    results = {part: getattr(training, part)(0.0) for part in training.PARTS if part != "shares"}
    results["shares"] = [{"network": "ours", "piece": "distribution", "ms": 1.25}]
    results |= {"machine": provenance.describe(), "note": "", "step": {"kept": results["step"]}}
    text = page_of("training", results, tmp_path, ["training"])
    assert "| ours | distribution | 1.2 |" in text
    assert "300 plays of 29 frames" in text
    assert ("not installed" in text) == (results["step"]["kept"][0]["reference"] is None)
    assert "| all frames |" in text


@pytest.mark.slow
def test_sweeps_are_measured_and_reported(monkeypatch, tmp_path):
    small = training.NetworkConfig(encoder="flat", channels=4, layers=1, hidden=(), dropout=0.0)
    configs = [replace(config, network=small) for config in sweep.configurations(2)]
    assert len({config.head.bins for config in configs}) == 2
    monkeypatch.setattr(sweep, "configurations", lambda count: configs[:count])
    monkeypatch.setattr(sweep, "COUNTS", (2,))
    rows = sweep.members(0.0)
    assert [row["way"] for row in rows] == ["in sequence", "a loop over members", "2 vectorized"]
    assert rows[0]["ratio"] == 1.0
    text = page_of("sweep", {"machine": provenance.describe(), "members": {"kept": rows}}, tmp_path, ["sweep"])
    assert "| 2, a loop over members | kept |" in text
