"""The load test: what its clients count when a service gives wrong answers, and the page that reports it."""

import asyncio
import json
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("websockets")

from websockets.asyncio.server import serve

from experiments.benchmarks.service_load import page
from sbp_jax.service.load import clients as service_clients

PLAYS, FRAMES, SUMMARY, SCORE = 3, 3, dict.fromkeys(service_clients.NUMBERS, 1.5), {"outcome": 4.0, "pit": 0.25}
PLAY = {
    "static": {},
    "frames": ["[]"] * FRAMES,
    "outcome": 4.0,
    "summaries": [SUMMARY] * FRAMES,
    "score": SCORE,
}


def counted(monkeypatch, alter, patience_s=600.0):
    """The report of a client of a service whose answers `alter` changes: three plays, on a clock that counts plays."""
    finished = 0
    clock = SimpleNamespace(time=lambda: finished, perf_counter=time.perf_counter)
    monkeypatch.setattr(service_clients, "time", clock)
    monkeypatch.setattr(service_clients, "TIMEOUT_S", patience_s)
    monkeypatch.setattr(service_clients.random, "random", lambda: 0.0)

    async def answer(socket):
        nonlocal finished
        frames = 0
        async for text in socket:
            asked = json.loads(text)
            frames = 0 if asked["type"] == "reset" else frames + 1
            message = {"play": asked["play"]}
            if asked["type"] == "frame":
                message |= {"type": "summary", "seq": asked["seq"], "frames": frames, **SUMMARY}
            else:
                message |= {"reset": {"type": "begun"}, "finish": {"type": "score", **SCORE}}[asked["type"]]
            finished += asked["type"] == "finish"
            for each in alter(message):
                await socket.send(json.dumps(each))

    async def both():
        async with serve(answer, "127.0.0.1", 0) as server:
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            task = {"url": f"ws://{address}", "plays": [PLAY], "hz": 1000.0, "until": PLAYS}
            return await service_clients.good(task | {"each": 1, "tolerance": 1e-4, "first": 0, "connections": 1})

    return asyncio.run(both())


def second(message, **changed):
    return [message | changed] if message.get("seq") == 1 else [message]


def test_a_service_with_the_expected_answers_has_no_errors(monkeypatch):
    report = counted(monkeypatch, lambda message: [message])
    assert report["count"] == {"plays": PLAYS, "frames": FRAMES * PLAYS, "compared": (FRAMES + 2) * PLAYS}
    assert len(report["latencies"]) == FRAMES * PLAYS
    assert min(report["latencies"]) > 0


@pytest.mark.parametrize(
    ("what", "alter"),
    [
        ("wrong", lambda message: second(message, median=1.5004)),
        ("wrong", lambda message: second(message, first_down=None)),
        ("wrong", lambda message: second(message, frames=3)),
        ("wrong", lambda message: [message | {"pit": 0.2502}] if message["type"] == "score" else [message]),
        ("mixed", lambda message: second(message, seq=0)),
        ("mixed", lambda message: second(message, play="play 7")),
        ("mixed", lambda message: second(message, type="error")),
        ("lost", lambda message: [] if message.get("seq") == 2 else [message]),
        ("lost", lambda message: [] if message["type"] == "begun" else [message]),
    ],
)
def test_a_service_with_wrong_answers_is_detected(monkeypatch, what, alter):
    report = counted(monkeypatch, alter, 600.0 if what == "wrong" else 0.2)  # a late answer counts as mixed, too
    assert report["count"][what] > 0
    assert report["wrong"]


def test_numbers_agree_to_the_tolerance():
    assert service_clients.agree(None, None, 1e-4)
    assert not service_clients.agree(None, 0.0, 1e-4)
    assert not service_clients.agree(0.0, None, 1e-4)
    assert service_clients.agree(0.50009, 0.5, 1e-4)
    assert not service_clients.agree(0.50011, 0.5, 1e-4)
    assert service_clients.agree(50.004, 50.0, 1e-4)
    assert not service_clients.agree(float("nan"), 0.5, 1e-4)


def test_the_page_reports_the_counts():
    def part(restart=None, misbehaving=None, **count):
        return {
            "seconds": 10.0,
            "count": {"frames": 1000, "plays": 30, "compared": 1060} | count,
            "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.25, "max": 4.0},
            "outages_s": [2.5] if restart else [],
            "restart": restart,
            "misbehaving": misbehaving,
            "memory_mib": [(0.0, 100.0), (1.0, 101.0), (9.0, 60.0), (10.0, 61.0)],
            "cores": None if restart else 0.5,
            "files": [9, 8],
            "open_after": 0,
        }

    again = {"ended_s": 0.5, "exit_code": 0, "away_s": 2.0}
    parts = {
        "steady": part(lost=2),
        "misbehaving": part(misbehaving={"half requests": 6}, wrong=5),
        "restart": part(again, None, **{"closed with 1012": 4, "reconnections": 4}),
        "end": {"ended_s": 0.1, "exit_code": 0, "tracebacks": 3},
    }
    asked = {"note": "", "plays": 8, "hz": 10.0, "each": 4, "different": 20, "run": "r", "processes": 2}
    results = {"machine": None, "asked": asked | {"tolerance": 1e-4}, "packages": {"uvicorn": "1"}, "parts": parts}
    text = "\n\n".join(page(results, ["r"]))
    assert "| lost | 2 | 0 | 0 |" in text
    assert "| wrong | 0 | 5 | 0 |" in text
    assert "| latency p99, ms | 3.2 | 3.2 | 3.2 |" in text
    assert "| memory at the beginning, MiB | 100 | 100 | 60 |" in text  # after the restart
    assert "half requests: 6" in text
    assert "4 closed with 1012; another service answered 2.0 s after" in text
    assert "3 tracebacks" in text
