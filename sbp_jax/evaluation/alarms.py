"""Evaluation of alarms: false alarms against the nominal rate, detected extremes, and detection delays."""

from typing import NamedTuple

import numpy as np

from sbp_jax.errors import InputError


class Injected(NamedTuple):
    """A stream with injected extremes.

    Attributes:
        values: the stream with its events [N].
        starts: int64 [E], first value of each event, in order.
        lengths: int64 [E], number of values of each event.
        signs: int64 [E], 1 where an event goes up and -1 where it goes down.
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    signs: np.ndarray


def inject(
    values: np.ndarray,
    events: int,
    height: float,
    *,
    lengths: tuple[int, ...] = (1, 10),
    seed: int = 0,
    both: bool = False,
) -> Injected:
    """Inject events into a stream: each adds a ramp that reaches its height at its last value, or a spike.

    Args:
        values: the stream [N].
        events: number of events; one in each of as many equal parts of the stream, at a random position that leaves
            space for the longest event before and after it.
        height: height of the ramp at its end, in the values' unit.
        lengths: numbers of values of an event, used in turn; an event of one value is a spike.
        seed: seed of the positions.
        both: after every upward event, add a downward event of the same length.

    Raises:
        InputError: no event, a length or height that is not positive, or a stream too short for its events.
    """
    if events < 1 or not lengths or min(lengths) < 1 or not height > 0:
        raise InputError(f"events, lengths, height: expected positive ones, got {events}, {lengths}, {height}")
    spacing, longest = len(values) // events, max(lengths)
    if spacing < 3 * longest:
        raise InputError(f"values: {len(values)} are too few for {events} events of up to {longest}")
    number = np.arange(events)
    starts = number * spacing + np.random.default_rng(seed).integers(longest, spacing - 2 * longest + 1, events)
    if both:
        number, signs = number // 2, 1 - 2 * (number % 2)
    else:
        signs = np.ones(events, np.int64)
    event_lengths = np.array(lengths, np.int64)[number % len(lengths)]
    stream = np.array(values, np.float64)
    for start, length, sign in zip(starts.tolist(), event_lengths.tolist(), signs.tolist(), strict=True):
        stream[start : start + length] += sign * height * np.arange(1, length + 1) / length
    return Injected(stream, starts, event_lengths, signs)


class Found(NamedTuple):
    """Detections among the events of one length.

    Attributes:
        events: number of events.
        hits: number of events that raised an alarm.
        delays: int64 [hits], number of values before the first alarm of each detected event.
    """

    events: int
    hits: int
    delays: np.ndarray


def found(raised: np.ndarray, injected: Injected, length: int) -> Found:
    """Return the detections among events of one length; `raised` holds the stream's alarms, bool [N].

    Raises:
        InputError: the number of alarms differs from the number of values, or no event has that length.
    """
    if raised.shape != injected.values.shape:
        raise InputError(f"raised: expected {injected.values.shape} alarms, got {raised.shape}")
    starts = injected.starts[injected.lengths == length]
    if not len(starts):
        raise InputError(f"length: there are events of {np.unique(injected.lengths).tolist()} values, got {length}")
    inside = raised[starts[:, None] + np.arange(length)]
    hit = inside.any(axis=1)
    return Found(len(starts), int(hit.sum()), np.argmax(inside, axis=1)[hit])
