"""Times of calls that are measured in turn, so that what disturbs the machine disturbs all of them."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax

# a turn is several calls: right after the other side's, caches are cold and its threads may still be spinning
_TURN_SECONDS, _TURN_CALLS = 0.1, 3


def in_turn(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, list[float]]:
    """Seconds of each call: the calls take turns of a tenth of a second, after a first call that is not counted.

    Args:
        calls: name -> call; the result is waited for where it is a JAX array.
        seconds: time for all turns; there are at least three of each call.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    started, turns = time.perf_counter(), 0
    while turns < 3 or time.perf_counter() - started < seconds:
        for name, call in calls.items():
            times[name] += _turn(call)
        turns += 1
    return times


def _turn(call: Callable[[], Any]) -> list[float]:
    times: list[float] = []
    while len(times) < _TURN_CALLS or sum(times) < _TURN_SECONDS:
        before = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - before)
    return times


def median_ms(times: list[float]) -> float:
    """The median in milliseconds."""
    return 1e3 * statistics.median(times)


def by_setting(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The rows of all settings of the allocator, each with its setting as `allocator`."""
    return [{**row, "allocator": setting} for setting, rows in settings.items() for row in rows]


def extra_memory(call: Any, size: int) -> float:
    """Bytes that a compiled function (`jit(f).lower(...).compile()`) needs beyond inputs and outputs, over `size`."""
    return call.memory_analysis().temp_size_in_bytes / size


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
