"""Weeks written by several processes at once; what comes out does not depend on their number."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

from sbp_jax.data.simulator.block import Seeds
from sbp_jax.data.simulator.weeks import Week, WeekTables, write_week
from sbp_jax.errors import InputError


def write_weeks(
    weeks: Sequence[Week],
    paths: Sequence[Path],
    seeds: Seeds,
    processes: int,
    progress: Callable[[int], None],
) -> list[WeekTables]:
    """Write each week to its path and return their tables in order; `progress` is told the number of plays done.

    With one process everything happens in this one. More are started afresh, so that a script that calls this needs
    the guard `if __name__ == "__main__"`. A failure in one of them is raised here, and the other weeks are dropped.
    Raises InputError when a process is killed from outside.
    """
    done = 0

    def count(plays: int) -> None:
        nonlocal done
        done += plays
        progress(done)

    if min(processes, len(weeks)) == 1:
        return [write_week(week, seeds, path, count) for week, path in zip(weeks, paths, strict=True)]
    tables: dict[int, WeekTables] = {}
    others = active_children()
    with (
        _one_thread_each(),
        ProcessPoolExecutor(min(processes, len(weeks)), get_context("spawn"), _begin) as pool,
    ):
        jobs = {
            pool.submit(write_week, week, seeds, path): number
            for number, (week, path) in enumerate(zip(weeks, paths, strict=True))
        }
        try:
            for job in as_completed(jobs):
                tables[jobs[job]] = job.result()
                count(sum(map(len, weeks[jobs[job]].kept)))
        except BrokenProcessPool as error:
            raise InputError("processes: one of them ended early, perhaps for want of memory; try fewer") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in active_children():
                if child not in others:
                    child.terminate()  # nobody wants the weeks they are at, and each takes seconds
            raise
    return [tables[number] for number in range(len(weeks))]


def _begin() -> None:
    """An interrupt from the keyboard reaches all processes, and only the first one has to tell of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed cannot stop its children, which would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started within use one thread for tables: all cores are busy with weeks already."""
    name = "POLARS_MAX_THREADS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
