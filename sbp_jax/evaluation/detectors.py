"""Alarms on values that are too extreme: SPOT, DSPOT and NN-SPOT, and the tail probability of a predicted distribution.

Every detector is given a rate, the share of ordinary values on which it may raise a false alarm, and the direction that
it watches. SPOT and DSPOT are those of Siffer, Fouque, Termier and Largouët (2017): a generalized Pareto distribution
is fitted to the excesses over a high quantile and taken up to date with every value; what alarms teaches nothing. SPOT
itself is its author's own library, `libspot` (extra `baselines`); NN-SPOT is SPOT on a network's residuals.
"""

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from sbp_jax.errors import InputError

Side = Literal["upper", "lower"]
SIDES: tuple[Side, ...] = ("upper", "lower")


class NoTail(InputError):
    """Too few values lie beyond the quantile that a tail begins at."""


class Alarms(NamedTuple):
    """What a detector said of a stream of N values.

    Attributes:
        raised: bool [N].
        threshold: float64 [N], beyond which a value raised the alarm, as it was before that value; in its unit.
    """

    raised: np.ndarray
    threshold: np.ndarray


@dataclass(frozen=True)
class Spot:
    """How SPOT watches.

    Attributes:
        rate: of false alarms, between 0 and 1 - level.
        side: that is watched.
        level: of the quantile whose excesses the tail is fitted to.
        peaks: most excesses that are kept, the latest ones.
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
    """SPOT: one threshold for all of a stream but for what its excesses teach.

    Args:
        calibration: ordinary values that the first threshold is found from [M].
        stream: those to watch, in order of time [N].
        how: its settings.

    Raises:
        InputError: values that are not finite or not [M] and [N]; NoTail for a calibration without excesses.
    """
    calibration, stream = _values(calibration, "calibration"), _values(stream, "stream")
    found = _fitted(calibration, how)
    alarm = _library().ANOMALY
    raised, threshold = np.zeros(len(stream), bool), np.empty(len(stream))
    for i, value in enumerate(stream.tolist()):
        threshold[i] = found.anomaly_threshold
        raised[i] = found.step(value) == alarm
    return Alarms(raised, threshold)


def dspot(calibration: np.ndarray, stream: np.ndarray, how: Spot, depth: int = 10) -> Alarms:
    """DSPOT: SPOT on the difference to the mean of the `depth` values before that raised no alarm.

    Args and errors as of `spot`, and InputError for a depth that is below 1 or leaves no calibration.
    """
    calibration, stream = _values(calibration, "calibration"), _values(stream, "stream")
    if not 1 <= depth < len(calibration):
        raise InputError(f"depth: expected at least 1 and below the {len(calibration)} of the calibration, got {depth}")
    sums = np.cumsum(np.concatenate([[0.0], calibration]))
    found = _fitted(calibration[depth:] - (sums[depth:-1] - sums[: -depth - 1]) / depth, how)
    alarm = _library().ANOMALY
    recent = deque(calibration[-depth:].tolist(), maxlen=depth)
    raised, threshold = np.zeros(len(stream), bool), np.empty(len(stream))
    for i, value in enumerate(stream.tolist()):
        middle = sum(recent) / depth
        threshold[i] = middle + found.anomaly_threshold
        raised[i] = found.step(value - middle) == alarm
        if not raised[i]:
            recent.append(value)
    return Alarms(raised, threshold)


def nn_spot(
    calibration: np.ndarray,
    stream: np.ndarray,
    how: Spot,
    *,
    expected_calibration: np.ndarray,
    expected_stream: np.ndarray,
) -> Alarms:
    """NN-SPOT: SPOT on the residuals of a network's predictions, so that its thresholds lie at a distance from them.

    Args and errors as of `spot`; `expected_calibration` [M] and `expected_stream` [N] are the predictions.
    """
    pairs = {"calibration": (calibration, expected_calibration), "stream": (stream, expected_stream)}
    residuals = {}
    for name, (values, expected) in pairs.items():
        values, expected = _values(values, name), _values(expected, f"expected_{name}")
        if values.shape != expected.shape:
            raise InputError(f"expected_{name}: expected {len(values)} predictions, got {len(expected)}")
        residuals[name] = values - expected
    found = spot(residuals["calibration"], residuals["stream"], how)
    return Alarms(found.raised, found.threshold + expected_stream)


def tail_alarms(dist: Any, stream: np.ndarray, rate: float, side: Side = "upper") -> Alarms:
    """Alarms where a predicted distribution gives a value, and all beyond it, a probability below the rate.

    Args:
        dist: the predicted distribution of each value, batch shape [N]; of counts `Quantized`.
        stream: the values [N].
        rate: of false alarms, between 0 and 1.
        side: that is watched.

    Raises:
        InputError: values that are not finite or not [N]; a rate that is no probability; an unknown side.
    """
    stream = _values(stream, "stream")
    if not 0 < rate < 1:
        raise InputError(f"rate: expected a probability between 0 and 1, got {rate}")
    if side not in SIDES:
        raise InputError(f"side: expected one of {', '.join(SIDES)}, got {side!r}")
    if dist.batch_shape != stream.shape:
        raise InputError(f"dist: expected batch shape {stream.shape}, got {dist.batch_shape}")
    values = jnp.asarray(stream, dist.dtype)
    if side == "upper":
        log_beyond, threshold = dist.log_survival_left(values), dist.isf(rate)
    else:
        log_beyond, threshold = dist.log_cdf(values), dist.icdf(rate)
    return Alarms(np.exp(np.asarray(log_beyond)) < rate, np.asarray(threshold, np.float64))


def _fitted(calibration: np.ndarray, how: Spot) -> Any:
    low = how.side == "lower"
    found = _library().Spot(q=how.rate, low=low, discard_anomalies=True, level=how.level, max_excess=how.peaks)
    with suppress(RuntimeError):  # without excesses; told below
        found.fit(calibration)
    excesses = np.asarray(found.excesses())
    if not np.isfinite(found.anomaly_threshold) or np.ptp(excesses) < 1e-9 * np.ptp(calibration):  # none, or all tied
        raise NoTail(
            f"calibration: no tail can be fitted to {len(calibration)} values: too few different ones lie beyond the "
            f"quantile that {1 - how.level:g} of them should be {'below' if low else 'above'}"
        )
    return found


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
