"""Plays of a WebSocket: each message gets one answer, and those of a play are answered in order."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from sbp_jax.service import messages
from sbp_jax.service.batcher import Batcher, Kind, Slot
from sbp_jax.service.messages import Expected, Refusal
from sbp_jax.service.metrics import Metrics
from sbp_jax.service.settings import Settings

PAUSE_S = 0.01  # after a rejected message: a client that sends nothing else does not delay the others
KEYS: dict[Kind, tuple[str, ...]] = {
    "reset": ("type", "play", "static"),
    "frame": ("type", "play", "frame", "seq"),
    "distribution": ("type", "play"),
    "finish": ("type", "play", "outcome", "touchdown"),
    "drop": ("type", "play"),
}
ANSWERS = {"reset": "begun", "frame": "summary", "distribution": "distribution", "finish": "score", "drop": "dropped"}


@dataclass(eq=False, slots=True)
class Play:
    """A play of a connection: its place in the queue, and the time of its last message."""

    slot: Slot
    heard: float


class Connection:
    """One WebSocket and the plays that its client has named, which no other client sees.

    At most `settings.waiting` of its messages are in progress at once. Beyond that none is read until the client reads,
    so that the buffers of a stalled client stay bounded.
    """

    def __init__(
        self, socket: WebSocket, batcher: Batcher, settings: Settings, metrics: Metrics, expected: Expected
    ) -> None:
        self._socket, self._batcher, self._metrics = socket, batcher, metrics
        self._settings, self._expected = settings, expected
        self._plays: dict[str, Play] = {}
        # besides the answers, at most one line for each play dropped as idle
        self._outbox: asyncio.Queue[tuple[str, float, bool]] = asyncio.Queue(settings.waiting + batcher.scorer.batch)
        self._room = asyncio.Semaphore(settings.waiting)

    async def run(self) -> None:
        """Serve until the client leaves, or is disconnected because it does not read."""
        await self._socket.accept()
        tasks = {asyncio.create_task(self._read()), asyncio.create_task(self._write())}
        try:
            complete, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in complete:
                task.result()
        finally:
            for play in self._plays.values():
                self._batcher.release(play.slot)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def drop_idle(self, now: float) -> None:
        """Drop plays without a message for `settings.idle_s` seconds, and report them."""
        for name, play in list(self._plays.items()):
            if now - play.heard > self._settings.idle_s:
                self._end(name)
                refusal = Refusal(408, "play", f"was dropped: no message for {self._settings.idle_s:g} s")
                if not self._outbox.full():
                    self._refuse(refusal, {"play": name}, answer=False)

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await self._room.acquire()
            about: dict[str, Any] = {}
            try:
                self._take(message, about)
                await asyncio.sleep(0)  # messages of one client may arrive together: let the others take their turn
            except Refusal as refusal:
                self._refuse(refusal, about)
                await asyncio.sleep(PAUSE_S)

    async def _write(self) -> None:
        while True:
            text, received, answer = await self._outbox.get()
            try:
                async with asyncio.timeout(self._settings.send_s):
                    await self._socket.send({"type": "websocket.send", "text": text})
            except (TimeoutError, WebSocketDisconnect, OSError):
                return
            if answer:
                self._room.release()
            if received:
                self._metrics.latency.observe(time.perf_counter() - received)

    def _take(self, message: Any, about: dict[str, Any]) -> None:
        """Check a message and submit it; fill `about` with the fields that its answer repeats."""
        received, text = time.perf_counter(), message.get("text")
        if text is None:
            raise Refusal(415, "message", "expected text, got binary data")
        if len(text) > self._settings.max_message_bytes:
            raise Refusal(413, "message", f"expected at most {self._settings.max_message_bytes:,} characters")
        value = messages.object_of(messages.parse(text))
        name = value.get("play")
        if type(name) is str and len(name) <= messages.MAX_NAME_LENGTH:
            about["play"] = name
        kind = _kind_of(value.get("type"))
        messages.check_keys(value, KEYS[kind])
        name = messages.name_of(name)
        if kind == "frame":
            seq = messages.seq_of(value.get("seq"))
            if seq is not None:
                about["seq"] = seq
        play = self._plays.get(name)
        if play is None and kind != "reset":
            raise Refusal(404, "play", "is not open on this connection; reset it first")
        content = self._content(kind, value)
        if play is None:
            play = self._plays[name] = Play(self._batcher.open(), received)
        play.heard = received
        self._batcher.submit(play.slot, kind, content, partial(self._answer, name, play, kind, about, received))

    def _content(self, kind: Kind, value: dict[str, Any]) -> Any:
        if kind == "frame":
            return messages.frame_of(value.get("frame"), self._expected)
        if kind == "reset":
            return messages.static_of(value.get("static"), self._expected)
        if kind == "finish":
            outcome = messages.number_of(value.get("outcome"), "outcome")
            return outcome, messages.flag_of(value.get("touchdown"), "touchdown")
        return None

    def _answer(self, name: str, play: Play, kind: Kind, about: dict[str, Any], received: float, result: Any) -> None:
        if isinstance(result, Refusal):
            self._refuse(result, about)
        else:
            content = {}
            if kind == "frame":
                content = messages.summary_of(result)
                self._metrics.frames.inc()
            elif kind == "finish":
                content = messages.score_of(result)
                self._metrics.scored.inc()
            elif kind == "distribution":
                content = messages.distribution_of(result)
            text = messages.render({"type": ANSWERS[kind], **about, **content})
            self._outbox.put_nowait((text, received if kind == "frame" else 0.0, True))
        if play.slot.frames < 0 and not play.slot.jobs:  # it has ended, and no waiting job restarts it
            self._end(name)

    def _refuse(self, refusal: Refusal, about: dict[str, Any], answer: bool = True) -> None:
        self._metrics.errors.labels(str(refusal.code)).inc()
        content = {"type": "error", "code": refusal.code, **about, "field": refusal.field, "message": refusal.message}
        self._outbox.put_nowait((messages.render(content), 0.0, answer))

    def _end(self, name: str) -> None:
        self._batcher.release(self._plays.pop(name).slot)


def _kind_of(value: Any) -> Kind:
    for kind in KEYS:
        if value == kind:
            return kind
    raise Refusal(422, "type", f"expected one of {', '.join(KEYS)}, got {messages.shown(value)}")
