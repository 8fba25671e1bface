"""What alarms are worth: false ones against their nominal rate, extremes found, and how late."""

from typing import NamedTuple

import numpy as np

from sbp_jax.errors import InputError


class Injected(NamedTuple):
    """A stream with extremes put in.

    Attributes:
        values: the stream, changed in its events [N].
        starts: int64 [E], first value of each event, in order.
        signs: int64 [E], 1 where an event goes up and -1 where it goes down.
        length: values of an event.
    """

    values: np.ndarray
    starts: np.ndarray
    signs: np.ndarray
    length: int


def inject(
    values: np.ndarray, events: int, height: float, *, length: int = 10, seed: int = 0, both: bool = False
) -> Injected:
    """Put events into a stream: each adds a ramp that reaches its height with its last value.

    Args:
        values: the stream [N].
        events: how many; one in each of as many equal parts of the stream, at a random place that leaves the length of
            an event before and after it.
        height: of the ramp at its end, in the values' unit.
        length: values of an event.
        seed: of the places.
        both: every second event goes down.

    Raises:
        InputError: no event, a height that is not positive, or a stream too short for its events.
    """
    if events < 1 or length < 1 or not height > 0:
        raise InputError(f"events, length, height: expected positive ones, got {events}, {length}, {height}")
    room = len(values) // events
    if room < 3 * length:
        raise InputError(f"values: {len(values)} are too few for {events} events of {length}")
    within = np.random.default_rng(seed).integers(length, room - 2 * length + 1, events)
    starts = np.arange(events) * room + within
    signs = np.where(np.arange(events) % 2 & both, -1, 1)
    changed = np.array(values, np.float64)
    ramp = height * np.arange(1, length + 1) / length
    changed[starts[:, None] + np.arange(length)] += signs[:, None] * ramp
    return Injected(changed, starts, signs, length)


class Found(NamedTuple):
    """What alarms made of events.

    Attributes:
        hits: share of the events with an alarm.
        delay: mean number of values before the first alarm of those found; NaN where none is.
    """

    hits: float
    delay: float


def found(raised: np.ndarray, injected: Injected) -> Found:
    """Which events were found; `raised` are the alarms of the stream with its events, bool [N].

    Raises:
        InputError: not as many alarms as values.
    """
    if raised.shape != injected.values.shape:
        raise InputError(f"raised: expected {injected.values.shape} alarms, got {raised.shape}")
    inside = raised[injected.starts[:, None] + np.arange(injected.length)]
    hit = inside.any(axis=1)
    delay = float(np.argmax(inside, axis=1)[hit].mean()) if hit.any() else float("nan")
    return Found(float(hit.mean()), delay)
