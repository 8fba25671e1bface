"""One scorer in one thread: jobs of concurrent plays are gathered, and each step takes one frame of each play.

The jobs of a play run in the order of their arrival, one per step, so that a play waits for at most two steps whatever
the others request.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from sbp_jax.errors import InputError
from sbp_jax.live import LiveScorer
from sbp_jax.service.messages import Refusal, refusal_of
from sbp_jax.service.metrics import Metrics

log = logging.getLogger(__name__)

BUDGET_S = 0.01  # time in a step for all jobs except frames; the rest waits for the next step
_LATER = object()

Kind = Literal["reset", "frame", "distribution", "finish", "drop", "call"]


@dataclass(frozen=True, slots=True)
class Job:
    """A job and the callback for its result: what the scorer returned, or a Refusal."""

    kind: Kind
    value: Any
    answer: Callable[[Any], None]


@dataclass(eq=False, slots=True)
class Slot:
    """A place in the queue, usually of a play.

    Attributes:
        row: row of the scorer; None for calls that need none.
        jobs: waiting jobs, the oldest first.
        frames: number of frames of the play so far, -1 before it starts; written by the scorer's thread.
        queued: whether it is in line or in the running step.
        gone: whether it has been released, so that results are discarded.
    """

    row: int | None
    jobs: deque[Job] = field(default_factory=deque)
    frames: int = -1
    queued: bool = False
    gone: bool = False


class Batcher:
    """Assign a scorer's rows and run its steps; call all methods from the event loop's thread.

    Attributes:
        scorer: used by no one else after `start`.
        broken: error of a failed step; the rows' states are then unreliable, and every job is rejected.
    """

    def __init__(self, scorer: LiveScorer, metrics: Metrics, gather_s: float) -> None:
        self.scorer, self.broken = scorer, ""
        self._metrics, self._gather_s = metrics, gather_s
        self._free = deque(range(scorer.batch))
        self._line: deque[Slot] = deque()
        self._wake = asyncio.Event()
        self._pool = ThreadPoolExecutor(1, "scorer")
        self._task: asyncio.Task[None] | None = None

    @property
    def open_plays(self) -> int:
        """Number of rows in use."""
        return self.scorer.batch - len(self._free)

    def start(self) -> None:
        """Start taking steps in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop after the running step."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._pool.shutdown()

    def open(self) -> Slot:
        """Assign a row to a play, whose first job must be a reset; raise Refusal if none is free."""
        if not self._free:
            raise Refusal(429, "play", f"the limit of {self.scorer.batch} open plays is reached")
        slot = Slot(self._free.popleft())
        self._metrics.plays.set(self.open_plays)
        return slot

    def aside(self) -> Slot:
        """Return a place in line for a call that needs no row."""
        return Slot(None)

    def release(self, slot: Slot) -> None:
        """Return a row; waiting jobs are dropped, and the result of a running one is discarded."""
        if slot.gone:
            return
        slot.gone = True
        slot.jobs.clear()
        if slot.row is not None:
            self._free.append(slot.row)
            self._metrics.plays.set(self.open_plays)

    def submit(self, slot: Slot, kind: Kind, value: Any, answer: Callable[[Any], None]) -> None:
        """Append a job to a slot; `answer` is called with its result, or with a Refusal."""
        slot.jobs.append(Job(kind, value, answer))
        if not slot.queued:
            slot.queued = True
            self._line.append(slot)
            self._wake.set()

    def ask(self, slot: Slot, kind: Kind, value: Any = None) -> asyncio.Future[Any]:
        """Submit a job and return a future of its result; awaiting it raises the Refusal."""
        future = asyncio.get_running_loop().create_future()

        def answer(result: Any) -> None:
            if future.done():
                return
            if isinstance(result, Refusal):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.submit(slot, kind, value, answer)
        return future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            if self._gather_s:
                await asyncio.sleep(self._gather_s)
            self._wake.clear()
            line, self._line = self._line, deque()
            work = [(slot, slot.jobs.popleft()) for slot in line if slot.jobs]
            if work:
                results = await loop.run_in_executor(self._pool, self._step, work)
                self._deliver(work, results)
            for slot in line:
                slot.queued = bool(slot.jobs)
                if slot.queued:
                    self._line.append(slot)
                    self._wake.set()

    def _deliver(self, work: Sequence[tuple[Slot, Job]], results: Sequence[Any]) -> None:
        for (slot, job), result in zip(work, results, strict=True):
            if slot.gone:
                continue
            if result is _LATER:
                slot.jobs.appendleft(job)
                continue
            try:
                job.answer(result)
            except Exception:  # a failing callback must not keep the others from their results
                log.exception("an answer could not be delivered")

    def _step(self, work: Sequence[tuple[Slot, Job]]) -> list[Any]:
        """Run one job of each slot, all frames in one call, in the scorer's thread."""
        start_s, others = time.perf_counter(), 0
        results: list[Any] = [None] * len(work)
        frames: dict[int, int] = {}
        for place, (slot, job) in enumerate(work):
            if job.kind == "frame" and slot.frames >= 0 and slot.row is not None:
                frames[slot.row] = place
            elif others and time.perf_counter() - start_s > BUDGET_S:
                results[place] = _LATER
            else:
                others += 1
                results[place] = self._guarded(self._do, slot, job)
        if frames:
            values = {row: work[place][1].value for row, place in frames.items()}
            summaries = self._guarded(self.scorer.push_many, values)
            for row, place in frames.items():
                if isinstance(summaries, Refusal):
                    results[place] = summaries
                else:
                    results[place] = summaries[row]
                    work[place][0].frames += 1
            self._metrics.fill.observe(len(frames))
        self._metrics.step.observe(time.perf_counter() - start_s)
        return results

    def _do(self, slot: Slot, job: Job) -> Any:
        if job.kind == "call":
            return job.value(self.scorer)
        row = slot.row
        assert row is not None
        if job.kind == "reset":
            self.scorer.reset(job.value, row)
            slot.frames = 0
            return None
        if slot.frames < 0:
            raise Refusal(404, "play", "has ended or never started; reset it first")
        if job.kind == "drop":
            slot.frames = -1
            return None
        if not slot.frames:
            raise Refusal(409, "play", "has no frame yet")
        if job.kind == "distribution":
            return self.scorer.distribution(row)
        score = self.scorer.finish(job.value[0], row, job.value[1])
        slot.frames = -1
        return score

    def _guarded(self, call: Callable[..., Any], *arguments: Any) -> Any:
        if self.broken:
            return Refusal(500, "message", "the scorer has failed; restart the service")
        try:
            return call(*arguments)
        except Refusal as refusal:
            return refusal
        except InputError as error:
            return refusal_of(error)
        except Exception as error:
            log.exception("a step failed")
            self.broken = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            return Refusal(500, "message", "the scorer has failed; restart the service")
