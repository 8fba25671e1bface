"""The table of tail detectors: metrics for a known distribution, and the tables end to end on a few values."""

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from experiments import detectors, reproduce
from experiments.shared import sinusoid
from sbp_jax.distributions import Normal
from sbp_jax.evaluation.alarms import inject

pytestmark = pytest.mark.unoptimized


@pytest.fixture(scope="module", autouse=True)
def _libspot():
    pytest.importorskip("libspot", reason="needs the extra baselines")


def stream_of(count, both, seed=0):
    """A sinusoid with Gaussian noise, known distribution and mean, and events of eight deviations of the noise."""
    random = np.random.default_rng(seed)
    middle = 3.0 * np.sin(np.arange(2 * count) / 30)
    values = middle + random.normal(size=2 * count)
    injected = inject(values[count:], 40, 8.0, lengths=(1, detectors.RAMP), both=both)
    expected = middle[count:]
    dist = Normal(jnp.asarray(expected, jnp.float32), jnp.ones(count, jnp.float32))
    clean, changed = (detectors.View(each, expected, dist) for each in (values[count:], injected.values))
    return detectors.Stream(values[:count], middle[:count], clean, changed, injected)


@pytest.mark.parametrize("both", [False, True])
def test_the_true_distribution_keeps_its_rate_and_hits(both):
    streams = [stream_of(20_000, both, seed) for seed in range(2)]
    metrics = {name: detectors.metrics_of(name, streams, both) for name in ("SBP", "SPOT", "NN-SPOT")}
    assert metrics["SBP"]["share_0.01"] == pytest.approx(1.0, abs=0.15)
    assert metrics["SBP"]["off_0.01"] == pytest.approx(abs(metrics["SBP"]["share_0.01"] - 1.0))
    assert metrics["SBP"]["spikes_0.001"] > 0.95
    assert metrics["SBP"]["ramps_0.001"] > 0.95
    assert 1.0 < metrics["SBP"]["delay_0.001"] < 5.0
    assert metrics["SBP"]["delay_0.01"] < metrics["SBP"]["delay_0.001"] < metrics["SBP"]["delay_0.0001"]
    # a constant threshold detects only events near the crest of the sinusoid
    assert metrics["SPOT"]["spikes_0.001"] < metrics["NN-SPOT"]["spikes_0.001"]


def test_a_detector_without_a_tail_is_silent_on_that_side():
    stream = stream_of(3000, both=False)
    counts = detectors.Stream(
        np.maximum(np.round(stream.calibration), 0.0),
        stream.expected,
        stream.clean._replace(values=np.maximum(np.round(stream.clean.values), 0.0)),
        stream.changed,
        stream.injected,
    )
    assert not detectors.raised("SPOT", counts, counts.clean, 1e-3, ("lower",)).any()
    both, upper = (
        detectors.raised("SPOT", counts, counts.changed, rate, sides)
        for rate, sides in ((2e-3, ("upper", "lower")), (1e-3, ("upper",)))
    )
    np.testing.assert_array_equal(both, upper)


@pytest.mark.slow
def test_the_tables_of_series_are_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, count in (("TRAIN", 500), ("VALIDATION", 200), ("TEST", 100)):
        monkeypatch.setattr(sinusoid, name, count)
    (tmp_path / "counts").mkdir()
    random = np.random.default_rng(0)
    for name, size in (("a", 3.0), ("b", 300.0)):
        level = size * (1.5 + np.sin(np.arange(1500) / 15))
        table = pl.DataFrame({"time": np.arange(1500), "value": random.poisson(level)})
        table.write_csv(tmp_path / "counts" / f"{name}.csv")
    words = ["--quick", "--counts", "counts", "--out", "results"]
    reproduce.command(["twitter", *words])
    reproduce.command(["detectors", *words])
    rows = pl.read_parquet("results/twitter/twitter.parquet")
    assert rows["arm"].to_list() == ["SBP", "Gaussian", "Marginal"]
    assert rows["crps"].is_between(0.0, 2.0).all()  # in units of each series
    page = (tmp_path / "results/detectors/detectors.md").read_text()
    for title in ("One-sided alarms on the demo's series", "Two-sided alarms on mention counts"):
        assert title in page
    for number, arms in ((1, 5), (2, 5), (3, 4), (4, 4)):
        assert len(pl.read_parquet(f"results/detectors/detectors-{number}.parquet")) == arms
        assert (tmp_path / f"results/detectors/detectors-{number}.png").is_file()
