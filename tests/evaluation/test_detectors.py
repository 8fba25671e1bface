"""Tail detectors: thresholds of known distributions, drift, updates and errors; injected events and detections."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm, t

from sbp_jax.distributions import Normal, Quantized
from sbp_jax.errors import InputError
from sbp_jax.evaluation.alarms import Injected, found, inject
from sbp_jax.evaluation.detectors import NoTail, Spot, dspot, nn_spot, spot, tail_alarms

COUNT = 20_000


@pytest.fixture(scope="module", autouse=True)
def _libspot():
    pytest.importorskip("libspot", reason="needs the extra baselines")


@pytest.fixture(scope="module")
def heavy():
    values = np.random.default_rng(0).standard_t(4, 2 * COUNT)
    return values[:COUNT], values[COUNT:]


@pytest.mark.parametrize("side", ["upper", "lower"])
@pytest.mark.parametrize("rate", [1e-2, 1e-3])
def test_spot_finds_the_quantile_of_a_stationary_stream(heavy, rate, side):
    alarms = spot(*heavy, Spot(rate, side))
    sign = 1 if side == "upper" else -1
    # the first threshold is of the calibration alone: nothing has been left out of it yet
    assert sign * alarms.threshold[0] == pytest.approx(t.isf(rate, 4), rel=0.1)
    beyond = sign * heavy[1] > sign * alarms.threshold
    np.testing.assert_array_equal(alarms.raised, beyond)


def test_spot_is_the_same_upside_down(heavy):
    up = spot(*heavy, Spot(1e-3))
    down = spot(-heavy[0], -heavy[1], Spot(1e-3, "lower"))
    assert np.mean(up.raised != down.raised) < 2e-4
    np.testing.assert_allclose(up.threshold, -down.threshold, rtol=0.05)


def test_only_dspot_follows_a_drift():
    random = np.random.default_rng(1)
    values = random.normal(size=12_000)
    values[2000:] += np.linspace(0.0, 50.0, 10_000)
    still, drifting = (detect(values[:2000], values[2000:], Spot(1e-3)) for detect in (spot, dspot))
    # the published SPOT takes the drift for a heavy tail, and sees nothing any more
    assert still.threshold[-1] > 2 * drifting.threshold[-1]
    assert drifting.raised.mean() < 0.01
    assert drifting.threshold[-1] == pytest.approx(50.0 + norm.isf(1e-3), abs=3.0)


def test_dspot_does_not_learn_from_what_alarms():
    random = np.random.default_rng(2)
    calibration, stream = random.normal(size=2000), random.normal(size=40)
    stream[20] = 1000.0
    alarms = dspot(calibration, stream, Spot(1e-4), depth=5)
    assert alarms.raised[20]
    assert not alarms.raised[21:].any()
    assert np.ptp(alarms.threshold) < 10.0


def test_dspot_differs_from_the_mean_of_the_values_before():
    calibration = np.random.default_rng(3).normal(size=2000)
    first = spot(calibration[3:] - np.convolve(calibration, np.ones(3) / 3, "valid")[:-1], np.zeros(1), Spot(1e-3))
    alarms = dspot(calibration, np.zeros(1), Spot(1e-3), depth=3)
    assert alarms.threshold[0] == pytest.approx(first.threshold[0] + calibration[-3:].mean(), rel=1e-9)


def test_nn_spot_keeps_its_distance_from_the_prediction():
    random = np.random.default_rng(4)
    expected = 5.0 * np.sin(np.arange(6000) / 20)
    values = expected + random.normal(size=6000)
    alarms = nn_spot(
        values[:5000],
        values[5000:],
        Spot(1e-3),
        expected_calibration=expected[:5000],
        expected_stream=expected[5000:],
    )
    distance = alarms.threshold - expected[5000:]
    np.testing.assert_allclose(distance, norm.isf(1e-3), atol=0.5)
    np.testing.assert_array_equal(alarms.raised, values[5000:] > alarms.threshold)


def run(name, calibration, stream, how, unit=1.0, zero=0.0):
    """Alarms of a detector on values in another unit; the predictions of NN-SPOT are a wave."""
    first, second = (zero + unit * values for values in (calibration, stream))
    if name != "nn_spot":
        return {"spot": spot, "dspot": dspot}[name](first, second, how)
    wave = np.sin(np.arange(len(calibration) + len(stream)) / 9)
    expected = zero + unit * wave
    return nn_spot(
        first + unit * wave[: len(first)],
        second + unit * wave[len(first) :],
        how,
        expected_calibration=expected[: len(first)],
        expected_stream=expected[len(first) :],
    )


@pytest.mark.parametrize("name", ["spot", "dspot", "nn_spot"])
@pytest.mark.parametrize("side", ["upper", "lower"])
@pytest.mark.parametrize(
    ("unit", "zero"), [(1e-12, 0.0), (1e-6, 0.0), (1e3, 0.0), (1e12, 0.0), (1.0, 1e6), (1e-3, -54.0), (1e12, 1e15)]
)
def test_alarms_do_not_depend_on_the_unit(heavy, name, side, unit, zero):
    calibration, stream = heavy[0][:2000], heavy[1][:2000]
    here = run(name, calibration, stream, Spot(1e-3, side))
    there = run(name, calibration, stream, Spot(1e-3, side), unit, zero)
    assert 0 < here.raised.sum() < 20
    np.testing.assert_array_equal(there.raised, here.raised)
    np.testing.assert_allclose((there.threshold - zero) / unit, here.threshold, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_one_giant_value_does_not_set_the_unit(heavy, unit):
    calibration = np.append(heavy[0], 1e15)
    alarms = spot(unit * calibration, unit * heavy[1], Spot(1e-3))
    # one excess of 1e15 among four hundred makes the fitted tail heavier, and the threshold higher
    assert t.isf(1e-3, 4) < alarms.threshold[0] / unit < 2 * t.isf(1e-3, 4)


@pytest.mark.parametrize("side", ["upper", "lower"])
@pytest.mark.parametrize("kind", [np.asarray, lambda v: v.astype(np.float32), lambda v: v.astype(int)])
def test_nn_spot_returns_thresholds_of_the_values(heavy, side, kind):
    calibration, stream = heavy[0][:2000], heavy[1][:2000]
    expected = np.round(50 * np.sin(np.arange(2000) / 9))  # exact in any format
    alarms = nn_spot(
        calibration + expected,
        stream + expected,
        Spot(1e-2, side),
        expected_calibration=kind(expected),
        expected_stream=kind(expected),
    )
    assert alarms.threshold.dtype == np.float64
    beyond = stream + expected > alarms.threshold if side == "upper" else stream + expected < alarms.threshold
    np.testing.assert_array_equal(alarms.raised, beyond)
    residual = spot(calibration, stream, Spot(1e-2, side))
    np.testing.assert_allclose(alarms.threshold - expected, residual.threshold, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["upper", "lower"])
def test_tail_alarms_of_a_known_distribution(side):
    values = np.linspace(-6.0, 8.0, 400)
    dist = Normal(jnp.full(400, 1.0), jnp.full(400, 2.0))
    alarms = tail_alarms(dist, values, 1e-3, side)
    limit = norm.isf(1e-3, 1.0, 2.0) if side == "upper" else norm.ppf(1e-3, 1.0, 2.0)
    np.testing.assert_allclose(alarms.threshold, limit, rtol=1e-5)
    np.testing.assert_array_equal(alarms.raised, values > limit if side == "upper" else values < limit)
    counts = tail_alarms(Quantized(dist), np.round(values), 1e-3, side)
    cell = norm.sf(np.round(values) - 0.5, 1, 2) if side == "upper" else norm.cdf(np.round(values) + 0.5, 1, 2)
    np.testing.assert_array_equal(counts.raised, cell < 1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda v: Spot(0.03), "rate: expected between 0 and 0.02"),
        (lambda v: Spot(0.001, level=1.0), "level: expected a probability"),
        (lambda v: Spot(0.001, peaks=0), "peaks: expected at least 1"),
        (lambda v: spot(v, np.append(v, np.nan), Spot(1e-3)), "stream: value 100 is not finite"),
        (lambda v: spot(v[:0], v, Spot(1e-3)), "calibration: expected values"),
        (lambda v: dspot(v, v, Spot(1e-3), depth=100), "depth: expected at least 1 and below the 100"),
        (
            lambda v: nn_spot(v, v, Spot(1e-3), expected_calibration=v[1:], expected_stream=v),
            "expected 100 predictions",
        ),
        (lambda v: tail_alarms(Normal(jnp.zeros(3), 1.0), v, 1e-3), r"dist: expected batch shape \(100,\), got \(3,\)"),
        (lambda v: tail_alarms(Normal(jnp.zeros(100), 1.0), v, 1.0), "rate: expected a probability"),
        (lambda v: inject(v, 0, 1.0), "events, lengths, height: expected positive"),
        (lambda v: inject(v, 5, 1.0), "100 are too few for 5 events of up to 10"),
        (lambda v: found(np.zeros(3, bool), inject(v, 2, 1.0), 1), r"raised: expected \(100,\) alarms"),
        (lambda v: found(v > 0, inject(v, 2, 1.0), 2), r"length: there are events of \[1, 10\] values, got 2"),
    ],
)
def test_mistakes_are_one_line(make, message):
    with pytest.raises(InputError, match=message):
        make(np.arange(100.0))


@pytest.mark.parametrize("values", [np.zeros(500), np.repeat([0.0, 1.0], 250)])
@pytest.mark.parametrize("side", ["upper", "lower"])
def test_a_calibration_without_a_tail(values, side):
    with pytest.raises(NoTail, match="no tail can be fitted to 500 values"):
        spot(values, values, Spot(1e-3, side))


@pytest.mark.parametrize("both", [False, True])
def test_events_are_spikes_and_ramps_apart(both):
    values = np.random.default_rng(5).normal(size=1000)
    injected = inject(values, 20, 7.0, lengths=(1, 8), seed=1, both=both)
    change = injected.values - values
    inside = np.zeros(1000, bool)
    for start, length, sign in zip(injected.starts, injected.lengths, injected.signs, strict=True):
        event = slice(start, start + length)
        np.testing.assert_allclose(change[event], sign * 7.0 * np.arange(1, length + 1) / length)
        inside[event] = True
    assert not change[~inside].any()
    assert np.diff(injected.starts).min() >= 16
    assert (injected.starts[0] >= 8, injected.starts[-1] <= 984) == (True, True)
    kinds = list(zip(injected.lengths.tolist(), injected.signs.tolist(), strict=True))
    assert kinds == ([(1, 1), (1, -1), (8, 1), (8, -1)] * 5 if both else [(1, 1), (8, 1)] * 10)
    np.testing.assert_array_equal(injected.values, inject(values, 20, 7.0, lengths=(1, 8), seed=1, both=both).values)
    assert not np.array_equal(injected.starts, inject(values, 20, 7.0, lengths=(1, 8), seed=2, both=both).starts)


def test_hits_and_delays():
    of_four = Injected(np.zeros(40), np.array([5, 15, 25, 35]), np.array([4, 4, 4, 1]), np.ones(4, np.int64))
    raised = np.zeros(40, bool)
    raised[[5, 7, 18, 24, 29]] = True  # the first at once, the second with its last value, the third next to it
    ramps, spikes = found(raised, of_four, 4), found(raised, of_four, 1)
    assert (ramps.events, ramps.hits, ramps.delays.tolist()) == (3, 2, [0, 3])
    assert (spikes.events, spikes.hits, len(spikes.delays)) == (1, 0, 0)
