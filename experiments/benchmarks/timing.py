"""Times of calls that are measured in turn, so that disturbances of the machine affect all of them."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax

# a turn has several calls: in the first, caches are cold and the other side's threads may still be spinning
_TURN_SECONDS, _TURN_CALLS = 0.1, 3


def in_turn(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, list[float]]:
    """Measure the seconds of each call, in turns of a tenth of a second, after one warm-up call each.

    Args:
        calls: name -> call; JAX arrays that it returns are waited for.
        seconds: time for all turns; each call has at least three.
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
    """Return the median in milliseconds."""
    return 1e3 * statistics.median(times)


def by_setting(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows of all settings of the allocator, with the setting as the column `allocator`."""
    return [{**row, "allocator": setting} for setting, rows in settings.items() for row in rows]


def extra_memory(call: Any, size: int) -> float:
    """Return bytes of a compiled function (`jit(f).lower(...).compile()`) beyond inputs and outputs, over `size`."""
    return call.memory_analysis().temp_size_in_bytes / size


@contextmanager
def one_core() -> Iterator[None]:
    """Pin this process to one core, where the system supports it."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
