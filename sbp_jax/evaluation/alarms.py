"""What alarms are worth: false ones against their nominal rate, extremes found, and how late."""

from typing import NamedTuple

import numpy as np

from sbp_jax.errors import InputError


class Injected(NamedTuple):
    """A stream with extremes put in.

    Attributes:
        values: the stream, changed in its events [N].
        starts: int64 [E], first value of each event, in order.
        lengths: int64 [E], values of each.
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
    """Put events into a stream: each adds a ramp that reaches its height with its last value; of one value, a spike.

    Args:
        values: the stream [N].
        events: how many; one in each of as many equal parts of the stream, at a random place that leaves room for the
            longest event before and after it.
        height: of the ramp at its end, in the values' unit.
        lengths: values of an event, in turn.
        seed: of the places.
        both: after every event that goes up, one of the same length goes down.

    Raises:
        InputError: no event, a length or height that is not positive, or a stream too short for its events.
    """
    if events < 1 or not lengths or min(lengths) < 1 or not height > 0:
        raise InputError(f"events, lengths, height: expected positive ones, got {events}, {lengths}, {height}")
    room, longest = len(values) // events, max(lengths)
    if room < 3 * longest:
        raise InputError(f"values: {len(values)} are too few for {events} events of up to {longest}")
    number = np.arange(events)
    starts = number * room + np.random.default_rng(seed).integers(longest, room - 2 * longest + 1, events)
    if both:
        number, signs = number // 2, 1 - 2 * (number % 2)
    else:
        signs = np.ones(events, np.int64)
    of_each = np.array(lengths, np.int64)[number % len(lengths)]
    changed = np.array(values, np.float64)
    for start, length, sign in zip(starts.tolist(), of_each.tolist(), signs.tolist(), strict=True):
        changed[start : start + length] += sign * height * np.arange(1, length + 1) / length
    return Injected(changed, starts, of_each, signs)


class Found(NamedTuple):
    """What alarms made of events of one length.

    Attributes:
        events: how many there are.
        hits: how many of them raised an alarm.
        delays: int64 [hits], values before the first alarm of each of these.
    """

    events: int
    hits: int
    delays: np.ndarray


def found(raised: np.ndarray, injected: Injected, length: int) -> Found:
    """Which events of a length were found; `raised` are the alarms of the stream with its events, bool [N].

    Raises:
        InputError: not as many alarms as values; no event of that length.
    """
    if raised.shape != injected.values.shape:
        raise InputError(f"raised: expected {injected.values.shape} alarms, got {raised.shape}")
    starts = injected.starts[injected.lengths == length]
    if not len(starts):
        raise InputError(f"length: there are events of {np.unique(injected.lengths).tolist()} values, got {length}")
    inside = raised[starts[:, None] + np.arange(length)]
    hit = inside.any(axis=1)
    return Found(len(starts), int(hit.sum()), np.argmax(inside, axis=1)[hit])
