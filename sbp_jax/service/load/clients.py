"""Clients for the load test of the service, each kind in its own processes: well-behaved and misbehaving ones.

python -m sbp_jax.service.load.clients KIND TASK.json RESULT.json, as `sbp_jax.service.load.parts` calls it; KIND is
"good" or "misbehaving".
"""

import asyncio
import json
import random
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

TIMEOUT_S = 15.0  # for an answer; one that has not arrived by then is lost
STRIDE = 7  # step from one replayed play to the next
NUMBERS = ("median", "expected", "first_down", "touchdown", "loss")
BAD = [
    "not JSON",
    "[" * 50_000,
    "{}",
    "NaN",
    '{"type": "frame", "play": "none", "frame": []}',
    '{"type": "reset", "play": "a", "static": {"down": NaN}}',
    '{"type": "reset", "play": "a", "static": {"nothing": 1}}',
    '{"type": "frame", "play": "a", "frame": [[1e999]]}',
    '{"type": "frame", "play": "a", "frame": "' + "x" * 60_000 + '"}',
    '{"type": "frame", "play": ' + "9" * 4000 + "}",
    "x" * 200_000,
    b"\x00\xff" * 100,
]


def agree(value: Any, expected: Any, tolerance: float) -> bool:
    """Return whether two numbers agree; null agrees with null."""
    if value is None or expected is None:
        return value is expected
    return abs(value - expected) <= tolerance * max(1.0, abs(expected))


class Good:
    """Replay several plays at once over one connection, each at `hz` frames per second, until the end of the test.

    Frames are sent when they are due, whether or not earlier ones have been answered. Every answer is compared with
    that of a scorer on its own.
    """

    def __init__(self, task: dict[str, Any], number: int) -> None:
        self.task, self.number = task, number
        self.plays: list[dict[str, Any]] = task["plays"]
        self.count: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.outages: list[float] = []
        self.wrong: list[str] = []
        self.answers: dict[str, asyncio.Queue[dict[str, Any]]] = {}

    async def run(self) -> None:
        """Replay until the clock shows `task["until"]`; reopen a closed connection."""
        names = range(self.number * self.task["each"], self.number * self.task["each"] + self.task["each"])
        closed = 0.0
        while time.time() < self.task["until"]:
            try:
                async with connect(self.task["url"], compression=None, open_timeout=TIMEOUT_S) as socket:
                    if closed:
                        self.outages.append(time.time() - closed)
                        self.count["reconnections"] += 1
                    await self._serve(socket, names)
                    return
            except (ConnectionClosed, OSError, TimeoutError) as error:
                closed = closed or time.time()
                if isinstance(error, ConnectionClosed):
                    closed = time.time()
                    self.count[f"closed with {error.rcvd.code if error.rcvd else 'nothing'}"] += 1
                await asyncio.sleep(0.2)

    async def _serve(self, socket: ClientConnection, names: range) -> None:
        self.answers = {f"play {name}": asyncio.Queue() for name in names}
        reader = asyncio.create_task(self._read(socket))
        senders = [asyncio.create_task(self._play(socket, name)) for name in names]
        work = asyncio.gather(*senders)
        try:
            await asyncio.wait({reader, work}, return_when=asyncio.FIRST_COMPLETED)
            await (work if work.done() else reader)
        finally:
            # including senders that have not noticed the closed connection
            for each in (*senders, reader):
                each.cancel()
            every: list[asyncio.Future[Any]] = [*senders, work, reader]
            await asyncio.gather(*every, return_exceptions=True)

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            message = json.loads(await socket.recv())
            message["at"] = time.perf_counter()
            if message.get("play") in self.answers:
                self.answers[message["play"]].put_nowait(message)
            else:
                self._complain("mixed", f"an answer for {message.get('play')!r}, a play of another client: {message}")

    async def _play(self, socket: ClientConnection, name: int) -> None:
        hz, at = self.task["hz"], name
        await asyncio.sleep(random.random() / hz)
        due = time.perf_counter()
        while time.time() < self.task["until"]:
            play = self.plays[at % len(self.plays)]
            at += STRIDE
            due = max(due, time.perf_counter())
            await self._one(socket, f"play {name}", play, due)
            due += len(play["frames"]) / hz

    async def _one(self, socket: ClientConnection, name: str, play: dict[str, Any], due: float) -> None:
        queue = self.answers[name]
        await socket.send(json.dumps({"type": "reset", "play": name, "static": play["static"]}))
        await self._expect(queue, "begun", {})
        send_times: dict[int, float] = {}

        async def send() -> None:
            for seq, frame in enumerate(play["frames"]):
                await asyncio.sleep(due + seq / self.task["hz"] - time.perf_counter())
                send_times[seq] = time.perf_counter()
                self.count["frames"] += 1
                await socket.send(f'{{"type": "frame", "play": "{name}", "seq": {seq}, "frame": {frame}}}')

        sender = asyncio.create_task(send())
        try:
            for seq, expected in enumerate(play["summaries"]):
                summary = await self._expect(queue, "summary", expected | {"seq": seq, "frames": seq + 1})
                if summary:
                    self.latencies.append(summary["at"] - send_times[summary["seq"]])
        finally:
            sender.cancel()
        await socket.send(json.dumps({"type": "finish", "play": name, "outcome": play["outcome"]}))
        await self._expect(queue, "score", play["score"])
        self.count["plays"] += 1

    async def _expect(self, queue: asyncio.Queue, kind: str, expected: dict[str, Any]) -> dict[str, Any] | None:
        try:
            answer = await asyncio.wait_for(queue.get(), TIMEOUT_S)
        except TimeoutError:
            self._complain("lost", f"no {kind} {expected} in {TIMEOUT_S:g} s")
            return None
        if answer["type"] != kind or answer.get("seq") != expected.get("seq"):
            self._complain("mixed", f"expected {kind} {expected}, got {answer}")
            return None
        for field, value in expected.items():
            if not agree(answer[field], value, self.task["tolerance"]):
                self._complain("wrong", f"{kind}: {field}: expected {value}, got {answer[field]}")
                return answer
        self.count["compared"] += 1
        return answer

    def _complain(self, what: str, line: str) -> None:
        self.count[what] += 1
        if len(self.wrong) < 5:
            self.wrong.append(line[:300])


async def stall(task: dict[str, Any], count: Counter[str]) -> None:
    """Send as fast as the service accepts and never read."""
    frame = task["plays"][0]["frames"][0]
    while time.time() < task["until"]:
        try:
            async with connect(task["url"], compression=None, max_queue=1, ping_interval=None) as socket:
                count["stalled connections"] += 1
                await socket.send('{"type": "reset", "play": "a"}')
                while time.time() < task["until"]:
                    await socket.send(f'{{"type": "frame", "play": "a", "frame": {frame}}}')
                    count["frames of stalled connections"] += 1
        except (ConnectionClosed, OSError, TimeoutError):
            count["stalled connections cut off"] += 1
        await asyncio.sleep(0.5)


async def garbage(task: dict[str, Any], count: Counter[str]) -> None:
    """Send bad messages; each must be answered by an error from 400 to 499, except for one that is too long."""
    while time.time() < task["until"]:
        try:
            async with connect(task["url"], compression=None) as socket:
                await socket.send('{"type": "reset", "play": "a"}')
                await socket.recv()
                for message in BAD * 20:
                    await socket.send(message)
                    answer = json.loads(await asyncio.wait_for(socket.recv(), TIMEOUT_S))
                    right = answer["type"] == "error" and 400 <= answer["code"] < 500 and answer["field"]
                    count["bad messages refused" if right else "bad messages taken"] += 1
                    if time.time() > task["until"]:
                        return
                await socket.send("x" * 3_000_000)
                await socket.recv()
        except ConnectionClosed as error:
            count[f"too long messages, closed with {error.rcvd.code if error.rcvd else 'nothing'}"] += 1
        except (OSError, TimeoutError):
            count["bad messages without an answer"] += 1
        await asyncio.sleep(0.05)


async def leave(task: dict[str, Any], count: Counter[str]) -> None:
    """Start plays and drop the connection in the middle of them."""
    frame = task["plays"][0]["frames"][0]
    while time.time() < task["until"]:
        try:
            socket = await connect(task["url"], compression=None)
            for play in range(3):
                await socket.send(f'{{"type": "reset", "play": "{play}"}}')
                await socket.send(f'{{"type": "frame", "play": "{play}", "frame": {frame}}}')
            await asyncio.sleep(random.random() * 0.05)
            socket.transport.abort()
            count["connections broken off"] += 1
        except (ConnectionClosed, OSError, TimeoutError):
            count["connections refused"] += 1
        await asyncio.sleep(0.1)


async def post(task: dict[str, Any], count: Counter[str]) -> None:
    """Send bad bodies to REST; each must get a 4xx."""
    bodies = [b"", b"[" * 100_000, b'{"frames": [[[NaN]]]}', b'{"frames": 7}', b"\xff", b" " * 3_000_000]

    def send(body: bytes) -> int:
        try:
            with urllib.request.urlopen(urllib.request.Request(task["http"] + "/v1/plays", body), timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0  # the service stops reading a body that is too large, and the sender may see a broken connection

    while time.time() < task["until"]:
        for body in bodies:
            code = await asyncio.to_thread(send, body)
            right = 400 <= code < 500 or (not code and len(body) > 2**20)
            count["bad bodies refused" if right else f"bad bodies answered by {code}"] += 1
            await asyncio.sleep(0.05)


async def linger(task: dict[str, Any], count: Counter[str]) -> None:
    """Open a connection, send half a request, and wait."""
    port = int(task["http"].rsplit(":", 1)[1])
    while time.time() < task["until"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/plays HT")
        count["half requests"] += 1
        try:
            await asyncio.wait_for(reader.read(1), max(0.1, min(20.0, task["until"] - time.time())))
            count["half requests ended by the service"] += 1
        except (TimeoutError, OSError):
            pass
        writer.close()


async def good(task: dict[str, Any]) -> dict[str, Any]:
    """Run all well-behaved connections of a process."""
    every = [Good(task, number) for number in range(task["first"], task["first"] + task["connections"])]
    await asyncio.gather(*(each.run() for each in every))
    return {
        "count": dict(sum((each.count for each in every), Counter())),
        "latencies": [latency for each in every for latency in each.latencies],
        "outages": [outage for each in every for outage in each.outages],
        "wrong": [line for each in every for line in each.wrong][:10],
    }


async def misbehaving(task: dict[str, Any]) -> dict[str, Any]:
    """Run three clients of each of the five misbehaving kinds."""
    count: Counter[str] = Counter()
    await asyncio.gather(*(kind(task, count) for kind in (stall, garbage, leave, post, linger) for _ in range(3)))
    return {"count": dict(count)}


if __name__ == "__main__":
    kind, task, result = sys.argv[1:]
    parameters = json.loads(Path(task).read_text(encoding="utf-8"))
    report = asyncio.run({"good": good, "misbehaving": misbehaving}[kind](parameters))
    Path(result).write_text(json.dumps(report), encoding="utf-8")
