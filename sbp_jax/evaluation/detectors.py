"""Alarms on values that are too extreme: SPOT, DSPOT and NN-SPOT, and the tail probability of a predicted distribution.

Every detector takes a rate, the fraction of ordinary values on which it may raise a false alarm, and a side to monitor.
SPOT and DSPOT follow Siffer, Fouque, Termier and Largouët (2017): a generalized Pareto distribution is fitted to the
excesses over a high quantile and updated with every value, except values that raise an alarm. SPOT itself is the
author's library, `libspot` (extra `baselines`); NN-SPOT is SPOT on a network's residuals. The library's fit has
absolute tolerances, so its values are standardized by the calibration: alarms do not depend on the unit of the values.
"""

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from sbp_jax.distributions.shifted import centered
from sbp_jax.errors import InputError

Side = Literal["upper", "lower"]
SIDES: tuple[Side, ...] = ("upper", "lower")


class NoTail(InputError):
    """Too few values lie beyond the quantile at which a tail begins."""


class Alarms(NamedTuple):
    """The alarms of a detector on a stream of N values.

    Attributes:
        raised: bool [N], whether each value raised an alarm.
        threshold: float64 [N], the threshold in force before each value, in the values' unit.
    """

    raised: np.ndarray
    threshold: np.ndarray


@dataclass(frozen=True)
class Spot:
    """Settings of SPOT.

    Attributes:
        rate: false-alarm rate, between 0 and 1 - level.
        side: side to monitor.
        level: level of the quantile over whose excesses the tail is fitted.
        peaks: maximum number of excesses in use, the most recent ones.
    """

    rate: float
    side: Side = "upper"
    level: float = 0.98
    peaks: int = 500

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise InputError(f"side: expected one of {', '.join(SIDES)}, got {self.side!r}")
        if not 0 < self.level < 1:
            raise InputError(f"level: expected a probability between 0 and 1, got {self.level}")
        if not 0 < self.rate < 1 - self.level:
            raise InputError(f"rate: expected between 0 and {1 - self.level:g}, beyond the level, got {self.rate}")
        if self.peaks < 1:
            raise InputError(f"peaks: expected at least 1, got {self.peaks}")


def spot(calibration: np.ndarray, stream: np.ndarray, how: Spot) -> Alarms:
    """Run SPOT: one threshold for the stream, updated by its excesses.

    Args:
        calibration: ordinary values that determine the first threshold [M].
        stream: values to monitor, in order of time [N].
        how: settings.

    Raises:
        InputError: values that are not finite or not of shape [M] and [N]; NoTail for a calibration without excesses.
    """
    calibration, stream = _values(calibration, "calibration"), _values(stream, "stream")
    location, scale = _location_scale(calibration, how)
    detector = _fit((calibration - location) / scale, how)
    alarm = _library().ANOMALY
    flags, threshold = np.zeros(len(stream), bool), np.empty(len(stream))
    for i, value in enumerate(((stream - location) / scale).tolist()):
        threshold[i] = detector.anomaly_threshold
        flags[i] = detector.step(value) == alarm
    return Alarms(flags, location + scale * threshold)


def dspot(calibration: np.ndarray, stream: np.ndarray, how: Spot, depth: int = 10) -> Alarms:
    """Run DSPOT: SPOT on the difference from the mean of the last `depth` values that raised no alarm.

    Arguments and errors as in `spot`; InputError also for a depth that is below 1 or leaves no calibration.
    """
    calibration, stream = _values(calibration, "calibration"), _values(stream, "stream")
    if not 1 <= depth < len(calibration):
        raise InputError(f"depth: expected at least 1 and below the {len(calibration)} calibration values, got {depth}")
    middle = np.median(calibration)  # subtracted first: sums of values far from zero lose their digits
    calibration, stream = calibration - middle, stream - middle
    differences = calibration[depth:] - np.lib.stride_tricks.sliding_window_view(calibration[:-1], depth).mean(axis=1)
    location, scale = _location_scale(differences, how)
    detector = _fit((differences - location) / scale, how)
    alarm = _library().ANOMALY
    recent = deque(calibration[-depth:].tolist(), maxlen=depth)
    flags, threshold = np.zeros(len(stream), bool), np.empty(len(stream))
    for i, value in enumerate(stream.tolist()):
        mean = sum(recent) / depth + location
        threshold[i] = mean + scale * detector.anomaly_threshold
        flags[i] = detector.step((value - mean) / scale) == alarm
        if not flags[i]:
            recent.append(value)
    return Alarms(flags, middle + threshold)


def nn_spot(
    calibration: np.ndarray,
    stream: np.ndarray,
    how: Spot,
    *,
    expected_calibration: np.ndarray,
    expected_stream: np.ndarray,
) -> Alarms:
    """Run NN-SPOT: SPOT on the residuals of a network's predictions.

    Arguments and errors as in `spot`; `expected_calibration` [M] and `expected_stream` [N] are the predictions. The
    threshold returned is the prediction plus the threshold of the residuals, in the unit of the values as in `spot`.
    """
    pairs = {"calibration": (calibration, expected_calibration), "stream": (stream, expected_stream)}
    residuals = {}
    for name, (actual, predictions) in pairs.items():
        values, expected = _values(actual, name), _values(predictions, f"expected_{name}")
        if values.shape != expected.shape:
            raise InputError(f"expected_{name}: expected {len(values)} predictions, got {len(expected)}")
        residuals[name] = values - expected
    alarms = spot(residuals["calibration"], residuals["stream"], how)
    return Alarms(alarms.raised, np.asarray(expected_stream, np.float64) + alarms.threshold)


def tail_alarms(dist: Any, stream: np.ndarray, rate: float, side: Side = "upper") -> Alarms:
    """Raise alarms where the predicted probability of a value at least this extreme is below the rate.

    Args:
        dist: predicted distribution of each value, batch shape [N]; `Quantized` for counts.
        stream: values [N].
        rate: false-alarm rate, between 0 and 1.
        side: side to monitor.

    Raises:
        InputError: values that are not finite or not of shape [N], a rate that is not a probability, or an unknown
            side.
    """
    stream = _values(stream, "stream")
    if not 0 < rate < 1:
        raise InputError(f"rate: expected a probability between 0 and 1, got {rate}")
    if side not in SIDES:
        raise InputError(f"side: expected one of {', '.join(SIDES)}, got {side!r}")
    if dist.batch_shape != stream.shape:
        raise InputError(f"dist: expected batch shape {stream.shape}, got {dist.batch_shape}")
    dist, values, shift = centered(dist, stream)
    if side == "upper":
        log_beyond, threshold = dist.log_survival_left(values), dist.isf(rate)
    else:
        log_beyond, threshold = dist.log_cdf(values), dist.icdf(rate)
    return Alarms(np.exp(np.asarray(log_beyond)) < rate, np.asarray(threshold, np.float64) + shift)


def _location_scale(values: np.ndarray, how: Spot) -> tuple[float, float]:
    """Location and scale of standardized values: the median, and how far the quantile at the level lies beyond it."""
    location = float(np.median(values))
    level = how.level if how.side == "upper" else 1 - how.level
    # ties may put the quantile onto the median; a calibration without any spread has no tail, and `_fit` reports it
    scales = abs(float(np.quantile(values, level)) - location), float(np.mean(np.abs(values - location))), 1.0
    return location, next(scale for scale in scales if scale > 0)


def _fit(calibration: np.ndarray, how: Spot) -> Any:
    low = how.side == "lower"
    detector = _library().Spot(q=how.rate, low=low, discard_anomalies=True, level=how.level, max_excess=how.peaks)
    with suppress(RuntimeError):  # no excesses; reported below
        detector.fit(calibration)
    excesses = np.asarray(detector.excesses())
    # no excesses, or all tied
    if not np.isfinite(detector.anomaly_threshold) or np.ptp(excesses) < 1e-9 * np.ptp(calibration):
        raise NoTail(
            f"calibration: no tail can be fitted to {len(calibration)} values: too few distinct values lie beyond the "
            f"quantile that a fraction {1 - how.level:g} of them should be {'below' if low else 'above'}"
        )
    return detector


def _values(values: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values):
        raise InputError(f"{name}: expected values [N], at least one, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise InputError(f"{name}: value {int(np.argmin(np.isfinite(values)))} is not finite")
    return values


def _library() -> Any:
    try:
        import libspot
    except ImportError as error:
        raise InputError("libspot is not installed: pip install 'sbp_jax[baselines]'") from error
    return libspot
